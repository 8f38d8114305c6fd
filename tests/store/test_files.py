"""The embedded database's file: its name taken as it is, its damage and its loss noticed."""

import os
import stat
from pathlib import Path

import pytest

from service.settings import load_settings
from service.store import SchemaError, Store, StoreUnavailableError, open_store
from service.store.database.engine import create_store_engine
from service.store.database.schema import current_revision, upgrade
from testbed.databases import SqliteFiles
from tests.store.samples import sample_spec
from widthwise.errors import InvalidInputError


@pytest.mark.parametrize("name", ["p%41", "q?x=1", "a b", "#x", "größe", "a@b:c"])
def test_any_directory_will_do(tmp_path: Path, name: str) -> None:
    upgrade(load_settings(data_dir=tmp_path / name).database_url)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name / "widthwise.db").stat().st_size > 0


def test_only_its_user_can_read_the_file(tmp_path: Path) -> None:
    """The folder may exist and be open to everyone, and so may the mask."""
    tmp_path.chmod(0o755)
    before = os.umask(0o022)
    try:
        url = f"sqlite:///{tmp_path / 'widthwise.db'}"
        upgrade(url)
        store: Store = open_store(url)
        store.calibrations.create(sample_spec())
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("widthwise.db", "widthwise.db-wal", "widthwise.db-shm"), 0o600)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    file = tmp_path / "widthwise.db"
    file.write_bytes(b"not a database" * 1000)
    engine = create_store_engine(f"sqlite:///{file}")
    with pytest.raises(SchemaError, match=r"widthwise\.db can't be read \(file is not a database\); restore it"):
        current_revision(engine)
    engine.dispose()


@pytest.fixture
def file(sqlite_files: SqliteFiles) -> Path:
    return Path(sqlite_files.new_migrated().removeprefix("sqlite:///"))


def test_a_file_moved_away_is_missed(file: Path) -> None:
    store: Store = open_store(f"sqlite:///{file}")
    store.check_ready()
    away = file.with_suffix(".away")
    file.rename(away)
    with pytest.raises(StoreUnavailableError, match="removed or replaced"):
        store.check_ready()
    with pytest.raises(StoreUnavailableError, match="removed or replaced"):
        store.calibrations.create(sample_spec())
    assert not file.exists()
    file.write_bytes(away.read_bytes())
    with pytest.raises(StoreUnavailableError, match="removed or replaced"):
        store.calibrations.create(sample_spec())
    away.rename(file)
    store.calibrations.create(sample_spec())
    store.close()


def test_a_port_that_is_no_number_is_refused_without_the_password() -> None:
    with pytest.raises(InvalidInputError, match="it can't be parsed") as caught:
        load_settings(database_url="postgresql://user:secret@host:notaport/x")
    assert "secret" not in str(caught.value)
