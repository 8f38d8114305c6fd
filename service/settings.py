"""Settings of the service and its workers: one frozen object, read at the entry points only."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urlsplit, urlunsplit

from pydantic import Field, PrivateAttr, ValidationError, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from widthwise.errors import InvalidInputError

PREFIX = "WIDTHWISE_"

#: Read by the HTTP client and the command line, not by the service; one shell may set both kinds.
CLIENT_VARIABLES = frozenset({"WIDTHWISE_URL", "WIDTHWISE_API_KEY"})

#: Settings that are or may contain a secret: never shown, and read from a file if …_FILE names one.
SECRETS = frozenset({"database_url", "database_password", "redis_url", "redis_password", "pepper"})
FILE_SUFFIX = "_FILE"

PEPPER_CHARACTERS = 32  # minimum (chosen): 128 bits if they are hexadecimal digits

#: Addresses that only this machine can reach.
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def available_cores() -> int:
    """Return the number of cores this process may use (fewer than the machine has, in a container)."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def _data_dir(values: dict[str, Any]) -> Path:
    """The data directory; the default if its value was refused."""
    return values.get("data_dir") or Path("widthwise-data")


def _default_database_url(values: dict[str, Any]) -> str:
    """SQLite inside the data directory."""
    return f"sqlite:///{_data_dir(values).absolute() / 'widthwise.db'}"


def _default_corpora_dir(values: dict[str, Any]) -> Path:
    """A folder inside the data directory."""
    return _data_dir(values).absolute() / "corpora"


def _default_workers(values: dict[str, Any]) -> int:
    """One for each core; none with a broker, which wakes workers that run elsewhere."""
    return 0 if values.get("redis_url") else available_cores()


