"""Steps of approval: above a limit, or what was agreed, sending waits for a person's decision.

The decision belongs to one content and one amount: the ledger keeps it under the content's digest,
so that it no longer counts once the draft is changed. The record shows it to people.
"""

from datetime import UTC, datetime

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.forms.approval import APPROVED, EXPIRED, WAITING, Decision, decide
from invoicing.domain.model.amount_due import AmountDue
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, all_of, equals, is_in
from invoicing.errors import Rejected
from invoicing.ledger import intents
from invoicing.ledger.intents import APPROVE, FINALIZE
from invoicing.settings import settings
from tasks.records.invoices import write_sync_message
from tasks.records.locks import INVOICE
from tasks.records.org_facts import text_lengths
from tasks.records.timeline import add_entry
from tasks.runtime.clock import today
from tasks.runtime.prompts import Prompts
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step
from tasks.sending.approval_in_salesforce import (
    MOVED,
    NOT_SENT,
    WITHDRAWN,
    approvers_agreed,
    ask_approvers,
    close_question,
    decided_about,
    decides_in_salesforce,
    next_step,
    waits_for_approvers,
)
from tasks.sending.pending_sends import being_sent, names


def await_approval(draft: Invoice, asked: AmountDue, missing: str = "") -> str:
    """Let an invoice go on only if what it asks for needs no approval, or has a person's.

    It needs one above its currency's limit, and where it asks for more than was agreed: before
    finalization, and once more after it, before anything goes out. After it, another total or
    other content than was agreed needs one, too.

    Where approvers decide in Salesforce, the run ends, and their decision begins another one. Else
    it is suspended until there is a decision. Nothing is held meanwhile.

    Args:
        draft: The invoice.
        asked: What it asks for.
        missing: Why an approver's yes was not enough: then it goes out on no account.

    Returns:
        That it waits, in a sentence; nothing if it may go on.

    Raises:
        Rejected: it was declined.
    """
    why = _reason(draft, asked)
    approved = bool(why or draft.approval) and is_approved(draft, asked)
    if why is None or approved:
        if waits_for_approvers(draft.record_id):
            close_question(draft.record_id, WITHDRAWN)
        if draft.approval and not (approved and draft.approval == APPROVED):
            say_nothing_of_approval(draft)
        return missing and f"{missing}It needs no approval any more; send it again."
    if decides_in_salesforce():
        return missing + ask_approvers(draft, asked, why)
    if waits_for_approvers(draft.record_id):
        close_question(draft.record_id, MOVED)
    prompts = Prompts(f"approve-{decided_about(draft, asked)}-{asked.due.minor}")
    if not prompts.has_later_answer():
        mark_waiting(draft, asked, why)
    decision = prompts.run(decide(draft, asked, why, settings().approval.approvers))
    record_decision(draft, asked, decision)
    if not decision.approved:
        said = f"{draft.name} was declined by {decision.by}: {decision.comment}"
        raise Rejected(f"{said}. {next_step(draft.name)}" if asked.finalized else said)
    return ""


def _reason(draft: Invoice, asked: AmountDue) -> str | None:
    """Why a person has to decide, if one has to."""
    if asked.is_more_than_agreed:
        final = f" {NOT_SENT}" if asked.finalized else ""
        return (
            f"{asked.due} would be asked for, and {asked.agreed} was agreed: the customer's "
            f"balance in Stripe, or a tax, has changed since.{final}"
        )
    if _is_final_for_no_known_reason(draft, asked):
        return (
            f"It is final in Stripe over {asked.total}, and what was agreed is not known any more: "
            f"the ledger was rebuilt. {NOT_SENT}"
        )
    if asked.has_another_total:
        more = f" It has {asked.other_content}." if asked.other_content else ""
        return (
            f"It comes to {asked.total} in Stripe, and {asked.agreed_total} was agreed: somebody "
            f"changed it there at the last moment, or a tax has changed.{more} {NOT_SENT}"
        )
    if asked.other_content:
        return (
            f"It comes to what was agreed, but in Stripe it has {asked.other_content}: somebody "
            f"changed it there at the last moment. {NOT_SENT}"
        )
    limit = approval_limit(draft.currency)
    if limit is None or asked.larger <= limit:
        return None
    return f"Above {limit}, somebody has to approve."


def approval_limit(currency: str) -> Money | None:
    """The amount above which somebody has to approve; None where nobody has to."""
    allowed = settings().approval.limits.get(currency)
    return None if allowed is None else Money.of(allowed, currency)


