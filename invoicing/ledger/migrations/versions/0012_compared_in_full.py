"""A full sync compares all that a record mirrors, lines too.

What an unfinished full sync has staged lacks what is compared now, so that the next one begins
anew.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ADDED: dict[str, list[sa.Column[Any]]] = {
    "staged_stripe": [
        sa.Column("digest", sa.String(), nullable=False, server_default=""),
        sa.Column("draft_digest", sa.String()),
        sa.Column("lines", sa.BigInteger()),
        sa.Column("lines_amount", sa.BigInteger(), nullable=False, server_default="0"),
    ],
    "staged_salesforce": [
        sa.Column("made_here", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("digest", sa.String(), nullable=False, server_default=""),
        sa.Column("refunded", sa.BigInteger()),
        sa.Column("disputed", sa.BigInteger()),
        sa.Column("dispute_status", sa.String()),
        sa.Column("payment_problem", sa.String()),
        sa.Column("sent", sa.Boolean()),
    ],
    "known_payments": [sa.Column("shown_problem", sa.String())],
    "invoice_link": [sa.Column("lines", sa.BigInteger())],
    "drift": [sa.Column("lines", sa.Boolean(), nullable=False, server_default=sa.false())],
}


def upgrade() -> None:
    """Apply."""
    for table, columns in ADDED.items():
        for column in columns:
            op.add_column(table, column.copy())
    with op.batch_alter_table("staged_salesforce") as staged:
        staged.alter_column("credited", existing_type=sa.BigInteger(), nullable=True)
    op.create_table(
        "staged_lines",
        sa.Column("line_id", sa.String(), nullable=False),
        sa.Column("record_id", sa.String(), nullable=False),
        sa.Column("lines", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("line_id"),
    )
    op.create_index("ix_staged_lines_record_id", "staged_lines", ["record_id"])
    op.execute(
        sa.text(
            "UPDATE known_payments SET shown_problem = problem WHERE stripe_id IN "
            "(SELECT stripe_id FROM invoice_link WHERE status IN ('Open', 'Uncollectible'))"
        )
    )
    op.execute(sa.text("UPDATE sync_run SET finished_at = started_at WHERE finished_at IS NULL"))


def downgrade() -> None:
    """Take back."""
    op.drop_table("staged_lines")
    op.execute(sa.text("UPDATE staged_salesforce SET credited = 0 WHERE credited IS NULL"))
    with op.batch_alter_table("staged_salesforce") as staged:
        staged.alter_column("credited", existing_type=sa.BigInteger(), nullable=False)
    for name, columns in ADDED.items():
        with op.batch_alter_table(name) as altered:
            for column in columns:
                altered.drop_column(column.name)
