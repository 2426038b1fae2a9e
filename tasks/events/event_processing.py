"""Steps on events: claim them, process them, choose some to be processed again."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import orjson
from more_itertools import map_reduce, partition
from prefect.logging import get_run_logger

from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted, label
from invoicing.domain.stripe.event_parsing import (
    concerns_payments,
    invoice_snapshot,
    status_said,
)
from invoicing.domain.stripe.projection import project
from invoicing.errors import InvoicingError, Superseded, TransientError
from invoicing.ledger import inbox, links
from invoicing.ledger.inbox import EventFilter
from invoicing.ledger.models import Event, InvoiceLink
from invoicing.settings import STRIPE_API_VERSION, settings
from tasks.events.account_updates import update_accounts
from tasks.events.dead_letter_report import publish_new_dead_letters
from tasks.events.resolve_events import needs_its_invoice, resolve_invoices
from tasks.records.locks import heartbeat
from tasks.runtime.artifacts import publish_table
from tasks.runtime.clock import today
from tasks.runtime.step import FEW_RETRIES, step
from tasks.sync.refresh import refresh
from tasks.sync.refresh_result import RefreshResult, failure

BATCH_SIZE = 800
"""Events that a handler takes at a time."""

CONCURRENT_SHARES = 4
"""Shares of a batch that are processed side by side."""


def drain() -> list[RefreshResult]:
    """Process all events that wait, customers side by side, and publish what moved."""
    changes: list[RefreshResult] = []
    with claiming_events() as owner:
        while events := inbox.claim(
            owner, account_id=settings().stripe.account_id, limit=BATCH_SIZE
        ):
            if shares := _by_ordering_key(_with_invoices(events)):
                for refreshed in process_events.map(shares).result():
                    changes += refreshed
    if changes:
        publish_table(
            "invoices-moved",
            [_row(change) for change in changes],
            "Invoices that events were about, and the outcome of each.",
        )
    publish_new_dead_letters()
    return changes


@contextmanager
def claiming_events() -> Iterator[str]:
    """Claim events for as long as the block lasts; yields the owner of the claims."""
    with heartbeat() as owner:
        try:
            yield owner
        finally:
            with suppress(TransientError):  # they expire by themselves soon
                inbox.release(owner)


def _row(change: RefreshResult) -> dict[str, str]:
    changed = (f"{label(name)}: {was} → {now}" for name, (was, now) in change.changed.items())
    return {
        "Invoice": change.name or change.stripe_id,
        "Account": change.account,
        "What happened": change.sentence,
        "From → to": "; ".join(changed),
        "Stripe": change.stripe_id,
    }


def _with_invoices(events: Sequence[Event]) -> list[Event]:
    """Claimed events with the invoices that they are about, those that name a payment only too.

    It is known before they are shared out: two shares would read one invoice at the same time,
    and write it in either order.
    """
    named, unnamed = map(list, partition(needs_its_invoice, events))
    named += resolve_invoices(unnamed) if unnamed else []
    return sorted(named, key=lambda event: event.id or 0)


def _by_ordering_key(events: Sequence[Event]) -> list[list[Event]]:
    """Share events out, all of one customer's together and in order.

    Some events name their invoice and not its customer; they go where the invoice goes.
    """
    customers = {e.invoice_id: e.lane for e in events if e.invoice_id and e.lane != e.invoice_id}
    by_key = map_reduce(events, lambda event: customers.get(event.invoice_id or "", event.lane))
    shares: list[list[Event]] = [[] for _ in range(min(CONCURRENT_SHARES, len(by_key)))]
    for ordered in sorted(by_key.values(), key=len, reverse=True):
        min(shares, key=len).extend(ordered)
    return shares


@step("choose events to replay")
def replay(wanted: EventFilter) -> int:
    """Mark the chosen events to be handled again; returns their number."""
    return inbox.replay(settings().stripe.account_id, wanted)


def summary(changes: Sequence[RefreshResult]) -> str:
    """The outcome of some events, in one sentence."""
    changed = [change for change in changes if change.changed or change.created]
    wrong = [change for change in changes if change.problem]
    if not changes:
        return "Nothing was waiting."
    parts = [f"{counted(len(changes), 'invoice')} looked at, {len(changed):,} changed"]
    parts += [change.sentence.rstrip(".") for change in changed[:3]]
    parts += [f"{len(wrong)} could not be processed: {wrong[0].sentence}"] if wrong else []
    return "; ".join(parts).rstrip(".") + "."


@step("process a batch of events")
def process_events(events: Sequence[Event]) -> list[RefreshResult]:
    """Refresh each invoice that some claimed events are about, once, however many name it."""
    owner = events[0].owner or ""
    by_invoice = map_reduce(update_accounts(events), lambda event: event.invoice_id)
    known = links.invoice_links(filter(None, by_invoice))
    unknown = {
        id_: about
        for id_, about in by_invoice.items()
        if id_ and not all(_is_known_already(event, known.get(id_)) for event in about)
    }
    old = [event for id_, about in by_invoice.items() if id_ not in unknown for event in about]
    inbox.finish(_ids(old), owner)
    get_run_logger().info(
        "%s: %s to refresh, %s known already.",
        counted(len(events), "event"),
        counted(len(unknown), "invoice"),
        len(old),
    )
    reread = {
        id_ for id_, about in unknown.items() if any(concerns_payments(e.type) for e in about)
    }
    changes = [
        _known_at_least(change, unknown[change.stripe_id]) if change.gone else change
        for change in _refresh_all(list(unknown), reread)
    ]
    good = [change.stripe_id for change in changes if not change.problem]
    inbox.finish([id_ for invoice_id in good for id_ in _ids(unknown[invoice_id])], owner)
    for change in changes:
        if change.problem:
            ids = _ids(unknown[change.stripe_id])
            inbox.fail(ids, owner, change.problem, for_good=not change.may_pass)
    return changes


def _known_at_least(change: RefreshResult, about: Sequence[Event]) -> RefreshResult:
    """A change about an invoice that neither side has; what its events know of it is no deletion.

    Source: https://docs.stripe.com/api/invoices/delete (drafts only)
    """
    for event in about:
        status = status_said(orjson.loads(event.body)) if event.body else None
        if status not in (None, Status.DRAFT):
            return replace(
                change,
                gone=False,
                problem=f"by the event {event.event_id} it is {status}, but the Stripe account "
                f"{event.account_id} has no such invoice, and Stripe deletes drafts only: it is "
                "of another account or mode. Look where this event came from.",
            )
    return change


def _ids(events: Sequence[Event]) -> list[int]:
    return [event.id for event in events if event.id is not None]


def _is_known_already(event: Event, link: InvoiceLink | None) -> bool:
    """Whether an event only says what is on the record already, mostly by our own writes.

    Its snapshot is what was written last, or it is of the draft of an invoice that has left
    that state for good. What somebody asked to replay is looked at in any case.
    """
    if link is None or link.digest is None or event.replayed or not event.body:
        return False
    if concerns_payments(event.type):
        return False
    snapshot = invoice_snapshot(orjson.loads(event.body), STRIPE_API_VERSION)
    if snapshot is None or event.type == "invoice.deleted":
        return False
    then = project(snapshot, today=today(), zone=settings().business.zone)
    return then.digest == link.digest or (
        then.status is Status.DRAFT and link.status not in (None, Status.DRAFT)
    )


def _refresh_all(
    stripe_ids: Sequence[str], reread_payments: Collection[str]
) -> list[RefreshResult]:
    """Refresh invoices, and those that are locked again, as long as any of them comes free."""
    changes: list[RefreshResult] = []
    left = list(stripe_ids)
    while left:
        try:
            refreshed = refresh_free(left, reread_payments)
        except TransientError as error:
            return changes + [failure(id_, None, error) for id_ in left]
        except Superseded:
            raise
        except Exception as error:
            if len(left) == 1:
                get_run_logger().exception("%s could not be processed.", left[0])
                return [*changes, RefreshResult(left[0], problem=_unforeseen(error))]
            for id_ in left:
                changes += _refresh_all([id_], reread_payments)
            return changes
        changes += [change for change in refreshed if not change.transient]
        left = [change.stripe_id for change in refreshed if change.transient]
    return changes


def _unforeseen(error: Exception) -> str:
    kind = "" if isinstance(error, InvoicingError) else f"{type(error).__name__}: "
    return f"it could not be processed ({kind}{error})"


@step("bring records in step with Stripe", retries=FEW_RETRIES)
def refresh_free(
    stripe_ids: Sequence[str], reread_payments: Collection[str]
) -> list[RefreshResult]:
    """Refresh invoices.

    Raises:
        TransientError: none of them could be refreshed now.
    """
    changes = refresh.with_options(retries=0)(stripe_ids, reread_payments=reread_payments)
    if all(change.transient for change in changes):
        raise TransientError(changes[0].sentence)
    return changes
