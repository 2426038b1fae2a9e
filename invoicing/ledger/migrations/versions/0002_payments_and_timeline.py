"""What is known of payments, and the timeline."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STAGED = ("staged_stripe", "staged_salesforce")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "known_payments",
        sa.Column("stripe_id", sa.String(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.Column("disputed", sa.BigInteger(), nullable=False),
        sa.Column("dispute_status", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("credited", sa.BigInteger(), nullable=False),
        sa.Column("payment_state", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("stripe_id"),
    )
    op.create_table(
        "timeline",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=True),
        sa.Column("stripe_id", sa.String(), nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("amount", sa.Float(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("run_url", sa.String(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )
    op.create_index(op.f("ix_timeline_record_id"), "timeline", ["record_id"], unique=False)
    op.create_index(op.f("ix_timeline_state"), "timeline", ["state"], unique=False)
    for table in STAGED:
        credited = sa.Column("credited", sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, credited)


def downgrade() -> None:
    """Revert."""
    for table in STAGED:
        with op.batch_alter_table(table) as batch_op:
            batch_op.drop_column("credited")
    op.drop_index(op.f("ix_timeline_state"), table_name="timeline")
    op.drop_index(op.f("ix_timeline_record_id"), table_name="timeline")
    op.drop_table("timeline")
    op.drop_table("known_payments")
