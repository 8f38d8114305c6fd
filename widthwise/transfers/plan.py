"""The transfer plan: every hyperparameter of the target, with its multiplier, its factors and its reason."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.fields import Fields
from widthwise.tensors.placement import MAX_FAN
from widthwise.transfers.digest import check_digest, digest_of, with_digest
from widthwise.vocabulary import QUANTITIES, QuantityName, Role


class Quantity(NamedTuple):
    """One hyperparameter of one role or tensor."""

    value: float | None  #: for the target; None if the base gave no value
    multiplier: float  #: target / base, exactly 1.0 if nothing relevant changes
    exponent: float  #: ∝ width^(−exponent), if fan-in and fan-out grow by the same ratio


#: By a rule's name, its factor on each quantity that it changes.
RuleFactors = Mapping[str, Mapping[QuantityName, float]]


class _Quantities:
    """Access to quantities by name, for classes with a mapping `quantities`."""

    __slots__ = ()
    quantities: Mapping[QuantityName, Quantity]
    by_rule: RuleFactors

    def factors(self, name: QuantityName) -> dict[str, float]:
        """Return each rule's factor on a quantity, by the rule's name; the multiplier is their product."""
        return {rule: factors[name] for rule, factors in self.by_rule.items() if name in factors}

    @property
    def learning_rate(self) -> Quantity:
        """η, absolute."""
        return self.quantities["learning_rate"]

    @property
    def epsilon(self) -> Quantity | None:
        """ε; None if the optimizer has none."""
        return self.quantities.get("epsilon")

    @property
    def init_std(self) -> Quantity:
        """Standard deviation of the initial weights."""
        return self.quantities["init_std"]

    @property
    def forward_multiplier(self) -> Quantity:
        """Factor on the tensor's output in the forward pass, relative to the base model."""
        return self.quantities["forward_multiplier"]

    @property
    def weight_decay(self) -> Quantity:
        """λ, as the weight decay mode in force applies it."""
        return self.quantities["weight_decay"]

    @property
    def gradient_rms(self) -> Quantity:
        """RMS of the gradient at init."""
        return self.quantities["gradient_rms"]


class _Layer(NamedTuple):
    role: Role
    quantities: Mapping[QuantityName, Quantity]  #: no epsilon if the optimizer has none
    by_rule: RuleFactors  #: of the rules that have any here
    reason: str


class LayerPlan(_Quantities, _Layer):
    """The quantities of one role, for the width ratio of the whole model."""

    __slots__ = ()


class _Tensor(NamedTuple):
    name: str
    role: Role
    fan_in: int  #: of the target
    fan_out: int
    tied_to: str | None
    quantities: Mapping[QuantityName, Quantity]  #: no epsilon if the optimizer has none
    by_rule: RuleFactors  #: of the rules that have any here
    reason: str


class TensorPlan(_Quantities, _Tensor):
    """The quantities of one tensor, for the ratios of its own fans."""

    __slots__ = ()


class RuleNote(NamedTuple):
    """A rule in force."""

    name: str
    source: str  #: paper and table, or the measurement


class ModelQuantity(NamedTuple):
    """Something that the model multiplies by."""

    value: float | None  #: for the target; None where only its ratio to the base's is known
    multiplier: float  #: target / base, next to what the code computes from the target's own sizes
    reason: str


class ModelPlan(NamedTuple):
    """What belongs to the model rather than to a tensor; None: the request does not tell."""

    attention_scale: ModelQuantity | None = None  #: on query·key; its multiplier stands next to the code's 1/√d_head
    embedding_multiplier: ModelQuantity | None = None
    logit_multiplier: ModelQuantity | None = None
    residual_multiplier: ModelQuantity | None = None  #: on every residual branch, next to what the code has at the base
    route_scale: ModelQuantity | None = None  #: on the sum of the routed experts
    adapter_scale: ModelQuantity | None = None  #: on B·A of low-rank adapters


_NO_MODEL = ModelPlan()


class TrainingQuantity(NamedTuple):
    """A hyperparameter of the whole training."""

    value: float | None  #: for the target; None if the base gave no value
    reason: str


class TrainingPlan(NamedTuple):
    """What a rule changes of the whole training; None: it stays as at the base."""

    beta1: TrainingQuantity | None = None  #: Adam's β₁
    beta2: TrainingQuantity | None = None
    steps: TrainingQuantity | None = None  #: of the whole training
    warmup_steps: TrainingQuantity | None = None
    warmup_share: TrainingQuantity | None = None  #: of all steps
    cooldown_steps: TrainingQuantity | None = None
    cooldown_share: TrainingQuantity | None = None


