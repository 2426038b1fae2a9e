"""What an org changes as it saves, how often an event failed, why a request came to nothing."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "org_change",
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=False),
        sa.Column("written", sa.Text(), nullable=True),
        sa.Column("saved", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("record_id", "field"),
    )
    op.create_index("ix_org_change_invoice_id", "org_change", ["invoice_id"])
    op.add_column("event", sa.Column("failures", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("request", sa.Column("ended", sa.Text()))


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("request") as request:
        request.drop_column("ended")
    with op.batch_alter_table("event") as event:
        event.drop_column("failures")
    op.drop_table("org_change")
