"""The working tables of a full sync, on both databases."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from invoicing.domain.stripe.payment_facts import PaymentFacts
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.domain.sync.staged_rows import Row
from invoicing.errors import Superseded
from invoicing.ledger import drift, links, payment_facts, staging, sync_history
from invoicing.ledger.models import (
    InvoiceLink,
    StagedSalesforce,
    StagedStripe,
    SyncWindow,
)

DAY = 86_400


def stripe_row(name: str, created: int = staging.STRIPE_BEGAN + DAY, **changes: Any) -> Row:
    """An open invoice over 10."""
    row = StagedStripe(
        stripe_id=f"in_{name}",
        created=created,
        customer_id="cus_1",
        status="Open",
        number=name,
        total=10,
        amount_paid=0,
        amount_remaining=10,
        payment_state="Unpaid",
        overdue=False,
        lines=0,
    )
    return row.model_dump() | changes


def record_row(name: str, **changes: Any) -> Row:
    """The record of an open invoice over 10."""
    row = StagedSalesforce(
        record_id=f"a0{name}",
        stripe_id=f"in_{name}",
        account_id="001",
        name=name,
        status="Open",
        number=name,
        total=10,
        amount_paid=0,
        amount_remaining=10,
        payment_state="Unpaid",
        sync_state="Clean",
        credited=0,
    )
    return row.model_dump() | changes


def lines_row(line: str, record: str, lines: int, amount: int) -> Row:
    """Lines of a record."""
    return {"line_id": line, "record_id": record, "lines": lines, "amount": amount}


def stage(rows: list[Row], records: list[Row], lines: Sequence[Row] = ()) -> str:
    """Stage both sides as a full sync; its id."""
    sync = staging.begin("run", dry_run=False)
    [window] = staging.take("reader")
    staging.advance(window, rows, at_end=True)
    staging.stage_salesforce(records)
    staging.stage_lines(lines)
    return sync.id


def test_every_kind_of_difference_is_named(ledger_url: str) -> None:
    """By one statement, on SQLite and PostgreSQL alike."""
    sync = stage(
        [
            stripe_row("same"),
            stripe_row("paid", status="Paid", payment_state="Paid"),
            stripe_row("more", total=3_000_000_000),
            stripe_row("late", overdue=True),
            stripe_row("new"),
            stripe_row("second", record_id="a0same"),
            stripe_row("both"),
            stripe_row("failed"),
        ],
        [
            record_row("same"),
            record_row("paid"),
            record_row("more"),
            record_row("late"),
            record_row("both", sync_state="Conflict"),
            record_row("failed", sync_state="Failed"),
            record_row("draft", status="Draft"),
            record_row("lost"),
            record_row("known", status="Deleted"),
        ],
    )
    drift.find(sync)
    found = {row.subject: row.kind for rows in drift.chunks(sync) for row in rows}
    assert found == {
        "in_paid": Kind.STATUS,
        "in_more": Kind.AMOUNT,
        "in_late": Kind.OVERDUE,
        "in_new": Kind.MISSING_IN_SALESFORCE,
        "in_second": Kind.DUPLICATE,
        "in_both": Kind.CONFLICT,
        "in_failed": Kind.FAILED_WRITE,
        "in_draft": Kind.DELETED,
        "in_lost": Kind.MISSING_IN_STRIPE,
    }


def test_details_and_lines_are_compared(ledger_url: str) -> None:
    """Whatever has no kind of its own; lines by what a page says, or by what was read before."""
    links.remember_written(
        [
            InvoiceLink(stripe_id="in_read", record_id="a0read", lines=7),
            InvoiceLink(stripe_id="in_reread", record_id="a0reread", lines=7),
            InvoiceLink(stripe_id="in_mailed", record_id="a0mailed"),
        ]
    )
    links.mark_sent("in_mailed", datetime.now(UTC))
    twice = PaymentFacts(refunded=5), None, "5 went back twice."
    payment_facts.remember({"in_twice": twice, "in_unsaid": twice})
    rows = [
        stripe_row("same", lines=7),
        stripe_row("date", digest="b"),
        stripe_row("link", lines=7),
        stripe_row("both", status="Paid", lines=7),
        stripe_row("read", lines=None, lines_amount=10),
        stripe_row("reread", lines=None, lines_amount=10),
        stripe_row("sum", lines=None, lines_amount=10),
        stripe_row("unread", lines=None, lines_amount=10),
        stripe_row("mailed"),
        stripe_row("refund"),
        stripe_row("twice"),
        stripe_row("unsaid"),
        stripe_row("ours", status="Draft", digest="b", draft_digest="c", lines=7),
        stripe_row("moved", status="Draft", digest="b", draft_digest="d"),
        stripe_row("theirs", status="Draft", digest="b", draft_digest="c", lines=7),
    ]
    records = [record_row(row["number"], status=row["status"]) for row in rows]
    changes: dict[str, Any] = {
        "both": {"status": "Open"},
        "mailed": {"sent": False},
        "refund": {"refunded": 5},
        "twice": {"refunded": 5, "payment_problem": "5 went back twice."},
        "unsaid": {"refunded": 5, "payment_problem": ""},
        "ours": {"made_here": True, "digest": "c"},
        "moved": {"made_here": True, "digest": "c"},
        "theirs": {"digest": "b"},
    }
    records = [row | changes.get(row["name"], {}) for row in records]
    lines = [
        lines_row("1", "a0same", 3, 5),
        lines_row("2", "a0same", 4, 5),
        lines_row("3", "a0link", 6, 10),
        lines_row("4", "a0read", 7, 10),
        lines_row("5", "a0reread", 8, 10),
        lines_row("6", "a0sum", 8, 9),
        lines_row("7", "a0unread", 8, 10),
    ]
    sync = stage(rows, records, lines)
    drift.find(sync)
    found = {row.subject: (row.kind, row.lines) for rows in drift.chunks(sync) for row in rows}
    assert found == {
        "in_date": (Kind.DETAILS, False),
        "in_link": (Kind.LINES, True),
        "in_both": (Kind.STATUS, True),
        "in_reread": (Kind.LINES, True),
        "in_sum": (Kind.LINES, True),
        "in_mailed": (Kind.DETAILS, False),
        "in_refund": (Kind.DETAILS, False),
        "in_unsaid": (Kind.DETAILS, False),
        "in_moved": (Kind.DETAILS, False),
        "in_theirs": (Kind.LINES, True),
    }
    in_bulk = drift.in_stripe_order(sync, list(Kind), size=9, lines=False)
    names = sorted(row.subject for rows in in_bulk for row in rows)
    assert names == ["in_date", "in_mailed", "in_moved", "in_refund", "in_unsaid"]


def test_drift_comes_in_chunks_by_account_until_something_is_done_about_it(ledger_url: str) -> None:
    """Rows of one Account lie together; what was repaired does not come again."""
    accounts = ["002", "001", "002", "001", "003"]
    rows = [stripe_row(str(n), status="Void") for n in range(5)]
    records = [record_row(str(n), account_id=account) for n, account in enumerate(accounts)]
    sync = stage(rows, records)
    drift.find(sync)
    chunks = list(drift.chunks(sync, [Kind.STATUS], size=2))
    assert [row.account_id for rows in chunks for row in rows] == sorted(accounts)
    drift.note(sync, "outcome", {"in_0": "repaired: now Void.", "in_1": "repaired: now Void."})
    assert drift.outcomes(sync) == {"found": 3, "repaired": 2}
    left = [row.subject for rows in drift.chunks(sync, untouched=True) for row in rows]
    assert sorted(left) == ["in_2", "in_3", "in_4"]


def read(window: SyncWindow, *rows: Row, at_end: bool = False) -> None:
    """Stage a page of a window."""
    window.pages += 1
    staging.advance(window, rows, at_end=at_end)


def test_a_reader_without_work_takes_half_of_anothers(ledger_url: str) -> None:
    """The other keeps what it has read, and leaves the rest to whoever took it."""
    staging.begin("run", dry_run=False)
    [first] = staging.take("run")
    assert staging.split([first]) is None  # nobody knows yet whether it is worth it
    began, day = first.since, first.until - 1
    read(first, stripe_row("new", day))
    second = staging.split([first])
    assert second is not None
    assert began == second.since < second.until == first.since < day
    old = stripe_row("old", second.until - DAY)
    read(first, old)
    assert first.done
    assert staging.counts()[0] == 1
    read(second, old, at_end=True)
    assert not staging.take("next")
    assert staging.counts()[0] == 2


def test_a_window_that_was_read_to_its_end_is_not_shared(ledger_url: str) -> None:
    """Its time may be long, and yet nothing is left in it."""
    staging.begin("run", dry_run=False)
    [window] = staging.take("run")
    read(window, stripe_row("only", window.until - 1), at_end=True)
    assert staging.split([window]) is None


def test_the_next_sync_begins_with_windows_of_full_pages(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages are full, but for the newest and where many lie in one second."""
    monkeypatch.setattr(staging, "PAGE_SIZE", 10)
    monkeypatch.setattr(staging, "SHARES", 2)
    began = staging.STRIPE_BEGAN
    created = [began + day * DAY for day in range(100)] + [began + 38 * DAY] * 4
    sync = stage([stripe_row(str(n), second) for n, second in enumerate(created)], [])
    sync_history.record_totals(sync, in_stripe=len(created), in_salesforce=0)
    staging.finish(sync)
    staging.begin("next", dry_run=False)
    windows = staging.take("next")
    assert [later.since for later in windows[:-1]] == [older.until for older in windows[1:]]
    assert windows[-1].since == began
    held = [sum(one.since <= second < one.until for second in created) for one in windows]
    assert held == [6, 30, 20, 10, 8, 10, 10, 10]


def test_what_a_killed_sync_has_staged_is_kept(ledger_url: str) -> None:
    """The next run goes on with the same windows; the one that was thought dead is turned away."""
    staging.begin("killed", dry_run=False)
    [window] = staging.take("killed")
    read(window, stripe_row("1", window.until - 5))
    assert staging.begin("next", dry_run=False).id == "killed"
    [taken] = staging.take("next")
    assert (taken.number, taken.cursor, taken.pages) == (window.number, "in_1", 1)
    with pytest.raises(Superseded):
        read(window, stripe_row("2", window.until - 6), at_end=True)
    with pytest.raises(Superseded):
        staging.split([window], worth=0)
    with pytest.raises(Superseded):
        staging.begin_again(window)
    assert staging.counts()[0] == 1
    assert staging.take("next")