@step("mark expired approvals")
def mark_expired() -> int:
    """Say on records that no run waits for their approval any more; returns on how many.

    A question that nobody answers in time ends its run, and so does cancelling it; neither leaves
    a process that could say so. Under a record's lease no run is between asking and waiting.
    """
    ids = [row["Id"] for row in _waiting()]
    if not ids:
        return 0
    with INVOICE.held_if_free(ids) as busy:
        asking = being_sent()
        left = [
            row
            for row in _waiting()
            if row["Id"] in ids
            and row["Id"] not in busy
            and not asking & names(row)
            and not waits_for_approvers(row["Id"])
        ]
        for row in left:
            _mark_expired(row)
    return len(left)


def _waiting() -> list[salesforce.Record]:
    return salesforce.client().query(
        Query(
            record.INVOICE,
            ["Id", "Name", record.STRIPE_ID, record.STATUS],
            where=all_of(
                equals(record.APPROVAL_STATUS, WAITING),
                is_in(record.STATUS, [Status.DRAFT, Status.OPEN]),
                equals(record.SENT_AT, None),
            ),
        )
    )


def _mark_expired(row: salesforce.Record) -> None:
    add_entry(f"{row['Id']}-approval-expired-{today()}", row["Id"], "The approval expired")
    write_sync_message(
        row["Id"],
        SyncState.FAILED,
        f"{row['Name']} was not sent: nobody approved or declined it before its run had ended. "
        + (
            next_step(row["Name"])
            if row[record.STATUS] == Status.OPEN
            else "Send it again, and the approvers are asked again."
        ),
    )
    salesforce.client().update(record.INVOICE, row["Id"], {record.APPROVAL_STATUS: EXPIRED})


def _is_final_for_no_known_reason(draft: Invoice, asked: AmountDue) -> bool:
    """Whether we made it final, and the ledger has lost what was agreed before."""
    lost = asked.finalized and asked.agreed is None
    return lost and intents.attempted(FINALIZE, draft.record_id)


@step("look whether it was approved")
def is_approved(draft: Invoice, asked: AmountDue) -> bool:
    """Whether this very content was approved for so much, or is past asking: we finalized it."""
    if (
        asked.finalized
        and not asked.is_not_as_agreed
        and not _is_final_for_no_known_reason(draft, asked)
        and intents.attempted(FINALIZE, draft.record_id)
    ):
        return True
    content, due = decided_about(draft, asked), asked.due.minor
    decided = intents.find(APPROVE, f"{draft.record_id}:{content}")
    amount = decided.outcome if decided else None
    if amount and amount.isdecimal() and int(amount) >= due:
        return True
    return approvers_agreed(draft.record_id, content, due)


@step("take from the record what it says of approval")
def say_nothing_of_approval(draft: Invoice) -> None:
    """Take back what the record says of another content, or that somebody is still asked."""
    INVOICE.keep(draft.record_id)
    salesforce.client().update(record.INVOICE, draft.record_id, record.NO_APPROVAL)


@step("write on the record that it waits for approval")
def mark_waiting(draft: Invoice, asked: AmountDue, why: str) -> None:
    """Show on the record that somebody has to decide, and what about."""
    fields = record.approval_fields(status=WAITING, due=asked.due)
    if asked.is_not_as_agreed:
        fields[record.SYNC_MESSAGE] = f"{draft.name} waits for approval. {why}"
    fields = record.cut(fields, text_lengths(record.INVOICE))
    salesforce.client().update(record.INVOICE, draft.record_id, fields)
    get_run_logger().info("%s waits for approval. %s", draft.name, why)


@step("record the decision")
def record_decision(draft: Invoice, asked: AmountDue, decision: Decision) -> None:
    """Keep who decided what, when and over which amount: on the record and in the ledger."""
    fields = record.approval_fields(
        status=decision.status,
        by=decision.by,
        at=datetime.now(UTC),
        due=asked.due,
        comment=decision.comment,
    )
    salesforce.client().update(record.INVOICE, draft.record_id, fields)
    add_entry(
        f"{run_id()[:8]}-{decided_about(draft, asked)}-{asked.due.minor}-{decision.status}",
        draft.record_id,
        f"{decision.status} by {decision.by}",
        amount=asked.due,
    )
    if decision.approved:
        intents.set_decision(
            APPROVE,
            f"{draft.record_id}:{decided_about(draft, asked)}",
            digest=draft.content_digest,
            actor=run_id(),
            outcome=str(asked.due.minor),
        )
