"""The batch at a fixed number of tokens: how a rule of the batch acts on every tensor alike."""

import math

from widthwise.caution import Caution
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import NamedRule, decay_factor, epsilon_factor
from widthwise.rules.contract import Case, Changes
from widthwise.theory.optimizers import OPTIMIZERS
from widthwise.vocabulary import QuantityName


def batch_in_force(
    rule: NamedRule,
    case: Case,
    *,
    rate: float,
    decay: float = 1.0,
    changes: Changes,
    cautions: tuple[Caution, ...] = (),
) -> Everywhere:
    """Return the factors of a rule whose gradient noise falls as the root of the batch.

    rate, decay: the factors on η and on AdamW's λ. ε follows the noise: × m_B^(−½).
    """
    rule.require_adam_like(case)
    ratio = rule.ratio(case, "batch_tokens")
    noise = 1 / math.sqrt(ratio)
    multipliers: dict[QuantityName, float] = {
        "learning_rate": rate,
        "epsilon": epsilon_factor(case, noise),
        **decay_factor(case, rate=rate, product=rate * decay, gradient=noise),
    }
    record = OPTIMIZERS[case.scheme.optimizer]
    analogy = Caution(
        "batch_by_analogy",
        f"rules.batch {rule.word!r} was derived and measured for Adam and AdamW; for {record.label} it is an analogy",
    )
    known = record.has_adam_moments or ratio == 1
    return Everywhere(
        rule.source,
        multipliers,
        f"batch ×{ratio:.6g}: {rule.formula} ({rule.source})",
        cautions if known else (analogy, *cautions),
        changes,
    )
