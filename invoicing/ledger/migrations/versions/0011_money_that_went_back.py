"""What is known of payments: refunds without credit notes, credits, lost disputes, bank debits.

Which products Stripe has is asked of Stripe.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLE = "known_payments"
AMOUNTS = ("unnoted", "lost", "on_balance", "out_of_band", "under_way")


def upgrade() -> None:
    """Apply."""
    for name in AMOUNTS:
        op.add_column(TABLE, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.drop_table("product")


def downgrade() -> None:
    """Take back."""
    for name in AMOUNTS:
        op.drop_column(TABLE, name)
    op.create_table(
        "product",
        sa.Column("product_id", sa.String(), nullable=False),
        sa.Column("stripe_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("product_id"),
    )
