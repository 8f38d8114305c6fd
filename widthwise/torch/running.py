"""How an operator of PyTorch runs while it is recorded."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_map_only

#: Of an operator, its arguments by place and by name, and the tensors among them: what it returns.
Run = Callable[[Any, Sequence[Any], Mapping[str, Any], Sequence[Any]], Any]

_FEW = 2**20  # chosen: entries of a constant that are kept; a mask over 1,024 positions has as many


def _run(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What an operator returns. Without entries, torch 2.13 refuses grouped products that are not in bfloat16."""
    if operator is torch.ops.aten._grouped_mm.default and (args[0].is_meta or isinstance(args[0], FakeTensor)):
        rows, matrices = args[0], args[1]
        if (rows.dim(), matrices.dim()) == (2, 3):
            return rows.new_empty((rows.shape[0], matrices.shape[2]))
    return operator(*args, **kwargs)


def as_it_is(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any], _: Sequence[Any]) -> Any:
    """Run an operator on tensors that hold entries, or say that they do."""
    return _run(operator, args, kwargs)


class OnMeta:
    """Runs operators on tensors of the meta device. An operator that runs again on tensors alike is not asked again.

    Constants keep their entries, on the CPU, until they meet what has none: so code can look at them, as it looks at
    positions to see whether they were packed.
    """

    def __init__(self) -> None:
        self._known: dict[Any, Sequence[tuple[Any, ...]]] = {}  #: sizes, strides and types that come out

    def __call__(self, operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any], inputs: Sequence[Any]) -> Any:
        if not inputs and "device" in kwargs:
            made = _run(operator, args, {**kwargs, "device": "meta"})
            if isinstance(made, torch.Tensor) and made.numel() > _FEW:
                return made
            return _run(operator, args, {**kwargs, "device": "cpu"})
        on_meta = [tensor.is_meta for tensor in inputs]
        if not any(on_meta):
            return _run(operator, args, kwargs)
        if not all(on_meta):
            if any(not tensor.is_meta for tensor in _written(operator, args, kwargs)):
                raise RuntimeError(f"{operator} writes what has no entries into a constant")
            args, kwargs = tree_map_only(torch.Tensor, _without_entries, (args, kwargs))
        return self._once(operator, args, kwargs) if _makes_new(operator) else _run(operator, args, kwargs)

    def _once(self, operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        key = operator, _form(args), _form(kwargs.values()), tuple(kwargs)
        known = self._known.get(key)
        if known is not None:
            made = tuple(torch.empty_strided(size, stride, dtype=dtype, device="meta") for size, stride, dtype in known)
            return made[0] if len(made) == 1 else made
        found = _run(operator, args, kwargs)
        made = (found,) if isinstance(found, torch.Tensor) else found
        if isinstance(made, tuple) and made and all(isinstance(each, torch.Tensor) and each.is_meta for each in made):
            self._known[key] = [_form_of(each) for each in made]
        return found


def _written(operator: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[Any]:
    """The tensors that an operator writes into."""
    for place, argument in enumerate(operator._schema.arguments):
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield from tensors_in((args[place] if place < len(args) else kwargs.get(argument.name),))


@cache
def _makes_new(operator: Any) -> bool:
    """Whether an operator returns tensors of which none shares memory with what it takes."""
    returns = operator._schema.returns
    lists = len(returns) == 1 and "[]" in str(returns[0].type)
    return not lists and all(each.alias_info is None for each in (*operator._schema.arguments, *returns))


def _form(values: Iterable[Any]) -> tuple[Any, ...]:
    """What an operator's result depends on: of tensors sizes, strides and type, of all else its type and value."""
    return tuple(
        _form_of(each)
        if isinstance(each, torch.Tensor)
        else _form(each)
        if isinstance(each, list | tuple)
        else (type(each), each)
        for each in values
    )


def _form_of(tensor: Any) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype


def tensors_in(values: Iterable[Any]) -> Iterator[Any]:
    """All tensors among some arguments or results, in order."""
    for each in values:
        if isinstance(each, torch.Tensor):
            yield each
        elif isinstance(each, list | tuple):
            yield from tensors_in(each)


def _without_entries(tensor: Any) -> Any:
    if tensor.is_meta:
        return tensor
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
