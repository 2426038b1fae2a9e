"""By which credentials an org and an account were checked, and which currencies the org has."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TEXTS = ("access", "currency")


def upgrade() -> None:
    """Apply; what was checked before is checked again."""
    for name in TEXTS:
        column = sa.Column(name, sa.String(), nullable=False, server_default="")
        op.add_column("binding", column)
    several: sa.Column[bool] = sa.Column(
        "multi_currency", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("binding", several)


def downgrade() -> None:
    """Take back."""
    for name in (*TEXTS, "multi_currency"):
        op.drop_column("binding", name)
