"""Drift of a million invoices is read in chunks without being sorted for each."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_drift_by_account", "drift", ["run_id", "account_id", "subject"])


def downgrade() -> None:
    """Revert."""
    op.drop_index("ix_drift_by_account", table_name="drift")
