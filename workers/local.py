"""A calibration on this machine only: round after round in child processes, without a service or a database.

For benchmarks, notebooks and tests. Each child trains on one core, shard after shard, and by default there is one child
for each core that this process may use. Outcomes are kept in memory; pass them as `done` to a later call to resume an
interrupted calibration.
"""

import math
import os
import resource
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from widthwise.calibration.shard import ShardSpec
from widthwise.calibration.spec import CalibrationSpec
from widthwise.calibration.trial import Measurement, Trial
from widthwise.errors import EstimateError, InvalidInputError, WidthwiseError
from widthwise.estimate import CalibrationResult, fit_calibration
from widthwise.search.rounds import next_round
from widthwise.vocabulary import ShardKind
from workers.lifetime import Lifetime
from workers.preparing import next_width, preparation
from workers.process import ChildProcess, Ended
from workers.protocol import Event, Failed, Finished, Identity, Job, MeasurementDone, ProtocolError, Started, TrialDone
from workers.standby import Standby, Ties

CHILD_COMMAND = (sys.executable, "-m", "workers.child")
ATTEMPTS = 3  # of one shard, as in the service; a child may be killed because others use too much memory
POLL_SECONDS = 0.02  # wait for one child's event before checking the next (chosen): a trial takes longer

OnEvent = Callable[[ShardSpec, Event], None]  #: (shard, event of its child)
MakeJob = Callable[[ShardSpec, Sequence[Identity]], Job]  #: from a shard and its outcomes so far


class LocalRunError(WidthwiseError):
    """A shard failed too often, or a round produced nothing."""


@dataclass(frozen=True)
class LocalResult:
    """The result of a local calibration, and its cost."""

    trials: tuple[Trial, ...]  #: those passed as `done` come first
    measurements: tuple[Measurement, ...]
    result: CalibrationResult | None  #: None if the trials have no optimum
    failure: str | None  #: why there is no result
    seconds: float  #: wall-clock of this call
    cpu_seconds: float  #: of its child processes
    rounds: int
    environments: tuple[dict[str, Any], ...]  #: device, versions, digests of the text and the code; distinct ones
    children: int = 0  #: processes that were started
    starting_seconds: float = 0.0  #: from a shard's job to its start, over all shards: processes, imports, texts


def run_calibration(
    spec: CalibrationSpec,
    *,
    processes: int | None = None,
    cache_dir: Path | str | None = None,
    corpora_dir: Path | str | None = None,
    done: Sequence[Trial] = (),
    measured: Sequence[Measurement] = (),
    on_event: OnEvent | None = None,
    command: Sequence[str] = CHILD_COMMAND,
    lifetime: Lifetime | None = None,
) -> LocalResult:
    """Run every round of the calibration `spec` and fit the outcomes.

    Parameters
    ----------
    processes: concurrent children; by default one for each core that this process may use.
    cache_dir: where compiled programs are kept; by default only during the call.
    corpora_dir: the folder of the operator's own texts.
    done, measured: trials and measurements of an earlier run of the same calibration, which are not run again.
    on_event: called in this thread with (shard, event) for every event of a child.
    lifetime: when a child is replaced by a fresh one, within a call.

    Raises InvalidInputError for a specification that can't be run; LocalRunError if a shard fails three times.
    """
    begun, spent = time.monotonic(), _children_seconds()
    run = _Run(list(done), list(measured), on_event)
    rounds = 0
    life = lifetime or Lifetime()
    with (
        _job(spec, cache_dir, corpora_dir) as job,
        _places(processes, command, life) as places,
        closing(run),
    ):
        while shards := next_round(spec, run.trials, run.measurements):
            before = len(run.trials) + len(run.measurements)
            ahead = Ties.of(job(shards[0], ())) if life.shards > 1 else None
            run.all(shards, job, places, ahead)
            rounds += 1
            if len(run.trials) + len(run.measurements) == before:
                raise LocalRunError(f"round {rounds} of {len(shards)} shards produced no outcome; see the child's log")
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
        children=run.children,
        starting_seconds=run.starting_seconds,
    )


def run_shards(
    spec: CalibrationSpec,
    shards: Sequence[ShardSpec],
    *,
    processes: int | None = None,
    cache_dir: Path | str | None = None,
    corpora_dir: Path | str | None = None,
) -> list[Trial]:
    """Run only these shards and return their trials; arguments and errors are the same as for run_calibration."""
    run = _Run([], [], None)
    with _job(spec, cache_dir, corpora_dir) as job, _places(processes, CHILD_COMMAND, Lifetime()) as places:
        run.all(shards, job, places)
    return run.trials


@contextmanager
def _job(spec: CalibrationSpec, cache_dir: Path | str | None, corpora_dir: Path | str | None) -> Iterator[MakeJob]:
    """Makes the job of a shard."""
    with ExitStack() as stack:
        cache = cache_dir or stack.enter_context(tempfile.TemporaryDirectory(prefix="widthwise-"))
        texts = None if corpora_dir is None else str(corpora_dir)
        yield lambda shard, done: Job(spec, shard, done, str(cache), texts)


