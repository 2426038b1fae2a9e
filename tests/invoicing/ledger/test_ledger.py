"""The ledger keeps its promises on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event as listener
from sqlmodel import SQLModel

from invoicing.domain.stripe.event_parsing import EventSummary
from invoicing.errors import Busy, Rejected, TransientError
from invoicing.ledger import (
    action_field_requests,
    database,
    inbox,
    intents,
    leases,
    request_records,
    run_durations,
    stream_positions,
)
from invoicing.ledger.inbox import EventFilter
from invoicing.ledger.models import Event, Intent, Lease, RequestRecord
from invoicing.ledger.run_durations import EndedRun
from invoicing.settings import settings
from tests.leases import acquire, release

pytestmark = pytest.mark.usefixtures("ledger_url")


def event(
    number: int,
    customer: str | None = None,
    type: str = "invoice.paid",  # noqa: A002
) -> inbox.NewEvent:
    """An event about an invoice of a customer, by default of its own."""
    news = EventSummary(
        event_id=f"evt_{number}",
        type=type,
        livemode=False,
        occurred_at=datetime.now(UTC),
        account_id=None,
        object_id="in_1",
        invoice_id="in_1",
        customer_id=customer or f"cus_{number}",
    )
    return inbox.new_event(news, "{}", account_id="acct_1", source="webhook")


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
    acquire("invoice", "first")
    acquire("invoice", "first")
    with pytest.raises(Busy, match="Another run is working on this invoice"):
        acquire("invoice", "second", what="this invoice")
    age(Lease, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    acquire("invoice", "second", what="this invoice")
    release("invoice", "first")
    assert leases.held("invoice", "second")
    release("invoice", "second")
    assert not leases.held("invoice", "second")


def test_a_long_lease_is_not_shortened_by_being_renewed() -> None:
    """Whoever took it for an hour has it for an hour, whatever step asks for it meanwhile."""
    acquire("invoice", "me", seconds=3600)
    until = leases.expiry("invoice")
    acquire("invoice", "me")
    leases.renew("me")
    assert leases.expiry("invoice") == until


def test_several_leases_at_once() -> None:
    """What is free is taken, what was ours is kept, what another has is said to be busy."""
    acquire("ours", "me")
    acquire("theirs", "somebody")
    taken, busy = leases.acquire_all(["free", "ours", "theirs"], "me")
    assert (taken, set(busy)) == ({"free"}, {"theirs"})
    leases.release_all(taken, "me")
    assert [leases.held(name, "me") for name in ("free", "ours")] == [False, True]


def test_of_many_at_once_one_gets_the_lease() -> None:
    """Eight runs press at the same moment."""

    def press(number: int) -> bool:
        try:
            acquire("invoice", f"run-{number}")
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
        self.looked_at = 0

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
        self.looked_at += 1
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
    assert (len(service.keys), service.looked_at) == (1, 0)


def test_a_lost_answer_is_found_by_its_evidence() -> None:
    """The effect happened, the answer did not come: nothing is made again."""
    service = Service()
    with pytest.raises(TransientError):
        once(service, service.act(TransientError("lost")))
    assert once(service, service.act()) == "made-1"
    assert len(service.keys) == 1


def test_an_unanswered_call_is_repeated_under_its_key() -> None:
    """It may still be under way, and then only its key protects."""
    service = Service()
    with pytest.raises(TransientError):
        once(service, service.act(TransientError("time-out"), happens=False))
    once(service, service.act())
    assert service.keys[0] == service.keys[1]


def test_a_failed_answer_needs_a_new_key() -> None:
    """Stripe would repeat its 500 for a day under the old one."""
    service = Service()
    with pytest.raises(TransientError):
        once(service, service.act(TransientError("500", answered=True), happens=False))
    once(service, service.act())
    assert service.keys[0] != service.keys[1]


def test_an_answer_to_the_second_call_does_not_end_the_first() -> None:
    """The first may still be under way; only the repetition of its own answer ends it."""
    service = Service()
    for failure in (
        TransientError("time-out"),
        TransientError("503", answered=True),
        TransientError("500 again", answered=True, replayed=True),
    ):
        with pytest.raises(TransientError):
            once(service, service.act(failure, happens=False))
    once(service, service.act())
    first, second, third, fourth = service.keys
    assert first == second == third != fourth


def test_after_23_hours_the_key_no_longer_counts() -> None:
    """Stripe forgets keys after 24 hours; the evidence was read, then a new key is taken, once."""
    service = Service()
    for hours in (23, 0, 0):
        with pytest.raises(TransientError):
            once(service, service.act(TransientError("time-out"), happens=False))
        if hours:
            age(Intent, keyed_at=datetime.now(UTC) - timedelta(hours=hours, seconds=1))
    once(service, service.act())
    first, *others = service.keys
    assert len(set(others)) == 1
    assert first not in others


def test_what_is_done_stays_with_whoever_did_it() -> None:
    """Another run takes over what was begun, and nothing else."""
    intents.intend("make", "thing", digest="d", actor="first")
    intents.take_over("make", "thing", "second")
    intents.conclude("make", "thing", "made")
    intents.take_over("make", "thing", "third")
    made = intents.find("make", "thing")
    assert made is not None
    assert made.actor == "second"


def test_other_content_needs_a_key_of_its_own() -> None:
    """Stripe refuses other parameters under a key that it knows; the same again keep theirs."""
    service = Service()
    for digest in ("d", "other", "other"):
        with pytest.raises(TransientError):
            once(service, service.act(TransientError("time-out"), happens=False), digest=digest)
    once(service, service.act(), digest="other")
    first, *others = service.keys
    assert len(set(others)) == 1
    assert first not in others
    assert [key.rpartition(":")[2] for key in service.keys] == ["d", "other", "other", "other"]


def test_what_is_done_again_has_another_key() -> None:
    """Its effect is known to be gone; under the old key Stripe would repeat its old answer."""
    service = Service()
    once(service, service.act())
    service.effects.clear()
    intents.reopen("make", "thing", "another run")
    once(service, service.act())
    first, second = service.keys
    assert first != second


def test_two_orgs_with_one_account_have_keys_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids of records are the same in a copy of an org, and Stripe sees keys only."""
    service = Service()
    once(service, service.act())
    [key] = service.keys
    assert intents.is_key_of("make", "thing", key)
    monkeypatch.setenv("INVOICING_SALESFORCE__ORG_ID", "00D000000000009AAA")
    settings.cache_clear()
    assert not intents.is_key_of("make", "thing", key)


