"""Steps on Salesforce: find and read records, write drafts, leave notes."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import quoted
from invoicing.domain.forms.draft_lines import (
    PriceBook,
    PriceBookEntry,
    changed_lines,
    chosen_details,
    chosen_due_date,
    new_lines,
)
from invoicing.domain.forms.parameters import Clearable, LineChange, LineItem, Options
from invoicing.domain.model.invoice import Account, Invoice, Line, draft_problems, subtotal, total
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status, SyncState
from invoicing.domain.model.terms import Details
from invoicing.domain.model.text import counted
from invoicing.domain.salesforce import record
from invoicing.errors import NotFound, Rejected
from invoicing.ledger import intents, leases
from invoicing.ledger.intents import FINALIZE, RAISE, REVISE
from invoicing.ledger.models import TimelineEntry
from invoicing.mapping import org_field_reader
from invoicing.settings import settings
from tasks.records.tax_rates import rate_problems
from tasks.records.timeline import add_entries, add_entry, make_entry
from tasks.runtime.retries import STEP
from tasks.runtime.run import run_id, run_url, this_attempt

PRODUCTS_AT_ONCE = 50
"""Products that one query asks for: its text travels in the address, which has its limits."""


LIST_LENGTH = 10_000
"""Characters of a list in a query, as the address carries it; Salesforce takes 16,384 in all."""

MAX_ACCOUNTS = 10_000
"""Accounts that one query may find: far more than the words it asks for."""


def looks_like_id(word: str, prefix: str = "") -> bool:
    """Whether a word can be a record's id, of an object with such a prefix."""
    return word.isalnum() and len(word) in (15, 18) and word.startswith(prefix)


def today() -> date:
    """The business's local date."""
    return datetime.now(settings().business.zone).date()


def stamp_now() -> str:
    """This moment, as Salesforce writes it."""
    return record.stamp(datetime.now(UTC))


@task(task_run_name="find {reference}", **STEP)
def find_record(reference: str) -> str:
    """The 18-character id of the record that people name by id, name or Stripe id.

    Raises:
        NotFound: there is no such invoice.
    """
    word = reference.strip()
    if word.startswith("in_"):
        where = f"{record.STRIPE_ID} = {quoted(word)}"
    elif looks_like_id(word, "a"):
        where = f"Id = {quoted(word)}"
    else:
        where = f"Name = {quoted(word)}"
    found = salesforce.client().query(
        f"SELECT Id FROM {record.INVOICE} WHERE {where}"  # noqa: S608
    )
    if not found:
        raise NotFound(f"There is no invoice {word!r} in Salesforce.")
    return str(found[0]["Id"])


@task(task_run_name="read the invoice", **STEP)
def read_invoice(record_id: str) -> Invoice:
    """The invoice record with its account and lines, in one call."""
    reader = org_field_reader()
    soql = record.invoice_query(
        f"Id = {quoted(record_id)}",
        multi_currency=settings().salesforce.multi_currency,
        also=reader.paths,
    )
    found = salesforce.client().query(soql)
    if not found:
        raise NotFound(f"The invoice {record_id} was deleted from Salesforce.")
    invoice = record.read_invoice(found[0], default_currency=settings().business.currency)
    return _with_contact(reader.with_org_fields(invoice, found[0]))


def _with_contact(invoice: Invoice) -> Invoice:
    """The invoice with the address of the Account's billing contact, where it has no other."""
    asked = None if invoice.email else org_field_reader().contact_query(quoted(invoice.account.id))
    if asked is None:
        return invoice
    found = salesforce.client().query(asked)
    return replace(invoice, email=org_field_reader().contact_email(found[0]) if found else None)


def _read_account(reference: str) -> Account | str:
    return read_accounts([reference])[reference]


def read_accounts(references: Iterable[str]) -> dict[str, Account | str]:
    """The Account that each word names, by id or exact name, or why there is none."""
    words = {reference: reference.strip() for reference in references}
    ids = {word for word in words.values() if looks_like_id(word, "001")}
    found: dict[str, dict[str, Account]] = {}
    for column, some in (("Id", ids), ("Name", {*words.values()} - ids - {""})):
        for listed in in_lists(some):
            for account in find_accounts(f"{column} IN ({listed})", limit=MAX_ACCOUNTS):
                word = account.id[:15] if column == "Id" else account.name.casefold()
                found.setdefault(word, {})[account.id] = account
    return {
        reference: _only(word, found.get(word[:15] if word in ids else word.casefold(), {}))
        for reference, word in words.items()
    }


def _only(word: str, found: Mapping[str, Account]) -> Account | str:
    if not word:
        return "The Account is missing."
    if len(found) > 1:
        return f"{len(found)} Accounts are called {word!r}; use the Account's id."
    for account in found.values():
        return account
    gone = "; it may have been merged or deleted" if looks_like_id(word, "001") else ""
    return f"There is no Account {word!r} in Salesforce{gone}."