class Settings(BaseSettings):
    """Every setting with its bounds and description; build it with `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        env_ignore_empty=True,  # compose files pass unset variables on as empty strings
        use_attribute_docstrings=False,
    )

    data_dir: Path = Field(
        default=Path("widthwise-data"),
        description="Directory of the embedded database and the compile cache; created if it does not exist.",
    )
    corpora_dir: Path = Field(
        default_factory=_default_corpora_dir,
        description="Folder of the operator's own texts; a calibration refers to one as `file:NAME`. Nothing outside "
        "the folder is read.",
    )
    database_url: str = Field(
        default_factory=_default_database_url,
        repr=False,  # it may hold a password
        description="Database: sqlite:///FILE (the default, inside data_dir) or postgresql+psycopg://….",
    )
    database_password: str | None = Field(
        default=None,
        repr=False,
        description="Password of the database user if database_url has none, so that it can come from a file.",
    )
    redis_url: str | None = Field(
        default=None,
        repr=False,
        description="Broker that wakes workers on other machines and shares rate limits: redis://HOST:PORT/0. If "
        "unset, workers poll the database, and each process counts limits separately.",
    )
    redis_password: str | None = Field(
        default=None,
        repr=False,
        description="Password of the broker if redis_url has none, so that it can come from a file.",
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Only this machine can reach the default, so it needs no API key.",
    )
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8000, description="TCP port to listen on; 0 lets the system choose one."
    )
    workers: Annotated[int, Field(ge=0, le=1024)] = Field(
        default_factory=_default_workers,
        description="Local worker processes of `widthwise serve`. One single-threaded worker per core is the "
        "fastest on CPU; 0 runs only the API.",
    )
    max_body_bytes: Annotated[int, Field(ge=1024, le=1 << 30)] = Field(
        default=8 << 20,
        description="Largest request body in bytes; larger ones get 413. 8 MiB holds the shapes of about 80,000 "
        "tensors.",
    )
    unread_seconds: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=30.0,
        description="How long a client may leave what was sent to it unread before its connection is closed.",
    )
    unsent_bytes_per_owner: Annotated[int, Field(ge=1 << 16, le=1 << 30)] = Field(
        default=64 << 20,
        description="Bytes of large answers that one process holds for an owner, or without keys for an address, while "
        "they are not read; a further answer gets 503. One answer always has room.",
    )
    unsent_bytes: Annotated[int, Field(ge=1 << 16, le=1 << 30)] = Field(
        default=256 << 20,
        description="The same for all owners together.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level that is logged to stderr."
    )
    log_format: Literal["console", "json"] = Field(
        default="console",
        description="`console` logs lines for people, `json` one JSON object per line for a collector.",
    )
    shard_deadline_seconds: Annotated[float, Field(gt=0, le=7 * 86400)] = Field(
        default=3600.0,
        description="Longest time one attempt at a shard may take before its child process is killed. Stored "
        "trials are kept, and the next attempt continues from them.",
    )
    lease_seconds: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=60.0,
        description="How long a worker's claim on a shard lasts unless it is extended. A worker extends it every sixth "
        "of this time, so the default of 60 s survives five missed extensions.",
    )
    child_shards: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=100,
        description="Shards of one calibration that a child process may run before a fresh one takes its place: what "
        "leaks is bounded. A width that it compiles while it waits counts as one. 1 starts a fresh child for every "
        "shard.",
    )
    child_seconds: Annotated[float, Field(gt=0, le=7 * 86400)] = Field(
        default=3600.0, description="Age from which a child process takes no further shard."
    )
    child_idle_seconds: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=10.0,
        description="How long a child process waits for the next shard of its calibration. While it waits it keeps "
        "its memory, and on an accelerator the device's. A compilation that it began is finished.",
    )
    child_growth_mib: Annotated[int, Field(ge=1, le=1 << 20)] = Field(
        default=512,
        description="MiB of resident memory that a child process may have gained since its first shard; beyond that it "
        "takes no further one. A shard's own limit follows from its specification.",
    )
    allow_unauthenticated: bool = Field(
        default=False,
        description="Do not require API keys for remote clients either; only for fully trusted networks.",
    )
    require_keys: bool = Field(
        default=False,
        description="Require API keys on this machine too; for a service behind a proxy on the same machine.",
    )
    pepper: str | None = Field(
        default=None,
        repr=False,
        min_length=PEPPER_CHARACTERS,
        description="Secret that API keys are hashed with, the same for every API process. An embedded service creates "
        "one in data_dir. Without it, stored keys can't be used.",
    )
    requests_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=600,
        description="Requests per minute of one key; more get 429. 0 sets no limit.",
    )
    failed_keys_per_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=10,
        description="Requests per minute with a wrong key from one address; after that, unknown keys are not checked.",
    )
    max_trials: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        default=20_000,
        description="Trials that one specification may ask for; more get 422. 0 sets no limit.",
    )
    max_flops: Annotated[float, Field(ge=0, le=1e30)] = Field(
        default=1e19,
        description="Floating-point operations that one specification may ask of workers, as estimated when it is "
        "submitted; more get 422. 0 sets no limit.",
    )
    max_training_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = Field(
        default=256 << 30,
        description="Memory in bytes that one training run of a specification may need, as estimated when it is "
        "submitted; more get 422. 0 sets no limit.",
    )
    owner_queued_flops: Annotated[float, Field(ge=0, le=1e32)] = Field(
        default=1e20,
        description="Floating-point operations that one owner's unfinished calibrations may ask of workers; a "
        "submission beyond them gets 429. 0 sets no limit.",
    )
    owner_running_shards: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=0,
        description="Shards of one owner that workers may run at once; the others wait. 0 sets no limit: owners take "
        "turns.",
    )
    owner_stored_trials: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=1_000_000,
        description="Trials that one owner may store; what would add more gets 429. 0 sets no limit.",
    )
    owner_stored_bytes: Annotated[int, Field(ge=0, le=1 << 50)] = Field(
        default=4 << 30,
        description="Bytes that one owner may store, counted roughly by rows; what would add more gets 429. 0 sets no "
        "limit.",
    )
    keep_unsuccessful_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        default=0.0,
        description="Days after which workers delete calibrations that have failed or were cancelled, counted from "
        "their end. 0 keeps them for ever.",
    )
    keep_succeeded_days: Annotated[float, Field(ge=0, le=36_500)] = Field(
        default=0.0,
        description="Days after which workers delete calibrations that have succeeded, counted from their end, with "
        "their exponents: a transfer that names one then gets 404. 0 keeps them for ever.",
    )
    max_sweep_runs: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=5_000,
        description="Runs that one uploaded sweep may have, all of which a fit reads; more get 422.",
    )
    owner_sweep_runs: Annotated[int, Field(ge=0, le=1_000_000_000)] = Field(
        default=200_000,
        description="Runs that one owner's uploaded sweeps may have together; what would add more gets 429. 0 sets no "
        "limit.",
    )
    owner_sweeps: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1_000,
        description="Uploaded sweeps that one owner may have; another gets 429. 0 sets no limit.",
    )
    trusted_proxies: str = Field(
        default="127.0.0.1",
        description="Comma-separated addresses of proxies that may name the client in X-Forwarded-For. `serve` "
        "warns if --host is reachable from other machines and this still has its default.",
    )
    log_requests: bool = Field(default=True, description="Log a line for every request.")
    tracing: bool = Field(
        default=False,
        description="Export OpenTelemetry traces to the address in OTEL_EXPORTER_OTLP_ENDPOINT; needs the "
        "extra `tracing`.",
    )

    _files: dict[str, str] = PrivateAttr(default_factory=dict)  #: files that secrets were read from, by setting

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        named = {name: os.environ.get(f"{PREFIX}{name.upper()}{FILE_SUFFIX}") for name in SECRETS - given.keys()}
        self._files = {name: path for name, path in named.items() if path}

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
                    "it can't be parsed; give postgresql+psycopg://USER:PASSWORD@HOST:PORT/DATABASE, with a numeric "
                    "port and special characters percent-encoded"
                ) from None
            return url
        if url.startswith("sqlite:///") and url != "sqlite:///" and ":memory:" not in url:
            return url
        scheme = url.split(":", 1)[0]
        raise ValueError(
            f"the scheme {scheme!r} or its path can't be used; give sqlite:///FILE (a file: each connection "
            "to an in-memory database would see a different one) or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
        )

    @field_validator("redis_url")
    @classmethod
    def _known_broker(cls, url: str | None) -> str | None:
        """Refuse what Celery and the limits can't both use."""
        if url is not None and (not url.startswith(("redis://", "rediss://")) or not _readable(url)):
            raise ValueError("give redis://HOST:PORT/0, or rediss:// for TLS, with special characters percent-encoded")
        return url

    @model_validator(mode="after")
    def _with_passwords(self) -> Self:
        # the model is frozen, so set it this way
        if self.database_password is not None and self.database_url.startswith("postgresql"):
            object.__setattr__(self, "database_url", with_password(self.database_url, self.database_password))
        if self.redis_password is not None and self.redis_url is not None:
            object.__setattr__(self, "redis_url", with_password(self.redis_url, self.redis_password))
        return self

    @property
    def embedded(self) -> bool:
        """Whether the database is a file on this machine."""
        return self.database_url.startswith("sqlite:")

    @property
    def asks_for_keys(self) -> bool:
        """Whether a request needs an API key."""
        return self.require_keys or not (self.loopback or self.allow_unauthenticated)

    @property
    def cache_dir(self) -> Path:
        """Directory of the persistent compile cache of the child processes."""
        return self.data_dir.absolute() / "cache"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK_HOSTS

    @property
    def lacks_proxy(self) -> bool:
        """Whether other machines can reach the service and no proxy is named."""
        return not self.loopback and self.trusted_proxies == type(self).model_fields["trusted_proxies"].default

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables that give a worker these settings; an empty one counts as not set.

        A secret from a file is passed on as the file's name; the pepper is left out, as no worker needs it.
        """
        values = self.model_dump(mode="json")
        if self.database_password is not None and not self.embedded:
            values["database_url"] = without_password(self.database_url)
        if self.redis_password is not None and self.redis_url is not None:
            values["redis_url"] = without_password(self.redis_url)
        values |= dict.fromkeys(("pepper", *self._files))
        files = self._files | {"pepper": ""}
        named = {f"{PREFIX}{name.upper()}": "" if value is None else str(value) for name, value in values.items()}
        return named | {f"{PREFIX}{name.upper()}{FILE_SUFFIX}": files.get(name, "") for name in SECRETS}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, and nothing else (in particular, no .env file)."""
        del dotenv_settings, file_secret_settings
        _refuse_unknown(os.environ)
        return init_settings, env_settings, SecretFiles(settings_cls)


