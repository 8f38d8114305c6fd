"""A transfer request: the body of POST /v1/transfers as the library, the command and the service all use it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from widthwise.caution import Caution
from widthwise.errors import InvalidInputError
from widthwise.model import MAX_WIDTH, Base, Size, Target
from widthwise.reading.described import DescribedModels
from widthwise.reading.model import ModelReading
from widthwise.rules.beyond_width.choice import RuleChoices, chosen_rules
from widthwise.rules.exponents import Exponents
from widthwise.rules.in_force import Scheme
from widthwise.tensors.multipliers import FIELD, ComputedMultiplier
from widthwise.tensors.placement import Tensor
from widthwise.theory import alignment as alignments
from widthwise.theory.alignment import AlignmentLike, Number, RoleAlignment
from widthwise.theory.optimizers import default_weight_decay_mode
from widthwise.transfers.models import from_models
from widthwise.vocabulary import Form, Layout, Optimizer, Parameterization, Role, WeightDecayMode, known_word


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferRequest:
    """A tuned base, a target, and the scheme by which one becomes the other.

    Words may be given as strings; `scheme` checks them. Sizes, values and tensors are checked where they are
    made (`Base`, `Target`) or placed (`Tensor`).
    """

    parameterization: Parameterization | str
    optimizer: Optimizer | str
    base: Base
    target: Target
    alignment: AlignmentLike = "full"
    readout_omega: Number | None = None  #: None: the alignment's own
    form: Form | str = Form.TABLE_9
    layout: Layout | str | None = None  #: axis order of matrices that name no axes
    weight_decay_mode: WeightDecayMode | str | None = None  #: None: the optimizer's default
    tensors: Sequence[Tensor] = field(default=())
    exponents: Exponents | None = None  #: None: theory's
    code_multipliers: Sequence[ComputedMultiplier] = ()  #: those that the model's own code computes
    block_size: int | None = None  #: of Shampoo's and SOAP's preconditioners; None: one block a matrix
    qk_norm: bool = False  #: the model normalises queries and keys
    cautions: Sequence[Caution] = ()  #: of how the models were read; the plan repeats them
    rules: RuleChoices = field(default_factory=dict)  #: beyond width, by what they are about
    alternatives: Sequence[str] = ()  #: what rules are about of which the plan shows all, next to each other

    def scheme(self) -> Scheme:
        """The words of the request. Raises InvalidInputError for one that is not known."""
        parameterization = known_word(Parameterization, self.parameterization, "parameterization")
        optimizer = known_word(Optimizer, self.optimizer, "optimizer")
        form = known_word(Form, self.form, "form")
        self.axis_order()
        alignment = alignments.parse(self.alignment, self.readout_omega)
        mode = self.weight_decay_mode
        return Scheme(
            parameterization,
            optimizer,
            alignment,
            form,
            default_weight_decay_mode(optimizer)
            if mode is None
            else known_word(WeightDecayMode, mode, "weight_decay_mode"),
        )

    def blocks(self) -> int | None:
        """The block size. Raises InvalidInputError for one that is out of range."""
        size = self.block_size
        if size is not None and (type(size) is not int or not 1 <= size <= MAX_WIDTH):
            raise InvalidInputError(
                f"block_size is {size!r}; it must be an integer from 1 to {MAX_WIDTH}", field="block_size"
            )
        return size

    def axis_order(self) -> Layout | None:
        """The layout. Raises InvalidInputError for one that is not known."""
        return None if self.layout is None else known_word(Layout, self.layout, "layout")

    @classmethod
    def of_models(
        cls,
        base_model: ModelReading,
        target_model: ModelReading,
        *,
        base: Base,
        target: Target | None = None,
        roles: Mapping[str, Role | str] | None = None,
        code_multipliers: Sequence[ComputedMultiplier] = (),
        qk_norm: bool = False,
        **words: Any,
    ) -> "TransferRequest":
        """Return the request that transfers from one model to the other, as they were read.

        base: the tuned values; the models tell the sizes. target: sizes that no model tells (batch_tokens, tokens).
        roles: by a pattern of names (`*`, `?`), the role that settles what a reading leaves open. code_multipliers:
        replace what the readings found. words: the other fields (parameterization, optimizer …); qk_norm is true if it
        is given or read. Raises UnplacedTensorsError that lists everything that is open or on which the two readings
        disagree, and InvalidInputError for a size that contradicts a model.
        """
        found = from_models(
            base_model,
            target_model,
            base=base,
            target=target or Target(),
            roles=roles,
            code_multipliers=code_multipliers,
        )
        return cls(
            base=found.base,
            target=found.target,
            tensors=found.tensors,
            code_multipliers=found.code_multipliers,
            qk_norm=qk_norm or found.qk_norm,
            cautions=found.cautions,
            **words,
        )

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> "TransferRequest":
        """Read the JSON form; a null is a field that was left out.

        Raises InvalidInputError that names the field: one that is not known, is missing, or has the wrong kind; also
        for measured exponents, which a service keeps. Ranges and words are checked as for any other request.
        """
        given = _object(value, "the request")
        known = (
            *_WORDS,
            "base",
            "target",
            "tensors",
            "model",
            "exponents",
            "rules",
            FIELD,
            "qk_norm",
            "block_size",
            "alternatives",
        )
        _only(given, known, "the request")
        for name in ("parameterization", "optimizer", "base", "target"):
            if name not in given:
                raise InvalidInputError(f"{name} is missing; give it in the file or as an option", field=name)
        source = _object(given.get("exponents", {"source": "theory"}), "exponents").get("source")
        if source != "theory":
            raise InvalidInputError(
                f"exponents.source is {source!r}: measured exponents are kept by a service; name it with --url",
                field="exponents",
            )
        base, target = _object(given["base"], "base"), _object(given["target"], "target")
        _only(base, _BASE, "base")
        _only(target, _SIZES, "target")
        if base.get("learning_rate") is None:
            raise InvalidInputError("base.learning_rate is missing; give the tuned one", field="base.learning_rate")
        _check_kinds(given)
        tensors = given.get("tensors", [])
        if not isinstance(tensors, list):
            raise InvalidInputError("tensors must be a list of objects", field="tensors")
        words = {
            **{name: given[name] for name in _WORDS if name in given},
            "code_multipliers": _code_multipliers(given.get(FIELD, [])),
            "qk_norm": _flag(given.get("qk_norm", False), "qk_norm"),
            "block_size": given.get("block_size"),
            "rules": _object(given.get("rules", {}), "rules"),
            "alternatives": _words_of(given.get("alternatives", []), "alternatives"),
        }
        if "model" in given:
            if tensors:
                raise InvalidInputError("tensors and model are both given; a model lists its tensors", field="tensors")
            models = DescribedModels.from_dict(given["model"])
            return cls.of_models(**models._asdict(), base=Base(**base), target=Target(**target), **words)
        return cls(
            **words,
            base=Base(**base),
            target=Target(**target),
            tensors=[_tensor(each, f"tensors[{index}]") for index, each in enumerate(tensors)],
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, without what was left out. Raises InvalidInputError for exponents that are not theory's."""
        if self.exponents is not None:
            raise InvalidInputError(
                "a request with exponents of its own has no JSON form; name a calibration to a service",
                field="exponents",
            )
        words = {name: getattr(self, name) for name in _WORDS}
        alignment = self.alignment
        if isinstance(alignment, alignments.Alignment):
            words["alignment"] = {
                "hidden": _alignment_dict(alignment.hidden),
                "readout": _alignment_dict(alignment.readout),
            }
        return {
            **_given(words),
            "base": _given(asdict(self.base)),
            "target": _given(asdict(self.target)),
            **({"tensors": [_tensor_dict(tensor) for tensor in self.tensors]} if self.tensors else {}),
            **({FIELD: [_multiplier_dict(each) for each in self.code_multipliers]} if self.code_multipliers else {}),
            **({"qk_norm": True} if self.qk_norm else {}),
            **({} if self.block_size is None else {"block_size": self.block_size}),
            **(
                {"rules": {rule.about.value: rule.to_choice() for rule in chosen_rules(self.rules)}}
                if self.rules
                else {}
            ),
            **({"alternatives": list(self.alternatives)} if self.alternatives else {}),
        }


