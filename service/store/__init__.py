"""All SQL of Widthwise: the table of work and its results, on SQLite and Postgres.

`open_store(url)` returns a `Store`; `upgrade(url)` makes its tables. Whoever is not part of the store imports from here
alone: `tests/unit/test_layers.py` holds it.
"""

from service.store.database import errors, tables
from service.store.database.clock import UtcDateTime
from service.store.database.engine import create_store_engine
from service.store.database.errors import (
    ContradictionError,
    IdempotencyConflictError,
    NotFoundError,
    QuotaExceededError,
    SchemaError,
    StateConflictError,
    StoreError,
    StoreUnavailableError,
)
from service.store.database.paging import encode_cursor
from service.store.database.quotas import Quotas
from service.store.database.records import (
    ApiKey,
    Backlog,
    CalibrationProgress,
    Claim,
    CreatedCalibration,
    Event,
    ExponentFilter,
    ExponentRow,
    Lease,
    MeasurementRow,
    Page,
    Shard,
    StoredCalibration,
    StoredWorker,
    TrialRow,
    WorkerState,
)
from service.store.database.schema import check_schema, current_revision, head_revision, upgrade
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState, ShardState
from service.store.database.validation import (
    LIMIT_MAXIMUM,
    NAME_MAXIMUM,
    NOTE_MAXIMUM,
    SWEEP_NAME_MAXIMUM,
    SWEEP_NOTES_MAXIMUM,
)
from service.store.results import provenance
from service.store.results.comparing import ComparedTrials
from service.store.results.sweep_runs import GivenRun, StoredRun
from service.store.results.sweeps import StoredRuns, StoredSweep, SweepDraft, SweepLimits
from service.store.store import Store, open_store
from service.store.work.deletion import Retention
from service.store.work.doorbell import Doorbell, NoDoorbell
from service.store.work.expectation import expected_of
from service.store.work.queue import ATTEMPTS_MAXIMUM
from service.store.work.restored import end_claims

__all__ = [
    "ATTEMPTS_MAXIMUM",
    "FINAL_CALIBRATION_STATES",
    "LIMIT_MAXIMUM",
    "NAME_MAXIMUM",
    "NOTE_MAXIMUM",
    "SWEEP_NAME_MAXIMUM",
    "SWEEP_NOTES_MAXIMUM",
    "ApiKey",
    "Backlog",
    "CalibrationProgress",
    "CalibrationState",
    "Claim",
    "ComparedTrials",
    "ContradictionError",
    "CreatedCalibration",
    "Doorbell",
    "Event",
    "ExponentFilter",
    "ExponentRow",
    "GivenRun",
    "IdempotencyConflictError",
    "Lease",
    "MeasurementRow",
    "NoDoorbell",
    "NotFoundError",
    "Page",
    "QuotaExceededError",
    "Quotas",
    "Retention",
    "SchemaError",
    "Shard",
    "ShardState",
    "StateConflictError",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "StoredCalibration",
    "StoredRun",
    "StoredRuns",
    "StoredSweep",
    "StoredWorker",
    "SweepDraft",
    "SweepLimits",
    "TrialRow",
    "UtcDateTime",
    "WorkerState",
    "check_schema",
    "create_store_engine",
    "current_revision",
    "encode_cursor",
    "end_claims",
    "errors",
    "expected_of",
    "head_revision",
    "open_store",
    "provenance",
    "tables",
    "upgrade",
]
