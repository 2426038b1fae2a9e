"""A full sync that goes on remembers that it has read Salesforce already."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    column: sa.Column[bool] = sa.Column(
        "salesforce_read", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("sync_run", column)


def downgrade() -> None:
    """Take back."""
    op.drop_column("sync_run", "salesforce_read")
