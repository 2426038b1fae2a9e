"""How tables are to be read, remembered under a name."""

from sqlmodel import col, select

from invoicing.domain.model.wording import caseless
from invoicing.ledger.database import insert_missing, read_all, read_row, session
from invoicing.ledger.models import RememberedLayout


def remember(name: str, layout: str) -> None:
    """Keep a layout under a name, in place of what was there."""
    new = RememberedLayout(name=caseless(name), shown_name=name, layout=layout)
    with session() as ledger:
        insert_missing(ledger, [new])
        ledger.get_one(RememberedLayout, new.name, with_for_update=True).layout = layout


def find(name: str) -> str | None:
    """The layout of a name, or None when there is none."""
    kept = read_row(RememberedLayout, caseless(name))
    return None if kept is None else kept.layout


def names() -> list[str]:
    """The names under which something is remembered."""
    return read_all(select(RememberedLayout.shown_name).order_by(col(RememberedLayout.name)))
