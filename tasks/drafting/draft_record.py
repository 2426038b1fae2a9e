"""Raising drafts: a form is checked, then written with its lines in one call."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.forms.draft_lines import (
    chosen_details,
    new_lines,
)
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.domain.model.dates import written
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Content, Invoice, Line, draft_problems
from invoicing.domain.model.invoice_details import Details
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.errors import Rejected
from invoicing.ledger import intents
from invoicing.ledger.models import TimelineEntry
from tasks.records.accounts import read_account
from tasks.records.invoices import read_invoice
from tasks.records.org_facts import org_currency
from tasks.records.price_books import read_price_book
from tasks.records.tax_rate_names import rate_problems
from tasks.records.timeline import add_entries, make_entry
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id, run_url
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft that is right, and not yet written."""

    key: str
    account: Account
    content: Content
    bill_to: str | None = None
    replaces: str | None = None
    """The record whose place it takes."""
    opportunity: str | None = None
    """The Opportunity that it bills."""
    asked: str = ""
    """Fingerprint of what was asked for: prices looked up on another day make no other request."""


@step("check the form")
def prepare_draft(
    account: str,
    description: str,
    due_date: date | None,
    items: Sequence[LineItem],
    currency: str,
    key: str,
    options: Options | None = None,
) -> Draft:
    """Check a whole form against Salesforce, prices filled in from the price book.

    Raises:
        Rejected: with every mistake of the form; nothing was written.
    """
    found = read_account(account)
    problems = [found] if isinstance(found, str) else []
    customer = None if isinstance(found, str) else found
    fallback = customer.currency if customer else org_currency().own
    code = (currency.strip() or fallback).upper()
    book = read_price_book(code, [item.product for item in items], customer)
    lines, wrong = new_lines(items, book, key=key)
    content = Content(
        currency=code,
        description=description.strip(),
        due_date=due_date,
        lines=tuple(lines),
        details=chosen_details(options or Options()),
    )
    problems += [*wrong, *draft_problems(content, today()), *options_problems(content.details)]
    if problems or customer is None:
        raise Rejected(problems)
    asked = fingerprint(customer.id, description, due_date, list(items), currency, options)
    return Draft(key, customer, content, asked=asked)


def options_problems(
    details: Details,
    before: Details = Details(),  # noqa: B008  (immutable)
) -> list[str]:
    """Mistakes of options just chosen, by today's date and the tax rates there are."""
    problems = rate_problems([r for r in details.tax_rates if r not in before.tax_rates])
    if details.send_on and details.send_on != before.send_on and details.send_on < today():
        problems.append(
            f"The sending date {written(details.send_on)} has passed; choose today or later."
        )
    return problems


@step("write the draft")
def write_draft(draft: Draft) -> Invoice:
    """Write a draft and its lines in one all-or-nothing call, once for its key.

    Raises:
        Rejected: the key was used before, for another content.
    """
    same = intents.claim(intents.RAISE, draft.key, digest=draft.asked, actor=run_id())
    found = raised(draft.key)
    if not same or (found and found["Account__c"] != draft.account.id):
        raise Rejected(used_before_message(found["Name"] if found else ""))
    if found:
        get_run_logger().info("This request has already raised its invoice.")
        return _begun(found["Id"], draft)
    try:
        answers = salesforce.client().write_graph(draft_nodes(draft))
    except Rejected:
        intents.withdraw(intents.RAISE, draft.key)
        raise
    return _begun(answers["invoice"]["id"], draft)


def used_before_message(name: str) -> str:
    """The refusal of a request id that stands for something else already."""
    raised = f" for {name}" if name else ""
    return (
        f"This request id was used before{raised}, with other content. Give what you want now a "
        "request id of its own."
    )


def raised(key: str) -> Record | None:
    """The record that was written under a key, with its name and Account."""
    named = equals(record.LOCAL_KEY, key)
    found = salesforce.client().query(
        Query(record.INVOICE, ["Id", "Name", "Account__c"], where=named)
    )
    return found[0] if found else None


def draft_nodes(draft: Draft, name: str = "invoice") -> list[dict[str, Any]]:
    """The subrequests that write a draft with its lines; ``name`` is its reference id."""
    content = draft.content
    header = record.header_fields(content) | {
        "Account__c": draft.account.id,
        record.LOCAL_KEY: draft.key,
        record.STATUS: Status.DRAFT,
        record.SYNC_STATE: SyncState.CLEAN,
        record.LAST_RUN_URL: run_url(),
    }
    related = {
        record.BILL_TO: draft.bill_to,
        record.REPLACES: draft.replaces,
        record.OPPORTUNITY: draft.opportunity,
    }
    header |= {name: id_ for name, id_ in related.items() if id_}
    nodes = [record.subrequest("POST", record.INVOICE, name, header)]
    nodes += [
        line_subrequest(
            line, content.currency, f"@{{{name}.id}}", reference=f"{name}_{line.position}"
        )
        for line in content.lines
    ]
    if draft.replaces:
        replaced = {record.REPLACED_BY: f"@{{{name}.id}}"}
        nodes.append(
            record.subrequest("PATCH", f"{record.INVOICE}/{draft.replaces}", "replaced", replaced)
        )
    return nodes


def _begun(record_id: str, draft: Draft) -> Invoice:
    """The invoice of a draft that is written, and the beginning of its timeline."""
    add_entries([raised_entry(record_id, draft.content.total)])
    return read_invoice.fn(record_id)


def raised_entry(record_id: str, amount: Money) -> TimelineEntry:
    """First entry of a draft's timeline."""
    what = f"Raised over {amount}"
    return make_entry(f"{record_id}-raised", what, record_id=record_id, amount=amount)


def line_subrequest(
    line: Line, currency: str, parent: str, *, reference: str = ""
) -> dict[str, Any]:
    """The part of a graph that makes a line of an invoice."""
    fields = record.line_fields(line, currency)
    fields |= {"Invoice__c": parent, record.LOCAL_KEY: line.key}
    return record.subrequest("POST", record.LINE, reference or f"line{line.position}", fields)
