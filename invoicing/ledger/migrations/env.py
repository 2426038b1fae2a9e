"""How Alembic runs the ledger's migrations: on the connection that it is given."""

from typing import Any, Literal

from alembic import context
from sqlmodel import AutoString, SQLModel

from invoicing.ledger.models import Instant


def plain_types(kind: str, item: Any, _context: object) -> str | Literal[False]:
    """Write our column types as SQLAlchemy's own, so that migrations outlive our code."""
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    if kind == "type" and isinstance(item, Instant):
        return "sa.DateTime(timezone=True)"
    return False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    render_as_batch=True,
    render_item=plain_types,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
