"""Processes share one login to Salesforce."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "shared_login",
        sa.Column("subject", sa.String(), primary_key=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("shared_login")
