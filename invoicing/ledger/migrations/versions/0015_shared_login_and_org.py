"""Processes share one login to Salesforce, know more of the org, and of Accounts that merged."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
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
    with op.batch_alter_table("customer") as batch:
        batch.add_column(
            sa.Column("merged", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("binding") as batch:
        batch.add_column(
            sa.Column("country_codes", sa.Boolean(), nullable=False, server_default=sa.false())
        )
        batch.add_column(
            sa.Column("invoice_prefix", sa.String(), nullable=False, server_default="")
        )


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("customer") as batch:
        batch.drop_column("merged")
    with op.batch_alter_table("binding") as batch:
        batch.drop_column("invoice_prefix")
        batch.drop_column("country_codes")
    op.drop_table("shared_login")
