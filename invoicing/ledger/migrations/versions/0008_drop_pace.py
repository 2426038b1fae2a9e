"""One process reads Stripe: its pace and its windows are its own."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_table("pace")
    op.drop_column("sync_window", "expires_at")


def downgrade() -> None:
    """Take back."""
    op.add_column("sync_window", sa.Column("expires_at", sa.DateTime(timezone=True)))
    op.create_table(
        "pace",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("rate", sa.Float(), nullable=False),
        sa.Column("next_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
