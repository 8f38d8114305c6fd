"""Which rule to name for what changes besides the width, from the rules' own records."""

from collections.abc import Iterator
from typing import Any

from widthwise.advice.case import AdviceCase
from widthwise.rules.beyond_width.named import About
from widthwise.rules.beyond_width.registry import BY_WORD
from widthwise.theory.optimizers import update_scale

#: By a size that changes: what the rules are about, the one to begin with, and why.
_FIRST = {
    "depth": (
        About.DEPTH,
        "completep",
        "its table was read in paper and code; with norms before each layer the optimum may hardly move without it",
    ),
    "batch_tokens": (
        About.BATCH,
        "half_life",
        "far below the critical batch only: in public sweeps the gain ends near 600 sequences; measure three batches",
    ),
    "tokens": (
        About.TOKENS,
        "default",
        "contested: published exponents run from 0 to .5, so measure two horizons and name that exponent instead",
    ),
}


def is_adam_like(case: AdviceCase) -> bool:
    """Whether the rules of depth, batch and tokens are for the case's optimizer."""
    return update_scale(case.optimizer).follows is None


def rules_for(case: AdviceCase) -> Iterator[dict[str, Any]]:
    """Yield a rule for each size that changes, and those of weight decay, which are contested."""
    for size, (about, word, why) in _FIRST.items():
        base, target = getattr(case.base, size), getattr(case.target, size)
        if base is None or target is None or base == target:
            continue
        if is_adam_like(case):
            yield _line(about, word, f"{size} changes from {base} to {target}. {why}")
        if about is About.TOKENS:
            yield _line(About.SCHEDULE, "keep_steps", "warm-up and cooldown in steps, which shares hide")
    if case.base.width is not None and case.target.width is not None and case.base.width != case.target.width:
        why = "contested: the rules give different answers; see them side by side with `alternatives` before choosing"
        yield _line(About.WEIGHT_DECAY, "constant_product", why)


def _line(about: About, word: str, why: str) -> dict[str, Any]:
    rule = BY_WORD[about][word]
    return {
        "about": about.value,
        "rule": word,
        "why": why,
        "formula": rule.formula,
        "rests_on": rule.source,
        "holds": rule.holds,
        "others": [other for other in BY_WORD[about] if other != word],
    }
