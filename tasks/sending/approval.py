"""Steps of approval: above a limit, sending waits for a person's decision.

The decision belongs to one content: the ledger keeps it under the content's digest, so that it
no longer counts once the draft is changed. The record shows it to people.
"""

from datetime import UTC, datetime

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import prefect, salesforce, stripe
from invoicing.domain.forms.approval import APPROVED, EXPIRED, WAITING, Decision, decide
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.model.record_ids import short
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, all_of, equals
from invoicing.errors import Rejected
from invoicing.ledger import intents, links
from invoicing.ledger.intents import APPROVE, FINALIZE, SEND
from invoicing.settings import settings
from tasks.records.invoices import write_sync_message
from tasks.records.locks import INVOICE
from tasks.records.record_changes import add_entry
from tasks.runtime.clock import today
from tasks.runtime.prompts import Prompts
from tasks.runtime.retries import STEP
from tasks.runtime.run_page import run_id


def await_approval(draft: Invoice) -> None:
    """Let an invoice above its currency's limit go on only with a person's approval.

    Suspends the run until there is a decision; nothing is held meanwhile.

    Raises:
        Rejected: it was declined.
    """
    limit = _limit(draft)
    if limit is None or is_approved(draft):
        return
    prompts = Prompts(f"approve-{draft.content_digest}")
    if not prompts.has_later_answer():
        mark_waiting(draft)
    decision = prompts.run(decide(draft, limit, settings().approval.approvers))
    record_decision(draft, decision)
    if not decision.approved:
        raise Rejected(f"{draft.name} was declined by {decision.by}: {decision.comment}")


@task(task_run_name="mark expired approvals", **STEP)
def mark_expired() -> int:
    """Say on records that no run waits for their approval any more; returns on how many.

    A question that nobody answers in time ends its run, and so does cancelling it; neither leaves
    a process that could say so. Under a record's lease no run is between asking and waiting.
    """
    ids = [row["Id"] for row in _waiting()]
    if not ids:
        return 0
    server = prefect.client()
    with INVOICE.held_if_free(ids) as busy:
        asking = {_word(run.get("invoice")) for run in server.unfinished(SEND)}
        left = [
            row
            for row in _waiting()
            if row["Id"] in ids and row["Id"] not in busy and not asking & _names(row)
        ]
        for row in left:
            _mark_expired(row)
    return len(left)


def _waiting() -> list[salesforce.Record]:
    return salesforce.client().query(
        Query(
            record.INVOICE,
            ["Id", "Name", record.STRIPE_ID],
            where=all_of(
                equals(record.APPROVAL_STATUS, WAITING), equals(record.STATUS, Status.DRAFT)
            ),
        )
    )


def _names(row: salesforce.Record) -> set[str]:
    """Names by which a run may have been given an invoice."""
    return {
        _word(name)
        for name in (row["Id"], short(row["Id"]), row["Name"], row[record.STRIPE_ID])
        if name
    }


def _word(name: object) -> str:
    """A name as it is compared: Salesforce finds records by their names in either case."""
    return str(name or "").strip().casefold()


def _mark_expired(row: salesforce.Record) -> None:
    add_entry(f"{row['Id']}-approval-expired-{today()}", row["Id"], "The approval expired")
    write_sync_message(
        row["Id"],
        SyncState.FAILED,
        f"{row['Name']} was not sent: nobody approved or declined it before its run had ended. "
        "Send it again, and the approvers are asked again.",
    )
    salesforce.client().update(record.INVOICE, row["Id"], {record.APPROVAL_STATUS: EXPIRED})


def _limit(draft: Invoice) -> Money | None:
    """The limit that the draft exceeds, if it does."""
    allowed = settings().approval.limits.get(draft.currency)
    if allowed is None:
        return None
    limit = Money.of(allowed, draft.currency)
    return limit if draft.total > limit else None


def _subject(draft: Invoice) -> str:
    return f"{draft.record_id}:{draft.content_digest}"


@task(task_run_name="look for an approval", **STEP)
def is_approved(draft: Invoice) -> bool:
    """Whether this very content was approved, or is past asking: it is frozen in Stripe."""
    if draft.status is not Status.DRAFT:
        return True
    decided = intents.find(APPROVE, _subject(draft))
    return (decided is not None and decided.outcome == APPROVED) or _is_frozen(draft)


def _is_frozen(draft: Invoice) -> bool:
    if not intents.attempted(FINALIZE, draft.record_id):
        return False
    stripe_id = links.stripe_id(draft.record_id)
    invoice = stripe.client().invoice(stripe_id) if stripe_id else None
    return invoice is not None and invoice["status"] != "draft"


@task(task_run_name="wait for approval", **STEP)
def mark_waiting(draft: Invoice) -> None:
    """Show on the record that somebody has to decide, and what about."""
    fields = record.approval_fields(status=WAITING, total=draft.total)
    salesforce.client().update(record.INVOICE, draft.record_id, fields)
    get_run_logger().info("%s over %s waits for approval.", draft.name, draft.total)


@task(task_run_name="record the decision", **STEP)
def record_decision(draft: Invoice, decision: Decision) -> None:
    """Keep who decided what, when and over which amount: on the record and in the ledger."""
    fields = record.approval_fields(
        status=decision.status,
        by=decision.by,
        at=datetime.now(UTC),
        total=draft.total,
        comment=decision.comment,
    )
    salesforce.client().update(record.INVOICE, draft.record_id, fields)
    add_entry(
        f"{run_id()[:8]}-{draft.content_digest}-{decision.status}",
        draft.record_id,
        f"{decision.status} by {decision.by}",
        amount=draft.total,
    )
    if decision.approved:
        subject = _subject(draft)
        intents.intend(APPROVE, subject, digest=draft.content_digest, actor=run_id())
        intents.conclude(APPROVE, subject, decision.status)