def in_lists(words: Iterable[str]) -> Iterator[str]:
    """Words as lists for SOQL's IN, each short enough for a query's address."""
    listed: list[str] = []
    length = 0
    for literal in map(quoted, dict.fromkeys(words)):
        length += len(quote(literal)) + len(quote(", "))
        if listed and (length > LIST_LENGTH or len(listed) == salesforce.COLLECTION):
            yield ", ".join(listed)
            listed, length = [], len(quote(literal))
        listed.append(literal)
    if listed:
        yield ", ".join(listed)


def read_price_book(currency: str, products: Iterable[str], account: Account | None) -> PriceBook:
    """Entries of an Account's price book, in a currency, for products as people write them."""
    entries: list[PriceBookEntry] = []
    asked = list(dict.fromkeys(filter(None, map(str.strip, products))))
    for start in range(0, len(asked), PRODUCTS_AT_ONCE):
        some = asked[start : start + PRODUCTS_AT_ONCE]
        words = ", ".join(map(quoted, some))
        ids = [quoted(word) for word in some if looks_like_id(word, "01t")]
        by_id = f" OR Product2Id IN ({', '.join(ids)})" if ids else ""
        named = f" AND (Product2.ProductCode IN ({words}) OR Product2.Name IN ({words}){by_id})"
        entries += price_book_entries(currency, named, account=account)
    return PriceBook(list(dict.fromkeys(entries)), currency)


def price_book_entries(
    currency: str, condition: str = "", *, account: Account | None = None
) -> list[PriceBookEntry]:
    """An Account's price book in a currency, or what a further SOQL condition leaves of it.

    It is the standard price book, unless the field mapping chooses another.
    """
    book = price_book_condition(account)
    multi = settings().salesforce.multi_currency
    own_currency = f" AND CurrencyIsoCode = {quoted(currency)}" if multi else ""
    found = salesforce.client().query(
        "SELECT Product2Id, Product2.Name, Product2.ProductCode, Product2.IsActive, UnitPrice, "  # noqa: S608
        f"IsActive FROM PricebookEntry WHERE {book}{own_currency}{condition}"
    )
    book_currency = currency if multi else settings().business.currency
    return [
        PriceBookEntry(
            product_id=entry["Product2Id"],
            code=entry["Product2"].get("ProductCode") or "",
            name=entry["Product2"]["Name"],
            currency=book_currency,
            unit_price=record.number(entry["UnitPrice"]),
            active=entry["IsActive"] and entry["Product2"]["IsActive"],
        )
        for entry in found
    ]


def price_book_condition(account: Account | None) -> str:
    """SOQL condition for the entries of an Account's price book, or of everybody's."""
    name = org_field_reader().mapping.price_book.name
    if account and account.price_book:
        return f"Pricebook2Id = {quoted(account.price_book)}"
    return f"Pricebook2.Name = {quoted(name)}" if name else "Pricebook2.IsStandard = true"


def find_accounts(condition: str, limit: int = 2) -> list[Account]:
    """The Accounts that a SOQL condition names, by name; at most so many."""
    fields = [
        name
        for name in record.ACCOUNT_FIELDS
        if settings().salesforce.multi_currency or name != "CurrencyIsoCode"
    ]
    fields += org_field_reader().account_fields
    found = salesforce.client().query(
        f"SELECT {', '.join(fields)} FROM Account WHERE {condition} "  # noqa: S608
        f"ORDER BY Name, Id LIMIT {limit}"
    )
    default = settings().business.currency
    accounts = [record.read_account(row, default_currency=default) for row in found]
    return [
        org_field_reader().with_price_book(account, row)
        for account, row in zip(accounts, found, strict=True)
    ]


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


@task(task_run_name="check the form", **STEP)
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
    customer = _read_account(account)
    problems = [customer] if isinstance(customer, str) else []
    fallback = settings().business.currency if isinstance(customer, str) else customer.currency
    code = (currency.strip() or fallback).upper()
    lines, wrong = new_lines(
        items,
        read_price_book(
            code,
            [item.product for item in items],
            None if isinstance(customer, str) else customer,
        ),
        key=key,
    )
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
    if problems or isinstance(customer, str):
        raise Rejected(problems)
    asked = fingerprint(customer.id, description, due_date, list(items), currency, options)
    return Draft(
        key, customer, code, description.strip(), due_date, tuple(lines), details, asked=asked
    )


def fingerprint(*asked: object) -> str:
    """Short for what somebody asked for: the same again has the same."""
    return hashlib.sha256(repr(asked).encode()).hexdigest()[:32]


