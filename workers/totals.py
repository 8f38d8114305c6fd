"""A worker's totals since it started, which its heartbeat carries and /metrics shows."""

import threading
from collections.abc import Mapping
from typing import Any

from widthwise.vocabulary import Outcome, TrialStatus

#: Upper bounds in seconds (chosen, three per decade): a trial takes from 0.1 s (a tiny proxy) to minutes.
TRIAL_SECONDS_BOUNDS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


class Totals:
    """Counts of one worker process, safe to share between its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shards = {outcome.value: 0 for outcome in Outcome}
        self._trials = {status.value: 0 for status in TrialStatus}
        self._buckets = dict.fromkeys(TRIAL_SECONDS_BOUNDS, 0)
        self._timed, self._seconds = 0, 0.0
        self._lease_losses = 0
        self._republished = 0

    def count_shard(self, outcome: Outcome) -> None:
        """Count a claim by its outcome."""
        with self._lock:
            self._shards[outcome.value] += 1

    def count_trial(self, trial: Mapping[str, Any]) -> None:
        """Count a stored trial by its status and seconds."""
        status, seconds = trial.get("status"), trial.get("seconds")
        with self._lock:
            if status in self._trials:
                self._trials[status] += 1
            if seconds is not None:
                self._timed += 1
                self._seconds += seconds
                for bound in TRIAL_SECONDS_BOUNDS:
                    self._buckets[bound] += seconds <= bound

    def count_lease_loss(self) -> None:
        """Count a write that found another epoch."""
        with self._lock:
            self._lease_losses += 1

    def count_republished(self, messages: int) -> None:
        """Count messages that were sent again."""
        with self._lock:
            self._republished += messages

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; buckets are cumulative, as in Prometheus, and `count` is the +Inf bucket."""
        with self._lock:
            return {
                "shards": dict(self._shards),
                "trials": dict(self._trials),
                "trial_seconds": {
                    "count": self._timed,
                    "sum": self._seconds,
                    "buckets": {f"{bound:g}": count for bound, count in self._buckets.items()},
                },
                "lease_losses": self._lease_losses,
                "republished": self._republished,
            }
