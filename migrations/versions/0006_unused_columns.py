"""Columns of a sweep's runs that are not axes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision; what runs of before had besides is not known."""
    with op.batch_alter_table("sweep_runs") as batch_op:
        batch_op.add_column(sa.Column("unused", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    """Go back to 0005, without them."""
    with op.batch_alter_table("sweep_runs") as batch_op:
        batch_op.drop_column("unused")
