"""A sync of what has changed since the last full one, instead of everything."""

from collections.abc import Iterator
from datetime import UTC, datetime

from more_itertools import chunked
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of
from invoicing.errors import Rejected
from invoicing.ledger import drift, sync_history
from tasks.full_sync.repair import FRESH_CHUNK
from tasks.runtime.step import step
from tasks.sync.refresh import refresh


@step("sync what has changed")
def sync_changed() -> str:
    """Refresh only what events or Salesforce say has changed since the last sync began.

    Returns:
        The outcome, in one sentence; what could not be put right is in the log.

    Raises:
        Rejected: there was no full sync yet to go on from.
    """
    last = next(iter(sync_history.last_syncs(1)), None)
    if last is None:
        raise Rejected("There was no full sync yet; the first one has to read everything.")
    named = differed = failed = 0
    for names in _named_since(last.started_at):
        changes = refresh(names)
        named += len(names)
        differed += sum(bool(change.created or change.changed) for change in changes)
        wrong = [change.sentence for change in changes if change.problem]
        failed += len(wrong)
        for sentence in wrong:
            get_run_logger().warning(sentence)
    failures = f", {failed:,} could not be put right: see the log" if failed else ""
    return f"{counted(named, 'invoice')} named, {differed:,} differed{failures}."


def _named_since(since: datetime) -> Iterator[list[str]]:
    """Stripe ids that events name, then those that only Salesforce names: each once, in chunks."""
    began = datetime.now(UTC)
    yield from drift.invoices_with_events(since, size=FRESH_CHUNK)
    linked = Comparison(record.STRIPE_ID, "!=", None)
    modified = all_of(linked, Comparison("SystemModstamp", ">=", since))
    rows = salesforce.client().bulk_query(Query(record.INVOICE, [record.STRIPE_ID], modified))
    for names in chunked((name for [name] in rows), FRESH_CHUNK):
        if alone := drift.invoices_without_events(names, since, began):
            yield alone
