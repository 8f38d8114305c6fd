"""The two state machines of a calibration, as data: which state may follow which.

Nothing leaves a final state, except FAILED on a retry.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class CalibrationState(StrEnum):
    """Where a calibration is; the last three are final."""

    QUEUED = "queued"  #: nothing has run yet
    RUNNING = "running"  #: a shard was claimed, or the first trial was uploaded
    SUCCEEDED = "succeeded"  #: the fit is stored
    FAILED = "failed"  #: a shard failed for good or the fit was refused; trials are kept
    CANCELLED = "cancelled"  #: on request; trials are kept


class ShardState(StrEnum):
    """Where a shard is; the last three are final."""

    QUEUED = "queued"  #: waiting for a worker
    RUNNING = "running"  #: claimed: `epoch` names the claim, `lease_until` its end
    SUCCEEDED = "succeeded"  #: every trial of it is stored
    FAILED = "failed"  #: given up, with a reason
    CANCELLED = "cancelled"  #: its calibration was cancelled


CALIBRATION_TRANSITIONS: Mapping[CalibrationState, frozenset[CalibrationState]] = MappingProxyType(
    {
        CalibrationState.QUEUED: frozenset({CalibrationState.RUNNING, CalibrationState.CANCELLED}),
        CalibrationState.RUNNING: frozenset(
            {CalibrationState.SUCCEEDED, CalibrationState.FAILED, CalibrationState.CANCELLED}
        ),
        CalibrationState.SUCCEEDED: frozenset(),
        CalibrationState.FAILED: frozenset({CalibrationState.RUNNING}),  # retried
        CalibrationState.CANCELLED: frozenset(),
    }
)

SHARD_TRANSITIONS: Mapping[ShardState, frozenset[ShardState]] = MappingProxyType(
    {
        # queued → failed: another shard showed that the calibration can't succeed
        ShardState.QUEUED: frozenset({ShardState.RUNNING, ShardState.CANCELLED, ShardState.FAILED}),
        # running → running is a reclaim: the lease expired and another worker took the shard
        ShardState.RUNNING: frozenset(ShardState),
        ShardState.SUCCEEDED: frozenset(),
        ShardState.FAILED: frozenset({ShardState.QUEUED}),  # retried
        ShardState.CANCELLED: frozenset(),
    }
)


def calibration_sources(target: CalibrationState) -> list[CalibrationState]:
    """Return every state that a calibration may enter `target` from."""
    return [state for state, following in CALIBRATION_TRANSITIONS.items() if target in following]


def shard_sources(target: ShardState) -> list[ShardState]:
    """Return every state that a shard may enter `target` from."""
    return [state for state, following in SHARD_TRANSITIONS.items() if target in following]


#: States in which nothing more happens unless a client asks for it.
FINAL_CALIBRATION_STATES = frozenset({CalibrationState.SUCCEEDED, CalibrationState.FAILED, CalibrationState.CANCELLED})
FINAL_SHARD_STATES = frozenset({ShardState.SUCCEEDED, ShardState.FAILED, ShardState.CANCELLED})
