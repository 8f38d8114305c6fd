"""Weight decay by what a step takes off a weight: a rule names the factor on η·λ, and λ follows from all rules."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.named import NamedRule
from widthwise.rules.contract import NO_CHANGES, Case, Changes, Factors, Subject
from widthwise.theory.optimizers import decay_mode_in_force
from widthwise.vocabulary import QuantityName, Role, WeightDecayMode


@dataclass(frozen=True, slots=True)
class DecayInForce:
    """λ of every tensor, so that η·λ has the factor that the rule names for it."""

    source: str
    formula: str
    product: Callable[[Subject], float]  #: the factor on η·λ of one tensor or role
    is_independent: bool  #: λ is itself what a step takes off
    cautions: tuple[Caution, ...] = ()
    changes: Changes = field(default_factory=lambda: NO_CHANGES)

    def factors(self, subject: Subject, before: Mapping[QuantityName, float]) -> Factors:
        """The factor on λ that is left once the rules before have had theirs."""
        so_far = before.get("weight_decay", 1.0)
        if not self.is_independent:
            so_far *= before.get("learning_rate", 1.0)
        product = self.product(subject)
        return Factors({"weight_decay": product / so_far}, f"η·λ × {product:.6g}: {self.formula} ({self.source})")


def decay_in_force(rule: NamedRule, case: Case, product: Callable[[Subject], float]) -> DecayInForce:
    """Return the rule in force. InvalidInputError for coupled decay, of which no η·λ can be said."""
    mode = decay_mode_in_force(case.scheme.optimizer, case.scheme.weight_decay_mode)
    if mode is WeightDecayMode.COUPLED:
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, and weight_decay_mode is 'coupled': what coupled decay takes off a weight "
            "depends on the gradient, so no rule of η·λ applies; use decoupled or independent decay",
            field=rule.field,
        )
    return DecayInForce(rule.source, rule.formula, product, mode is WeightDecayMode.INDEPENDENT)


def width_ratio(subject: Subject) -> float:
    """Return how much wider the model grows, as one tensor or role sees it: 1 if neither of its fans grows.

    Of a matrix between two widths it is the fan-in's.
    """
    if subject.fans is None:
        return 1.0 if subject.ratio is None or subject.role is Role.SCALAR else subject.ratio
    match subject.role:
        case Role.HIDDEN | Role.READOUT:
            return subject.fans.ratio_in
        case Role.EMBEDDING | Role.VECTOR:
            return subject.fans.ratio_out
        case Role.SCALAR:
            return 1.0
