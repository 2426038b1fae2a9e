"""Raising drafts: a form is checked, then written with its lines in one call."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.forms.draft_lines import (
    chosen_details,
    new_lines,
)
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.domain.model.dates import written
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Invoice, Line, draft_problems, subtotal, total
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
    currency: str
    description: str
    due_date: date | None
    lines: tuple[Line, ...]
    details: Details = field(default_factory=Details)
    bill_to: str | None = None
    replaces: str | None = None
    """The record whose place it takes."""
    opportunity: str | None = None
    """The Opportunity that it bills."""
    asked: str = ""
    """Fingerprint of what was asked for: prices looked up on another day make no other request."""

    @property
    def total(self) -> Money:
        """Total after all discounts, before taxes."""
        return total(self.lines, self.currency, self.details.discount)


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
    problems += wrong
    details = chosen_details(options or Options())
    problems += draft_problems(
        due_date=due_date,
        currency=code,
        lines=lines,
        today=today(),
        description=description,
        details=details,
    )
    problems += options_problems(details)
    if problems or customer is None:
        raise Rejected(problems)
    asked = fingerprint(customer.id, description, due_date, list(items), currency, options)
    return Draft(
        key, customer, code, description.strip(), due_date, tuple(lines), details, asked=asked
    )


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
    client = salesforce.client()
    same = intents.claim(intents.RAISE, draft.key, digest=draft.asked, actor=run_id())
    named = equals(record.LOCAL_KEY, draft.key)
    found = client.query(Query(record.INVOICE, ["Id", "Name", "Account__c"], where=named))
    if not same or (found and found[0]["Account__c"] != draft.account.id):
        raise Rejected(used_before_message(found[0]["Name"] if found else ""))
    if found:
        get_run_logger().info("This request has already raised its invoice.")
        return _raised(found[0]["Id"], draft)
    try:
        answers = client.write_graph(draft_nodes(draft))
    except Rejected:
        intents.withdraw(intents.RAISE, draft.key)
        raise
    return _raised(answers["invoice"]["id"], draft)


def used_before_message(name: str) -> str:
    """The refusal of a request id that stands for something else already."""
    raised = f" for {name}" if name else ""
    return (
        f"This request id was used before{raised}, with other content. Give what you want now a "
        "request id of its own."
    )


def was_raised(key: str) -> bool:
    """Whether a draft of a key has been written."""
    named = equals(record.LOCAL_KEY, key)
    return bool(salesforce.client().query(Query(record.INVOICE, ["Id"], where=named)))


def draft_nodes(draft: Draft, name: str = "invoice") -> list[dict[str, Any]]:
    """The subrequests that write a draft with its lines; ``name`` is its reference id."""
    header = record.header_fields(
        description=draft.description,
        due_date=draft.due_date,
        currency=draft.currency,
        total=draft.total,
        subtotal=subtotal(draft.lines, draft.currency),
        details=draft.details,
    )
    header |= {
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
            line, draft.currency, f"@{{{name}.id}}", reference=f"{name}_{line.position}"
        )
        for line in draft.lines
    ]
    if draft.replaces:
        replaced = {record.REPLACED_BY: f"@{{{name}.id}}"}
        nodes.append(
            record.subrequest("PATCH", f"{record.INVOICE}/{draft.replaces}", "replaced", replaced)
        )
    return nodes


def _raised(record_id: str, draft: Draft) -> Invoice:
    """The invoice of a draft that is written, and the beginning of its timeline."""
    add_entries([raised_entry(record_id, draft.total)])
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
