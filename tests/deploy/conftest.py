"""A folder that the services' users may enter, and the engine in it."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.engine import Engine


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine for docker-compose.yml; what it started is gone at the end."""
    # not in pytest's folder, which is closed to other users
    with (
        tempfile.TemporaryDirectory(prefix="widthwise-deploy-", ignore_cleanup_errors=True) as folder,
        Engine(Path(folder)) as engine,
    ):
        yield engine
