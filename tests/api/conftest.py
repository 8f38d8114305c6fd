"""The application on a fresh SQLite database, and a client of it."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from service.app import create_app
from service.guide.site import Guide
from service.settings import Settings, load_settings
from service.store import Store, open_store
from testbed.databases import SqliteFiles
from tests.api.client import Client, client_of
from tests.api.guides import build_guide


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


@pytest.fixture(scope="session")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Guide:
    """A small guide, so that no test of the API needs `make docs`."""
    return build_guide(tmp_path_factory.mktemp("guide"))


@pytest.fixture
def app(settings: Settings, store: Store, guide: Guide) -> FastAPI:
    """The application; its streams last no longer than a test may."""
    app = create_app(settings, store, stream_seconds=5.0, poll_seconds=0.02)
    app.state.guide = guide
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    """A client of the application."""
    with client_of(app) as client:
        yield client
