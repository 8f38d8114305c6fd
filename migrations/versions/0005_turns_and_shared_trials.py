"""Shards claimed in turns of their owners; what an owner stores and asks for; extensions that share their trials."""

import secrets
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

OLD_ORDER = ("state", "created_at", "calibration_id", "position")
NEW_ORDER = ("state", "owner", "created_at", "calibration_id", "position")
#: Columns and indexes of calibrations that this revision adds.
COLUMNS = ("turn", "stored_bytes", "stored_trials", "trials_done", "flops", "shares")
INDEXES = (("owner", "state"), ("turn",), ("extends",), ("shares",))

#: Bytes of a row with its indexes, as benchmarks.database_growth measures them.
TRIAL_BYTES, EVENT_BYTES, MEASUREMENT_BYTES = 612, 324, 700

CALIBRATIONS = sa.table(
    "calibrations",
    *(sa.column(name) for name in ("id", "owner", "created_at", "shares", "trials_done", "stored_trials")),
    *(sa.column(name) for name in ("stored_bytes", "flops")),
    sa.column("expected", sa.JSON(none_as_null=True)),
    sa.column("runner"),
)
SHARDS = sa.table("shards", sa.column("calibration_id"), sa.column("owner"))
MEASUREMENTS = sa.table("measurements", sa.column("calibration_id"), sa.column("data", sa.Text))
#: What tells one row of a calibration from another, and the other columns that a copy keeps.
IDENTITY = {
    "trials": ("width", "learning_rate", "seed", "role", "gamma", "horizon"),
    "measurements": ("width", "seed", "kind"),
}
REST = {
    "trials": ("created_at", "status", "loss", "seconds", "steps", "flops"),
    "measurements": ("created_at", "data"),
}
PREFIX = {"trials": "tri", "measurements": "mea"}


def _index(table: str, columns: tuple[str, ...]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")


def upgrade() -> None:
    """Go to this revision; extensions of before keep their copies."""
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.add_column(sa.Column("shares", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("flops", sa.Double(), nullable=True))
        batch_op.add_column(sa.Column("trials_done", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("stored_trials", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("stored_bytes", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("turn", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.create_foreign_key(
            batch_op.f("fk_calibrations_shares_calibrations"), "calibrations", ["shares"], ["id"], ondelete="RESTRICT"
        )
        for columns in INDEXES:
            batch_op.create_index(_index("calibrations", columns), list(columns), unique=False)
    _count()

    with op.batch_alter_table("shards") as batch_op:
        batch_op.add_column(sa.Column("owner", sa.String(length=64), server_default=sa.text("''"), nullable=False))
        batch_op.drop_index(_index("shards", OLD_ORDER))
    whose = sa.select(CALIBRATIONS.c.owner).where(CALIBRATIONS.c.id == SHARDS.c.calibration_id)
    op.execute(sa.update(SHARDS).values(owner=whose.scalar_subquery()))
    with op.batch_alter_table("shards") as batch_op:
        batch_op.create_index(_index("shards", NEW_ORDER), list(NEW_ORDER), unique=False)


def downgrade() -> None:
    """Go back to 0004: extensions get copies of what they share."""
    _copy_shared()
    with op.batch_alter_table("shards") as batch_op:
        batch_op.drop_index(_index("shards", NEW_ORDER))
        batch_op.drop_column("owner")
        batch_op.create_index(_index("shards", OLD_ORDER), list(OLD_ORDER), unique=False)
    with op.batch_alter_table("calibrations") as batch_op:
        for columns in INDEXES:
            batch_op.drop_index(_index("calibrations", columns))
        batch_op.drop_constraint(batch_op.f("fk_calibrations_shares_calibrations"), type_="foreignkey")
        for column in COLUMNS:
            batch_op.drop_column(column)


def _count() -> None:
    """Count what every calibration has stored, and take the operations out of what was expected of it."""

    def counted(table: str) -> sa.ScalarSelect[Any]:
        rows = sa.table(table, sa.column("calibration_id"))
        return (
            sa.select(sa.func.count()).select_from(rows).where(rows.c.calibration_id == CALIBRATIONS.c.id)
        ).scalar_subquery()

    text = sa.cast(MEASUREMENTS.c.data, sa.Text)
    measured = sa.select(sa.func.coalesce(sa.func.sum(MEASUREMENT_BYTES + sa.func.length(text)), 0)).where(
        MEASUREMENTS.c.calibration_id == CALIBRATIONS.c.id
    )
    op.execute(
        sa.update(CALIBRATIONS).values(
            trials_done=counted("trials"),
            stored_trials=counted("trials"),
            stored_bytes=TRIAL_BYTES * counted("trials") + EVENT_BYTES * counted("events") + measured.scalar_subquery(),
        )
    )
    flops = CALIBRATIONS.c.expected["flops"].as_float()
    ours = sa.and_(CALIBRATIONS.c.expected.is_not(None), CALIBRATIONS.c.runner != "external")
    op.execute(sa.update(CALIBRATIONS).where(ours).values(flops=flops))


def _copy_shared() -> None:
    """Copy to every extension the rows that it shares, the oldest first, since its parent may share them too."""
    connection = op.get_bind()
    sharing = sa.select(CALIBRATIONS.c.id, CALIBRATIONS.c.shares).where(CALIBRATIONS.c.shares.is_not(None))
    found = sa.MetaData()
    found.reflect(connection, only=list(IDENTITY))
    for target, source in connection.execute(sharing.order_by(CALIBRATIONS.c.created_at, CALIBRATIONS.c.id)).all():
        for name, identity in IDENTITY.items():
            table = found.tables[name]
            own = table.alias()
            theirs = sa.select(*(table.c[column] for column in (*identity, *REST[name]))).where(
                table.c.calibration_id == source,
                ~sa.exists().where(
                    own.c.calibration_id == target, *(own.c[column] == table.c[column] for column in identity)
                ),
            )
            if name == "trials":
                theirs = theirs.where(table.c.status != "failed")  # they run again
            rows = connection.execute(theirs.order_by(table.c.created_at, table.c.id)).mappings().all()
            identifiers = sorted(f"{PREFIX[name]}_{secrets.token_hex(12)}" for _ in rows)
            if rows:
                copies = zip(identifiers, rows, strict=True)
                connection.execute(
                    sa.insert(table), [{**row, "id": new, "calibration_id": target} for new, row in copies]
                )
