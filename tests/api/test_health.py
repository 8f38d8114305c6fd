"""GET /livez and /readyz, and what they say without a database."""

from structlog.testing import capture_logs

from service.app import create_app
from service.settings import Settings, load_settings
from service.store import Store, open_store
from tests.api.client import Client, client_of, problem
from tests.databases import SqliteFiles


def test_live_and_ready(client: Client) -> None:
    assert client.get("/livez").json()["status"] == "live"
    assert client.get("/readyz").json() == {"status": "ready"}


def test_live_without_a_database(settings: Settings) -> None:
    with client_of(create_app(settings)) as client:  # its store opens when it starts, which it has not
        assert client.get("/livez").status_code == 200
        problem(client.get("/readyz"), 503, "not-ready")


def test_not_ready_before_the_migration(sqlite_files: SqliteFiles) -> None:
    settings = load_settings(database_url=sqlite_files.new())
    store: Store = open_store(settings.database_url)
    with client_of(create_app(settings, store)) as client, capture_logs() as logged:
        response = client.get("/readyz")
    store.close()
    assert "widthwise migrate" in str(logged[0]["exc_info"])
    problem(response, 503, "not-ready")
    assert int(response.headers["retry-after"]) >= 1
    assert "sqlite" not in response.text