def test_a_request_id_stands_for_one_content() -> None:
    """Another content is refused, unless the first came to nothing."""

    def claim(digest: str) -> bool:
        return intents.claim("raise", "request-1", digest=digest, actor="run")

    assert [claim("one"), claim("one"), claim("other"), claim("one")] == [True, True, False, True]
    intents.withdraw("raise", "request-1")
    assert [claim("other"), claim("one")] == [True, False]


def test_alike_is_the_same_content_that_was_not_refused() -> None:
    """Of the same invoice, under another request, the newest first."""
    alike = ("a01:1", "d"), ("a01:2", "other"), ("a02:1", "d"), ("a01:3", "d")
    for subject, digest in alike:
        intents.intend("credit", subject, digest=digest, actor=subject)

    def found(but: str) -> list[str]:
        return [one.subject for one in intents.find_alike("credit", "a01:", digest="d", but=but)]

    assert [found("a01:9"), found("a01:1")] == [["a01:3", "a01:1"], ["a01:3"]]
    intents.withdraw("credit", "a01:3")
    assert found("a01:9") == ["a01:1"]


def test_what_a_ledger_knows_is_not_written_over_when_it_is_rebuilt() -> None:
    """What the services tell is added to it: an outcome that was missing, and nothing else."""
    intents.set_decision("make", "done", digest="d", actor="run", outcome="made-1")
    intents.intend("make", "begun", digest="d", actor="run")
    told = [
        intents.new_intent(
            "make", subject, digest="d", at=datetime.now(UTC), actor="rebuild", outcome="made-2"
        )
        for subject in ("done", "begun", "lost")
    ]
    assert [intents.restore(told), intents.restore(told)] == [2, 0]
    kept = [intents.find("make", subject) for subject in ("done", "begun", "lost")]
    assert [one and one.outcome for one in kept] == ["made-1", "made-2", "made-2"]


