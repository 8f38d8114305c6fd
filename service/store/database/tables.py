"""The tables, as SQLAlchemy metadata; migrations/ holds the same as revisions, and a test compares them."""

from enum import StrEnum

import sqlalchemy as sa

from service.store.database.clock import UtcDateTime
from service.store.database.states import CalibrationState, ShardState
from widthwise.vocabulary import TrialStatus

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

IDENTIFIER_LENGTH = 32  # "cal_" and 24 hexadecimal digits, with room
NAME_LENGTH = 64  # members of the vocabulary
SWEEP_NAME_LENGTH = 200  # chosen: a line
CALIBRATION_NAME_LENGTH = 100  # chosen: a line of a list, next to an id
KEY_LENGTH = 255  # idempotency keys (chosen): the longest that HTTP clients send in practice


NAMED = "name IS NOT NULL"  # both databases use such an index for `name = …`


def _enum(values: type[StrEnum], name: str) -> sa.Enum:
    """A text column with a CHECK for an enumeration's values (native types can't be altered in batches)."""
    return sa.Enum(
        values,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=16,
        values_callable=lambda enum: [member.value for member in enum],
    )


def _finite(column: str) -> str:
    """A condition that NaN and both infinities fail (Postgres sorts NaN above every number)."""
    return f"{column} > -1e308 AND {column} < 1e308"


