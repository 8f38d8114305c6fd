"""A synchronous client of the application in this process: no socket, and nothing raised past the application."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI


class Client:
    """Sends requests to an ASGI application as httpx does, from ordinary functions."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request and read its answer to the end."""

        async def send() -> httpx.Response:
            return await self._client.request(method, path, **options)

        return self._portal.call(send)

    def get(self, path: str, **options: Any) -> httpx.Response:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        """POST."""
        return self.request("POST", path, **options)

    def post_bytes(self, path: str, body: bytes, content_type: str | None = "application/json") -> httpx.Response:
        """POST these very bytes."""
        headers = {} if content_type is None else {"Content-Type": content_type}
        return self.request("POST", path, content=body, headers=headers)


@contextmanager
def client_of(app: FastAPI) -> Iterator[Client]:
    """Return a client of the application."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    with start_blocking_portal() as portal:
        client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1")
        try:
            yield Client(portal, client)
        finally:
            portal.call(client.aclose)


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Check that a response is a problem document of this kind, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"].startswith("/")
    assert "Traceback" not in response.text
    assert "site-packages" not in response.text
    return body
