"""What a proxy changes besides its width: the sizes of the base, the rules that carry it over, and weight decay."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from widthwise import Base, Target
from widthwise.calibration.spec import CalibrationSpec
from widthwise.fields import Fields
from widthwise.theory.optimizers import default_weight_decay_mode
from widthwise.vocabulary import Optimizer, WeightDecayMode
from workers.engine.optimizers import ADAMW_WEIGHT_DECAY, constants_in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class BeyondWidth:
    """A base that differs from the proxy in more than width. Without any value only the width differs.

    The sizes of the proxy are those of the specification. No rule is in force unless it is named.
    """

    depth: int | None = None  #: residual blocks of the base; None: as many as the proxy has
    batch_size: int | None = None  #: windows per step of the base; None: the proxy's
    steps: int | None = None  #: of the base; None: the specification's
    weight_decay: float = ADAMW_WEIGHT_DECAY  #: λ at the base
    weight_decay_mode: WeightDecayMode | None = None  #: None: as the optimizer usually has it
    beta1: float | None = None  #: at the base; None: the optimizer's constant
    beta2: float | None = None
    rules: str = "{}"  #: the `rules` of a transfer, as JSON, so that this can be hashed

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], path: str = "beyond_width") -> "BeyondWidth":
        """Read JSON; omitted fields get their defaults. Raises InvalidInputError, also for an unknown field.

        >>> BeyondWidth.from_dict({"depth": 2, "rules": {"depth": "completep"}}).rules
        '{"depth": "completep"}'
        """
        given, names = Fields.of(value, path), [each.name for each in fields(cls)]
        for name in value:
            if name not in names:
                raise given.error(name, f"is unknown; give one of {', '.join(names)}")
        return cls(
            depth=given.integer("depth") if given.has("depth") else None,
            batch_size=given.integer("batch_size") if given.has("batch_size") else None,
            steps=given.integer("steps") if given.has("steps") else None,
            weight_decay=given.number("weight_decay") if given.has("weight_decay") else ADAMW_WEIGHT_DECAY,
            weight_decay_mode=(
                given.word(WeightDecayMode, "weight_decay_mode") if given.has("weight_decay_mode") else None
            ),
            beta1=given.number("beta1") if given.has("beta1") else None,
            beta2=given.number("beta2") if given.has("beta2") else None,
            rules=json.dumps(value.get("rules") or {}, sort_keys=True),
        )

    def decay_mode(self, optimizer: Optimizer) -> WeightDecayMode:
        """Return what a step does with λ."""
        return self.weight_decay_mode or default_weight_decay_mode(optimizer)

    def base(self, spec: CalibrationSpec, predictions: int) -> Base:
        """Return the base of a transfer, at learning rate 1; predictions: tokens of one window."""
        constants, batch_size = constants_in_force(spec), self.batch_size or spec.proxy.batch_size
        batch_tokens = batch_size * predictions
        return Base(
            width=spec.base_width,
            depth=self.depth or spec.proxy.depth,
            batch_tokens=batch_tokens,
            tokens=batch_tokens * (self.steps or spec.steps),
            learning_rate=1.0,
            epsilon=spec.epsilon,
            weight_decay=self.weight_decay,
            beta1=constants.get("b1") if self.beta1 is None else self.beta1,
            beta2=constants.get("b2") if self.beta2 is None else self.beta2,
        )

    def target(self, spec: CalibrationSpec, width: int, predictions: int) -> Target:
        """Return the target of the same transfer: the proxy as it is trained."""
        batch_tokens = spec.proxy.batch_size * predictions
        return Target(width=width, depth=spec.proxy.depth, batch_tokens=batch_tokens, tokens=batch_tokens * spec.steps)


ONLY_WIDTH = BeyondWidth()