def options_problems(details: Details, before: Details | None = None) -> list[str]:
    """Mistakes of options just chosen, by today's date and the tax rates there are."""
    earlier = before or Details()
    problems = rate_problems([r for r in details.tax_rates if r not in earlier.tax_rates])
    if details.send_on and details.send_on != earlier.send_on and details.send_on < today():
        problems.append(f"The sending date {details.send_on} has passed; choose today or later.")
    return problems


@task(task_run_name="write the draft", **STEP)
def write_draft(draft: Draft) -> Invoice:
    """Write a draft and its lines in one all-or-nothing call, once for its key.

    Raises:
        Rejected: the key was used before, for another content.
    """
    client = salesforce.client()
    same = intents.claim(RAISE, draft.key, digest=draft.asked, actor=run_id())
    named = f"{record.LOCAL_KEY} = {quoted(draft.key)}"
    found = client.query(f"SELECT Id, Name, Account__c FROM {record.INVOICE} WHERE {named}")  # noqa: S608
    if not same or (found and found[0]["Account__c"] != draft.account.id):
        raise Rejected(used_before(found[0]["Name"] if found else ""))
    if found:
        get_run_logger().info("This request has already raised its invoice.")
        return _raised(found[0]["Id"], draft)
    try:
        answers = client.write_graph(draft_nodes(draft))
    except Rejected:
        intents.withdraw(RAISE, draft.key)
        raise
    return _raised(answers["invoice"]["id"], draft)


def used_before(name: str) -> str:
    """The refusal of a request id that stands for something else already."""
    raised = f" for {name}" if name else ""
    return (
        f"This request id was used before{raised}, with other content. Give what you want now a "
        "request id of its own."
    )


def was_raised(key: str) -> bool:
    """Whether a draft of a key has been written."""
    named = f"{record.LOCAL_KEY} = {quoted(key)}"
    return bool(salesforce.client().query(f"SELECT Id FROM {record.INVOICE} WHERE {named}"))  # noqa: S608


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
        record.LAST_RUN_URL: run_url(),
    }
    header |= {record.BILL_TO: draft.bill_to} if draft.bill_to else {}
    header |= {record.REPLACES: draft.replaces} if draft.replaces else {}
    header |= {record.OPPORTUNITY: draft.opportunity} if draft.opportunity else {}
    nodes = [_node("POST", record.INVOICE, name, header)]
    nodes += [
        _new_line(line, draft.currency, f"@{{{name}.id}}", reference=f"{name}_{line.position}")
        for line in draft.lines
    ]
    if draft.replaces:
        replaced = {record.REPLACED_BY: f"@{{{name}.id}}"}
        nodes.append(_node("PATCH", f"{record.INVOICE}/{draft.replaces}", "replaced", replaced))
    return nodes


def _raised(record_id: str, draft: Draft) -> Invoice:
    """The invoice of a draft that is written, and the beginning of its timeline."""
    add_entries([raised_entry(record_id, draft.total)])
    return read_invoice.fn(record_id)


def raised_entry(record_id: str, amount: Money) -> TimelineEntry:
    """First entry of a draft's timeline."""
    what = f"Raised over {amount}"
    return make_entry(f"{record_id}-raised", what, record_id=record_id, amount=amount)


def _node(method: str, path: str, reference: str, body: Any = None) -> dict[str, Any]:
    node = {"method": method, "path": f"sobjects/{path}", "referenceId": reference}
    return node if body is None else node | {"body": body}


def _new_line(line: Line, currency: str, parent: str, *, reference: str = "") -> dict[str, Any]:
    fields = record.line_fields(line, currency)
    fields |= {"Invoice__c": parent, record.LOCAL_KEY: line.key}
    return _node("POST", record.LINE, reference or f"line{line.position}", fields)


@dataclass(frozen=True, slots=True)
class Revision:
    """A revised draft that is right, and not yet written."""

    before: Invoice
    after: Invoice
    key: str


