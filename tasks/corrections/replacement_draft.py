"""Steps on invoices that replace others, which Stripe calls revisions.

The replacement is a draft in Salesforce like any other. When it is sent, Stripe's draft is made
from the invoice that it replaces, and Stripe voids that one at the moment of finalization.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import Any

from invoicing.connectors import salesforce
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice, draft_problems
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of, equals
from invoicing.domain.stripe.action_rules import InvoiceAction, action_problems
from invoicing.errors import Conflict, Rejected
from invoicing.ledger import intents
from invoicing.ledger.intents import FINALIZE, RAISE
from tasks.corrections.invoice_state import read_invoice_state
from tasks.drafting.billed_copy import read_billed
from tasks.drafting.draft_record import Draft, raised, used_before_message, write_draft
from tasks.records.invoices import find_record, read_invoice
from tasks.records.locks import INVOICE, lock_quietly
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step

REPLACE_INSTEAD = (
    "Edit the invoice in Stripe's dashboard: that keeps them, and the new invoice comes here by "
    "itself."
)

NO_LONGER_REPLACING = (Status.DELETED, Status.VOID)
"""States of a replacement that leave the place free for another."""


@step("write the replacement's draft")
def write_replacement(record_id: str, due_date: date | None, request_id: str) -> Invoice:
    """Write a draft with the content of a sent invoice, both records linked, once for a request.

    Raises:
        Rejected: the invoice cannot be replaced; nothing was written.
    """
    INVOICE.keep(record_id)
    key = f"replace-{request_id or run_id()}"
    asked = fingerprint(record_id, due_date)
    made = raised(key)
    if made:
        if not intents.claim(RAISE, key, digest=asked, actor=run_id()):
            raise Rejected(used_before_message(made["Name"]))
        return read_invoice.fn(str(made["Id"]))
    state, old = read_invoice_state.fn(record_id), read_invoice.fn(record_id)
    problems = list(action_problems(InvoiceAction.REPLACE, state))
    if not problems:
        old, problems = read_billed(old, InvoiceAction.REPLACE, REPLACE_INSTEAD)
    content = old.copied(key, due_date)
    due = due_date or (old.due_date and max(old.due_date, today()))
    wrong = draft_problems(replace(content, due_date=due), today())
    if wrong:  # it may have been made in Stripe
        problems += [f"{old.name} cannot be replaced as it is.", *wrong]
    stands = Comparison(record.STATUS, "!=", NO_LONGER_REPLACING)
    replacing = all_of(equals(record.REPLACES, record_id), stands)
    rivals = salesforce.client().query(Query(record.INVOICE, ["Name"], replacing))
    if rivals:
        problems.append(
            f"{old.name} is being replaced by {rivals[0]['Name']} already; revise and send "
            "that, or delete it first."
        )
    if problems:
        raise Rejected(problems)
    draft = Draft(key, old.account, content, bill_to=old.bill_to, replaces=record_id, asked=asked)
    return write_draft.fn(draft)


def replacement_links(original: str | None) -> tuple[dict[str, str], list[dict[str, Any]]]:
    """Links between a new record and the one that it replaces, if we have that.

    Args:
        original: The Stripe invoice whose place the new record's invoice takes.

    Returns:
        Fields of the new record, which the same call makes as ``invoice``, and the link back: one
        more request of that call.
    """
    if original is None:
        return {}, []
    found = salesforce.client().query(
        Query(record.INVOICE, ["Id"], where=equals(record.STRIPE_ID, original))
    )
    if not found:
        return {}, []
    old = str(found[0]["Id"])
    body = {record.REPLACED_BY: "@{invoice.id}"}
    back = record.subrequest("PATCH", f"{record.INVOICE}/{old}", "replaced", body)
    return {record.REPLACES: old}, [back]


def check_replaceable(draft: Invoice) -> None:
    """Refuse to send a replacement when its original can no longer be replaced.

    Raises:
        Conflict: the original was paid, voided or written to in Stripe meanwhile.
    """
    if draft.replaces:
        _check_original(draft, draft.replaces)


@contextmanager
def original_locked(draft: Invoice) -> Iterator[None]:
    """Let nobody credit or pay what a draft replaces, from a last look at it to the block's end.

    Finalization voids it, and the new invoice asks for all that the draft says.

    Raises:
        Conflict: as :func:`check_replaceable` does.
    """
    if draft.replaces is None or intents.attempted(FINALIZE, draft.record_id):
        yield
        return
    with lock_quietly(draft.replaces):
        check_replaceable(draft)
        yield


@step("check what it replaces")
def _check_original(draft: Invoice, replaces: str) -> None:
    if intents.attempted(FINALIZE, draft.record_id):
        return
    original = read_invoice_state.fn(find_record.fn(replaces))
    problems = list(action_problems(InvoiceAction.REPLACE, original))
    if problems:
        raise Conflict(" ".join([f"{draft.name} was not sent.", *problems]))
