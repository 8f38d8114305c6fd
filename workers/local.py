"""A calibration on this machine alone: round after round in child processes, without a service or a database.

For benchmarks, notebooks and tests. Each child trains on one core, so there are as many as this process may use; what
they report is kept in memory, and given back as `done` it resumes a calibration that was interrupted.
"""

import os
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from widthwise.errors import EstimateError, InvalidInputError, WidthwiseError
from widthwise.estimate import CalibrationResult, fit_calibration
from widthwise.search.rounds import next_round
from workers.process import ChildProcess, Ended, ProtocolError

CHILD_COMMAND = (sys.executable, "-m", "workers.child")
ATTEMPTS = 3  # of one shard, as in the service; a child may be killed for the memory of others
POLL_SECONDS = 0.02  # wait for one child's message before the next is asked (chosen): a trial takes longer

Json = Mapping[str, Any]
OnEvent = Callable[[Json, Json], None]  #: (shard, what its child said)


class LocalRunError(WidthwiseError):
    """A shard failed as often as it may, or a round brought nothing."""


@dataclass(frozen=True)
class LocalResult:
    """What a local calibration found, and what it took."""

    trials: tuple[dict[str, Any], ...]  #: those given as done first
    measurements: tuple[dict[str, Any], ...]
    result: CalibrationResult | None  #: None where the trials give no optimum
    failure: str | None  #: why there is no result
    seconds: float  #: wall-clock of this call
    cpu_seconds: float  #: of its children
    rounds: int  #: of shards that this call ran
    environments: tuple[dict[str, Any], ...]  #: device, versions, digests of the text and the code; distinct ones


def run_calibration(
    spec: Json,
    *,
    processes: int | None = None,
    cache_dir: Path | str | None = None,
    corpora_dir: Path | str | None = None,
    done: Sequence[Json] = (),
    measured: Sequence[Json] = (),
    on_event: OnEvent | None = None,
    command: Sequence[str] = CHILD_COMMAND,
) -> LocalResult:
    """Run every round of the calibration `spec` and fit what came out.

    Parameters
    ----------
    spec: the specification, with every default filled in.
    processes: children at once; as many as cores that this process may use, unless given.
    cache_dir: where compiled programs are kept; unless given, for the time of the call.
    corpora_dir: the folder of the operator's own texts.
    done, measured: trials and measurements of an earlier run of the same calibration; they are not run again.
    on_event: called in this thread with (shard, event) for everything that a child says.

    Raises InvalidInputError for a specification that can't be run; LocalRunError where a shard fails three times.
    """
    begun, spent = time.monotonic(), _children_seconds()
    run = _Run(list(map(dict, done)), list(map(dict, measured)), on_event, tuple(command))
    rounds = 0
    with _job(spec, cache_dir, corpora_dir) as job:
        while shards := next_round(spec, run.trials, run.measurements):
            before = len(run.trials) + len(run.measurements)
            run.all(shards, job, processes or len(os.sched_getaffinity(0)))
            rounds += 1
            if len(run.trials) + len(run.measurements) == before:
                raise LocalRunError(f"round {rounds} of {len(shards)} shards brought no outcome; see the child's log")
    failure, result = None, None
    try:
        result = fit_calibration(spec, run.trials, run.measurements)
    except EstimateError as error:
        failure = str(error)
    return LocalResult(
        trials=tuple(run.trials),
        measurements=tuple(run.measurements),
        result=result,
        failure=failure,
        seconds=time.monotonic() - begun,
        cpu_seconds=_children_seconds() - spent,
        rounds=rounds,
        environments=tuple(run.environments),
    )


def run_shards(
    spec: Json,
    shards: Sequence[dict[str, Any]],
    *,
    processes: int | None = None,
    cache_dir: Path | str | None = None,
    corpora_dir: Path | str | None = None,
) -> list[dict[str, Any]]:
    """Return the trials of these shards and of no others; the arguments and errors are those of run_calibration."""
    run = _Run([], [], None, CHILD_COMMAND)
    with _job(spec, cache_dir, corpora_dir) as job:
        run.all(shards, job, processes or len(os.sched_getaffinity(0)))
    return run.trials


@contextmanager
def _job(spec: Json, cache_dir: Path | str | None, corpora_dir: Path | str | None) -> Iterator[dict[str, Any]]:
    """What the jobs of all children have in common."""
    with ExitStack() as stack:
        cache = cache_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="widthwise-"))
        texts = None if corpora_dir is None else str(corpora_dir)
        yield {"spec": dict(spec), "cache_dir": str(cache), "corpora_dir": texts}


@dataclass
class _Child:
    """One child at its shard."""

    process: ChildProcess
    shard: dict[str, Any]
    attempt: int
    finished: bool = False
    error: tuple[str, str] | None = None


@dataclass
class _Run:
    """The outcomes so far, and the children that add to them."""

    trials: list[dict[str, Any]]
    measurements: list[dict[str, Any]]
    on_event: OnEvent | None
    command: tuple[str, ...]
    environments: list[dict[str, Any]] = field(default_factory=list)

    def all(self, shards: Sequence[dict[str, Any]], job: Json, processes: int) -> None:
        """Run the shards of one round, `processes` at a time; no child outlives this."""
        waiting = deque((shard, 1) for shard in shards)
        running: list[_Child] = []
        try:
            while waiting or running:
                while waiting and len(running) < processes:
                    shard, attempt = waiting.popleft()
                    full = {**job, "shard": shard, "done": self._done(shard)}
                    running.append(_Child(ChildProcess(self.command, full), shard, attempt))
                for child in list(running):
                    if self._listen(child):
                        continue
                    running.remove(child)
                    if not child.finished:
                        waiting.append((child.shard, self._next_attempt(child)))
        finally:
            for child in running:
                child.process.kill()

    def _listen(self, child: _Child) -> bool:
        """Take what the child has said; False once it has ended."""
        try:
            while (message := child.process.next_message(POLL_SECONDS)) is not None:
                self._take(child, message)
        except (Ended, ProtocolError) as end:
            if isinstance(end, ProtocolError):
                child.error = ("protocol", str(end))
                child.process.kill()
            child.process.wait()
            return False
        return True

    def _take(self, child: _Child, message: dict[str, Any]) -> None:
        match message["event"]:
            case "trial":
                self.trials.append(message["trial"])
            case "measurement":
                self.measurements.append(message["measurement"])
            case "started":
                environment = {name: value for name, value in message.items() if name != "event"}
                if environment not in self.environments:
                    self.environments.append(environment)
            case "error":
                child.error = (str(message.get("kind")), str(message.get("message")))
            case "finished":
                child.finished = True
        if self.on_event is not None:
            self.on_event(child.shard, message)

    def _next_attempt(self, child: _Child) -> int:
        kind, said = child.error or ("died", child.process.last_words() or "it said nothing")
        if kind == "invalid_input":
            raise InvalidInputError(said, field="spec")
        if child.attempt >= ATTEMPTS:
            raise LocalRunError(f"shard {child.shard} failed {ATTEMPTS} times; at last ({kind}): {said}")
        return child.attempt + 1

    def _done(self, shard: Json) -> list[list[Any]]:
        """What of the shard has an outcome already, as the child's protocol names it."""
        if shard["kind"] == "measure":
            return [[each["kind"], each["seed"]] for each in self.measurements if each["width"] == shard["width"]]
        return [
            [t["learning_rate"], t["seed"], t.get("role"), t.get("gamma", 1.0), t.get("horizon")]
            for t in self.trials
            if t["width"] == shard["width"]
        ]


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
