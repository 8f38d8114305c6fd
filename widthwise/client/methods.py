"""Turns calls into methods of a client, blocking or awaited, with the call's own parameters, types and docstring."""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import wraps
from types import GenericAlias
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_args, get_origin

from widthwise.client.steps import Item, Listing, OneAnswer

P = ParamSpec("P")
T = TypeVar("T")


class Blocking(Protocol):
    """A client that carries steps out while its caller waits."""

    def finished(self, asked: OneAnswer[T]) -> T:
        """Return what a call returns."""
        ...

    def listed(self, listing: Listing[T]) -> Iterator[T]:
        """Return the items of a listing."""
        ...


class Awaited(Protocol):
    """A client that carries steps out in an event loop."""

    async def finished(self, asked: OneAnswer[T]) -> T:
        """Return what a call returns."""
        ...

    def listed(self, listing: Listing[T]) -> AsyncIterator[T]:
        """Return the items of a listing."""
        ...


def answered(call: Callable[P, OneAnswer[T]]) -> Callable[Concatenate[Blocking, P], T]:
    """Return the method that waits for a call's answer."""

    @wraps(call)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.finished(call(*args, **kwargs))

    return _signed(method, call, _answer(call))


def iterated(call: Callable[P, Listing[T]]) -> Callable[Concatenate[Blocking, P], Iterator[T]]:
    """Return the method that iterates over a listing."""

    @wraps(call)
    def method(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self.listed(call(*args, **kwargs))

    return _signed(method, call, GenericAlias(Iterator, (_item(call),)))


def awaited(call: Callable[P, OneAnswer[T]]) -> Callable[Concatenate[Awaited, P], Coroutine[Any, Any, T]]:
    """Return the method whose coroutine returns a call's answer."""

    @wraps(call)
    async def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.finished(call(*args, **kwargs))

    return _signed(method, call, _answer(call))


def iterated_later(call: Callable[P, Listing[T]]) -> Callable[Concatenate[Awaited, P], AsyncIterator[T]]:
    """Return the method that iterates over a listing with `async for`."""

    @wraps(call)
    def method(self: Awaited, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self.listed(call(*args, **kwargs))

    return _signed(method, call, GenericAlias(AsyncIterator, (_item(call),)))


M = TypeVar("M", bound=Callable[..., Any])


def _signed(method: M, call: Callable[..., Any], returned: Any) -> M:
    """Return the method with the signature that `help` shows: the call's, after `self`, and what it returns."""
    signature = inspect.signature(call)
    itself = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    parameters = [itself, *signature.parameters.values()]
    shown = signature.replace(parameters=parameters, return_annotation=returned)
    method.__signature__ = shown  # type: ignore[attr-defined]  # any function has it
    return method


def _answer(call: Callable[..., Any]) -> Any:
    """Return the type of a call's answer: the last argument of its `Request[T]` or `Steps[T]`."""
    return get_args(inspect.signature(call).return_annotation)[-1]


def _item(call: Callable[..., Any]) -> Any:
    """Return the type of a listing's items: the argument of the `Item[T]` among what it yields."""
    yielded = get_args(get_args(inspect.signature(call).return_annotation)[0])
    return next(get_args(one)[0] for one in yielded if get_origin(one) is Item)
