"""A service for the pages' requests, with a worker that trains nothing: the command line's own."""

from tests.cli.conftest import settings, url, worker

__all__ = ["settings", "url", "worker"]