calibrations = sa.Table(
    "calibrations",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("state", _enum(CalibrationState, "state"), nullable=False),
    sa.Column("runner", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("spec_digest", sa.String(64), nullable=False),  # SHA-256 of the canonical JSON
    # "" if no API key was required (not NULL, since a UNIQUE constraint treats two NULLs as different)
    sa.Column("owner", sa.String(NAME_LENGTH), nullable=False, server_default=sa.text("''")),
    sa.Column("request_id", sa.String(NAME_LENGTH)),  # of the request that created it, for the workers' logs
    sa.Column("idempotency_key", sa.String(KEY_LENGTH)),
    sa.Column("trials_total", sa.Integer, nullable=False),
    sa.Column("last_event", sa.Integer, nullable=False),
    sa.Column("cancel_requested_at", UtcDateTime),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.Column("reason", sa.Text),
    sa.Column("result", sa.JSON(none_as_null=True)),
    # the calibration whose trials this one began with
    sa.Column("extends", sa.ForeignKey("calibrations.id", ondelete="SET NULL")),
    # the same if its trials and measurements are read there; NULL if they were copied, as before this column
    sa.Column("shares", sa.ForeignKey("calibrations.id", ondelete="RESTRICT")),
    sa.Column("rounds", sa.Integer, nullable=False, server_default="1"),  # how often shards were planned
    # each distinct device and code that ran a part of it; NULL in rows older than the column
    sa.Column("environments", sa.JSON(none_as_null=True)),
    sa.Column("expected", sa.JSON(none_as_null=True)),  # time estimated at the start
    sa.Column("flops", sa.Double),  # the operations in `expected`; NULL if it is, and for external runners
    sa.Column("trials_done", sa.Integer, nullable=False, server_default="0"),  # those that it shares included
    sa.Column("stored_trials", sa.Integer, nullable=False, server_default="0"),  # rows that only it has
    sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"),  # of its rows in all tables, roughly
    # the number of the latest claim of a shard, counted over all: the highest says whose turn it was; 0 before any
    sa.Column("turn", sa.BigInteger, nullable=False, server_default="0"),
    # for people, not part of what was asked: `spec_digest` knows neither
    sa.Column("name", sa.String(CALIBRATION_NAME_LENGTH)),
    sa.Column("note", sa.Text),
    sa.UniqueConstraint("owner", "idempotency_key"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "owner", "created_at", "id"),
    sa.Index(None, "state", "created_at", "id"),
    sa.Index(None, "owner", "state"),  # what an owner's unfinished work asks for
    sa.Index(None, "turn"),
    sa.Index(  # of those that have a name: most have none, and their rows are inserted and updated without it
        None, "name", "created_at", "id", sqlite_where=sa.text(NAMED), postgresql_where=sa.text(NAMED)
    ),
    sa.Index(None, "extends"),
    sa.Index(None, "shares"),
)

shards = sa.Table(
    "shards",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("calibration_id", sa.ForeignKey("calibrations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("owner", sa.String(NAME_LENGTH), nullable=False, server_default=sa.text("''")),  # its calibration's
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),  # order of claiming within the calibration
    sa.Column("spec", sa.JSON, nullable=False),
    sa.Column("state", _enum(ShardState, "state"), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),  # counts every claim; each write of a worker carries it
    sa.Column("lease_until", UtcDateTime),
    sa.Column("worker_id", sa.String(KEY_LENGTH)),
    sa.Column("queued_at", UtcDateTime, nullable=False),  # when it was last queued
    # when its message was sent since then; NULL if not, so the row is its own outbox
    sa.Column("published_at", UtcDateTime),
    sa.Column("reason", sa.Text),
    sa.Column("environment", sa.JSON(none_as_null=True)),
    sa.Column("started_at", UtcDateTime),
    sa.Column("finished_at", UtcDateTime),
    sa.UniqueConstraint("calibration_id", "position"),
    sa.CheckConstraint("attempts >= 0 AND attempts <= epoch", name="attempts"),
    sa.CheckConstraint("state <> 'running' OR lease_until IS NOT NULL", name="lease"),
    sa.Index(None, "state", "owner", "created_at", "calibration_id", "position"),  # the order of claims
    sa.Index(None, "state", "queued_at"),  # for how long the oldest has waited
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("calibration_id", sa.ForeignKey("calibrations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("shard_id", sa.ForeignKey("shards.id", ondelete="SET NULL")),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("learning_rate", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("status", _enum(TrialStatus, "status"), nullable=False),
    sa.Column("loss", sa.Double),
    sa.Column("seconds", sa.Double),
    sa.Column("steps", sa.BigInteger),
    sa.Column("flops", sa.Double),
    # not NULL, as a UNIQUE constraint treats two NULLs as different: "" is a plain sweep, 0 the specification's steps
    sa.Column("role", sa.String(NAME_LENGTH), nullable=False, server_default=sa.text("''")),
    sa.Column("gamma", sa.Double, nullable=False, server_default="1"),
    sa.Column("horizon", sa.Integer, nullable=False, server_default="0"),
    sa.UniqueConstraint(
        "calibration_id", "width", "learning_rate", "seed", "role", "gamma", "horizon", name="uq_trials_identity"
    ),
    sa.CheckConstraint("width > 0", name="width"),
    sa.CheckConstraint("gamma > 0 AND gamma < 1e308", name="gamma"),
    sa.CheckConstraint("horizon >= 0", name="horizon"),
    sa.CheckConstraint("learning_rate > 0 AND learning_rate < 1e308", name="learning_rate"),
    sa.CheckConstraint("seed >= 0", name="seed"),
    sa.CheckConstraint(
        f"(status = 'completed' AND loss IS NOT NULL AND {_finite('loss')}) "
        "OR (status <> 'completed' AND loss IS NULL)",
        name="loss",
    ),
    sa.Index(None, "calibration_id", "created_at", "id"),
    sa.Index(None, "shard_id"),
)

measurements = sa.Table(
    "measurements",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("calibration_id", sa.ForeignKey("calibrations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("shard_id", sa.ForeignKey("shards.id", ondelete="SET NULL")),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("seed", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("calibration_id", "width", "seed", "kind"),
    sa.CheckConstraint("width > 0", name="width"),
    sa.CheckConstraint("seed >= 0", name="seed"),
    sa.Index(None, "calibration_id", "created_at", "id"),
    sa.Index(None, "shard_id"),
)

#: The conditions shared by all exponents of a calibration: one row per distinct combination, so there are few.
exponent_families = sa.Table(
    "exponent_families",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("parameterization", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("optimizer", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("alignment", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("architecture", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("dataset", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("source", sa.String(NAME_LENGTH), nullable=False),
    sa.UniqueConstraint(
        "parameterization", "optimizer", "alignment", "architecture", "dataset", "source", name="uq_exponent_families"
    ),
)

exponents = sa.Table(
    "exponents",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("calibration_id", sa.ForeignKey("calibrations.id", ondelete="CASCADE"), nullable=False),
    sa.Column("family_id", sa.ForeignKey("exponent_families.id"), nullable=False),
    sa.Column("owner", sa.String(NAME_LENGTH), nullable=False, server_default=sa.text("''")),  # its calibration's
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("quantity", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("role", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("value", sa.Double, nullable=False),
    sa.Column("standard_error", sa.Double),
    sa.Column("interval_low", sa.Double),
    sa.Column("interval_high", sa.Double),
    sa.Column("degrees_of_freedom", sa.Integer, nullable=False),
    sa.Column("theory", sa.Double),
    sa.Column("widths", sa.JSON, nullable=False),
    sa.Column("provenance", sa.JSON, nullable=False),
    sa.UniqueConstraint("calibration_id", "quantity", "role"),
    sa.CheckConstraint(_finite("value"), name="value"),
    sa.CheckConstraint("(interval_low IS NULL) = (interval_high IS NULL)", name="interval"),
    # listings of all owners and of one: service/store/results/listing.py
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "owner", "created_at", "id"),
    # by family, with or without role and quantity: rows are written once and listed often
    *(
        sa.Index(None, *owner, "family_id", *filters, "created_at", "id")
        for owner in ((), ("owner",))
        for filters in ((), ("role",), ("quantity",), ("role", "quantity"))
    ),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("calibration_id", sa.ForeignKey("calibrations.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("kind", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
)

workers = sa.Table(
    "workers",
    metadata,
    sa.Column("id", sa.String(KEY_LENGTH), primary_key=True),
    sa.Column("host", sa.String(KEY_LENGTH), nullable=False),
    sa.Column("device", sa.String(KEY_LENGTH)),
    sa.Column("versions", sa.JSON, nullable=False),
    sa.Column("last_seen", UtcDateTime, nullable=False),
    sa.Column("started_at", UtcDateTime),  # NULL in rows older than the column
    sa.Column("stopped_at", UtcDateTime),  # when it shut down; NULL while it runs, or if it was killed
    sa.Column("totals", sa.JSON(none_as_null=True)),  # totals since it started: workers/totals.py
    sa.Index(None, "last_seen", "id"),
)

#: Whose turn it is to recover from crashes and lost messages: service/store/work/housekeeping.py.
housekeeping = sa.Table(
    "housekeeping",
    metadata,
    sa.Column("name", sa.String(NAME_LENGTH), primary_key=True),
    sa.Column("due_at", UtcDateTime, nullable=False),  # while a worker has it: when that worker counts as dead
    sa.Column("worker_id", sa.String(KEY_LENGTH)),  # NULL: nobody holds it
)

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("owner", sa.String(NAME_LENGTH), nullable=False, server_default=sa.text("''")),
    sa.Column("idempotency_key", sa.String(KEY_LENGTH)),
    sa.Column("digest", sa.String(64), nullable=False),  # SHA-256 of the canonical JSON of the request that created it
    sa.Column("name", sa.String(SWEEP_NAME_LENGTH), nullable=False),
    sa.Column("notes", sa.Text),
    sa.Column("reading", sa.JSON, nullable=False),  # how rows become runs: columns, groups, prescribed axes …
    sa.Column("revision", sa.Integer, nullable=False),  # counts the requests that added runs
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("diverged", sa.Integer, nullable=False),
    sa.Column("cells", sa.Integer, nullable=False),
    sa.Column("axes", sa.JSON, nullable=False),  # by name: the range of numbers, the set of words; {} without runs
    sa.UniqueConstraint("owner", "idempotency_key"),
    sa.CheckConstraint("runs >= diverged AND runs >= cells AND cells >= 0", name="runs"),
    sa.Index(None, "created_at", "id"),
    sa.Index(None, "owner", "created_at", "id"),
)

sweep_runs = sa.Table(
    "sweep_runs",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("sweep_id", sa.ForeignKey("sweeps.id", ondelete="CASCADE"), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),  # of its sweep, since which it belongs to it
    sa.Column("cell", sa.String(64), nullable=False),  # SHA-256 of the canonical JSON of its axes
    sa.Column("identity", sa.String(64), nullable=False),  # the same with its learning rate, seed and repeat
    sa.Column("axes", sa.JSON, nullable=False),
    sa.Column("learning_rate", sa.Double, nullable=False),
    sa.Column("seed", sa.BigInteger),
    sa.Column(
        "repeat", sa.Integer, nullable=False
    ),  # among the runs of one request that differ in nothing and have no seed
    sa.Column("loss", sa.Double),  # NULL: it diverged
    sa.Column("unused", sa.JSON(none_as_null=True)),  # columns that are not axes, by name; NULL: none known
    sa.UniqueConstraint("sweep_id", "identity"),
    sa.CheckConstraint("learning_rate > 0 AND learning_rate < 1e308", name="learning_rate"),
    sa.CheckConstraint("loss > 0 AND loss < 1e308", name="loss"),
    sa.Index(None, "sweep_id", "created_at", "id"),
    sa.Index(None, "sweep_id", "cell"),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.String(IDENTIFIER_LENGTH), primary_key=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("owner", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("name", sa.String(NAME_LENGTH), nullable=False),
    sa.Column("scopes", sa.JSON, nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),  # HMAC-SHA256 of the secret, which is not stored
    sa.Column("expires_at", UtcDateTime),
    sa.Column("revoked_at", UtcDateTime),
    sa.Column("last_used_at", UtcDateTime),
    sa.Index(None, "created_at", "id"),
)