_WORDS = ("parameterization", "optimizer", "alignment", "readout_omega", "form", "layout", "weight_decay_mode")
_SIZES = tuple(each.name for each in fields(Size))
_BASE = tuple(each.name for each in fields(Base))
_MULTIPLIER = tuple(each.name for each in fields(ComputedMultiplier))
_TENSOR = tuple(each.name for each in fields(Tensor))


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _alignment_dict(role: RoleAlignment) -> dict[str, float]:
    return {"alpha": float(role.alpha), "omega": float(role.omega), "u": float(role.u)}


def _tensor_dict(tensor: Tensor) -> dict[str, Any]:
    given = _given({name: getattr(tensor, name) for name in _TENSOR})
    if tensor.decayed:
        del given["decayed"]
    return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


def _check_kinds(given: Mapping[str, Any]) -> None:
    """Refuse what JSON can hold but no field takes; ranges and words are checked later."""
    alignment = given.get("alignment", "full")
    if not isinstance(alignment, str):
        for role, values in _object(alignment, "alignment").items():
            for name, value in _object(values, f"alignment.{role}").items():
                _check_number(value, f"alignment.{role}.{name}")
    if "readout_omega" in given:
        _check_number(given["readout_omega"], "readout_omega")


def _check_number(value: Any, field: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(f"{field} is {value!r}; give a number", field=field)


def _tensor(value: Any, field: str) -> Tensor:
    given = _object(value, field)
    _only(given, _TENSOR, field)
    for name in ("name", "base_shape", "target_shape"):
        if name not in given:
            raise InvalidInputError(f"{field}.{name} is missing", field=f"{field}.{name}")
    for name in ("base_shape", "target_shape", "fan_in_axes", "fan_out_axes"):
        part = given.get(name)
        whole = isinstance(part, list) and all(type(size) is int for size in part)
        if part is not None and not whole:
            raise InvalidInputError(f"{field}.{name} is {part!r}; give a list of integers", field=f"{field}.{name}")
    for name in ("decayed", "in_block"):
        _flag(given.get(name, True), f"{field}.{name}")
    for name in ("name", "role", "tied_to", "part"):
        if not isinstance(given.get(name, ""), str):
            raise InvalidInputError(f"{field}.{name} is {given[name]!r}; give a string", field=f"{field}.{name}")
    return Tensor(**given)


def _code_multipliers(value: Any) -> list[ComputedMultiplier]:
    if not isinstance(value, list):
        raise InvalidInputError(f"{FIELD} must be a list of objects", field=FIELD)
    found = []
    for index, each in enumerate(value):
        where = f"{FIELD}[{index}]"
        given = _object(each, where)
        _only(given, _MULTIPLIER, where)
        for name in ("power", "of"):
            if name not in given:
                raise InvalidInputError(f"{where}.{name} is missing", field=f"{where}.{name}")
        for name in ("backward", "frozen"):
            _flag(given.get(name, False), f"{where}.{name}")
        names = given.get("tensors", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidInputError(f"{where}.tensors is {names!r}; give a list of names", field=f"{where}.tensors")
        found.append(ComputedMultiplier(**given))
    return found


def _multiplier_dict(multiplier: ComputedMultiplier) -> dict[str, Any]:
    given = {name: getattr(multiplier, name) for name in _MULTIPLIER}
    defaults = {"tensors": (), "role": None, "backward": True, "frozen": False}
    kept = {name: value for name, value in given.items() if name not in defaults or value != defaults[name]}
    return {name: list(value) if name == "tensors" else value for name, value in kept.items() if value != []}


def _words_of(value: Any, field: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise InvalidInputError(f"{field} is {value!r}; give a list of words", field=field)
    return value


def _flag(value: Any, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInputError(f"{field} is {value!r}; give true or false", field=field)
    return value


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{field} is {value!r}; give an object", field=field)
    return _given(value)


def _only(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"{where} has no field {name!r}; remove it or fix the spelling (there are {', '.join(known)})",
                field=name,
            )
