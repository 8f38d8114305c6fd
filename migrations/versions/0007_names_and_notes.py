"""Names and notes of calibrations."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_INDEX = "ix_calibrations_name_created_at_id"
_NAMED = sa.text("name IS NOT NULL")


def upgrade() -> None:
    """Go to this revision; calibrations of before have neither."""
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.add_column(sa.Column("name", sa.String(100), nullable=True))
        batch_op.add_column(sa.Column("note", sa.Text(), nullable=True))
        batch_op.create_index(
            batch_op.f(_INDEX),
            ["name", "created_at", "id"],
            unique=False,
            sqlite_where=_NAMED,
            postgresql_where=_NAMED,
        )


def downgrade() -> None:
    """Go back to 0006, without them."""
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.drop_index(batch_op.f(_INDEX))
        batch_op.drop_column("note")
        batch_op.drop_column("name")
