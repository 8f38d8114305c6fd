"""A transfer request (the body of POST /v1/transfers) answered by the library, without a service."""

from collections.abc import Mapping
from typing import Any

from widthwise.errors import InvalidInputError
from widthwise.model import Base, Target
from widthwise.tensors.placement import Tensor
from widthwise.transfers.transfer import transfer

_SIZES = ("width", "depth", "batch_tokens", "tokens", "head_dim", "output_dimension")
_TUNED = ("learning_rate", "epsilon", "weight_decay", "init_std", "gamma", "gradient_rms")
_SETTING = ("parameterization", "optimizer", "alignment", "readout_omega", "form", "layout", "weight_decay_mode")
_REQUIRED = ("parameterization", "optimizer", "base", "target")
_TENSOR = ("name", "base_shape", "target_shape", "fan_in_axes", "fan_out_axes", "role", "tied_to")


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan for a request as POST /v1/transfers does, from theory.

    Raises InvalidInputError, UnplacedTensorsError. A null is a field that was left out, as in the service.
    """
    given = {name: value for name, value in request.items() if value is not None}
    _only(given, (*_SETTING, "base", "target", "tensors", "exponents", "rules"), "the request")
    for name in _REQUIRED:
        if name not in given:
            raise InvalidInputError(f"{name} is missing; give it in the file or as an option", field=name)
    source = _object(given.get("exponents", {"source": "theory"}), "exponents").get("source")
    if source != "theory":
        raise InvalidInputError(
            f"exponents.source is {source!r}: measured exponents are kept by a service; name it with --url",
            field="exponents",
        )
    if given.get("rules"):
        raise InvalidInputError("rules: none is available yet; leave it out or give {}", field="rules")
    base, target = _object(given["base"], "base"), _object(given["target"], "target")
    _only(base, (*_SIZES, *_TUNED), "base")
    _only(target, _SIZES, "target")
    if base.get("learning_rate") is None:
        raise InvalidInputError("base.learning_rate is missing; give the tuned one", field="base.learning_rate")
    _check_kinds(given)
    tensors = given.get("tensors", [])
    if not isinstance(tensors, list):
        raise InvalidInputError("tensors must be a list of objects", field="tensors")
    try:
        plan = transfer(
            **{name: given[name] for name in _SETTING if name in given},
            base=Base(**base),
            target=Target(**target),
            tensors=[_tensor(value, f"tensors[{index}]") for index, value in enumerate(tensors)],
        )
    except OverflowError:
        raise InvalidInputError(
            "some quantity is beyond the range of floating point at these sizes; check the shapes and the width"
        ) from None
    return plan.to_dict()


def _check_kinds(given: Mapping[str, Any]) -> None:
    """Refuse what JSON can hold but no field takes; ranges and words are the library's to check."""
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
    for name in ("name", "role", "tied_to"):
        if not isinstance(given.get(name, ""), str):
            raise InvalidInputError(f"{field}.{name} is {given[name]!r}; give a string", field=f"{field}.{name}")
    return Tensor(**given)


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{field} is {value!r}; give an object", field=field)
    return {name: part for name, part in value.items() if part is not None}


def _only(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            raise InvalidInputError(
                f"{where} has no field {name!r}; remove it or mend its name (there are {', '.join(known)})", field=name
            )
