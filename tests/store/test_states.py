"""The state machines as data, and what the store does at their edges."""

import pytest

from service.store import (
    FINAL_CALIBRATION_STATES,
    CalibrationState,
    SchemaError,
    ShardState,
    Store,
    StoreUnavailableError,
    open_store,
)
from service.store.database.engine import Database
from service.store.database.states import (
    CALIBRATION_TRANSITIONS,
    FINAL_SHARD_STATES,
    SHARD_TRANSITIONS,
    calibration_sources,
)
from service.store.database.transitions import lock_calibration, move_calibration
from testbed.databases import PostgresServer, SqliteFiles
from tests.store.samples import sample_spec


def test_every_state_has_its_row_and_can_be_reached() -> None:
    assert set(CALIBRATION_TRANSITIONS) == set(CalibrationState)
    assert set(SHARD_TRANSITIONS) == set(ShardState)
    assert all(calibration_sources(state) for state in CalibrationState if state is not CalibrationState.QUEUED)
    assert {"succeeded", "failed", "cancelled"} == FINAL_CALIBRATION_STATES
    assert {"succeeded", "failed", "cancelled"} == FINAL_SHARD_STATES


def test_a_move_outside_the_table_is_a_programming_mistake(store: Store) -> None:
    identifier = store.calibrations.create(sample_spec()).calibration.id
    database = Database(store.engine)
    with (
        pytest.raises(AssertionError, match="queued → succeeded is not an allowed transition"),
        database.write() as connection,
    ):
        move_calibration(connection, lock_calibration(connection, identifier), CalibrationState.SUCCEEDED)
    assert store.calibrations.get(identifier).last_event == 1


def test_a_database_without_tables_names_the_command(databases: SqliteFiles | PostgresServer) -> None:
    store = open_store(databases.new())
    expected = (SchemaError, StoreUnavailableError)  # Postgres tells a missing table from what may pass
    with pytest.raises(expected, match=r"run `widthwise migrate`|no such table"):
        store.calibrations.page()
    store.close()


def test_a_database_that_is_not_there_is_unavailable() -> None:
    store = open_store("postgresql+psycopg://user:secret@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailableError, match="did not answer the request") as caught:
        store.check_ready()
    assert "secret" not in str(caught.value)
    store.close()
