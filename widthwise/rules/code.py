"""The rule for what the model's own code multiplies by: every value moves along the equivalence map.

A tensor's plan asks for a forward multiplier n^(−a). If the code multiplies by n^p as it is, at every width, the plan
takes that as the whole multiplier and moves the rest into the weights: θ = −p − a, and (a, b, c, g) becomes
(a+θ, b−θ, c−kθ, g+θ), with k = 2 for SGD, 1 for Adam and 0 for updates relative to the parameter
(`theory.parameterization.shift`; Everett et al. 2024, equivalence classes). For one tensor with its own fans, let f
be the growth of the code's multiplier, A the growth of the plan's, and s = f / A = n^(−θ). Then

    init std × 1/s,  learning rate × s^(−k),  gradient RMS × s,  Adam's ε × s (Adafactor's ε₁ × s²),
    decoupled decay × s^k,  coupled decay × s²,  forward multiplier × 1/A: nothing is left to multiply.

Tied weights are shifted once, by what multiplies their embedding: the readout that shares them must undo it, so its
own multiplier gains s (and loses what the code multiplies the logits by).  Example: a tied table under standard and
Adam at width ×4, with √d computed by the code. As a tied table it has a = b = 0, c = ½ and logits × 4^(−½). p = ½,
θ = −½, s = 2: std × ½, learning rate × ½ · ½ = ¼, logits × ½ · 2 = 1.

Forward only: the gradient of V in y = s·V z lacks the factor s, so that it stays as it was: RMS and ε × 1, coupled
decay × s, and SGD's update of s·V is s·η·g, so k = 1. Nothing lies before an embedding or a vector's constant. Before
any other tensor, gradients then grow by 1/f: Adam's steps do not notice, its ε does, and a caution says so; SGD's
steps would follow, which is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.rules.in_force import ExponentsInForce, Scheme
from widthwise.tensors.multipliers import FIELD, CodePower, of_tensors
from widthwise.theory.optimizers import decay_mode_in_force, epsilon_power, update_scale
from widthwise.theory.parameterization import ZERO, RoleExponents, shift
from widthwise.theory.update_scale import GRADIENT
from widthwise.vocabulary import QuantityName, Role, WeightDecayMode

_NOTHING = CodePower(0.0, 0.0)
_UNMOVED = RoleExponents(ZERO, ZERO, ZERO, ZERO)
_FIRST = (Role.EMBEDDING, Role.VECTOR)  # nothing that is trained lies before them


class CodeMultipliers:
    """What the code multiplies by itself, with the current width."""

    name = "code"
    covers: frozenset[str] = frozenset()

    def apply(self, case: Case) -> "CodeMultipliersInForce | None":
        """In force if some multiplier is not frozen. Raises InvalidInputError for SGD behind a forward-only one."""
        if all(each.frozen for each in case.code_multipliers):
            return None
        powers = of_tensors(case.code_multipliers, case.tensors, case.placements)
        roles = {tensor.name: p.role for tensor, p in zip(case.tensors, case.placements, strict=True)}
        within = [name for name, power in powers.items() if not power.backward and roles[name] not in _FIRST]
        if within and update_scale(case.scheme.optimizer) is GRADIENT:
            raise InvalidInputError(
                f"{FIELD}: {within[0]!r} is multiplied in the forward pass alone, so the gradients before it "
                "no longer follow the width as SGD needs it; multiply the gradient too",
                field=FIELD,
            )
        return CodeMultipliersInForce(case.scheme, case.in_force, tuple(_cautions(within)))


def _cautions(within: Sequence[str]) -> Iterator[Caution]:
    if within:
        yield Caution(
            "forward_only_multiplier",
            f"{within[0]}{f' and {len(within) - 1} more' if len(within) > 1 else ''}: multiplied in the forward pass "
            "alone, so gradients before it are larger than the plan's gradient_rms and epsilon assume",
        )


class CodeMultipliersInForce:
    """The shift of every tensor that the code multiplies."""

    source = "equivalence map, Everett et al. 2024, arXiv 2407.05872"
    changes: Changes = NO_CHANGES

    def __init__(self, scheme: Scheme, in_force: ExponentsInForce, cautions: tuple[Caution, ...]) -> None:
        self._scheme = scheme
        self._in_force = in_force
        self.cautions = cautions

    def factors(self, subject: Subject, _before: Mapping[QuantityName, float]) -> Factors:
        """The shift of one tensor or role; nothing for one that the code leaves alone."""
        own, owner = subject.code or _NOTHING, subject.owner_code
        if subject.code is None and owner is None:
            return Factors({}, "")
        role = Role.EMBEDDING if subject.is_tied else subject.role  # tied weights are trained as the embedding
        if subject.is_tied and subject.role is Role.READOUT:
            # The weights move with the embedding's use of them; this use keeps its function.
            shared = _NOTHING if owner is None else owner.turned()
            moved, theta = (1.0, 0.0) if owner is None else self._shift(subject, Role.EMBEDDING, shared)
            backward = shared.backward
        else:
            moved, theta = self._shift(subject, subject.role, own)
            backward = own.backward
        exponents = self._exponents(role, theta, backward=backward)
        return Factors(
            {**self._multipliers(role, moved, backward=backward), "forward_multiplier": moved / _growth(subject, own)},
            f"the code multiplies by itself: ×{moved:.6g} moves out of the weights (equivalence map)",
            {**exponents, "forward_multiplier": theta + own.total},
        )

    def _shift(self, subject: Subject, role: Role, code: CodePower) -> tuple[float, float]:
        """s = f / A, and θ, of the weights whose use in `role` the code multiplies."""
        scaling = (self._in_force.tied_scalings if subject.is_tied else self._in_force.scalings)[role]
        theta = -code.total - scaling.exponents["forward_multiplier"]
        if subject.fans is None:
            planned = 1.0 if role is Role.SCALAR else (subject.ratio or 1.0) ** -scaling.exponents["forward_multiplier"]
        else:
            ratios = subject.fans.ratio_in, subject.fans.ratio_out
            planned = scaling.forward_multiplier.multiplier(*(ratios if role is subject.role else ratios[::-1]))
        return _growth(subject, code) / planned, theta

    def _multipliers(self, role: Role, moved: float, *, backward: bool) -> dict[QuantityName, float]:
        optimizer, mode = self._scheme.optimizer, self._scheme.weight_decay_mode
        gradient = moved if backward else 1.0
        learning_rate = moved ** -self._k(role, backward=backward)
        found: dict[QuantityName, float] = {
            "learning_rate": learning_rate,
            "init_std": 1 / moved,
            "gradient_rms": gradient,
        }
        match decay_mode_in_force(optimizer, mode):
            case WeightDecayMode.DECOUPLED:
                found["weight_decay"] = 1 / learning_rate
            case WeightDecayMode.COUPLED:
                found["weight_decay"] = gradient * moved
            case WeightDecayMode.INDEPENDENT:
                pass
        if power := epsilon_power(optimizer, role):
            found["epsilon"] = gradient**power
        return found

    def _exponents(self, role: Role, theta: float, *, backward: bool) -> dict[QuantityName, float]:
        optimizer, mode = self._scheme.optimizer, self._scheme.weight_decay_mode
        moved = shift(_UNMOVED, Fraction(theta), optimizer, role)
        k = self._k(role, backward=backward)
        gradient = float(moved.g) if backward else 0.0
        found: dict[QuantityName, float] = {
            "learning_rate": -k * theta,
            "init_std": float(moved.b),
            "gradient_rms": gradient,
        }
        match decay_mode_in_force(optimizer, mode):
            case WeightDecayMode.DECOUPLED:
                found["weight_decay"] = k * theta
            case WeightDecayMode.COUPLED:
                found["weight_decay"] = gradient - float(moved.b)
            case WeightDecayMode.INDEPENDENT:
                pass
        if power := epsilon_power(optimizer, role):
            found["epsilon"] = power * gradient
        return found

    def _k(self, role: Role, *, backward: bool) -> int:
        """What a shift takes off c; forward only, the gradient stays, and only an update ∝ W moves with W."""
        scale = update_scale(self._scheme.optimizer, role)
        return scale.shift_of_c if backward else int(scale.follows != "b")


def _growth(subject: Subject, code: CodePower) -> float:
    """What the code multiplies by at the target over what it did at the base."""
    if subject.fans is not None:
        growth: float = subject.fans.ratio_in**code.fan_in * subject.fans.ratio_out**code.fan_out
    else:
        growth = 1.0 if subject.role is Role.SCALAR or subject.ratio is None else subject.ratio**code.total
    return growth
