"""The guard at the door: from a request's Authorization header to its caller, or a refusal.

    request ─ key known for seconds ────────────────── compare ─ limit of the key ─ scope ─ caller
            └ else: limit of wrong keys of the address ─ database ─ compare ─┘

A key that this process has found good is never held up by wrong keys from the same address. What is known is read from
the database again after CACHE_SECONDS, so a revoked or expired key is refused that much later at most, and its open
streams end.
"""

import hmac
import ipaddress
import math
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog
from anyio import CapacityLimiter
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from service.auth.caller import Caller, Scope
from service.auth.limits import Counted, Limits, RedisWindows
from service.auth.pepper import load_pepper
from service.auth.tokens import Compare, digest_of, matches, parse_token
from service.errors import ForbiddenError, TooManyRequestsError, UnauthorizedError
from service.settings import Settings
from service.store.database.records import ApiKey
from service.store.store import Store
from widthwise.errors import WidthwiseError

CACHE_SECONDS = 5.0  # chosen: a revoked key ends while its owner looks on, and a busy one costs no query a request
RECHECK_SECONDS = 1.0  # others use what is known while one request reads it anew (chosen): no rush at each expiry
TOUCH_SECONDS = 60.0  # between two notes of a key's last use, which the store keeps to the minute
LOOKUPS = 4  # of unknown keys at once (chosen): a query takes 1 ms, and guesses must leave the threads to others
MANY = 10_000  # keys known at once (chosen): 5 MB
CHALLENGE = 'Bearer realm="widthwise"'

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Known:
    """A key that was found good."""

    digest: str
    caller: Caller
    fresh_until: float
    touched_at: float


