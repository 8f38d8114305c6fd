"""Low-rank adapters W + s·B·A: learning rate and s where the rank r and alpha change; the rank is not a width.

The change of alpha by c follows from the equivalence map alone: with s × c, B × 1/c is the same model, and Adam's step
of B is that of before if its η is × 1/c; nothing of A changes. So the factor that starts at zero takes all of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.named import NamedRule, decay_factor
from widthwise.rules.contract import NO_CHANGES, Case, Change, Changes, Factors, Subject
from widthwise.theory.optimizers import epsilon_power
from widthwise.vocabulary import QUANTITIES, QuantityName, TensorPart

FACTORS = (TensorPart.LORA_A, TensorPart.LORA_B)


@dataclass(frozen=True, slots=True)
class OfAdapters:
    """Factors of the adapters' tensors, or of every role if none are listed."""

    source: str
    formula: str
    case: Case
    rate: float  #: on η for the rank
    width_power: float  #: η ∝ n^width_power over the width of what is adapted
    alpha: float  #: growth of alpha where the code has it in its scale, else 1
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, subject: Subject, before: Mapping[QuantityName, float]) -> Factors:
        """Return what is left to do once the rules before took the rank for a width."""
        if self.case.tensors and subject.part not in FACTORS:
            return Factors({}, "")
        width = self._width(subject)
        alpha = self.alpha if subject.part is TensorPart.LORA_B else 1.0  # of the factor that starts at zero
        rate = self.rate * width**self.width_power
        decay = decay_factor(self.case, rate=rate / alpha, product=rate, gradient=alpha)
        wanted: dict[QuantityName, float] = {
            **dict.fromkeys(QUANTITIES, 1.0),
            "learning_rate": rate / alpha,
            "init_std": width**-0.5 if subject.part is TensorPart.LORA_A else 1 / alpha,
            "gradient_rms": alpha,
            "epsilon": alpha ** epsilon_power(self.case.scheme.optimizer, subject.role),
            **decay,
        }
        left = {name: wanted[name] / so_far for name, so_far in before.items()}
        return Factors(left, f"rank: {self.formula} ({self.source})")

    def _width(self, subject: Subject) -> float:
        """How the width of what is adapted grows: the axis of a factor that is not the rank."""
        if subject.fans is None:
            return subject.ratio or 1.0
        return subject.fans.ratio_in if subject.part is TensorPart.LORA_A else subject.fans.ratio_out


def rank_in_force(
    rule: NamedRule,
    case: Case,
    *,
    power: float,
    scale: Literal["alpha_over_r", "alpha_over_root_r", "one"],
    width_power: float | None = None,
    cautions: tuple[Caution, ...] = (),
) -> OfAdapters:
    """Return the factors for η ∝ r^power. width_power: None if no source says what the width does.

    scale: what the code multiplies B·A by; `one` is alpha = r. InvalidInputError for a change that the rule does not
    cover, or if the request lacks what it needs.
    """
    rule.require_adams_matrices(case)
    ratio = rule.ratio(case, "rank")
    _require_factors(rule, case)
    if width_power is None:
        _refuse_width(rule, case)
    alpha = _alpha(rule, case, is_one=scale == "one")
    root = {"alpha_over_r": 1.0, "alpha_over_root_r": 0.5, "one": 0.0}[scale]
    multiplier = alpha * ratio**-root
    rank, own = case.target.rank, case.target.lora_alpha
    assert rank is not None  # noqa: S101 - the ratio needed it
    value = 1.0 if scale == "one" else None if own is None else own / rank**root
    formula = {"alpha_over_r": "alpha/r", "alpha_over_root_r": "alpha/√r", "one": "1 (alpha = r)"}[scale]
    return OfAdapters(
        rule.source,
        rule.formula,
        case,
        ratio**power,
        width_power or 0.0,
        alpha,
        (*cautions, *_by_role(case)),
        {"adapter_scale": Change(lambda base: base * multiplier, f"{formula} ({rule.source})", value)},
    )


def _require_factors(rule: NamedRule, case: Case) -> None:
    if case.tensors and not any(tensor.part in FACTORS for tensor in case.tensors):
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, and no tensor has part 'lora_a' or 'lora_b'; give part to the factors of "
            "the adapters, A reads the input and B adds to the output, or list no tensors",
            field="tensors",
        )
    for tensor, placed in zip(case.tensors, case.placements, strict=True):
        if tensor.part in FACTORS:
            side = placed.fans[2:] if tensor.part == TensorPart.LORA_A else placed.fans[:2]
            ranks = case.base.rank, case.target.rank
            if side != ranks:
                raise InvalidInputError(
                    f"tensors: {tensor.name!r} has part {str(tensor.part)!r}, and its rank goes from {side[0]} to "
                    f"{side[1]} where base.rank and target.rank say {ranks[0]} to {ranks[1]}; swap its fan axes, or "
                    "correct the ranks",
                    field="tensors",
                )


def _refuse_width(rule: NamedRule, case: Case) -> None:
    grows = case.widths is not None and case.widths[0] != case.widths[1]
    for tensor, placed in zip(case.tensors, case.placements, strict=True):
        if tensor.part in FACTORS:
            fans = placed.fans
            grows |= (fans.ratio_in if tensor.part == TensorPart.LORA_A else fans.ratio_out) != 1
    if grows:
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, which says nothing of another width of what is adapted; keep the width, "
            "or name 'mua'",
            field=rule.field,
        )


def _alpha(rule: NamedRule, case: Case, *, is_one: bool) -> float:
    """Growth of alpha; 1 where the rule fixes it to the rank."""
    for end, size in (("base", case.base), ("target", case.target)):
        if is_one and size.lora_alpha is not None and size.lora_alpha != size.rank:
            raise InvalidInputError(
                f"{rule.field} is {rule.word!r}, which is for alpha = r, and {end}.lora_alpha is {size.lora_alpha:g} "
                f"at rank {size.rank}; give alpha = r, or name another rule",
                field=f"{end}.lora_alpha",
            )
    if is_one or case.base.lora_alpha is None or case.target.lora_alpha is None:
        return 1.0
    growth = case.target.lora_alpha / case.base.lora_alpha
    if growth != 1 and not case.tensors:
        raise InvalidInputError(
            f"lora_alpha goes from {case.base.lora_alpha:g} to {case.target.lora_alpha:g}, which only the rate of the "
            "factor that starts at zero follows; list the tensors with part lora_a and lora_b, or keep alpha",
            field="target.lora_alpha",
        )
    return growth


def _by_role(case: Case) -> Iterator[Caution]:
    if not case.tensors and case.base.rank != case.target.rank:
        yield Caution(
            "rank_by_role",
            "no tensors are listed: every line holds the one learning rate of the adapters, whatever its role",
        )
