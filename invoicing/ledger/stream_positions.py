"""How far streams were read: by instants where their places have an order, else by replay ids."""

from datetime import UTC, datetime

from invoicing.ledger.database import read_row, session
from invoicing.ledger.models import Cursor, Subscription


def place(name: str) -> bytes | None:
    """The place after which to go on; None where nothing was read yet."""
    found = read_row(Subscription, name)
    return bytes.fromhex(found.replay_id) if found and found.replay_id else None


def heard_at(name: str) -> datetime | None:
    """When something was last heard of the stream, be it a sign of life; None: never."""
    found = read_row(Subscription, name)
    return found.moved_at if found else None


def move(name: str, replay_id: bytes | None) -> None:
    """Remember how far a stream was read, or that its place is lost."""
    moved = Subscription(
        name=name, replay_id=replay_id.hex() if replay_id else "", moved_at=datetime.now(UTC)
    )
    with session() as ledger:
        ledger.merge(moved)


def cursor(name: str) -> datetime | None:
    """Position in a stream, as a UTC instant."""
    found = read_row(Cursor, name)
    return found.position if found else None


def move_cursor(name: str, position: datetime) -> None:
    """Remember how far a stream was read; never moves backwards."""
    with session() as ledger:
        found = ledger.get(Cursor, name, with_for_update=True)
        if found is None or found.position < position:
            ledger.merge(Cursor(name=name, position=position, moved_at=datetime.now(UTC)))
