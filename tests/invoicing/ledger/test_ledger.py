"""The ledger keeps its promises on SQLite and on PostgreSQL."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from invoicing.domain.events import News
from invoicing.errors import Busy, Passing, Refused
from invoicing.ledger import database, inbox, intents, leases
from invoicing.ledger.models import Event, Intent, Lease

pytestmark = pytest.mark.usefixtures("ledger_url")


def event(number: int) -> Event:
    """An event about an invoice."""
    news = News(
        event_id=f"evt_{number}",
        type="invoice.paid",
        livemode=False,
        occurred_at=datetime.now(UTC),
        account_id=None,
        object_id="in_1",
        invoice_id="in_1",
    )
    return inbox.written_down(news, "{}", account_id="acct_1", source="webhook")


def age(table: type[Lease] | type[Event] | type[Intent], **changes: datetime) -> None:
    """Let time pass for the rows of a table."""
    from sqlalchemy import update

    with database.session() as ledger:
        ledger.execute(update(table).values(**changes))


def test_the_migrations_make_the_tables_of_the_models() -> None:
    """Nobody forgot a migration."""
    with database.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": False})
        assert compare_metadata(context, SQLModel.metadata) == []


def test_migrating_twice_changes_nothing() -> None:
    """Every start may migrate."""
    database.migrate()


def test_one_run_at_a_time_holds_an_invoice() -> None:
    """The owner may renew, others wait until release or expiry."""
    fence = leases.acquire("invoice", "first")
    assert leases.acquire("invoice", "first") == fence
    with pytest.raises(Busy, match="Another run is working on this invoice"):
        leases.acquire("invoice", "second")
    age(Lease, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert leases.acquire("invoice", "second") == fence + 1
    leases.release("invoice", "first")
    assert leases.held("invoice", "second")
    leases.release("invoice", "second")
    assert not leases.held("invoice", "second")


def test_of_many_at_once_one_gets_the_lease() -> None:
    """Eight runs press at the same moment."""

    def press(number: int) -> bool:
        try:
            leases.acquire("invoice", f"run-{number}")
        except Busy:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(press, range(8))) == 1


class Service:
    """A service with one effect, which may lose answers and fail."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self.effects: dict[str, str] = {}
        self.keys: list[str] = []

    def act(
        self, failing: Exception | None = None, *, happens: bool = True
    ) -> Callable[[str], str]:
        """A call that has its effect once per key, and then perhaps fails."""

        def call(key: str) -> str:
            self.keys.append(key)
            if happens:
                self.effects.setdefault(key, f"made-{len(self.effects) + 1}")
            if failing:
                raise failing
            return self.effects[key]

        return call

    def evidence(self, _since: datetime) -> str | None:
        """What can be seen to have happened."""
        return next(iter(self.effects.values()), None)


def once(service: Service, act: Callable[[str], str], *, digest: str = "d") -> str:
    """Make the thing once."""
    return intents.once(
        "make", "thing", digest=digest, actor="run", evidence=service.evidence, act=act
    )


def test_an_effect_happens_once_however_often_it_is_wanted() -> None:
    """The outcome is remembered; the service is not asked again."""
    service = Service()
    assert once(service, service.act()) == "made-1"
    assert once(service, service.act(), digest="other") == "made-1"
    assert len(service.keys) == 1


def test_a_lost_answer_is_found_by_its_evidence() -> None:
    """The effect happened, the answer did not come: nothing is made again."""
    service = Service()
    with pytest.raises(Passing):
        once(service, service.act(Passing("lost")))
    assert once(service, service.act()) == "made-1"
    assert len(service.keys) == 1


def test_an_unanswered_call_is_repeated_under_its_key() -> None:
    """It may still be under way, and then only its key protects."""
    service = Service()
    with pytest.raises(Passing):
        once(service, service.act(Passing("time-out"), happens=False))
    once(service, service.act())
    assert service.keys[0] == service.keys[1]


def test_a_failed_answer_needs_a_new_key() -> None:
    """Stripe would repeat its 500 for a day under the old one."""
    service = Service()
    with pytest.raises(Passing):
        once(service, service.act(Passing("500", answered=True), happens=False))
    once(service, service.act())
    assert service.keys[0] != service.keys[1]


def test_after_23_hours_the_key_no_longer_counts() -> None:
    """Stripe forgets keys after 24 hours; the evidence was read, then a new key is taken."""
    service = Service()
    with pytest.raises(Passing):
        once(service, service.act(Passing("time-out"), happens=False))
    age(Intent, keyed_at=datetime.now(UTC) - timedelta(hours=23, seconds=1))
    once(service, service.act())
    assert service.keys[0] != service.keys[1]


def test_a_refused_call_did_not_begin() -> None:
    """What the service refused had no effect, and other parameters may be tried."""
    service = Service()
    with pytest.raises(Refused):
        once(service, service.act(Refused("no"), happens=False))
    assert not intents.began("make", "thing")
    assert once(service, service.act(), digest="corrected") == "made-1"


def test_an_event_is_written_down_once() -> None:
    """Delivered twice, and once more by the poll: one row."""
    assert inbox.receive([event(1), event(2)]) == 2
    assert inbox.receive([event(1), event(3)]) == 1
    assert inbox.backlog() == {"received": 3}


def test_many_receivers_write_the_same_events_down_once() -> None:
    """Side by side, with the same news."""
    with ThreadPoolExecutor(4) as pool:
        new = list(pool.map(lambda _: inbox.receive([event(n) for n in range(20)]), range(4)))
    assert sum(new) == 20


def test_events_are_claimed_by_one_handler_and_taken_over_when_it_dies() -> None:
    """A killed handler's events go to the next one once its lease is over."""
    inbox.receive([event(n) for n in range(4)])
    with ThreadPoolExecutor(4) as pool:
        claims = list(pool.map(lambda n: inbox.claim(f"handler-{n}", limit=2), range(4)))
    claimed = [row.event_id for claim in claims for row in claim]
    assert sorted(claimed) == [f"evt_{n}" for n in range(4)]
    age(Event, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    taken = inbox.claim("next", limit=10)
    assert [row.attempts for row in taken] == [2, 2, 2, 2]
    inbox.finish([row.id or 0 for row in taken], "handler-0")
    assert inbox.backlog() == {"processing": 4}
    inbox.finish([row.id or 0 for row in taken], "next")
    assert inbox.backlog() == {"done": 4}


def test_a_failed_event_waits_longer_each_time_and_then_is_dead() -> None:
    """It is not lost, and it does not block the others."""
    inbox.receive([event(1)])
    for attempt in range(1, inbox.MAX_ATTEMPTS + 1):
        [row] = inbox.claim("handler", limit=10)
        assert row.attempts == attempt
        inbox.fail([row.id or 0], "handler", "no luck", for_good=False)
        assert inbox.claim("handler", limit=10) == []
        if attempt < inbox.MAX_ATTEMPTS:
            age(Event, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert inbox.backlog() == {"dead": 1}


def test_the_cursor_never_moves_backwards() -> None:
    """Two polls that overtake each other lose nothing."""
    now = datetime.now(UTC).replace(microsecond=0)
    inbox.move_cursor("events", now)
    inbox.move_cursor("events", now - timedelta(hours=1))
    assert inbox.cursor("events") == now