@task(task_run_name="check the changes", **STEP)
def prepare_revision(
    invoice: Invoice,
    *,
    description: str,
    due_date: date | None,
    add: Sequence[LineItem],
    change: Sequence[LineChange],
    remove: Sequence[int],
    key: str,
    options: Options | None = None,
    clear: Sequence[Clearable] = (),
) -> Revision:
    """Apply changes to a draft, and check the whole.

    Raises:
        Rejected: with every mistake; nothing was written.
    """
    earlier = intents.find(REVISE, key)
    if earlier and (earlier.outcome or earlier.digest == invoice.content_digest):
        return Revision(invoice, invoice, key)
    if invoice.status is not Status.DRAFT:
        raise Rejected(
            f"{invoice.name} is {invoice.status}, and only a draft can be revised; "
            "Stripe keeps what was sent."
        )
    _check_not_being_sent(invoice)
    named = [item.product for item in add] + [item.product for item in change]
    book = read_price_book(invoice.currency, named, invoice.account)
    kept, problems = changed_lines(invoice.lines, change, remove, book)
    start = max((line.position for line in invoice.lines), default=0) + 1
    added, wrong = new_lines(add, book, key=key, start=start)
    renumbered = [
        replace(line, position=position) for position, line in enumerate([*kept, *added], 1)
    ]
    due, details = chosen_due_date(
        due_date,
        chosen_details(options or Options(), invoice.details, clear),
        (invoice.due_date, invoice.details),
        clear,
    )
    memo = "" if "description" in clear else invoice.description
    after = replace(
        invoice,
        description=description.strip() if description else memo,
        due_date=due,
        lines=tuple(renumbered),
        details=details,
    )
    problems += wrong
    problems += draft_problems(
        due_date=after.due_date,
        currency=after.currency,
        lines=after.lines,
        today=today(),
        description=after.description,
        details=after.details,
    )
    problems += options_problems(after.details, invoice.details)
    if problems:
        raise Rejected(problems)
    return Revision(invoice, after, key)


def _check_not_being_sent(invoice: Invoice) -> None:
    if intents.attempted(FINALIZE, invoice.record_id):
        raise Rejected(f"{invoice.name} is being sent; run send-invoice again to finish that.")


@task(task_run_name="write the changes", **STEP)
def write_revision(revision: Revision) -> Invoice:
    """Write a revised draft in one all-or-nothing call, once for its key.

    Lines are named by position, so revising twice would not be the same as revising once.
    """
    after = revision.after

    def written(_since: datetime) -> str | None:
        now = read_invoice.fn(after.record_id).content_digest
        return "revised" if now == after.content_digest else None

    def write(_key: str) -> str:
        leases.acquire(after.record_id, this_attempt())
        _check_not_being_sent(after)
        salesforce.client().write_graph(_revision_nodes(revision))
        return "revised"

    if revision.before != after:
        intents.once(
            REVISE,
            revision.key,
            digest=after.content_digest,
            actor=run_id(),
            evidence=written,
            act=write,
        )
    if intents.attempted(REVISE, revision.key):
        act = hashlib.sha256(revision.key.encode()).hexdigest()[:16]
        what = f"Revised: {after.total} on {counted(len(after.lines), 'line')}"
        key = f"{after.record_id}-revised-{act}"
        add_entry(key, after.record_id, what, amount=after.total)
    return read_invoice.fn(after.record_id)


def _revision_nodes(revision: Revision) -> list[dict[str, Any]]:
    after = revision.after
    header = record.header_fields(
        description=after.description,
        due_date=after.due_date,
        currency=after.currency,
        total=after.total,
        subtotal=after.subtotal,
        details=after.details,
    )
    header[record.LAST_RUN_URL] = run_url()
    nodes = [_node("PATCH", f"{record.INVOICE}/{after.record_id}", "invoice", header)]
    before = {line.record_id: line for line in revision.before.lines}
    for line in after.lines:
        if line.record_id is None:
            nodes.append(_new_line(line, after.currency, after.record_id))
        elif line != before[line.record_id]:
            fields = record.line_fields(line, after.currency)
            path = f"{record.LINE}/{line.record_id}"
            nodes.append(_node("PATCH", path, f"line{line.position}", fields))
    stay = {line.record_id for line in after.lines}
    nodes += [
        _node("DELETE", f"{record.LINE}/{gone}", f"gone{number}")
        for number, gone in enumerate(before, 1)
        if gone not in stay
    ]
    return nodes


@task(task_run_name="write the sync message", **STEP)
def write_sync_message(record_id: str, state: SyncState, message: str) -> None:
    """Write on the record what went wrong.

    A failed request leaves the sync state of what was already sent alone: the record is
    still in step with Stripe, whatever was asked of it in vain.
    """
    found = salesforce.client().query(
        f"SELECT {record.STATUS} FROM {record.INVOICE} WHERE Id = {quoted(record_id)}"  # noqa: S608
    )
    if not found:
        return
    fields: dict[str, Any] = {
        record.SYNC_MESSAGE: message[: record.MESSAGE_LENGTH],
        record.LAST_RUN_URL: run_url(),
    }
    if state is SyncState.CONFLICT or found[0][record.STATUS] == Status.DRAFT:
        fields[record.SYNC_STATE] = state
    salesforce.client().update(record.INVOICE, record_id, fields)


@task(task_run_name="link the customer to the Account", **STEP)
def link_customer(account: Account, customer_id: str) -> None:
    """Write the Stripe customer on the Account, where it is not there yet."""
    if account.stripe_customer_id != customer_id:
        salesforce.client().update("Account", account.id, {"Stripe_Customer_Id__c": customer_id})
