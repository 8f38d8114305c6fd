"""API keys and owners; workers that say what they did; shards claimed and announced in the order of the queue."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OLD_KEY = "uq_calibrations_idempotency_key"
NEW_KEY = "uq_calibrations_owner_idempotency_key"

#: Columns of 0002's exponents that name their family since, and the filters that it had an index for.
WORDS = ("parameterization", "optimizer", "alignment", "architecture", "dataset", "source")
OLD_FILTERS = ("calibration_id", "role", "quantity", *WORDS)
FAMILIES = sa.table("exponent_families", sa.column("id"), *map(sa.column, WORDS))
EXPONENTS = sa.table("exponents", sa.column("family_id"), *map(sa.column, WORDS))
#: Columns before (created_at, id) in the indexes of exponents.
NEW_LISTINGS = (
    ("owner",),
    *(
        (*owner, "family_id", *filters)
        for owner in ((), ("owner",))
        for filters in ((), ("role",), ("quantity",), ("role", "quantity"))
    ),
)


def _index(columns: tuple[str, ...]) -> str:
    return op.f(f"ix_exponents_{'_'.join(columns)}_created_at_id")


def upgrade() -> None:
    """Go to this revision; what 0002 held belongs to no owner, so to administrators where keys are asked for."""
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    with op.batch_alter_table("api_keys") as batch_op:
        batch_op.create_index(batch_op.f("ix_api_keys_created_at_id"), ["created_at", "id"], unique=False)

    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.add_column(sa.Column("owner", sa.String(length=64), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("request_id", sa.String(length=64), nullable=True))
        batch_op.drop_constraint(batch_op.f(OLD_KEY), type_="unique")
        batch_op.create_unique_constraint(batch_op.f(NEW_KEY), ["owner", "idempotency_key"])
        batch_op.create_index(
            batch_op.f("ix_calibrations_owner_created_at_id"), ["owner", "created_at", "id"], unique=False
        )

    _gather_families()

    with op.batch_alter_table("shards") as batch_op:
        batch_op.add_column(sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.drop_index(batch_op.f("ix_shards_state_created_at_position"))
    op.execute("UPDATE shards SET queued_at = created_at")
    with op.batch_alter_table("shards") as batch_op:
        batch_op.alter_column("queued_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        batch_op.create_index(
            batch_op.f("ix_shards_state_created_at_calibration_id_position"),
            ["state", "created_at", "calibration_id", "position"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_shards_state_queued_at"), ["state", "queued_at"], unique=False)

    with op.batch_alter_table("workers") as batch_op:
        batch_op.add_column(sa.Column("started_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("totals", sa.JSON(none_as_null=True), nullable=True))

    op.create_table(
        "sweeps",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker_id", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sweeps")),
    )


def downgrade() -> None:
    """Go back to 0002: keys, owners and workers' totals are lost; of equal idempotency keys the oldest row keeps it."""
    op.drop_table("sweeps")

    with op.batch_alter_table("workers") as batch_op:
        for column in ("totals", "stopped_at", "started_at"):
            batch_op.drop_column(column)

    with op.batch_alter_table("shards") as batch_op:
        batch_op.drop_index(batch_op.f("ix_shards_state_queued_at"))
        batch_op.drop_index(batch_op.f("ix_shards_state_created_at_calibration_id_position"))
        batch_op.drop_column("queued_at")
        batch_op.create_index(
            batch_op.f("ix_shards_state_created_at_position"), ["state", "created_at", "position"], unique=False
        )

    _spread_families()

    op.execute(
        "UPDATE calibrations SET idempotency_key = NULL WHERE idempotency_key IS NOT NULL AND EXISTS "
        "(SELECT 1 FROM calibrations AS older WHERE older.idempotency_key = calibrations.idempotency_key "
        "AND (older.created_at < calibrations.created_at "
        "OR (older.created_at = calibrations.created_at AND older.id < calibrations.id)))"
    )
    with op.batch_alter_table("calibrations") as batch_op:
        batch_op.drop_index(batch_op.f("ix_calibrations_owner_created_at_id"))
        batch_op.drop_constraint(batch_op.f(NEW_KEY), type_="unique")
        batch_op.create_unique_constraint(batch_op.f(OLD_KEY), ["idempotency_key"])
        for column in ("request_id", "owner"):
            batch_op.drop_column(column)

    op.drop_table("api_keys")


def _gather_families() -> None:
    """Take the words that every exponent of a calibration shares into a table of their combinations."""
    op.create_table(
        "exponent_families",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(word, sa.String(length=64), nullable=False) for word in WORDS),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exponent_families")),
        sa.UniqueConstraint(*WORDS, name="uq_exponent_families"),
    )
    combinations = sa.select(*(EXPONENTS.c[word] for word in WORDS)).distinct()
    op.execute(sa.insert(FAMILIES).from_select(WORDS, combinations))
    with op.batch_alter_table("exponents") as batch_op:
        batch_op.add_column(sa.Column("owner", sa.String(length=64), server_default=sa.text("''"), nullable=False))
        batch_op.add_column(sa.Column("family_id", sa.Integer(), nullable=True))
        for column in OLD_FILTERS:
            batch_op.drop_index(_index((column,)))
    found = sa.select(FAMILIES.c.id).where(*(FAMILIES.c[word] == EXPONENTS.c[word] for word in WORDS))
    op.execute(sa.update(EXPONENTS).values(family_id=found.scalar_subquery()))
    with op.batch_alter_table("exponents") as batch_op:
        batch_op.alter_column("family_id", existing_type=sa.Integer(), nullable=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_exponents_family_id_exponent_families"), "exponent_families", ["family_id"], ["id"]
        )
        for word in WORDS:
            batch_op.drop_column(word)
        for columns in NEW_LISTINGS:
            batch_op.create_index(_index(columns), [*columns, "created_at", "id"], unique=False)


def _spread_families() -> None:
    """Write its family's words into every exponent again."""
    with op.batch_alter_table("exponents") as batch_op:
        for columns in NEW_LISTINGS:
            batch_op.drop_index(_index(columns))
        for word in WORDS:
            batch_op.add_column(sa.Column(word, sa.String(length=64), nullable=True))
    for word in WORDS:
        found = sa.select(FAMILIES.c[word]).where(FAMILIES.c.id == EXPONENTS.c.family_id)
        op.execute(sa.update(EXPONENTS).values({word: found.scalar_subquery()}))
    with op.batch_alter_table("exponents") as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_exponents_family_id_exponent_families"), type_="foreignkey")
        for column in ("family_id", "owner"):
            batch_op.drop_column(column)
        for word in WORDS:
            batch_op.alter_column(word, existing_type=sa.String(length=64), nullable=False)
        for column in OLD_FILTERS:
            batch_op.create_index(_index((column,)), [column, "created_at", "id"], unique=False)
    op.drop_table("exponent_families")