class Guard:
    """Lets callers with a good key in; one for each process."""

    def __init__(
        self,
        pepper: str,
        limits: Limits,
        *,
        requests_per_minute: int,
        failed_keys_per_minute: int,
        clock: Callable[[], float] = time.monotonic,
        compare: Compare = hmac.compare_digest,
    ) -> None:
        """requests_per_minute: of a key, 0 for no limit. failed_keys_per_minute: of an address."""
        self.limits = limits
        self.unauthorized = 0  #: requests refused for want of a good key
        self.forbidden = 0  #: requests refused for want of scope
        self.limited = 0  #: requests refused because there were too many
        self._pepper = pepper
        self._requests_per_minute = requests_per_minute
        self._failed_keys_per_minute = failed_keys_per_minute
        self._clock = clock
        self._compare = compare
        self._known: dict[tuple[str, str], _Known] = {}
        self._lookups: CapacityLimiter | None = None  # belongs to an event loop, so it is made in one
        self._toucher = ThreadPoolExecutor(1, "touch-key")

    async def admit(self, connection: HTTPConnection, needed: Scope, store: Callable[[], Store]) -> Caller:
        """Return the caller of a request; it suspends only to ask the database or Redis.

        store: called where the database is needed. Raises UnauthorizedError (401), ForbiddenError (403),
        TooManyRequestsError (429), and what the store raises where it can't answer (503).
        """
        text = self._presented(connection.scope["headers"])
        token = parse_token(text)
        digest = digest_of(self._pepper, text if token is None else token.secret)
        known = None if token is None else self._known.get((token.key_id, digest))
        if known is not None and self._clock() < known.fresh_until:
            # found by its digest already: compared once more because every way to a caller compares
            if not matches(known.digest, digest, self._compare):
                raise self._refusal("The API key is not valid.")
            caller = known.caller
        else:
            key_id = None if token is None else token.key_id
            caller = await self._look_up(connection, key_id, digest, known, store)
        if self._requests_per_minute:
            wait = await self.limits.take(Counted.KEY, caller.key_id, self._requests_per_minute)
            if wait:
                raise self._too_many(f"This key may send {self._requests_per_minute} requests a minute", wait)
        if not caller.may(needed):
            self.forbidden += 1
            raise ForbiddenError(
                f"This needs a key with scope {needed.value}; yours has {caller.scope or 'none that is known here'}.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{needed.value}"'},
            )
        return caller

    def watch(self, caller: Caller, store: Store) -> Callable[[], Awaitable[bool]]:
        """Return what says whether a caller's key still counts, for an answer that goes on after it was admitted.

        It asks the database no more often than every CACHE_SECONDS, and raises what the store raises (503).
        """
        fresh_until = self._clock() + CACHE_SECONDS

        async def still_good() -> bool:
            nonlocal fresh_until
            if self._clock() < fresh_until:
                return True
            fresh_until = self._clock() + CACHE_SECONDS
            found = await run_in_threadpool(store.keys.find, caller.key_id)
            return found is not None and found.valid

        return still_good

    def close(self) -> None:
        """Wait for a note that is being written; those that still wait are dropped."""
        self._toucher.shutdown(cancel_futures=True)

    def _presented(self, headers: Iterable[tuple[bytes, bytes]]) -> str:
        """Return the text after `Bearer`, from the one Authorization header."""
        found = [value for name, value in headers if name == b"authorization"]
        if not found:
            raise self._refusal("This needs an API key: send it as `Authorization: Bearer ww_…`.", given=False)
        scheme, _, text = found[0].decode("latin-1").partition(" ")
        if len(found) > 1 or scheme.lower() != "bearer":
            raise self._refusal("Send one header `Authorization: Bearer ww_…`, with an API key of this service.")
        return text.strip(" ")

    async def _look_up(
        self,
        connection: HTTPConnection,
        key_id: str | None,
        digest: str,
        known: _Known | None,
        store: Callable[[], Store],
    ) -> Caller:
        """Ask the database for a key that is not known, or no longer."""
        address = _network(connection)
        if known is not None:
            known.fresh_until = self._clock() + RECHECK_SECONDS
            try:
                return await self._read(address, key_id, digest, known, store)
            except BaseException:
                known.fresh_until = -math.inf
                raise
        self._lookups = self._lookups or CapacityLimiter(LOOKUPS)
        async with self._lookups:  # each is counted before the next is let in, so that a burst can't slip through
            wait = await self.limits.wait(Counted.ADDRESS, address, self._failed_keys_per_minute)
            if wait:
                raise self._too_many("Too many requests with a wrong key came from your address", wait)
            return await self._read(address, key_id, digest, None, store)

    async def _read(
        self, address: str, key_id: str | None, digest: str, known: _Known | None, store: Callable[[], Store]
    ) -> Caller:
        """Look a key up and remember it if it is good; else count it against the address."""
        opened = None if key_id is None else store()
        found = None if opened is None else await run_in_threadpool(opened.keys.find, key_id or "")
        same = matches(None if found is None else found.digest, digest, self._compare)
        if found is None or opened is None or not (same and found.valid):
            if key_id is not None:
                self._known.pop((key_id, digest), None)
            await self.limits.take(Counted.ADDRESS, address, self._failed_keys_per_minute)
            # who holds the secret may know what became of the key, and no one else
            raise self._refusal(_ended(found) if found is not None and same else "The API key is not valid.")
        return self._remember(found, digest, known, opened)

    def _remember(self, found: ApiKey, digest: str, known: _Known | None, store: Store) -> Caller:
        now = self._clock()
        touched_at = -math.inf if known is None else known.touched_at
        if now - touched_at >= TOUCH_SECONDS:
            touched_at = now
            self._toucher.submit(_touch, store, found.id)
        if len(self._known) >= MANY:
            self._known.clear()  # rare, and then each key costs one query
        caller = Caller.of(found.id, found.owner, found.scopes)
        self._known[found.id, digest] = _Known(digest, caller, now + CACHE_SECONDS, touched_at)
        return caller

    def _refusal(self, detail: str, *, given: bool = True) -> UnauthorizedError:
        self.unauthorized += 1
        challenge = f'{CHALLENGE}, error="invalid_token"' if given else CHALLENGE
        return UnauthorizedError(detail, headers={"WWW-Authenticate": challenge})

    def _too_many(self, found: str, wait: float) -> TooManyRequestsError:
        self.limited += 1
        seconds = math.ceil(wait)
        return TooManyRequestsError(f"{found}; try again in {seconds} s.", headers={"Retry-After": str(seconds)})


def make_guard(settings: Settings) -> Guard | None:
    """Return the guard of a service, None where it asks for no keys; InvalidInputError if there is no pepper."""
    if not settings.asks_for_keys:
        return None
    return Guard(
        load_pepper(settings),
        Limits(None if settings.redis_url is None else RedisWindows(settings.redis_url)),
        requests_per_minute=settings.requests_per_minute,
        failed_keys_per_minute=settings.failed_keys_per_minute,
    )


def _ended(key: ApiKey) -> str:
    how = "was revoked" if key.revoked_at is not None else "has expired"
    return f"This API key {how}; ask for another (`widthwise keys create`)."


def _touch(store: Store, key_id: str) -> None:
    """Note a key's use, in a thread of its own: no request waits for the write."""
    try:
        store.keys.touch(key_id)
    except WidthwiseError as error:
        _log.warning("key_use_not_noted", key_id=key_id, error=type(error).__name__)


def _network(connection: HTTPConnection) -> str:
    """Return the client's address (for IPv6 its /64, which one customer holds whole), never text that it chose."""
    host = connection.client.host if connection.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unreadable"  # such as what a proxy hands on unchecked: all of these share one count
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
