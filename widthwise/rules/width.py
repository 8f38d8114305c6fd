"""The first rule: width. Theory's or measured exponents, split over each tensor's fan-in and fan-out."""

from collections.abc import Iterator, Mapping

from widthwise.caution import Caution
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.rules.width_cautions import epsilon_cautions, measured_cautions, narrowest_hidden
from widthwise.theory.fans import Fans
from widthwise.theory.optimizers import OPTIMIZERS, epsilon_power, update_scale
from widthwise.theory.stability import theoretical_exponents
from widthwise.vocabulary import QuantityName, Role, known_word


class Width:
    """Every exponent applied to the growth of the widths: Table 1 of Everett et al. 2024, or measured exponents."""

    name = "width"
    covers = frozenset({"width"})

    def apply(self, case: Case) -> "WidthInForce":
        """Always in force: with equal widths every factor is exactly 1."""
        return WidthInForce(case)


class WidthInForce:
    """The width rule with the exponents of one case."""

    changes: Changes = NO_CHANGES

    def __init__(self, case: Case) -> None:
        self._in_force = case.in_force
        self._case = case

    @property
    def source(self) -> str:
        """The paper, or where the exponents come from."""
        exponents = self._in_force.provenance["exponents"]
        return str(exponents.get("reference", exponents["source"]))

    def factors(self, subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """Target over base of every quantity of a tensor, by its own fans; of a role, by the ratio of the widths."""
        role, fans, ratio, is_tied, *_ = subject
        in_force = self._in_force
        scaling = (in_force.tied_scalings if is_tied else in_force.scalings)[role]
        if fans is not None:
            rule = (in_force.tied_rules if is_tied else in_force.rules)[role]
            return Factors(scaling.multipliers(fans), f"{_growth(role, fans)}: {rule}", scaling.exponents)
        if role is Role.SCALAR or ratio is None:
            return Factors(dict.fromkeys(scaling.exponents, 1.0), in_force.rules[role], scaling.exponents)
        reason = f"width ×{ratio:.6g}: {in_force.layer_rules[role]}"
        return Factors(scaling.multipliers_of_width(ratio), reason, scaling.exponents)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Epsilons near the gradient, ties that can't be exact, exponents used beyond their measurement."""
        case = self._case
        power = epsilon_power(case.scheme.optimizer)
        sizes = case.widths or narrowest_hidden(case.placements)
        return (
            *(epsilon_cautions(case.base, case.target, self._gradients(), sizes, power) if power else ()),
            *(self._in_force.tie_cautions if case.has_ties else ()),
            *self._measured(),
        )

    def _gradients(self) -> Mapping[Role, float]:
        """Exponent of the gradient by role, where the optimizer has an epsilon next to it."""
        optimizer = self._case.scheme.optimizer
        gradient = self._in_force.gradient
        if not OPTIMIZERS[optimizer].scales:  # all roles alike, and looking each of them up takes a while
            return gradient
        return {
            role: g
            for role, g in gradient.items()
            if epsilon_power(optimizer, role) and update_scale(optimizer, role).preconditioner is None
        }

    def _measured(self) -> Iterator[Caution]:
        exponents = self._case.exponents
        if exponents is None:
            return
        words = self._case.scheme
        theory = theoretical_exponents(words.parameterization, words.optimizer, words.alignment, form=exponents.form)
        yield from measured_cautions(
            self._case.widths or narrowest_hidden(self._case.placements),
            exponents.widths,
            {known_word(Role, role, "exponents.intervals"): interval for role, interval in exponents.intervals.items()},
            {role: float(e.c) for role, e in theory.items()},
            shifted=bool(exponents.shift),
            stated=self._case.widths is not None,
        )
        yield from exponents.cautions


def _growth(role: Role, fans: Fans) -> str:
    """Return the first half of a tensor's reason: how its fans grow."""
    base_in, target_in, base_out, target_out = fans
    if role is Role.HIDDEN:
        return f"fan_in ×{target_in / base_in:.6g}, fan_out ×{target_out / base_out:.6g}"
    if role is Role.READOUT:
        return f"fan_in ×{target_in / base_in:.6g}"
    return "no axis grows" if role is Role.SCALAR else f"fan_out ×{target_out / base_out:.6g}"