def test_a_backup_takes_no_key_again_that_was_used_since() -> None:
    """Stripe's events tell of a later call of the same than the restored ledger knows."""
    service = Service()
    with pytest.raises(TransientError):
        once(service, service.act(TransientError("time-out"), happens=False))
    later = intents.new_intent("make", "thing", digest="d", at=datetime.now(UTC), actor="rebuild")
    later.generation = 2
    intents.restore([later])
    once(service, service.act())
    assert [key.split(":")[3] for key in service.keys] == ["1", "2"]


def test_only_a_key_of_ours_tells_what_a_call_was_for() -> None:
    """Another org bills by the same account, and programs have keys of their own."""
    service = Service()
    once(service, service.act())
    [key] = service.keys
    now = datetime.now(UTC)
    ours = intents.of_key(key, now, "rebuild")
    assert ours is not None
    assert (ours.operation, ours.subject, ours.digest) == ("make", "thing", "d")
    for other in (key.replace(":00D", ":00E"), "0c5e-own-key", None):
        assert intents.of_key(other, now, "rebuild") is None


def test_a_call_is_written_down_before_it_is_made() -> None:
    """Whoever comes after a death in the middle of it finds what was intended, and by whom."""
    seen: list[Intent | None] = []

    def act(_key: str) -> str:
        seen.append(intents.find("make", "thing"))
        raise TransientError("killed here")

    with pytest.raises(TransientError):
        once(Service(), act)
    [intent] = seen
    assert intent
    assert (intent.actor, intent.digest, intent.outcome) == ("run", "d", None)


def test_a_refusal_after_a_lost_answer_may_come_of_its_effect() -> None:
    """What is done already cannot be done: the refusal is no reason to think that it was not."""
    service = Service()
    with pytest.raises(TransientError):
        once(service, service.act(TransientError("lost"), happens=False))

    def act(_key: str) -> str:
        service.effects["late"] = "made-late"
        raise Rejected("it is void already")

    assert once(service, act) == "made-late"


def test_a_refused_call_did_not_begin() -> None:
    """What the service refused had no effect, and other parameters may be tried."""
    service = Service()
    with pytest.raises(Rejected):
        once(service, service.act(Rejected("no"), happens=False))
    assert not intents.attempted("make", "thing")
    assert once(service, service.act(), digest="corrected") == "made-1"


def test_a_decision_is_made_once() -> None:
    """Eight decide at the same moment: one has, and all are told which."""

    def decide(number: int) -> str:
        kept = intents.decide_once(
            "decide", "thing", digest=f"{number}", actor=f"run-{number}", outcome="somebody"
        )
        return kept.actor

    with ThreadPoolExecutor(8) as pool:
        [decided] = set(pool.map(decide, range(8)))
    assert decide(9) == decided


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


def test_receivers_that_get_the_same_events_the_other_way_round_do_not_block_each_other() -> None:
    """Stripe delivers in any order, and each of these comes twice."""

    def deliver(number: int) -> int:
        first = number // 2 * 200
        events = [event(n) for n in range(first, first + 200)]
        return inbox.receive(events if number % 2 else events[::-1])

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(deliver, range(60))) == 30 * 200