@contextmanager
def _places(processes: int | None, command: Sequence[str], lifetime: Lifetime) -> Iterator[list[Standby]]:
    """Yield a place for each concurrent child; no child outlives them."""
    # rounds follow each other here, so no child has to be ended because it waits
    patient = replace(lifetime, idle_seconds=math.inf)
    places = [Standby(command, patient) for _ in range(processes or len(os.sched_getaffinity(0)))]
    try:
        yield places
    finally:
        for place in places:
            place.end()


@dataclass(eq=False)
class _Child:
    """A child, where it waits between shards, and the shard it runs."""

    process: ChildProcess
    place: Standby
    job: Job
    shard: ShardSpec
    attempt: int
    sent: float  #: when it was asked for, by the clock of this process
    finished: bool = False
    error: Failed | None = None


@dataclass
class _Run:
    """The outcomes so far, and the children that produce more."""

    trials: list[Trial]
    measurements: list[Measurement]
    on_event: OnEvent | None
    environments: list[dict[str, Any]] = field(default_factory=list)
    children: int = 0
    starting_seconds: float = 0.0
    preparing: list[_Child] = field(default_factory=list)  #: children that compile for a later round
    prepared: set[int] = field(default_factory=set)  #: the widths for which one did, or does

    def all(
        self,
        shards: Sequence[ShardSpec],
        make_job: MakeJob,
        places: Sequence[Standby],
        ahead: Ties | None = None,
    ) -> None:
        """Run the shards of one round, one in each place at a time.

        ahead: the ties of the calibration whose other widths places without a shard compile meanwhile. Such a place is
        not waited for at the end of the round.
        """
        waiting = deque((shard, 1) for shard in shards)
        running: list[_Child] = []
        free = [place for place in places if all(child.place is not place for child in self.preparing)]
        try:
            while waiting or running:
                while waiting and free:
                    shard, attempt = waiting.popleft()
                    job, place = make_job(shard, self._done(shard)), free.pop()
                    begun = time.monotonic()
                    process = place.take(job, Ties.of(job), fresh=attempt > 1)
                    running.append(_Child(process, place, job, shard, attempt, begun))
                    self.children += not process.lived_on
                if free and ahead is not None and running:
                    self._prepare(ahead, shards, free)
                for child in [*running, *self.preparing]:
                    if self._listen(child):
                        continue
                    free.append(child.place)
                    if child in self.preparing:
                        self.preparing.remove(child)
                        continue
                    running.remove(child)
                    if not child.finished:
                        waiting.append((child.shard, self._next_attempt(child)))
        finally:
            for child in running:
                child.process.kill()

    def close(self) -> None:
        """End what is being prepared."""
        for child in self.preparing:
            child.process.kill()

    def _prepare(self, ties: Ties, shards: Sequence[ShardSpec], free: list[Standby]) -> None:
        """Let a place that has no shard compile the program of the next width."""
        swept = {shard.width for shard in shards if shard.kind is not ShardKind.MEASURE}
        width = next_width(ties.spec, swept | {trial.width for trial in self.trials} | self.prepared)
        if width is None:
            return
        self.prepared.add(width)
        job, place = preparation(ties, width), free.pop()
        begun = time.monotonic()
        process = place.take(job, ties)
        self.children += not process.lived_on
        self.preparing.append(_Child(process, place, job, job.shard, 1, begun))

    def _listen(self, child: _Child) -> bool:
        """Handle the child's events; return False once it has finished or ended."""
        try:
            while (event := child.process.next_event(POLL_SECONDS)) is not None:
                self._take(child, event)
                if child.finished:
                    child.place.keep(child.process, Ties.of(child.job))
                    return False
        except (Ended, ProtocolError) as end:
            if isinstance(end, ProtocolError):
                child.error = Failed("protocol", str(end))
                child.process.kill()
            child.process.wait()
            if child.process.unstarted:  # it died before this shard
                child.process = child.place.take(child.job, Ties.of(child.job), fresh=True)
                return True
            return False
        return True

    def _take(self, child: _Child, event: Event) -> None:
        match event:
            case TrialDone(trial):
                self.trials.append(trial)
            case MeasurementDone(measurement):
                self.measurements.append(measurement)
            case Started(environment):
                self.starting_seconds += time.monotonic() - child.sent
                if environment not in self.environments:
                    self.environments.append(dict(environment))
            case Failed():
                child.error = event
            case Finished():
                child.finished = True
        if self.on_event is not None and not child.job.only_compile:
            self.on_event(child.shard, event)

    def _next_attempt(self, child: _Child) -> int:
        error = child.error or Failed("died", child.process.last_words() or "it printed nothing")
        if error.is_final:
            raise InvalidInputError(error.message, field="spec")
        if child.attempt >= ATTEMPTS:
            raise LocalRunError(
                f"shard {child.shard.to_dict()} failed {ATTEMPTS} times; the last time ({error.kind}): {error.message}"
            )
        return child.attempt + 1

    def _done(self, shard: ShardSpec) -> list[Identity]:
        """Return the identities of the shard's outcomes so far, in the order in which they arrived."""
        outcomes: list[Trial | Measurement] = [*self.trials, *self.measurements]
        asked = {*shard.trials(), *shard.measurements()}
        return [outcome.identity for outcome in outcomes if outcome.identity in asked]


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
