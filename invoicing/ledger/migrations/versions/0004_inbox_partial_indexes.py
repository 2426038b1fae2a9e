"""The inbox's indexes hold what is not settled only, and settling times are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

PARTIAL = (
    ("ix_event_unsettled", ["account_id", "id"], "state <> 'done'"),
    ("ix_event_processing", ["account_id", "lane"], "state = 'processing'"),
    ("ix_event_body", ["received_at"], "state = 'done' AND body <> ''"),
)
WHOLE = ("received_at", "state")


def upgrade() -> None:
    """Apply."""
    for column in WHOLE:
        op.drop_index(f"ix_event_{column}", table_name="event")
    for name, columns, condition in PARTIAL:
        where = sa.text(condition)
        op.create_index(name, "event", columns, sqlite_where=where, postgresql_where=where)
    op.create_table(
        "settling_time",
        sa.Column("within", sa.String(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("within"),
    )


def downgrade() -> None:
    """Revert."""
    op.drop_table("settling_time")
    for name, _, _ in PARTIAL:
        op.drop_index(name, table_name="event")
    for column in WHOLE:
        op.create_index(f"ix_event_{column}", "event", [column])
