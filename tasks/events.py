"""Steps on events: fetch them, claim them, settle what they are about."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import orjson
from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.events import HANDLED, read_event
from invoicing.domain.words import counted
from invoicing.errors import Passing
from invoicing.ledger import inbox
from invoicing.ledger.models import Event
from invoicing.settings import settings
from tasks.policy import STEP
from tasks.projection import Change, refresh
from tasks.report import publish_table, run_id

BATCH = 200
OVERLAP = timedelta(minutes=5)


@task(task_run_name="fetch events from Stripe", **STEP)
def fetch_events(lookback: timedelta) -> tuple[int, int]:
    """Put every event since the last fetch into the inbox; returns how many, and how many new.

    Reads five minutes further back than the cursor, because events become visible late and
    out of order; what is in the inbox already is skipped.

    Args:
        lookback: How far to go back when there is no cursor yet.
    """
    account = settings().stripe.account_id
    name = f"events:{account}"
    began = datetime.now(UTC)
    since = (inbox.cursor(name) or began - lookback) - OVERLAP
    seen = new = 0
    latest = began - OVERLAP
    batch: list[Event] = []
    for found in stripe.client().events(since=since, types=HANDLED):
        news = read_event(found)
        latest = max(latest, news.occurred_at)
        body = orjson.dumps(found, default=str).decode()
        batch.append(inbox.written_down(news, body, account_id=account, source="poll"))
        seen += 1
        if len(batch) == BATCH:
            new += inbox.receive(batch)
            batch = []
    new += inbox.receive(batch)
    inbox.move_cursor(name, latest)
    get_run_logger().info("Stripe listed %s, %s of them new.", counted(seen, "event"), new)
    return seen, new


def drain() -> list[Change]:
    """Settle all events that wait, batch by batch, and publish what moved."""
    changes: list[Change] = []
    while events := inbox.claim(run_id(), limit=BATCH):
        changes += settle(events)
    if changes:
        publish_table(
            "invoices-moved",
            [
                {
                    "Invoice": change.name or change.stripe_id,
                    "Account": change.account,
                    "What happened": change.sentence,
                    "Stripe": change.stripe_id,
                }
                for change in changes
            ],
            "Invoices that events were about, and what came of each.",
        )
    return changes


def summary(changes: Sequence[Change]) -> str:
    """What came of some events, in one sentence."""
    moved = [change for change in changes if change.moved or change.created]
    wrong = [change for change in changes if change.problem]
    if not changes:
        return "Nothing was waiting."
    parts = [f"{counted(len(changes), 'invoice')} looked at, {len(moved):,} changed"]
    parts += [change.sentence.rstrip(".") for change in moved[:3]]
    parts += [f"{len(wrong)} could not be settled: {wrong[0].sentence}"] if wrong else []
    return "; ".join(parts).rstrip(".") + "."


@task(task_run_name="settle a batch of events", **STEP)
def settle(events: Sequence[Event]) -> list[Change]:
    """Refresh each invoice that some events are about, once, however many name it."""
    by_invoice: dict[str | None, list[int]] = {}
    for event in events:
        by_invoice.setdefault(event.invoice_id, []).append(event.id or 0)
    nameless = by_invoice.pop(None, [])
    inbox.finish(nameless, run_id())
    ids = [invoice for invoice in by_invoice if invoice]
    get_run_logger().info(
        "%s about %s.", counted(len(events), "event"), counted(len(ids), "invoice")
    )
    changes: list[Change] = []
    for change in _refreshed(ids):
        settled = _insist(change) if change.passing else change
        numbers = by_invoice[change.stripe_id]
        if settled.problem:
            inbox.fail(numbers, run_id(), settled.problem, for_good=not settled.passing)
        else:
            inbox.finish(numbers, run_id())
        changes.append(settled)
    return changes


def _refreshed(stripe_ids: Sequence[str]) -> list[Change]:
    try:
        return refresh(stripe_ids) if stripe_ids else []
    except Passing as error:
        return [Change(id_, problem=str(error), passing=True) for id_ in stripe_ids]


def _insist(change: Change) -> Change:
    """Try one invoice again with patience, when its batch found it busy."""
    [again] = _refreshed([change.stripe_id])
    return again
