"""Steps of approval by people whom Salesforce knows: a question waits, and requests answer it.

A question is about one content and one amount, and has a key, which the record shows and the
request of an approver names. Who made a request is the platform's knowledge; the org refuses those
who are no approvers. What is asked and what was answered stands in the ledger alone: whoever writes
on the record decides nothing.
"""

from dataclasses import dataclass

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.forms.approval import APPROVED, DECLINED, WAITING
from invoicing.domain.model.amount_due import AmountDue
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import Money
from invoicing.domain.model.record_ids import short
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record, request_record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.request_record import APPROVAL_NOTIFICATION, APPROVERS
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger import intents, request_records
from invoicing.ledger.intents import APPROVED_BY, ASK_APPROVAL, DECIDE, SEND, TELL_APPROVERS
from invoicing.ledger.models import Intent, RequestRecord
from invoicing.org_check import has_approvals
from invoicing.settings import settings
from tasks.records.invoices import read_invoice, write_sync_message
from tasks.records.locks import INVOICE, lock_quietly
from tasks.records.org_facts import text_lengths
from tasks.records.timeline import add_entry
from tasks.runtime.request_answer import notify
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step

WITHDRAWN, MOVED = "Withdrawn", "Moved"
"""How a question ends that no approver decided."""

TOTAL_PREFIX = "total-"
"""Begins what a decision is about that is about a total."""

DECIDED = {
    request_record.APPROVE: "{} was approved already, by {}.",
    request_record.REJECT: "{} was rejected by {}. Send it again to ask again.",
    WITHDRAWN: "{} needs no approval any more.",
    MOVED: "{} is decided in Prefect now: answer the run of send-invoice that waits there.",
}
"""What whoever decides too late is told, by what decided."""

NOT_SENT = "It is open in Stripe, and was neither mailed nor charged."


def next_step(name: str) -> str:
    """What to do about an invoice that is final and did not go out."""
    return (
        f"{NOT_SENT} Run send-invoice in Prefect to ask again; if {name} is not to be paid, press "
        "Void on its page, or run void-invoice."
    )


def decided_about(draft: Invoice, asked: AmountDue) -> str:
    """What a decision is about; of an invoice that is final otherwise than agreed, its total.

    The record takes over what Stripe has while somebody thinks about that, and an invoice that is
    final does not change any more, nor do its lines.
    """
    return f"{TOTAL_PREFIX}{asked.total.minor}" if asked.was_changed else draft.content_digest


def decides_in_salesforce() -> bool:
    """Whether approvers decide by the package's buttons."""
    return settings().approval.in_salesforce and has_approvals(salesforce.client())


@dataclass(frozen=True, slots=True)
class _Question:
    """What approvers are asked about one invoice."""

    key: str
    record_id: str
    content: str
    due: int
    asked_by: str

    @property
    def decision(self) -> Intent | None:
        """How it was decided; None as long as it waits."""
        return intents.find(DECIDE, self.key)

    @property
    def approvers(self) -> list[str]:
        """The names of those who have approved."""
        return [yes.outcome or "" for yes in intents.concluded(APPROVED_BY, f"{self.key}:")]


def _asked_last(record_id: str) -> _Question | None:
    asked = intents.find(ASK_APPROVAL, record_id)
    return _question(asked) if asked and asked.outcome else None


def _question(asked: Intent) -> _Question:
    key = fingerprint(asked.subject, asked.digest, asked.outcome, asked.generation)
    return _Question(key, asked.subject, asked.digest, int(asked.outcome or 0), asked.actor)


def waits_for_approvers(record_id: str) -> bool:
    """Whether approvers were asked in Salesforce, and have not decided."""
    question = _asked_last(record_id)
    return question is not None and question.decision is None


def approvers_agreed(record_id: str, content: str, due: int) -> bool:
    """Whether approvers said yes to a content and to so many minor units, or to more.

    What they were asked last counts: a no takes back what was approved before.
    """
    question = _asked_last(record_id)
    if question is None or question.content != content or question.due < due:
        return False
    decided = question.decision
    return decided is not None and decided.digest == request_record.APPROVE