class SecretFiles(PydanticBaseSettingsSource):
    """Secrets from files: WIDTHWISE_PEPPER_FILE names the file that holds WIDTHWISE_PEPPER, and so on."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return a file's text without the line break at its end."""
        del field
        variable = f"{PREFIX}{field_name.upper()}{FILE_SUFFIX}"
        name = os.environ.get(variable, "") if field_name in SECRETS else ""
        if not name:
            return None, field_name, False
        if os.environ.get(variable.removesuffix(FILE_SUFFIX)):
            raise InvalidInputError(
                f"Both {variable} and {variable.removesuffix(FILE_SUFFIX)} are set; set only one.", field=variable
            )
        try:
            return Path(name).read_text(encoding="utf-8").rstrip("\r\n"), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not UTF-8"
            raise InvalidInputError(f"{variable} names {name}, which can't be read: {why}.", field=variable) from None

    def __call__(self) -> dict[str, Any]:
        """Return every secret that a file holds."""
        found = {name: self.get_field_value(FieldInfo(), name)[0] for name in sorted(SECRETS)}
        return {name: value for name, value in found.items() if value is not None}


def with_password(url: str, password: str) -> str:
    """Return a URL with this password; InvalidInputError if it contains another one.

    >>> with_password("redis://broker:6379/0", "s/cret")
    'redis://:s%2Fcret@broker:6379/0'
    """
    parts = urlsplit(url)
    encoded = quote(password, safe="")
    if parts.password not in (None, encoded):
        raise InvalidInputError("The URL contains a password, and another one is set; set only one.", field="password")
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:{encoded}@{host}"))


