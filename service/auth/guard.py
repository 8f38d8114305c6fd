"""The guard: turns a request's Authorization header into its caller, or refuses it.

    request ─ key known for seconds ────────────────── compare ─ limit of the key ─ scope ─ caller
            └ else: limit of wrong keys of the address ─ database ─ compare ─┘

Wrong keys from an address never delay a key that this process already knows to be valid. Known keys are read from the
database again after CACHE_SECONDS, so a revoked or expired key is refused within that time and its open streams end.
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
from service.store import ApiKey, Store
from widthwise.errors import WidthwiseError

CACHE_SECONDS = 5.0  # chosen: a revoked key ends within seconds, and a busy one costs no query per request
RECHECK_SECONDS = 1.0  # other requests use the cached key while one reads it again (chosen): no stampede on expiry
TOUCH_SECONDS = 60.0  # between updates of a key's last use, which the store keeps to the minute
LOOKUPS = 4  # concurrent look-ups of unknown keys (chosen): a query takes 1 ms, and guesses must not use up the threads
MANY = 10_000  # size of the cache (chosen): 5 MB
CHALLENGE = 'Bearer realm="widthwise"'

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Known:
    """A valid key in the cache."""

    digest: str
    caller: Caller
    fresh_until: float
    touched_at: float


class Guard:
    """Admits callers with a valid key; one per process."""

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
        """requests_per_minute: for each key; 0 for no limit. failed_keys_per_minute: for each address."""
        self.limits = limits
        self.unauthorized = 0  #: requests refused without a valid key
        self.forbidden = 0  #: requests refused because the scope was too narrow
        self.limited = 0  #: requests refused by a rate limit
        self._pepper = pepper
        self._requests_per_minute = requests_per_minute
        self._failed_keys_per_minute = failed_keys_per_minute
        self._clock = clock
        self._compare = compare
        self._known: dict[tuple[str, str], _Known] = {}
        self._lookups: CapacityLimiter | None = None  # bound to an event loop, so it is created inside one
        self._toucher = ThreadPoolExecutor(1, "touch-key")

    async def admit(self, connection: HTTPConnection, needed: Scope, store: Callable[[], Store]) -> Caller:
        """Return the caller of a request; it suspends only to ask the database or Redis.

        store: called only if the database is needed. Raises UnauthorizedError (401), ForbiddenError (403),
        TooManyRequestsError (429), and whatever the store raises if it can't answer (503).
        """
        text = self._presented(connection.scope["headers"])
        token = parse_token(text)
        digest = digest_of(self._pepper, text if token is None else token.secret)
        known = None if token is None else self._known.get((token.key_id, digest))
        if known is not None and self._clock() < known.fresh_until:
            # already found by its digest; compared again so that every path to a caller compares
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
                f"This needs a key with scope {needed.value}; yours has {caller.scope or 'no known scope'}.",
                headers={"WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{needed.value}"'},
            )
        return caller

    def watch(self, caller: Caller, store: Store) -> Callable[[], Awaitable[bool]]:
        """Return a check of whether a caller's key is still valid, for responses that stay open (streams).

        It queries the database at most once every CACHE_SECONDS, and raises what the store raises (503).
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
        """Wait for the update in progress; those still queued are dropped."""
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
        """Look up a key that is not in the cache, or has expired from it."""
        address = _network(connection)
        if known is not None:
            known.fresh_until = self._clock() + RECHECK_SECONDS
            try:
                return await self._read(address, key_id, digest, known, store)
            except BaseException:
                known.fresh_until = -math.inf
                raise
        self._lookups = self._lookups or CapacityLimiter(LOOKUPS)
        async with self._lookups:  # each is counted before the next starts, so that a burst can't slip through
            wait = await self.limits.wait(Counted.ADDRESS, address, self._failed_keys_per_minute)
            if wait:
                raise self._too_many("Your address has sent too many requests with a wrong key", wait)
            return await self._read(address, key_id, digest, None, store)

    async def _read(
        self, address: str, key_id: str | None, digest: str, known: _Known | None, store: Callable[[], Store]
    ) -> Caller:
        """Look a key up and cache it if it is valid; otherwise count it against the address."""
        opened = None if key_id is None else store()
        found = None if opened is None else await run_in_threadpool(opened.keys.find, key_id or "")
        same = matches(None if found is None else found.digest, digest, self._compare)
        if found is None or opened is None or not (same and found.valid):
            if key_id is not None:
                self._known.pop((key_id, digest), None)
            await self.limits.take(Counted.ADDRESS, address, self._failed_keys_per_minute)
            # only the holder of the secret may learn what happened to the key
            raise self._refusal(_ended(found) if found is not None and same else "The API key is not valid.")
        return self._remember(found, digest, known, opened)

    def _remember(self, found: ApiKey, digest: str, known: _Known | None, store: Store) -> Caller:
        now = self._clock()
        touched_at = -math.inf if known is None else known.touched_at
        if now - touched_at >= TOUCH_SECONDS:
            touched_at = now
            self._toucher.submit(_touch, store, found.id)
        if len(self._known) >= MANY:
            self._known.clear()  # rare; each key then costs one query again
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
    """Return the service's guard, or None if API keys are disabled; InvalidInputError if there is no pepper."""
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
    """Record a key's use in a separate thread, so that no request waits for the write."""
    try:
        store.keys.touch(key_id)
    except WidthwiseError as error:
        _log.warning("key_use_not_noted", key_id=key_id, error=type(error).__name__)


def _network(connection: HTTPConnection) -> str:
    """Return the client's address (its /64 for IPv6, as one customer holds all of it), never text that it chose."""
    host = connection.client.host if connection.client is not None else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unreadable"  # for example text that a proxy passes on unchecked; all of these share one count
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
    return str(address)
