"""How much of a text the org's fields hold, where that is less than ours."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("binding", sa.Column("lengths", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("binding") as binding:
        binding.drop_column("lengths")