@step("ask the approvers")
def ask_approvers(draft: Invoice, asked: AmountDue, why: str) -> str:
    """Let an invoice wait for approvers, and tell them, once for each content and amount.

    Returns:
        That it waits, in a sentence.
    """
    INVOICE.keep(draft.record_id)
    question = _asked_last(draft.record_id)
    wanted = decided_about(draft, asked), asked.due.minor
    if question is None or (question.content, question.due) != wanted or question.decision:
        question = _ask(draft.record_id, *wanted)
    said = f"{draft.name} waits for approval over {asked.due}. {why}"
    by = ", ".join(question.approvers)
    fields = record.approval_fields(status=WAITING, by=by, due=asked.due, key=question.key)
    fields[record.SYNC_MESSAGE] = said
    fields = record.cut(fields, text_lengths(record.INVOICE))
    salesforce.client().update(record.INVOICE, draft.record_id, fields)
    add_entry(f"{question.key}-asked", draft.record_id, "Waits for approval", amount=asked.due)
    _tell_approvers(question, f"{draft.name} waits for approval", f"{draft.account.name}: {said}")
    return said


def _ask(record_id: str, content: str, due: int) -> _Question:
    """A question that is none of those before, even if it is about the same."""
    intents.reopen(ASK_APPROVAL, record_id)
    return _question(
        intents.set_decision(
            ASK_APPROVAL, record_id, digest=content, actor=run_id(), outcome=str(due)
        )
    )


def _tell_approvers(question: _Question, title: str, said: str) -> None:
    """Tell the group, once; who is not told finds it in the list of what waits."""
    if intents.find(TELL_APPROVERS, question.key):
        return
    org = salesforce.client()
    try:
        groups = org.query(Query("Group", ["Id"], where=equals("DeveloperName", APPROVERS)))
        for group in groups[:1]:
            org.notify(APPROVAL_NOTIFICATION, group["Id"], title, said, question.record_id)
    except InvoicingError as error:
        get_run_logger().warning("The approvers were not notified: %s", error)
        return
    intents.set_decision(
        TELL_APPROVERS,
        question.key,
        digest=question.content,
        actor=run_id(),
        outcome=str(len(groups)),
    )


@step("take the question back")
def close_question(record_id: str, how: str) -> None:
    """Let approvers no longer answer what they were asked; the record stays as it is.

    Args:
        record_id: The invoice.
        how: Withdrawn, where it goes on without their answer, or moved into Prefect's dialogue.
    """
    INVOICE.keep(record_id)
    if question := _asked_last(record_id):
        intents.decide_once(DECIDE, question.key, digest=how, actor=run_id(), outcome="")


def approve(invoice: str, request_id: str) -> str:
    """Take an approver's yes from their request; the same request as often as it takes.

    Args:
        invoice: The invoice as people name it.
        request_id: The request's record.

    Returns:
        What is still missing, in a sentence with a space after it; nothing if it is approved.

    Raises:
        Rejected: it does not wait, was decided otherwise, or this approver may not.
    """
    with lock_quietly(invoice) as record_id:
        return _take_yes(record_id, request_id)


@step("take the approval")
def _take_yes(record_id: str, request_id: str) -> str:
    request = _request(record_id, request_id, request_record.APPROVE)
    draft = read_invoice(record_id)
    if short(request.asked_by) == _ours():
        raise Rejected(
            f"You are the user as whom programs act here, and nobody but a person approves "
            f"{draft.name}: log in as yourself, and press Approve."
        )
    question, name = _asked_in(request, draft), _name(request.asked_by)
    due, kept = Money(draft.currency, question.due), f"{request_id}-approved"
    INVOICE.keep(record_id)
    if question.decision is None:
        is_final = question.content.startswith(TOTAL_PREFIX)
        if not is_final and question.content != draft.content_digest:
            return f"{draft.name} was changed after it was sent for approval. "
        if not _is_enough(question, request, draft.name):
            add_entry(kept, record_id, f"Approved by {name}", amount=due)
            return (
                f"{name} approved {draft.name}. A program wrote it, so another one has to as well. "
            )
    approvers = ", ".join(question.approvers)
    _decide(question, request, draft.name, approvers)
    add_entry(kept, record_id, f"Approved by {name}", amount=due)
    _show_decision(request, APPROVED, approvers, due)
    intents.take_over(SEND, record_id, run_id())
    return ""


def reject(invoice: str, request_id: str) -> str:
    """Take an approver's no from their request; the same request as often as it takes.

    Args:
        invoice: The invoice as people name it.
        request_id: The request's record.

    Returns:
        What was decided, in a sentence.

    Raises:
        Rejected: it does not wait, or was decided otherwise.
    """
    with lock_quietly(invoice) as record_id:
        return _take_no(record_id, request_id)


