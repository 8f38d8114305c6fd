"""Metric families of the table of work and its workers, from one read of the database."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from service.store import Backlog, CalibrationState, ShardState, StoredWorker, WorkerState
from widthwise.vocabulary import Outcome, TrialStatus

#: Workers last seen longer ago are left out (chosen): each restart makes new names, and by then every scraper has
#: seen the last numbers of the old ones.
LISTED_SECONDS = 900.0

LARGEST = 1e15  # chosen: no count or sum of seconds reaches it, and integers below it are exact


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One read of the database."""

    backlog: Backlog
    workers: Sequence[StoredWorker]


def work_families(snapshot: Snapshot | None) -> Iterator[Metric]:
    """Return the families; without samples if the database did not answer."""
    shards = GaugeMetricFamily("widthwise_shards", "Shards by state.", labels=["state"])
    oldest = GaugeMetricFamily(
        "widthwise_oldest_queued_seconds", "How long the shard that waits longest has waited; 0 if none waits."
    )
    calibrations = GaugeMetricFamily("widthwise_calibrations", "Calibrations by state.", labels=["state"])
    workers = GaugeMetricFamily("widthwise_workers", "Workers by state.", labels=["state"])
    if snapshot is not None:
        backlog = snapshot.backlog
        for shard_state in ShardState:
            shards.add_metric([shard_state.value], backlog.shards.get(shard_state, 0))
        oldest.add_metric([], backlog.oldest_queued_seconds or 0.0)
        for state in CalibrationState:
            calibrations.add_metric([state.value], backlog.calibrations.get(state, 0))
        for worker_state in WorkerState:
            found = sum(worker.state is worker_state for worker in snapshot.workers)
            workers.add_metric([worker_state.value], found)
    yield from (shards, oldest, calibrations, workers)
    listed = () if snapshot is None else snapshot.workers
    yield from _totals([worker for worker in listed if worker.seconds_since_seen < LISTED_SECONDS])


def _totals(workers: Sequence[StoredWorker]) -> Iterator[Metric]:
    """What each worker has done since it started; a restart begins at 0, as counters may."""
    seen = GaugeMetricFamily(
        "widthwise_worker_last_seen_seconds", "Seconds since the worker's last report.", labels=["worker"]
    )
    shards = CounterMetricFamily(
        "widthwise_worker_shards", "Shards the worker ended, by outcome.", labels=["worker", "outcome"]
    )
    trials = CounterMetricFamily("widthwise_worker_trials", "Trials it stored, by status.", labels=["worker", "status"])
    seconds = HistogramMetricFamily("widthwise_worker_trial_seconds", "Time of one trial.", labels=["worker"])
    losses = CounterMetricFamily(
        "widthwise_worker_lease_losses", "Leases it lost to another worker, or to an outage.", labels=["worker"]
    )
    republished = CounterMetricFamily(
        "widthwise_worker_republished", "Messages it sent again for shards that nobody came for.", labels=["worker"]
    )
    for worker in workers:
        totals = worker.totals
        seen.add_metric([worker.id], worker.seconds_since_seen)
        for outcome in Outcome:
            shards.add_metric([worker.id, outcome.value], _number(_member(totals, "shards").get(outcome.value)))
        for status in TrialStatus:
            trials.add_metric([worker.id, status.value], _number(_member(totals, "trials").get(status.value)))
        timed = _member(totals, "trial_seconds")
        seconds.add_metric([worker.id], _buckets(timed), _number(timed.get("sum")))
        losses.add_metric([worker.id], _number(totals.get("lease_losses")))
        republished.add_metric([worker.id], _number(totals.get("republished")))
    yield from (seen, shards, trials, seconds, losses, republished)


def _buckets(timed: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Cumulative counts by bound, both ascending, whatever was reported."""
    bounds: dict[float, float] = {}
    for text, count in _member(timed, "buckets").items():
        try:
            bound = float(text)
        except ValueError:
            continue
        if math.isfinite(bound):
            bounds[bound] = _number(count)
    reached, buckets = 0.0, []
    for bound, count in sorted(bounds.items()):
        reached = max(reached, count)
        buckets.append((str(bound), reached))
    return [*buckets, ("+Inf", max(reached, _number(timed.get("count"))))]


def _member(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, Mapping) else {}


def _number(value: Any) -> float:
    """A count or a sum as a worker reported it; 0 if it is neither (another version, or a bug)."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= LARGEST else 0.0
