"""Settings of the service and its workers: one frozen object, read at the entry points only."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from widthwise.errors import InvalidInputError

PREFIX = "WIDTHWISE_"

#: Read by the HTTP client and the command line, not by the service: one shell may hold both kinds.
CLIENT_VARIABLES = frozenset({"WIDTHWISE_URL"})

#: Hosts that only this machine can reach.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def available_cores() -> int:
    """Give the number of cores this process may use (fewer than the machine has, in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _data_dir(values: dict[str, Any]) -> Path:
    """The data directory, where a refused value has left none too."""
    return values.get("data_dir") or Path("widthwise-data")


def _default_database_url(values: dict[str, Any]) -> str:
    """SQLite inside the data directory."""
    return f"sqlite:///{_data_dir(values).absolute() / 'widthwise.db'}"


def _default_corpora_dir(values: dict[str, Any]) -> Path:
    """A folder inside the data directory."""
    return _data_dir(values).absolute() / "corpora"


class Settings(BaseSettings):
    """Every setting, with its bounds and its reason; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,  # compose files pass unset variables on as empty strings
        use_attribute_docstrings=False,
    )

    data_dir: Path = Field(
        default=Path("widthwise-data"),
        description="Directory of the embedded database and of the compile cache; made if absent.",
    )
    corpora_dir: Path = Field(
        default_factory=_default_corpora_dir,
        description="Folder of the operator's own texts: a calibration names one as `file:NAME`, and nothing outside "
        "the folder is read.",
    )
    database_url: str = Field(
        default_factory=_default_database_url,
        repr=False,  # it may hold a password
        description="Database: sqlite:///FILE (the default, inside data_dir) or postgresql+psycopg://….",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on; the default is for this machine only, so it needs no key.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8000, description="TCP port to listen on; 0 lets the system choose one."
    )
    workers: Annotated[int, Field(ge=0, le=1024)] = Field(
        default_factory=available_cores,
        description="Local worker processes of `widthwise serve`; one single-threaded worker per core is the "
        "fastest on CPU (the default), and 0 serves the API alone.",
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = Field(
        default=16 << 20,
        description="Largest request body in bytes, answered with 413 beyond it; 16 MiB holds the shapes of "
        "some 100,000 tensors.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe log line that is written to stderr."
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        description="Log lines for a person to read, or one JSON object each for a collector.",
    )
    shard_deadline_seconds: Annotated[float, Field(gt=0, le=7 * 86400)] = Field(
        default=3600.0,
        description="Longest time one attempt at a shard may take before its child process is killed; stored "
        "trials are kept, and the next attempt goes on from them.",
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60.0,
        description="How long a claim on a shard holds without an extension; a worker extends it every sixth "
        "of that, so 60 s outlives five missed extensions.",
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="Serve beyond this machine without keys; otherwise such a host is refused.",
    )

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        """Refuse what the store can't use, and name the driver it needs."""
        for short in ("postgres://", "postgresql://"):
            if url.startswith(short):
                url = "postgresql+psycopg://" + url.removeprefix(short)
        if url.startswith("postgresql+psycopg://"):
            try:
                _ = urlsplit(url).port
            except ValueError:  # its text may hold the password
                raise ValueError(
                    "its parts can't be read; give postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE, the port a "
                    "number, special characters percent-encoded"
                ) from None
            return url
        if url.startswith("sqlite:///") and url != "sqlite:///" and ":memory:" not in url:
            return url
        scheme = url.split(":", 1)[0]
        raise ValueError(
            f"the scheme {scheme!r} or its path can't be used; give sqlite:///FILE (a file: each connection "
            "to an in-memory database would see its own) or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        )

    @property
    def cache_dir(self) -> Path:
        """Directory of the persistent compile cache of the child processes."""
        return self.data_dir.absolute() / "cache"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK_HOSTS

    def refuse_unsafe_host(self) -> None:
        """Raise InvalidInputError if `host` would serve other machines while no key is asked for."""
        if not (self.loopback or self.allow_unauthenticated):
            raise InvalidInputError(
                f"Host {self.host!r} can be reached from other machines, and this service asks for no key; "
                "use 127.0.0.1, or set WIDTHWISE_ALLOW_UNAUTHENTICATED=true if the network is trusted.",
                field="host",
            )

    def as_environment(self) -> dict[str, str]:
        """Give the variables from which another process reads these same settings."""
        values = self.model_dump(mode="json")
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items()}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, and nothing else (no .env file is picked up by surprise)."""
        del settings_cls, dotenv_settings, file_secret_settings
        _refuse_unknown(os.environ)
        return init_settings, env_settings


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Refuse WIDTHWISE_* variables that nothing reads: pydantic-settings ignores them, typos included."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | CLIENT_VARIABLES
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise InvalidInputError(
            f"Unknown environment variable {', '.join(unknown)}; unset it, or use one of {', '.join(sorted(known))}.",
            field=unknown[0],
        )


def load_settings(**overrides: Any) -> Settings:
    """Read the settings: `overrides` (those that are not None) first, then WIDTHWISE_*, then the defaults.

    Raises InvalidInputError that names each offending variable, its value and its bound.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0])
            shown = "" if name == "database_url" else f" (was {problem['input']!r})"
            problems.append(f"{PREFIX}{name.upper()}: {problem['msg'].removeprefix('Value error, ')}{shown}")
        raise InvalidInputError(f"Invalid settings: {'; '.join(problems)}.", field=problems[0].split(":")[0]) from None
