"""All SQL of Widthwise: the table of work and its results, on SQLite and Postgres.

`open_store(url)` returns a `Store`; `service.store.database.schema.upgrade(url)` creates its tables.
"""

from service.store.database.errors import (
    IdempotencyConflictError,
    NotFoundError,
    SchemaError,
    StateConflictError,
    StoreError,
    StoreUnavailableError,
)
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
    Page,
    Shard,
    StoredCalibration,
    StoredWorker,
    TrialRow,
    WorkerState,
)
from service.store.database.states import FINAL_CALIBRATION_STATES, CalibrationState, ShardState
from service.store.store import Store, open_store
from service.store.work.doorbell import Doorbell, NoDoorbell

__all__ = [
    "FINAL_CALIBRATION_STATES",
    "ApiKey",
    "Backlog",
    "CalibrationProgress",
    "CalibrationState",
    "Claim",
    "CreatedCalibration",
    "Doorbell",
    "Event",
    "ExponentFilter",
    "ExponentRow",
    "IdempotencyConflictError",
    "Lease",
    "NoDoorbell",
    "NotFoundError",
    "Page",
    "SchemaError",
    "Shard",
    "ShardState",
    "StateConflictError",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "StoredCalibration",
    "StoredWorker",
    "TrialRow",
    "WorkerState",
    "open_store",
]
