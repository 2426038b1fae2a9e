"""Requests that are records of their own in Salesforce, and how far each has come."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "request_record",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("invoice_id", sa.String(), nullable=True),
        sa.Column("open_key", sa.String(), nullable=True),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.String(), nullable=True),
        sa.Column("answered", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    unanswered = sa.text("NOT answered")
    op.create_index(
        "ix_request_record_open",
        "request_record",
        ["run_id"],
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("request_record")
