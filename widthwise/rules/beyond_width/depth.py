"""The depth of residual networks: a branch multiplier m_L^(−α), and learning rate and ε of the blocks to match.

With branches multiplied by L^(−α), gradients within blocks go as L^(−α). A block must change the stream by Θ(1/L), so
Adam's learning rate within blocks goes as L^(α−1) (Dey et al. 2025, 2505.01618, table 1). At α = 1 alone the change of
a two-matrix block keeps its second-order term next to the linear one, L^(α−2) against L^(−1).
"""

from collections.abc import Iterator

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.rules.beyond_width.in_force import ByBlock
from widthwise.rules.beyond_width.named import NamedRule, decay_factor, epsilon_factor
from widthwise.rules.contract import Case, Change, Factors
from widthwise.vocabulary import QuantityName


def blocks_in_force(
    rule: NamedRule, case: Case, *, alpha: float, rate_outside: float = 1.0, product: float | None = None
) -> ByBlock:
    """Return the factors for branches × m_L^(−α): of the tensors in blocks, and outside of them.

    rate_outside: on the learning rates outside the blocks, as within them if the rule scales all alike. product: on
    what decay takes off a weight in a step; None: λ stays as it is. InvalidInputError if the request does not tell
    which tensors stand in blocks.
    """
    rule.require_adam_like(case)
    ratio = rule.ratio(case, "depth")
    _require_blocks(rule, case)
    branch, rate = ratio**-alpha, ratio ** (alpha - 1)
    inside: dict[QuantityName, float] = {
        "learning_rate": rate,
        "epsilon": epsilon_factor(case, branch),
        "gradient_rms": branch,
        **decay_factor(case, rate=rate, product=rate if product is None else product, gradient=branch),
    }
    outside: dict[QuantityName, float] = {}
    if rate_outside != 1:
        outside = {"learning_rate": rate_outside, **decay_factor(case, rate=rate_outside, product=rate_outside)}
    reason = f"depth ×{ratio:.6g}: {rule.formula} ({rule.source})"
    change = Change(lambda base: base * branch, f"× m_L^(−{alpha:g}) = ×{branch:.6g} ({rule.source})")
    return ByBlock(
        source=rule.source,
        inside=Factors(inside, reason),
        outside=Factors(outside, reason if outside else ""),
        cautions=tuple(_cautions(case, ratio)),
        changes={"residual_multiplier": change},
    )


def _require_blocks(rule: NamedRule, case: Case) -> None:
    unknown = [tensor.name for tensor, inside in zip(case.tensors, case.in_blocks, strict=True) if inside is None]
    if unknown:
        listed = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
        raise InvalidInputError(
            f"{rule.field} is {rule.word!r}, and nothing tells whether these stand in residual blocks: {listed}; give "
            "in_block (true or false) for each, or read the tensors from the model",
            field="tensors",
        )


def _cautions(case: Case, ratio: float) -> Iterator[Caution]:
    if ratio == 1:
        return
    yield Caution(
        "depth_init",
        "the rule of depth assumes an init that does not depend on depth: undo 1/√(2L) on the output projections where "
        "the model's code has it, or multiply it by the root of the depth ratio",
    )
    if not case.tensors:
        yield Caution(
            "depth_by_role",
            "by role, hidden, vector and scalar are of tensors within residual blocks; those outside, such as the "
            "final norm, carry no factor of depth: list the tensors, or read the model, to see both",
        )