AS_AT_THE_BASE = TrainingPlan()


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that the target model needs, and the origin of each number."""

    layers: tuple[LayerPlan, ...]  #: by role; empty if base and target name no width
    tensors: tuple[TensorPlan, ...]  #: in the order given
    warnings: tuple[Caution, ...]
    provenance: Mapping[str, Any]
    rules: tuple[RuleNote, ...] = ()  #: in force, in the order of their reasons
    model: ModelPlan = _NO_MODEL
    training: TrainingPlan = AS_AT_THE_BASE
    alternatives: Mapping[str, Any] = field(default_factory=dict)  #: every rule, by what the request asks to compare

    def layer(self, role: Role | str) -> LayerPlan:
        """Return the plan of one role; KeyError if base and target name no width."""
        return {layer.role: layer for layer in self.layers}[Role(role)]

    def tensor(self, name: str) -> TensorPlan:
        """Return the plan of one tensor; KeyError for a name that was not given."""
        return {tensor.name: tensor for tensor in self.tensors}[name]

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's canonical JSON; every export of the plan carries it."""
        return digest_of(self.to_dict())

    def _repr_html_(self) -> str:
        from widthwise.transfers.shown import plan_html

        return plan_html(self)

    def to_json(self) -> str:
        """Return the plan as JSON with its digest, in one form whatever made it."""
        return json.dumps(with_digest(self.to_dict()), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON with its digest, for `Plan.load` and `widthwise export`."""
        Path(path).write_text(self.to_json() + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> "Plan":
        """Read a plan that `save` wrote, or an answer of the service. Raises as `from_dict` does."""
        return cls.from_json(Path(path).read_bytes(), str(path))

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "plan") -> "Plan":
        """Read a plan from JSON. source: what an error calls a text that is no JSON."""
        try:
            value = json.loads(text)
        except ValueError as error:
            raise InvalidInputError(f"{source} is not JSON ({error}); give a plan as `Plan.save` writes it") from None
        return cls.from_dict(value)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-ready dictionaries, in the form of POST /v1/transfers."""
        # One dictionary per distinct set of quantities, since a large model repeats a few shapes many times.
        seen: dict[int, dict[str, Any]] = {}

        def quantities(of: LayerPlan | TensorPlan) -> dict[str, Any]:
            key = id(of.quantities)
            if key not in seen:
                seen[key] = {**_to_dict(of.quantities, of.by_rule), "reason": of.reason}
            return seen[key]

        return {
            "layers": [{"role": layer.role.value, **quantities(layer)} for layer in self.layers],
            "tensors": [
                {
                    "name": tensor.name,
                    "role": tensor.role.value,
                    "fan_in": tensor.fan_in,
                    "fan_out": tensor.fan_out,
                    "tied_to": tensor.tied_to,
                    **quantities(tensor),
                }
                for tensor in self.tensors
            ],
            "warnings": [caution._asdict() for caution in self.warnings],
            "provenance": dict(self.provenance),
            "rules": [note._asdict() for note in self.rules],
            "model": {name: each and each._asdict() for name, each in self.model._asdict().items()},
            "training": {name: each and each._asdict() for name, each in self.training._asdict().items()},
            **({"alternatives": dict(self.alternatives)} if self.alternatives else {}),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "Plan":
        """Read a plan, for example from a service's answer; the exact inverse of `to_dict`.

        Unknown fields are ignored; a digest is checked. Raises InvalidInputError, which names what is missing or of the
        wrong type, and for a plan that was changed after its digest was written.
        """
        plan = Fields.of(value, "plan")
        check_digest(value)
        return cls(
            layers=tuple(
                LayerPlan(layer.word(Role, "role"), *_quantities(layer), layer.text("reason"))
                for layer in _objects(plan, "layers")
            ),
            tensors=tuple(
                TensorPlan(
                    tensor.text("name"),
                    tensor.word(Role, "role"),
                    tensor.integer("fan_in", 1, MAX_FAN),
                    tensor.integer("fan_out", 1, MAX_FAN),
                    tensor.text("tied_to") if tensor.has("tied_to") else None,
                    *_quantities(tensor),
                    tensor.text("reason"),
                )
                for tensor in _objects(plan, "tensors")
            ),
            warnings=tuple(Caution(each.text("code"), each.text("message")) for each in _objects(plan, "warnings")),
            provenance=dict(plan.object("provenance").values),
            rules=tuple(RuleNote(each.text("name"), each.text("source")) for each in _objects(plan, "rules")),
            model=_model(plan.object("model")) if plan.has("model") else _NO_MODEL,
            training=_training(plan.object("training")) if plan.has("training") else AS_AT_THE_BASE,
            alternatives=dict(plan.object("alternatives").values) if plan.has("alternatives") else {},
        )


def _to_dict(quantities: Mapping[QuantityName, Quantity], by_rule: RuleFactors) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(QUANTITIES)  # null where the optimizer has none
    for name, (value, multiplier, exponent) in quantities.items():
        found[name] = {"value": value, "multiplier": multiplier, "exponent": exponent, "factors": {}}
    for rule, factors in by_rule.items():
        for name, factor in factors.items():
            if found[name] is not None:
                found[name]["factors"][rule] = factor
    return found


def _model(fields: Fields) -> ModelPlan:
    return ModelPlan(**{name: _model_quantity(fields.object(name)) for name in ModelPlan._fields if fields.has(name)})


def _training(fields: Fields) -> TrainingPlan:
    return TrainingPlan(
        **{name: _training_quantity(fields.object(name)) for name in TrainingPlan._fields if fields.has(name)}
    )


def _training_quantity(fields: Fields) -> TrainingQuantity:
    return TrainingQuantity(fields.number("value") if fields.has("value") else None, fields.text("reason"))


def _model_quantity(fields: Fields) -> ModelQuantity:
    value = fields.number("value") if fields.has("value") else None
    return ModelQuantity(value, fields.number("multiplier"), fields.text("reason"))


def _objects(fields: Fields, key: str) -> list[Fields]:
    return [Fields.of(each, f"{fields.path}.{key}[{index}]") for index, each in enumerate(fields.sequence(key))]


def _quantities(fields: Fields) -> tuple[dict[QuantityName, Quantity], RuleFactors]:
    found: dict[QuantityName, Quantity] = {}
    by_rule: dict[str, dict[QuantityName, float]] = {}
    for name in QUANTITIES:
        if name == "epsilon" and not fields.has(name):
            continue  # the optimizer has none
        quantity = fields.object(name)
        factors = quantity.object("factors") if quantity.has("factors") else Fields({}, quantity.path)
        found[name] = Quantity(
            quantity.number("value") if quantity.has("value") else None,
            quantity.number("multiplier"),
            quantity.number("exponent"),
        )
        for rule in factors.values:
            by_rule.setdefault(rule, {})[name] = factors.number(rule)
    return found, by_rule