def without_password(url: str) -> str:
    """Return a URL without its password.

    >>> without_password("postgresql://widthwise:s%2Fcret@db/widthwise")
    'postgresql://widthwise@db/widthwise'
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if name else host))


def _readable(url: str) -> bool:
    """Whether a URL can be parsed."""
    try:
        return bool(urlsplit(url).hostname) and (urlsplit(url).port or 1) > 0
    except ValueError:
        return False


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    """Refuse unknown WIDTHWISE_* variables: pydantic-settings ignores them, typos included."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields} | CLIENT_VARIABLES
    known |= {f"{PREFIX}{name.upper()}{FILE_SUFFIX}" for name in SECRETS}
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise InvalidInputError(
            f"Unknown environment variable {', '.join(unknown)}; unset it, or use one of {', '.join(sorted(known))}.",
            field=unknown[0],
        )


def without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without our settings and keys, since `ps` may show them to anybody."""
    return {name: value for name, value in environment.items() if not name.upper().startswith(PREFIX)}


def load_settings(**overrides: Any) -> Settings:
    """Read the settings: `overrides` (those that are not None) first, then WIDTHWISE_*, then the defaults.

    Raises InvalidInputError, which names each offending variable, its value and its bound.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = []
        for problem in error.errors(include_url=False):
            name = str(problem["loc"][0]) if problem["loc"] else "database_url"  # a fault of several settings together
            shown = "" if name in SECRETS else f" (was {problem['input']!r})"
            problems.append(f"{PREFIX}{name.upper()}: {problem['msg'].removeprefix('Value error, ')}{shown}")
        raise InvalidInputError(f"Invalid settings: {'; '.join(problems)}.", field=problems[0].split(":")[0]) from None
