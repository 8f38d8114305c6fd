"""Users' own sweeps; the lease of housekeeping, which had the name `sweeps`, is called what it is."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LEASE = ("name", "due_at", "worker_id")


def _lease(table: str) -> None:
    op.create_table(
        table,
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{table}")),
    )


def _move_lease(old: str, new: str) -> None:
    """Move the rows of a lease: on Postgres a renamed table would keep the name of its primary key."""
    _lease(new)
    tables = [sa.table(name, *map(sa.column, LEASE)) for name in (old, new)]
    op.execute(sa.insert(tables[1]).from_select(LEASE, sa.select(*tables[0].c)))
    op.drop_table(old)


def upgrade() -> None:
    """Go to this revision."""
    _move_lease("sweeps", "housekeeping")

    op.create_table(
        "sweeps",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=64), server_default=sa.text("''"), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("reading", sa.JSON(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("runs", sa.Integer(), nullable=False),
        sa.Column("diverged", sa.Integer(), nullable=False),
        sa.Column("cells", sa.Integer(), nullable=False),
        sa.Column("axes", sa.JSON(), nullable=False),
        sa.CheckConstraint("runs >= diverged AND runs >= cells AND cells >= 0", name=op.f("ck_sweeps_runs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweeps")),
        sa.UniqueConstraint("owner", "idempotency_key", name=op.f("uq_sweeps_owner_idempotency_key")),
    )
    with op.batch_alter_table("sweeps") as batch_op:
        batch_op.create_index(batch_op.f("ix_sweeps_created_at_id"), ["created_at", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sweeps_owner_created_at_id"), ["owner", "created_at", "id"], unique=False)

    op.create_table(
        "sweep_runs",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("sweep_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("cell", sa.String(length=64), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("axes", sa.JSON(), nullable=False),
        sa.Column("learning_rate", sa.Double(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("loss", sa.Double(), nullable=True),
        sa.CheckConstraint("learning_rate > 0 AND learning_rate < 1e308", name=op.f("ck_sweep_runs_learning_rate")),
        sa.CheckConstraint("loss > 0 AND loss < 1e308", name=op.f("ck_sweep_runs_loss")),
        sa.ForeignKeyConstraint(
            ["sweep_id"], ["sweeps.id"], name=op.f("fk_sweep_runs_sweep_id_sweeps"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sweep_runs")),
        sa.UniqueConstraint("sweep_id", "identity", name=op.f("uq_sweep_runs_sweep_id_identity")),
    )
    with op.batch_alter_table("sweep_runs") as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sweep_runs_sweep_id_created_at_id"), ["sweep_id", "created_at", "id"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_sweep_runs_sweep_id_cell"), ["sweep_id", "cell"], unique=False)


def downgrade() -> None:
    """Go back to 0003: users' sweeps are lost."""
    op.drop_table("sweep_runs")
    op.drop_table("sweeps")
    _move_lease("housekeeping", "sweeps")
