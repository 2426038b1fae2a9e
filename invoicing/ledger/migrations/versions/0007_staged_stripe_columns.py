"""A full sync stages what it compares; what it writes, it reads again."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLE = "staged_stripe"


def upgrade() -> None:
    """Apply; what an unfinished sync has staged is read again."""
    _empty()
    op.drop_column(TABLE, "facts")
    op.add_column(TABLE, sa.Column("account_id", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    _empty()
    op.drop_column(TABLE, "account_id")
    op.add_column(TABLE, sa.Column("facts", sa.Text(), nullable=False, server_default="[]"))


def _empty() -> None:
    for table in (TABLE, "sync_window"):
        op.execute(sa.text(f"DELETE FROM {table}"))  # noqa: S608
    op.execute(sa.text("UPDATE sync_run SET finished_at = started_at WHERE finished_at IS NULL"))
