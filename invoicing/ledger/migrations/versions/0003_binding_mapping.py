"""Which field mapping the org was checked against."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    column = sa.Column("mapping", sa.String(), nullable=False, server_default="")
    op.add_column("binding", column)


def downgrade() -> None:
    """Take back."""
    op.drop_column("binding", "mapping")