def test_events_are_claimed_by_one_handler_and_taken_over_when_it_dies() -> None:
    """A killed handler's events go to the next one once its lease is over."""
    inbox.receive([event(n) for n in range(4)])
    with ThreadPoolExecutor(4) as pool:
        claims = list(
            pool.map(lambda n: inbox.claim(f"handler-{n}", account_id="acct_1", limit=2), range(4))
        )
    claimed = [row.event_id for claim in claims for row in claim]
    assert sorted(claimed) == [f"evt_{n}" for n in range(4)]
    age(Event, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    taken = inbox.claim("next", account_id="acct_1", limit=10)
    assert [row.attempts for row in taken] == [2, 2, 2, 2]
    inbox.finish([row.id or 0 for row in taken], "handler-0")
    assert inbox.backlog() == {"processing": 4}
    inbox.finish([row.id or 0 for row in taken], "next")
    assert (inbox.backlog(), inbox.processed()) == ({}, 4)


def test_a_handler_that_lives_keeps_its_events_and_leases() -> None:
    """Each sign of life gives it another while, for what is its own only."""
    inbox.receive([event(1), event(2)])
    [mine] = inbox.claim("living", account_id="acct_1", limit=1)
    [theirs] = inbox.claim("dead", account_id="acct_1", limit=1)
    for subject, owner in (("mine", "living"), ("theirs", "dead")):
        acquire(subject, owner)
    past = datetime.now(UTC) - timedelta(seconds=1)
    age(Event, lease_expires_at=past)
    age(Lease, expires_at=past)
    inbox.heartbeat("living")
    leases.renew("living")
    assert [row.id for row in inbox.claim("next", account_id="acct_1", limit=10)] == [theirs.id]
    assert [leases.held(*held) for held in (("mine", "living"), ("theirs", "dead"))] == [
        True,
        False,
    ]
    inbox.release("living")
    assert [row.id for row in inbox.claim("third", account_id="acct_1", limit=10)] == [mine.id]


def test_a_run_that_is_begun_anew_has_its_events_back_at_once() -> None:
    """Nobody waits for the lease of an attempt that is known to be over."""
    inbox.receive([event(1)])
    first, second = leases.owner_of("run", 1), leases.owner_of("run", 2)
    [row] = inbox.claim(first, account_id="acct_1", limit=10)
    assert inbox.claim(leases.owner_of("run-2", 1), account_id="acct_1", limit=10) == []
    assert [again.attempts for again in inbox.claim(second, account_id="acct_1", limit=10)] == [2]
    inbox.finish([row.id or 0], first)
    assert inbox.backlog() == {"processing": 1}


def test_processing_times_are_counted_once() -> None:
    """In the transaction that marks the events as done; a replay years later is no slow event."""
    inbox.receive([event(1), event(2), event(3)])
    rows = inbox.claim("handler", account_id="acct_1", limit=10)
    age(Event, received_at=datetime.now(UTC) - timedelta(seconds=45))
    for _ in range(2):
        inbox.finish([row.id or 0 for row in rows], "handler")
    inbox.replay("acct_1", EventFilter())
    again = inbox.claim("handler", account_id="acct_1", limit=10)
    inbox.finish([row.id or 0 for row in again], "handler")
    assert {row.within: row.events for row in inbox.processing_times() if row.events} == {"60": 3}
    assert inbox.processed() == 3


def test_runs_are_counted_once() -> None:
    """Whoever has read the same runs beside another counts nothing of them; no crash is a zero."""
    began, ended = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC)
    flows = ["erase-customer", "send-invoice"]
    run_durations.count([], flows, None, began)
    runs = [EndedRun("send-invoice", "completed", 1.5), EndedRun("send-invoice", "failed", 700)]
    for _ in range(2):
        run_durations.count(runs, flows, began, ended)
    run_durations.count(runs[:1], flows, ended, ended)
    found = run_durations.run_times()
    counts = {
        kind: {row.within: row.runs for row in rows if row.runs} for kind, rows in found.items()
    }
    assert counts == {
        ("erase-customer", "crashed"): {},
        ("send-invoice", "crashed"): {},
        ("send-invoice", "completed"): {"2": 2},
        ("send-invoice", "failed"): {"1800": 1},
    }
    assert sum(row.seconds for row in found["send-invoice", "completed"]) == 3