@step("take the rejection")
def _take_no(record_id: str, request_id: str) -> str:
    request = _request(record_id, request_id, request_record.REJECT)
    draft = read_invoice(record_id)
    question, name = _asked_in(request, draft), _name(request.asked_by)
    INVOICE.keep(record_id)
    _decide(question, request, draft.name, name)
    due = Money(draft.currency, question.due)
    _show_decision(request, DECLINED, name, due)
    add_entry(f"{request_id}-rejected", record_id, f"Declined by {name}", amount=due)
    comment = request_record.read_parameters(request.parameters).get("comment", "")
    said = f"{draft.name} was declined by {name}: {comment or 'no reason was given'}."
    if draft.status is not Status.DRAFT:
        said += f" {next_step(draft.name)}"
    write_sync_message(record_id, SyncState.FAILED, said)
    if sender := request_records.asked_for(question.asked_by):
        notify(sender, f"{draft.name} was declined", said)
    return said


def _request(record_id: str, request_id: str, action: str) -> RequestRecord:
    """The request of an approver, as Salesforce had it when it was taken up."""
    request = request_records.find(request_id)
    if request is None or request.action != action or request.invoice_id != record_id:
        raise Rejected(
            f"There is no request {request_id!r} in Salesforce to {action.lower()} this invoice. "
            f"Approvers press {action} on its page."
        )
    return request


def _asked_in(request: RequestRecord, draft: Invoice) -> _Question:
    """The question that a request answers."""
    question = _asked_last(draft.record_id)
    given = request_record.read_parameters(request.parameters).get("approval_key")
    if question is None or given != question.key:
        raise Rejected(
            f"{draft.name} no longer waits for what was decided about: it was changed, or sent for "
            "approval again. Look at it, and decide again."
        )
    return question


def _decide(question: _Question, request: RequestRecord, name: str, by: str) -> None:
    """Let a request decide, unless something has decided before.

    Args:
        question: What is decided.
        request: The request that decides.
        name: The invoice's name.
        by: Who decides.

    Raises:
        Rejected: it was decided before.
    """
    decided = intents.decide_once(
        DECIDE, question.key, digest=request.action, actor=request.id, outcome=by
    )
    if decided.actor != request.id:
        raise Rejected(DECIDED[decided.digest].format(name, decided.outcome))


def _is_enough(question: _Question, request: RequestRecord, name: str) -> bool:
    """Whether an approver's yes is enough; it is written down.

    Raises:
        Rejected: they wrote the invoice.
    """
    four_eyes = settings().approval.four_eyes
    authors, by_program = _authors(question.record_id) if four_eyes else (set(), False)
    if short(request.asked_by) in authors:
        raise Rejected(
            f"You raised {name}, or wrote on its lines, so somebody else has to approve it."
        )
    intents.set_decision(
        APPROVED_BY,
        f"{question.key}:{short(request.asked_by)}",
        digest=question.content,
        actor=request.id,
        outcome=_name(request.asked_by),
    )
    return not by_program or len(question.approvers) > 1


def _authors(record_id: str) -> tuple[set[str], bool]:
    """Users who raised an invoice or wrote its lines, and whether a program did."""
    org = salesforce.client()
    [raised] = org.query(Query(record.INVOICE, ["CreatedById"], where=equals("Id", record_id)))
    wrote = ["CreatedById", "LastModifiedById"]
    lines = org.query(Query(record.LINE, wrote, where=equals("Invoice__c", record_id)))
    users = {short(line[field]) for line in lines for field in wrote}
    users.add(short(raised["CreatedById"]))
    return users - {_ours()}, _ours() in users


def _ours() -> str:
    """The user as which the product acts, whoever runs it: no person's yes is its."""
    return short(salesforce.client().session().user_id)


def _name(user_id: str) -> str:
    found = salesforce.client().query(Query("User", ["Name"], where=equals("Id", user_id)))
    return str(found[0]["Name"]) if found else user_id


def _show_decision(request: RequestRecord, status: str, by: str, due: Money) -> None:
    comment = request_record.read_parameters(request.parameters).get("comment", "")
    fields = record.approval_fields(
        status=status, by=by, at=request.asked_at, due=due, comment=comment
    )
    fields = record.cut(fields, text_lengths(record.INVOICE))
    salesforce.client().update(record.INVOICE, str(request.invoice_id), fields)
