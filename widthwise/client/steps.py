"""What a call asks for, one step after another; a client carries the steps out, so no call does I/O itself."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]  #: by names in small letters
    content: bytes = field(repr=False)
    url: str


@dataclass(frozen=True)
class Request(Generic[T]):
    """One request as data, with how its answer is read; `yield from` it returns the answer."""

    method: str
    path: str
    read: Callable[[Reply], T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True  #: sending it twice does no more than sending it once
    retried: bool = True  #: the client may send it again; False where the call itself does
    patience_seconds: float | None = None  #: for an answer that takes longer than others

    def __iter__(self) -> Generator["Request[Any]", Any, T]:
        answer: T = yield self
        return answer


@dataclass(frozen=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True)
class Clock:
    """Return the seconds of a clock that never goes back."""


@dataclass(frozen=True)
class Item(Generic[T_co]):
    """The next item of a listing, for the caller."""

    value: T_co


Step = Request[Any] | Pause | Clock
Steps = Generator[Step, Any, T]
Listing = Generator[Request[Any] | Pause | Clock | Item[T], Any, None]


class OneAnswer(Protocol[T_co]):
    """A call that returns one answer: a `Request`, or `Steps`."""

    def __iter__(self) -> Generator[Step, Any, T_co]:
        """Return its steps."""
        ...


@dataclass(frozen=True)
class Sent:
    """A request as it goes over HTTP."""

    method: str
    path: str
    content: bytes | None
    query: Mapping[str, str]
    headers: Mapping[str, str]
    patience_seconds: float | None