def test_what_is_done_is_never_looked_through(ledger_url: str) -> None:
    """However many events are done, what is asked all the time goes by the indexes of the rest."""
    inbox.receive([event(n) for n in range(2000)])
    with database.engine().begin() as ledger:
        ledger.exec_driver_sql("UPDATE event SET state = 'done', body = '' WHERE id <> 7")
        ledger.exec_driver_sql("ANALYZE event")
    with statements() as asked:
        inbox.backlog()
        inbox.oldest_waiting()
        inbox.dead_letters("acct_1")
        inbox.last_dead_at("acct_1")
        inbox.claim("handler", account_id="acct_1", limit=10)
        inbox.heartbeat("handler")
        inbox.release("handler")
        inbox.delete_bodies(datetime.now(UTC))
    explain = "EXPLAIN QUERY PLAN" if ledger_url.startswith("sqlite") else "EXPLAIN"
    with database.engine().connect() as ledger:
        for statement, parameters in asked:
            plan = str(ledger.exec_driver_sql(f"{explain} {statement}", parameters).all())
            assert "ix_event_" in plan or "PRIMARY KEY" in plan or "event_pkey" in plan, statement
            assert "Seq Scan on event" not in plan, statement


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What the inbox's table is asked while the block runs."""
    asked: list[tuple[str, Any]] = []

    def note(_c: Any, _cu: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "FROM event" in statement or "UPDATE event" in statement:
            asked.append((statement, parameters))

    listener.listen(database.engine(), "before_cursor_execute", note)
    yield asked
    listener.remove(database.engine(), "before_cursor_execute", note)


def test_a_failed_event_waits_longer_each_time_and_then_is_dead() -> None:
    """It is not lost, and it does not block the others."""
    inbox.receive([event(1)])
    waits: list[int] = []
    while inbox.backlog() != {"dead": 1}:
        [row] = inbox.claim("handler", account_id="acct_1", limit=10)
        before = datetime.now(UTC)
        inbox.fail([row.id or 0], "handler", "no luck", for_good=False)
        assert inbox.claim("handler", account_id="acct_1", limit=10) == []
        with database.session() as ledger:
            wait = (ledger.get_one(Event, row.id).lease_expires_at or before) - before
            waits.append(round(wait.total_seconds()))
        age(Event, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    *waits, never_again = waits
    assert (waits[:3], never_again) == ([10, 20, 40], 0)
    assert waits == sorted(waits)
    assert timedelta(days=3) < timedelta(seconds=sum(waits)) < timedelta(days=5)


def test_dead_letters_are_closed_by_what_puts_their_invoice_right() -> None:
    """Not what came in since the invoice was read, nor payments that nobody looked into."""
    inbox.receive([event(1), event(2, type="charge.dispute.created"), event(3)])
    rows = inbox.claim("handler", account_id="acct_1", limit=10)
    inbox.fail([row.id or 0 for row in rows], "handler", "locked", for_good=True)
    assert inbox.dead_letters_changed_at("acct_1") == inbox.last_dead_at("acct_1")

    def closed(invoices: list[str], before: datetime, reread: tuple[str, ...] = ()) -> int:
        return inbox.close_dead_letters("acct_1", invoices, before=before, reread_payments=reread)

    long_ago, now = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC)
    assert closed(["in_1"], long_ago) == 0
    assert closed(["in_other"], now) == 0
    assert closed(["in_1"], now) == 2
    assert [row.type for row in inbox.dead_letters("acct_1")] == ["charge.dispute.created"]
    assert closed(["in_1"], now, reread=("in_2",)) == 0
    assert closed(["in_1"], now, reread=("in_1",)) == 1
    assert inbox.last_dead_at("acct_1") is None
    assert inbox.dead_letters_changed_at("acct_1") is not None


def test_one_customers_events_are_handled_by_one_handler_at_a_time() -> None:
    """Different customers side by side, each customer's own in order."""
    inbox.receive([event(n, customer=f"cus_{n % 2}") for n in range(6)])
    first = inbox.claim("first", account_id="acct_1", limit=1)
    second = inbox.claim("second", account_id="acct_1", limit=10)
    assert {row.lane for row in first} == {"cus_0"}
    assert {row.lane for row in second} == {"cus_1"}
    inbox.finish([row.id or 0 for row in first], "first")
    third = inbox.claim("third", account_id="acct_1", limit=10)
    assert [row.event_id for row in third] == ["evt_2", "evt_4"]


def test_an_event_that_kills_its_handlers_is_dead_in_the_end() -> None:
    """It does not go round for ever."""
    inbox.receive([event(1)])
    for _ in range(inbox.MAX_ATTEMPTS):
        assert len(inbox.claim("handler", account_id="acct_1", limit=10)) == 1
        age(Event, lease_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert inbox.claim("handler", account_id="acct_1", limit=10) == []
    [dead] = inbox.dead_letters("acct_1")
    assert "handlers died of it" in (dead.reason or "")
    assert inbox.last_dead_at("acct_1") == dead.done_at


def test_events_of_another_account_are_not_ours() -> None:
    """Several accounts may share one ledger."""
    inbox.receive([event(1)])
    assert inbox.claim("handler", account_id="acct_2", limit=10) == []
    [row] = inbox.claim("handler", account_id="acct_1", limit=10)
    inbox.fail([row.id or 0], "handler", "locked", for_good=True)
    now, ours = datetime.now(UTC), ["in_1"]
    assert inbox.close_dead_letters("acct_2", ours, before=now, reread_payments=ours) == 0
    assert inbox.replay("acct_2", EventFilter()) == 0
    assert inbox.dead_letters("acct_2") == []
    assert len(inbox.dead_letters("acct_1")) == 1


def test_what_a_handler_works_on_is_its_own() -> None:
    """Nobody replays it meanwhile, and whoever had it before cannot say that it failed."""
    inbox.receive([event(1)])
    [before] = inbox.claim(leases.owner_of("run", 1), account_id="acct_1", limit=1)
    [row] = inbox.claim(leases.owner_of("run", 2), account_id="acct_1", limit=1)
    assert inbox.replay("acct_1", EventFilter()) == 0
    inbox.fail([row.id or 0], before.owner or "", "came too late", for_good=True)
    assert inbox.backlog() == {"processing": 1}
    inbox.finish([row.id or 0], row.owner or "")
    assert inbox.backlog() == {}


def test_dead_letters_can_be_replayed_by_choice() -> None:
    """By state, by id, by time: and only what was meant."""
    inbox.receive([event(1), event(2)])
    rows = inbox.claim("handler", account_id="acct_1", limit=10)
    inbox.fail([rows[0].id or 0], "handler", "no Account", for_good=True)
    inbox.finish([rows[1].id or 0], "handler")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert inbox.replay("acct_1", EventFilter(states=["dead"], since=tomorrow)) == 0
    assert inbox.replay("acct_1", EventFilter(states=["dead"])) == 1
    assert inbox.replay("acct_1", EventFilter(event_ids=["evt_2"])) == 1
    again = inbox.claim("handler", account_id="acct_1", limit=10)
    assert [(row.attempts, row.replayed) for row in again] == [(1, True), (1, True)]


def test_bodies_are_kept_for_a_time_and_digests_for_good() -> None:
    """What was processed long ago needs no body; what waits keeps it."""
    inbox.receive([event(1), event(2)])
    [done] = inbox.claim("handler", account_id="acct_1", limit=1)
    inbox.finish([done.id or 0], "handler")
    inbox.delete_bodies(datetime.now(UTC) + timedelta(seconds=1))
    inbox.replay("acct_1", EventFilter(states=["done", "received"]))
    rows = inbox.claim("handler", account_id="acct_1", limit=10)
    assert [row.body for row in rows] == ["", "{}"]
    assert len({row.digest for row in rows}) == 1


def test_a_request_is_one_until_it_is_cleared() -> None:
    """Seen twice before it was cleared is once; asked again later is another."""
    now = datetime.now(UTC)
    action_field_requests.add({"a01": "Send"}, {"a01": now})
    action_field_requests.add({"a01": "Send"}, {"a01": now + timedelta(seconds=1)})
    [request] = action_field_requests.unfinished()
    action_field_requests.mark(request.id or 0, cleared=True)
    action_field_requests.add({"a01": "Sync"}, {"a01": now + timedelta(seconds=2)})
    assert [r.action for r in action_field_requests.unfinished()] == ["Send", "Sync"]
    action_field_requests.mark(request.id or 0, run_id="run")
    assert [r.action for r in action_field_requests.unfinished()] == ["Sync"]


def test_the_cursor_never_moves_backwards() -> None:
    """Two polls that overtake each other lose nothing."""
    now = datetime.now(UTC).replace(microsecond=0)
    stream_positions.move_cursor("events", now)
    stream_positions.move_cursor("events", now - timedelta(hours=1))
    assert stream_positions.cursor("events") == now


def test_a_request_record_is_written_down_started_and_answered_once() -> None:
    """Whoever reads it again, and however late, changes nothing of how far it has come."""

    def read() -> RequestRecord:
        now = datetime.now(UTC)
        return RequestRecord(id="a02", action="Send", asked_by="005", asked_at=now)

    assert [request_records.add([]), request_records.add([read()])] == [0, 1]
    assert request_records.unstarted(["a02", "a03"]) == {"a02"}
    request_records.started("a02", "run")
    assert request_records.add([read()]) == 0
    assert request_records.unstarted(["a02"]) == set()
    assert [request.run_id for request in request_records.open_requests()] == ["run"]
    found = request_records.of_run("run")
    assert found
    assert found.id == "a02"
    request_records.answered("a02")
    assert request_records.add([read()]) == 0
    assert request_records.open_requests() == []
    assert request_records.of_run("run") is None
