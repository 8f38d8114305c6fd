"""docs/client.md: its tables are the client and its errors; tests/docs runs its snippets."""

import inspect
import re
from pathlib import Path

from service.app import create_app
from service.settings import Settings
from widthwise import Client, errors
from widthwise.client import Retries
from widthwise.errors import ServiceError

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text(encoding="utf-8")


def test_its_table_of_methods_is_whole(settings: Settings) -> None:
    rows = re.findall(r"^\| (`.*`) \| (`(?:GET|POST|PATCH|DELETE) .*`) \|$", TEXT, re.MULTILINE)
    methods = {name for row, _ in rows for name in re.findall(r"`(\w+)`", row)}
    asked = {request for _, row in rows for request in re.findall(r"`([A-Z]+ [^`]+)`", row)}
    public = {name for name, _ in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert methods == public - {"close", "finished", "listed"}
    document = create_app(settings).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, each in document.items() for method in each}
    assert routes - asked == {"GET /v1/calibrations/{calibration_id}/events"}
    assert asked <= routes


def test_its_table_of_errors_is_whole() -> None:
    table = TEXT.partition("| exception | when |")[2].partition("\n\n")[0]
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ServiceError)}
    assert set(re.findall(r"`(\w+Error)`", table)) == kinds - {"ServiceError"}


def test_it_names_the_limits_of_the_retries() -> None:
    retries = Retries()
    assert f"at most {retries.attempts} times" in TEXT
    assert f"later than {retries.total_seconds:.0f} seconds" in TEXT
    assert retries.first_seconds == 0.5
    assert "half a second, doubled" in TEXT
