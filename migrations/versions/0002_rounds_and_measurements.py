"""Trials by role, γ and horizon; measurements; calibrations that continue in rounds and extend each other."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FIRST_IDENTITY = "uq_trials_calibration_id_width_learning_rate_seed"


def upgrade() -> None:
    """Go to this revision; rows of 0001 are plain trials of calibrations with one round."""
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.add_column(sa.Column("extends", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("rounds", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("environments", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("expected", sa.JSON(none_as_null=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_calibrations_extends_calibrations"), "calibrations", ["extends"], ["id"], ondelete="SET NULL"
        )

    with op.batch_alter_table("trials") as batch_op:
        batch_op.add_column(sa.Column("role", sa.String(length=64), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("gamma", sa.Double(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("horizon", sa.Integer(), server_default="0", nullable=False))
        batch_op.drop_constraint(batch_op.f(FIRST_IDENTITY), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f("uq_trials_identity"),
            ["calibration_id", "width", "learning_rate", "seed", "role", "gamma", "horizon"],
        )
        batch_op.create_check_constraint(batch_op.f("ck_trials_gamma"), "gamma > 0 AND gamma < 1e308")
        batch_op.create_check_constraint(batch_op.f("ck_trials_horizon"), "horizon >= 0")

    op.create_table(
        "measurements",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("calibration_id", sa.String(length=32), nullable=False),
        sa.Column("shard_id", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.CheckConstraint("seed >= 0", name=op.f("ck_measurements_seed")),
        sa.CheckConstraint("width > 0", name=op.f("ck_measurements_width")),
        sa.ForeignKeyConstraint(
            ["calibration_id"],
            ["calibrations.id"],
            name=op.f("fk_measurements_calibration_id_calibrations"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["shard_id"], ["shards.id"], name=op.f("fk_measurements_shard_id_shards"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_measurements")),
        sa.UniqueConstraint(
            "calibration_id", "width", "seed", "kind", name=op.f("uq_measurements_calibration_id_width_seed_kind")
        ),
    )
    with op.batch_alter_table("measurements") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_measurements_calibration_id_created_at_id"),
            ["calibration_id", "created_at", "id"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_measurements_shard_id"), ["shard_id"], unique=False)


def downgrade() -> None:
    """Go back to 0001, which has no place for measurements or for trials of a role, a γ or a horizon: they are lost."""
    op.drop_table("measurements")
    op.execute("DELETE FROM trials WHERE role <> '' OR gamma <> 1 OR horizon <> 0")
    with op.batch_alter_table("trials") as batch_op:
        batch_op.drop_constraint(batch_op.f("ck_trials_horizon"), type_="check")
        batch_op.drop_constraint(batch_op.f("ck_trials_gamma"), type_="check")
        batch_op.drop_constraint(batch_op.f("uq_trials_identity"), type_="unique")
        batch_op.create_unique_constraint(
            batch_op.f(FIRST_IDENTITY), ["calibration_id", "width", "learning_rate", "seed"]
        )
        for column in ("horizon", "gamma", "role"):
            batch_op.drop_column(column)

    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_calibrations_extends_calibrations"), type_="foreignkey")
        for column in ("expected", "environments", "rounds", "extends"):
            batch_op.drop_column(column)
