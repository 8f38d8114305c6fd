"""The table of work and its results: calibrations, shards, trials, exponents, events, workers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATES = ("queued", "running", "succeeded", "failed", "cancelled")


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        "calibrations",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("runner", sa.String(length=64), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("spec_digest", sa.String(length=64), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("trials_total", sa.Integer(), nullable=False),
        sa.Column("last_event", sa.Integer(), nullable=False),
        sa.Column("cancel_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calibrations")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_calibrations_idempotency_key")),
    )
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.create_index(batch_op.f("ix_calibrations_created_at_id"), ["created_at", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_calibrations_state_created_at_id"), ["state", "created_at", "id"], unique=False
        )

    op.create_table(
        "workers",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("device", sa.String(length=255), nullable=True),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_workers")),
    )
    with op.batch_alter_table("workers") as batch_op:
        batch_op.create_index(batch_op.f("ix_workers_last_seen_id"), ["last_seen", "id"], unique=False)

    op.create_table(
        "events",
        sa.Column("calibration_id", sa.String(length=32), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_events_calibration_id_calibrations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("calibration_id", "seq", name=op.f("pk_events")),
    )
    op.create_table(
        "exponents",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("calibration_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quantity", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("standard_error", sa.Double(), nullable=True),
        sa.Column("interval_low", sa.Double(), nullable=True),
        sa.Column("interval_high", sa.Double(), nullable=True),
        sa.Column("degrees_of_freedom", sa.Integer(), nullable=False),
        sa.Column("theory", sa.Double(), nullable=True),
        sa.Column("widths", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=64), nullable=False),
        sa.Column("parameterization", sa.String(length=64), nullable=False),
        sa.Column("optimizer", sa.String(length=64), nullable=False),
        sa.Column("alignment", sa.String(length=64), nullable=False),
        sa.Column("architecture", sa.String(length=64), nullable=False),
        sa.Column("dataset", sa.String(length=64), nullable=False),
        sa.Column("provenance", sa.JSON(), nullable=False),
        sa.CheckConstraint("(interval_low IS NULL) = (interval_high IS NULL)", name=op.f("ck_exponents_interval")),
        sa.CheckConstraint("value > -1e308 AND value < 1e308", name=op.f("ck_exponents_value")),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_exponents_calibration_id_calibrations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exponents")),
        sa.UniqueConstraint(
            "calibration_id", "quantity", "role", name=op.f("uq_exponents_calibration_id_quantity_role")
        ),
    )
    with op.batch_alter_table("exponents") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_exponents_alignment_created_at_id"),
            ["alignment", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_exponents_architecture_created_at_id"),
            ["architecture", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_exponents_calibration_id_created_at_id"),
            ["calibration_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_exponents_created_at_id"), ["created_at", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_exponents_dataset_created_at_id"), ["dataset", "created_at", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_exponents_optimizer_created_at_id"),
            ["optimizer", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_exponents_parameterization_created_at_id"),
            ["parameterization", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_exponents_quantity_created_at_id"), ["quantity", "created_at", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_exponents_role_created_at_id"), ["role", "created_at", "id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_exponents_source_created_at_id"), ["source", "created_at", "id"], unique=False
        )

    op.create_table(
        "shards",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("calibration_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="state", native_enum=False, create_constraint=True, length=16),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("worker_id", sa.String(length=255), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("environment", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state <> 'running' OR lease_until IS NOT NULL", name=op.f("ck_shards_lease")),
        sa.CheckConstraint("attempts >= 0 AND attempts <= epoch", name=op.f("ck_shards_attempts")),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_shards_calibration_id_calibrations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shards")),
        sa.UniqueConstraint("calibration_id", "position", name=op.f("uq_shards_calibration_id_position")),
    )
    with op.batch_alter_table("shards") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_shards_state_created_at_position"),
            ["state", "created_at", "position"],
            unique=False,
        )

    op.create_table(
        "trials",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("calibration_id", sa.String(length=32), nullable=False),
        sa.Column("shard_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "completed",
                "diverged",
                "stopped",
                "failed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=16,
            ),
            nullable=False,
        ),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("steps", sa.BigInteger(), nullable=True),
        sa.Column("flops", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "(status = 'completed' AND loss IS NOT NULL AND loss > -1e308 AND loss < 1e308) "
            "OR (status <> 'completed' AND loss IS NULL)",
            name=op.f("ck_trials_loss"),
        ),
        sa.CheckConstraint("learning_rate > 0 AND learning_rate < 1e308", name=op.f("ck_trials_learning_rate")),
        sa.CheckConstraint("seed >= 0", name=op.f("ck_trials_seed")),
        sa.CheckConstraint("width > 0", name=op.f("ck_trials_width")),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_trials_calibration_id_calibrations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["shard_id"], ["shards.id"], name=op.f("fk_trials_shard_id_shards"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint(
            "calibration_id",
            "width",
            "learning_rate",
            "seed",
            name=op.f("uq_trials_calibration_id_width_learning_rate_seed"),
        ),
    )
    with op.batch_alter_table("trials") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_trials_calibration_id_created_at_id"),
            ["calibration_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_trials_shard_id"), ["shard_id"], unique=False)


def downgrade() -> None:
    """Drop every table, children first (their indexes go with them)."""
    for table in ("trials", "exponents", "events", "shards", "workers", "calibrations"):
        op.drop_table(table)
