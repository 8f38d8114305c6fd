"""A constant learning rate with warm-up and cooldown, in steps and as shares, when the number of steps changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.model import Base, Size
from widthwise.rules.beyond_width.in_force import Everywhere
from widthwise.rules.beyond_width.named import About, NamedRule
from widthwise.rules.contract import Case, Change, ChangeName

#: The quantities of a schedule, as `Plan.training` names them.
ScheduleName = Literal["steps", "warmup_steps", "warmup_share", "cooldown_steps", "cooldown_share"]


def steps_of(size: Size) -> int | None:
    """The optimizer steps of a training: as stated, or its tokens over those of a batch; None if neither tells."""
    if size.steps is not None:
        return size.steps
    if size.tokens is None or size.batch_tokens is None:
        return None
    return max(1, round(size.tokens / size.batch_tokens))


def schedule_of(base: Base) -> Mapping[ScheduleName, float | None]:
    """The base's schedule in steps and as shares; None for what it does not tell."""
    steps = steps_of(base)
    cooldown: float | None = base.cooldown_steps
    if cooldown is None and base.cooldown_share is not None and steps is not None:
        cooldown = base.cooldown_share * steps
    share = base.cooldown_share if base.cooldown_share is not None else _over(cooldown, steps)
    return {
        "steps": steps,
        "warmup_steps": base.warmup_steps,
        "warmup_share": _over(base.warmup_steps, steps),
        "cooldown_steps": cooldown,
        "cooldown_share": share,
    }


def _over(part: float | None, steps: int | None) -> float | None:
    return None if part is None or steps is None else part / steps


class _Schedule(NamedRule):
    """What both rules share: they settle warm-up and cooldown, and change no tensor."""

    __slots__ = ()
    about: ClassVar = About.SCHEDULE
    covers: ClassVar[frozenset[str]] = frozenset({"schedule"})

    def steps(self, case: Case) -> tuple[int, int]:
        """Steps of base and target. InvalidInputError if either end does not tell them, or states no schedule."""
        ends = steps_of(case.base), steps_of(case.target)
        for end, steps in zip(("base", "target"), ends, strict=True):
            if steps is None:
                raise InvalidInputError(
                    f"{self.field} is {self.word!r}, which needs {end}.steps, or tokens and batch_tokens; give them",
                    field=f"{end}.steps",
                )
        if all(getattr(case.base, name) is None for name in ("warmup_steps", "cooldown_steps", "cooldown_share")):
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, and the base has no schedule; give base.warmup_steps, "
                "base.cooldown_steps or base.cooldown_share",
                field="base.warmup_steps",
            )
        assert ends[0] is not None  # noqa: S101 - the loop above
        assert ends[1] is not None  # noqa: S101
        return ends[0], ends[1]

    def in_force(self, case: Case, values: Mapping[ScheduleName, float | None], said: str) -> Everywhere:
        """Return the rule in force with the target's schedule."""
        changes: dict[ChangeName, Change] = {
            name: Change(partial(_fixed, value), said) for name, value in values.items() if value is not None
        }
        return Everywhere(self.source, {}, "", tuple(_cautions(case, values)), changes)


@dataclass(frozen=True, slots=True)
class KeepSteps(_Schedule):
    """Warm-up and cooldown take as many steps as at the base."""

    word: ClassVar = "keep_steps"
    source: ClassVar = "Marin, issue 4225; warm-up in steps as usual"
    formula: ClassVar = "warm-up and cooldown last as many steps as at the base; the constant part takes the rest"
    holds: ClassVar = (
        "longer trainings: a short run with a fixed share of decay is cooled down too little in steps at large width; "
        "refused where the target has fewer steps than both take"
    )

    def apply(self, case: Case) -> Everywhere:
        """Return the schedule. InvalidInputError if the target is too short for it."""
        _, steps = self.steps(case)
        kept = schedule_of(case.base)
        warmup, cooldown = kept["warmup_steps"], kept["cooldown_steps"]
        needed = (warmup or 0) + (cooldown or 0)
        if needed > steps:
            raise InvalidInputError(
                f"{self.field} is {self.word!r}, and warm-up and cooldown of the base take {needed:g} steps, while the "
                f"target has {steps}; use 'keep_share'",
                field=self.field,
            )
        return self.in_force(
            case,
            {
                "steps": steps,
                "warmup_steps": warmup,
                "warmup_share": _over(warmup, steps),
                "cooldown_steps": cooldown,
                "cooldown_share": _over(cooldown, steps),
            },
            f"as many steps as at the base ({self.source})",
        )


@dataclass(frozen=True, slots=True)
class KeepShare(_Schedule):
    """Warm-up and cooldown take the same share of the steps as at the base."""

    word: ClassVar = "keep_share"
    source: ClassVar = "Hägele et al. 2024, 2405.18392 (a cooldown over 20 % of the steps)"
    formula: ClassVar = "warm-up and cooldown take the same share of all steps as at the base"
    holds: ClassVar = "constant learning rate with cooldown, 33M to 8B parameters; the shares, not the steps, are kept"

    def apply(self, case: Case) -> Everywhere:
        """Return the schedule."""
        before, steps = self.steps(case)
        kept = schedule_of(case.base)

        def stretched(value: float | None) -> float | None:
            return value if value is None or steps == before else float(round(value * (steps / before)))

        return self.in_force(
            case,
            {
                "steps": steps,
                "warmup_steps": stretched(kept["warmup_steps"]),
                "warmup_share": kept["warmup_share"],
                "cooldown_steps": stretched(kept["cooldown_steps"]),
                "cooldown_share": kept["cooldown_share"],
            },
            f"the same share of all steps as at the base ({self.source})",
        )


def _fixed(value: float, _of_the_base: float) -> float:
    return value


def _cautions(case: Case, values: Mapping[ScheduleName, float | None]) -> Iterator[Caution]:
    before, after = schedule_of(case.base)["cooldown_steps"], values["cooldown_steps"]
    if before is None or after is None or after >= before:
        return
    yield Caution(
        "cooldown_shorter",
        f"the cooldown falls from {before:.4g} to {after:.4g} steps: short trainings with a fixed share of decay are "
        "cooled down too little in absolute steps at large width (Marin, issue 4225); keep the steps, or compare both",
    )
