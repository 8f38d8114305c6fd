"""All SQL of Widthwise: the table of work and its results, on SQLite and Postgres.

`open_store(url)` gives a `Store`; `service.store.schema.upgrade(url)` makes its tables.
"""

from service.store.doorbell import Doorbell, NoDoorbell
from service.store.errors import (
    IdempotencyConflictError,
    NotFoundError,
    SchemaError,
    StateConflictError,
    StoreError,
    StoreUnavailableError,
)
from service.store.records import (
    ApiKey,
    Backlog,
    Calibration,
    Claim,
    CreatedCalibration,
    Event,
    ExponentFilter,
    ExponentRow,
    Lease,
    Page,
    Progress,
    Shard,
    ShardSpec,
    Trial,
    TrialRow,
    Worker,
    WorkerState,
)
from service.store.states import FINAL_CALIBRATION_STATES, CalibrationState, ShardState
from service.store.store import Store, open_store

__all__ = [
    "FINAL_CALIBRATION_STATES",
    "ApiKey",
    "Backlog",
    "Calibration",
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
    "Progress",
    "SchemaError",
    "Shard",
    "ShardSpec",
    "ShardState",
    "StateConflictError",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "Trial",
    "TrialRow",
    "Worker",
    "WorkerState",
    "open_store",
]
