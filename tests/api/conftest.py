"""The application on a fresh SQLite database, and a client of it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store, open_store
from testbed.databases import SqliteFiles
from tests.api.client import Client, client_of


@pytest.fixture
def settings(sqlite_files: SqliteFiles) -> Settings:
    """Settings with a migrated database and a small cap on bodies."""
    return load_settings(database_url=sqlite_files.new_migrated(), max_body_bytes=200_000)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    """The application's store."""
    opened = open_store(settings.database_url)
    yield opened
    opened.close()


@pytest.fixture
def app(settings: Settings, store: Store) -> FastAPI:
    """The application; its streams last no longer than a test may."""
    return create_app(settings, store, stream_seconds=5.0, poll_seconds=0.02)


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    """A client of the application."""
    with client_of(app) as client:
        yield client
