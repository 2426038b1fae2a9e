"""What credit notes say is refunded, and never arrived."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    amount = sa.Column("failed_refunds", sa.BigInteger(), nullable=False, server_default="0")
    op.add_column("known_payments", amount)


def downgrade() -> None:
    """Take back."""
    op.drop_column("known_payments", "failed_refunds")
