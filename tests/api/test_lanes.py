"""The lane of heavy requests: its places, the turns of owners, and who is refused."""

from collections.abc import Awaitable, Callable

import anyio
import pytest

from service.errors import TooManyRequestsError
from service.http.lanes import RETRY_SECONDS, Lane


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run a coroutine in an event loop, for a few seconds at most."""

    async def bounded() -> None:
        with anyio.fail_after(10):
            await test()

    anyio.run(bounded)


async def settled() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await anyio.sleep(0)


class Held:
    """Requests that hold their place until they are let go, by name."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.entered: list[str] = []
        self._go: dict[str, anyio.Event] = {}

    async def hold(self, owner: str, name: str) -> None:
        """Take a place."""
        self._go[name] = anyio.Event()
        async with self.lane.place(owner):
            self.entered.append(name)
            await self._go[name].wait()

    async def let_go(self, name: str) -> None:
        """Leave the place."""
        self._go[name].set()
        await settled()


def test_so_many_run_at_once_of_all_and_of_one_owner() -> None:
    async def test() -> None:
        held = Held(lane := Lane(in_all=2, of_one=1))
        async with anyio.create_task_group() as tasks:
            for owner, name in (("alice", "a1"), ("alice", "a2"), ("bob", "b1"), ("carol", "c1")):
                tasks.start_soon(held.hold, owner, name)
                await settled()
            assert (held.entered, lane.running, lane.waiting) == (["a1", "b1"], 2, 2)
            await held.let_go("b1")
            assert held.entered == ["a1", "b1", "c1"]  # alice has one
            await held.let_go("a1")
            assert held.entered == ["a1", "b1", "c1", "a2"]
            await held.let_go("c1")
            await held.let_go("a2")
        assert (lane.running, lane.waiting) == (0, 0)

    run(test)


def test_owners_take_turns_however_many_wait() -> None:
    async def test() -> None:
        held = Held(Lane(in_all=1, of_one=1))
        async with anyio.create_task_group() as tasks:
            for name in ("a1", "a2", "a3", "b1", "b2"):
                tasks.start_soon(held.hold, name[0], name)
                await settled()
            for _ in range(5):
                await held.let_go(held.entered[-1])
        assert held.entered == ["a1", "a2", "b1", "a3", "b2"]

    run(test)


def test_who_waits_too_long_is_refused_and_leaves_its_place_to_others() -> None:
    async def test() -> None:
        held = Held(lane := Lane(in_all=1, of_one=1, patience_seconds=0.05))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(held.hold, "alice", "a1")
            await settled()
            with pytest.raises(TooManyRequestsError, match=r"did not come within 0\.05 s") as caught:
                await lane.run("bob", lambda: None)
            assert caught.value.headers == {"Retry-After": str(RETRY_SECONDS)}
            assert (lane.refused, lane.waiting, lane.running) == (1, 0, 1)
            await held.let_go("a1")
            assert await lane.run("bob", lambda: "done") == "done"

    run(test)


def test_one_that_is_cut_off_while_it_waits_takes_no_place() -> None:
    async def test() -> None:
        held = Held(lane := Lane(in_all=1, of_one=1))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(held.hold, "alice", "a1")
            await settled()
            with anyio.move_on_after(0.01):
                await lane.run("bob", lambda: None)
            assert (lane.waiting, lane.running) == (0, 1)
            await held.let_go("a1")
        assert (lane.waiting, lane.running) == (0, 0)

    run(test)


def test_a_failure_frees_the_place() -> None:
    async def test() -> None:
        lane = Lane(in_all=1)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                await lane.run("alice", lambda: 1 / 0)
        assert lane.running == 0

    run(test)
