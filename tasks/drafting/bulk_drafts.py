"""Steps of raising many drafts at once: checked together, written many in a call, reported."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from more_itertools import chunked
from prefect import task

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import GRAPHS, NODES, GraphError, Record
from invoicing.domain.forms.csv_import import MAX_INVOICES, Form, read_table
from invoicing.domain.forms.draft_lines import PriceBook, chosen_details, new_lines
from invoicing.domain.forms.parameters import BulkOutcome, Options
from invoicing.domain.model import markdown
from invoicing.domain.model.invoice import Account, Line, draft_problems
from invoicing.domain.model.invoice_details import Details, Discount
from invoicing.domain.model.money import CURRENCIES, Money
from invoicing.domain.model.record_ids import looks_like_id, short
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger import timeline
from tasks.drafting.draft_record import Draft, draft_nodes, options_problems, raised_entry
from tasks.records.accounts import read_accounts
from tasks.records.environment_check import org_currency
from tasks.records.locks import Lock
from tasks.records.price_books import read_price_book
from tasks.records.record_changes import add_entries
from tasks.records.soql_lists import select_in
from tasks.runtime.clock import today
from tasks.runtime.retries import STEP
from tasks.runtime.run_page import publish_page, record_page

DRAFT = Lock("these invoices")
"""Subjects are the keys that drafts are written under."""

MAX_REASONS_SHOWN = 5
"""Mistakes that the error itself names; the run's page names all."""


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values of drafts that name no others."""

    description: str
    due_date: date | None
    details: Details


@dataclass(frozen=True, slots=True)
class RequestedInvoice:
    """An invoice that is requested.

    Attributes:
        where: Its rows or its Opportunity, for people.
        key: Its local key; empty where there is nothing to raise.
        draft: What is to be written, unless something is wrong.
        problems: Everything that is wrong.
    """

    where: str
    key: str
    draft: Draft | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RaiseResult:
    """The outcome of a requested invoice.

    Attributes:
        requested: The request.
        row: Its record; None where there is none.
        is_new: Whether this run raised it.
        problems: Why there is none.
    """

    requested: RequestedInvoice
    row: Record | None = None
    is_new: bool = False
    problems: tuple[str, ...] = ()


@task(task_run_name="check the options", **STEP)
def choose_defaults(description: str, due_date: date | None, options: Options) -> Defaults:
    """Check the values that are given for all drafts at once.

    Raises:
        Rejected: with everything that is wrong with the options.
    """
    details = chosen_details(options)
    problems = options_problems(details)
    if problems:
        raise Rejected(problems)
    return Defaults(description.strip(), due_date, details)


@task(task_run_name="check the table", **STEP)
def check_table(csv: str, defaults: Defaults, request: str) -> list[RequestedInvoice]:
    """Check a whole table against Salesforce, in a few queries for all of its rows.

    Raises:
        Rejected: the table as a whole cannot be read.
    """
    if not csv.strip():
        return []
    forms = read_table(csv, request)
    customers = read_accounts(form.header.account for form in forms)
    books = _price_books(forms, customers)
    return [_asked(form, customers[form.header.account], books, defaults) for form in forms]


Book = tuple[str, str | None]
"""A currency, and the price book that an Account has for itself."""


def _book(form: Form, customer: Account | str) -> Book:
    own = org_currency().own if isinstance(customer, str) else customer.currency
    code = (form.header.currency or own).upper()
    return code, None if isinstance(customer, str) else customer.price_book


def _price_books(
    forms: Sequence[Form], customers: Mapping[str, Account | str]
) -> dict[Book, PriceBook]:
    products: dict[Book, set[str]] = {}
    accounts: dict[Book, Account | None] = {}
    for form in forms:
        customer = customers[form.header.account]
        book = _book(form, customer)
        products.setdefault(book, set()).update(item.product for item in form.items)
        accounts.setdefault(book, None if isinstance(customer, str) else customer)
    return {
        book: read_price_book(book[0], sorted(names), accounts[book])
        if book[0] in CURRENCIES
        else PriceBook([], book[0])
        for book, names in products.items()
    }


def _asked(
    form: Form, customer: Account | str, books: Mapping[Book, PriceBook], defaults: Defaults
) -> RequestedInvoice:
    header, book = form.header, books[_book(form, customer)]
    due_date, details = defaults.due_date, defaults.details
    if header.due_date or header.payment_terms:
        due_date, details = header.due_date, replace(details, terms=header.payment_terms)
    own = {name: getattr(header, name) for name in ("po_number", "footer", "send_on")}
    details = replace(details, **{name: value for name, value in own.items() if value})
    lines, problems = new_lines(form.items, book, key=form.key)
    problems += _late(header.send_on)
    requested = _checked(
        RequestedInvoice(form.where, form.key),
        customer,
        book.currency,
        header.description or defaults.description,
        due_date,
        lines,
        details,
    )
    problems += requested.problems
    placed = tuple(form.problems + [form.placed(problem) for problem in problems])
    return replace(requested, problems=placed, draft=None if placed else requested.draft)


def _late(send_on: date | None) -> list[str]:
    return options_problems(Details(send_on=send_on))


def _checked(
    requested: RequestedInvoice,
    customer: Account | str,
    currency: str,
    description: str,
    due_date: date | None,
    lines: Sequence[Line],
    details: Details,
    opportunity: str | None = None,
) -> RequestedInvoice:
    """A requested invoice with its draft, or with its mistakes."""
    problems = [customer] if isinstance(customer, str) else []
    problems += draft_problems(
        due_date=due_date,
        currency=currency,
        lines=lines,
        today=today(),
        description=description,
        details=details,
    )
    if problems or isinstance(customer, str):
        return replace(requested, problems=tuple(problems))
    draft = Draft(
        key=requested.key,
        account=customer,
        currency=currency,
        description=description,
        due_date=due_date,
        lines=tuple(lines),
        details=details,
        opportunity=opportunity,
    )
    return replace(requested, draft=draft)


@task(task_run_name="check the Opportunities", **STEP)
def check_opportunities(references: Sequence[str], defaults: Defaults) -> list[RequestedInvoice]:
    """Check Opportunities and their products, in a few queries for all of them.

    Each is billed once, whoever asks: its id is its draft's key.
    """
    words = list(dict.fromkeys(filter(None, map(str.strip, references))))
    if len(words) > MAX_INVOICES:
        raise Rejected(
            f"{len(words):,} Opportunities are too many; {MAX_INVOICES:,} go in one run."
        )
    named = _opportunities(words)
    wrong = [
        RequestedInvoice(f"Opportunity {word!r}", "", problems=(f"Opportunity {word!r}: {found}",))
        for word, found in named.items()
        if isinstance(found, str)
    ]
    found = {row["Id"]: row for row in named.values() if not isinstance(row, str)}
    products = _products(found)
    customers = read_accounts(row["AccountId"] or "" for row in found.values())
    return wrong + [
        _of_opportunity(row, products.get(id_, []), customers[row["AccountId"] or ""], defaults)
        for id_, row in found.items()
    ]


def _opportunities(words: Sequence[str]) -> dict[str, Record | str]:
    """The Opportunity that each word names, by id or exact name, or why there is none."""
    ids = [word for word in words if looks_like_id(word, "006")]
    fields = ["Id", "Name", "AccountId", "StageName", "IsWon", "IsClosed", *org_currency().fields]
    found: dict[str, dict[str, Record]] = {}
    for column, some in (("Id", ids), ("Name", [word for word in words if word not in ids])):
        for row in select_in("Opportunity", column, some, fields):
            word = short(row["Id"]) if column == "Id" else row["Name"].casefold()
            found.setdefault(word, {})[row["Id"]] = row
    return {
        word: _only(found.get(short(word) if word in ids else word.casefold(), {}))
        for word in words
    }


def _only(found: Mapping[str, Record]) -> Record | str:
    if len(found) > 1:
        return f"{len(found)} are called so; use the Opportunity's id."
    for row in found.values():
        return row
    return "there is none in Salesforce."


def _products(ids: Iterable[str]) -> dict[str, list[Record]]:
    """The products of Opportunities, in their order."""
    rows: dict[str, list[Record]] = {}
    fields = (
        *("OpportunityId", "Product2Id", "Product2.Name"),
        *("Quantity", "UnitPrice", "Discount", "Description"),
    )
    order = "OpportunityId, SortOrder NULLS LAST, CreatedDate, Id"
    for row in select_in("OpportunityLineItem", "OpportunityId", ids, fields, order=order):
        rows.setdefault(row["OpportunityId"], []).append(row)
    return rows


def _of_opportunity(
    row: Record, products: Sequence[Record], customer: Account | str, defaults: Defaults
) -> RequestedInvoice:
    where, key = f"Opportunity {row['Name']!r}", f"opportunity-{row['Id']}"
    problems = []
    if not (row["IsWon"] and row["IsClosed"]):
        problems.append(f"it is in stage {row['StageName']!r}; only one that is won can be billed.")
    if not products:
        problems.append("it has no products; add some, or raise the invoice by hand.")
    requested = _checked(
        RequestedInvoice(where, key),
        customer if row["AccountId"] else "it has no Account.",
        org_currency().of(row),
        defaults.description or row["Name"],
        defaults.due_date,
        [_line(key, number, product) for number, product in enumerate(products, 1)],
        defaults.details,
        opportunity=row["Id"],
    )
    problems += [
        p for p in requested.problems if products or not p.startswith("The invoice has no")
    ]
    placed = tuple(f"{where}: {problem}" for problem in problems)
    return replace(requested, problems=placed, draft=None if placed else requested.draft)


def _line(key: str, number: int, product: Record) -> Line:
    percent = product["Discount"]
    return Line(
        key=f"{key}-{number}",
        position=number,
        description=product["Description"] or "",
        quantity=record.number(product["Quantity"]),
        unit_price=record.number(product["UnitPrice"] or 0),
        product_id=product["Product2Id"],
        product_name=(product["Product2"] or {}).get("Name", ""),
        discount=Discount(percent=record.number(percent)) if percent else None,
    )


@task(task_run_name="write the drafts", **STEP)
def write_drafts(
    requested: Sequence[RequestedInvoice], *, all_or_nothing: bool
) -> list[RaiseResult]:
    """Write the drafts that are not there yet, each once for its key.

    What was written and is on no timeline is of a run that was killed; if it was not
    to stand alone, it is taken back.
    """
    keys = [one.key for one in requested if one.key]
    with DRAFT.held_if_free(keys) as busy:
        for error in busy.values():
            raise error
        there = _written(keys)
        before = _reported(there)
        wrong = {
            _name(one): one.problems for one in requested if one.problems and one.key not in there
        }
        if not (wrong and all_or_nothing):
            new = [one for one in requested if one.draft and one.key not in there]
            wrong |= _write(new, together=all_or_nothing)
            there = _written(keys)
        if wrong and all_or_nothing:
            alone = [key for key, row in there.items() if key not in before and _untouched(row)]
            _take_back([there.pop(key) for key in alone], keys)
        add_entries([raised_entry(row["Id"], _total(row)) for row in there.values()])
    return [
        RaiseResult(
            one,
            row=there.get(one.key),
            is_new=one.key not in before,
            problems=() if one.key in there else wrong.get(_name(one), ()),
        )
        for one in requested
    ]


def _name(one: RequestedInvoice) -> str:
    return one.key or one.where


def _written(keys: Iterable[str]) -> dict[str, Record]:
    """The records of keys, as far as they are there."""
    fields = (
        *("Id", "Name", record.LOCAL_KEY, record.STATUS, record.STRIPE_ID, record.TOTAL),
        *(record.CURRENCY, "Account__r.Name"),
    )
    found = select_in(record.INVOICE, record.LOCAL_KEY, keys, fields)
    return {row[record.LOCAL_KEY]: row for row in found}


def _total(row: Record) -> Money:
    return Money.of(record.number(row[record.TOTAL] or 0), row[record.CURRENCY])


def _reported(there: Mapping[str, Record]) -> set[str]:
    """The keys of records whose timelines have begun."""
    entries = {raised_entry(row["Id"], _total(row)).key: key for key, row in there.items()}
    return {entries[entry] for entry in timeline.known(entries)}


def _write(requested: Sequence[RequestedInvoice], *, together: bool) -> dict[str, tuple[str, ...]]:
    """Write drafts, as many in a call as Salesforce takes; returns what it refused, and why.

    Args:
        requested: All with drafts.
        together: Those of one call are written all or none, and the first refusal is the last
            call.
    """
    refused: dict[str, tuple[str, ...]] = {}
    transient: list[InvoicingError] = []
    for batch in _batches(requested, together=together):
        named = {f"draft{number}": one for number, one in enumerate(batch)}
        graphs = [draft_nodes(one.draft, name) for name, one in named.items() if one.draft]
        if together:
            graphs = [[node for graph in graphs for node in graph]]
        for number, answer in enumerate(salesforce.client().write_graphs(graphs)):
            if not isinstance(answer, GraphError):
                continue
            if not isinstance(answer.error, Rejected):
                transient.append(answer.error)
                continue
            name = answer.reference.partition("_")[0] or f"draft{number}"
            one = named.get(name, batch[0])
            refused[_name(one)] = (f"{one.where}: {answer.error}",)
        if transient or (together and refused):
            break
    for error in transient:
        raise error
    return refused


def _batches(
    requested: Sequence[RequestedInvoice], *, together: bool
) -> Iterator[list[RequestedInvoice]]:
    batch: list[RequestedInvoice] = []
    nodes = 0
    for one in requested:
        size = 1 + len(one.draft.lines if one.draft else ())
        if batch and (nodes + size > NODES or (len(batch) == GRAPHS and not together)):
            yield batch
            batch, nodes = [], 0
        batch.append(one)
        nodes += size
    if batch:
        yield batch


def _untouched(row: Record) -> bool:
    """Whether nobody has gone on with a draft."""
    return row[record.STATUS] == Status.DRAFT and not row[record.STRIPE_ID]


def _take_back(rows: Sequence[Record], keys: Sequence[str]) -> None:
    """Delete drafts that were not to stand alone, while the keys' leases are still ours."""
    for some in chunked(rows, NODES):
        DRAFT.keep(*keys)
        salesforce.client().write_graph(
            [
                {
                    "method": "DELETE",
                    "path": f"sobjects/{record.INVOICE}/{row['Id']}",
                    "referenceId": f"back{number}",
                }
                for number, row in enumerate(some)
            ]
        )


@dataclass(slots=True)
class _Counts:
    raised: list[RaiseResult] = field(default_factory=list)
    there: list[RaiseResult] = field(default_factory=list)
    not_raised: list[RaiseResult] = field(default_factory=list)


def _count(results: Sequence[RaiseResult]) -> _Counts:
    counts = _Counts()
    for one in results:
        kind = counts.not_raised if one.row is None else counts.raised
        (counts.there if one.row and not one.is_new else kind).append(one)
    return counts


@task(task_run_name="publish the outcome of each row", **STEP)
def publish_rows(results: Sequence[RaiseResult]) -> None:
    """Attach a table to the run: the outcome of each invoice that was asked for."""
    columns = ("Asked for in", "Invoice", "Account", ">Total", "Outcome")
    publish_page(
        "bulk-raise",
        markdown.table(columns, map(_row_of, results)),
        f"The outcome of {counted(len(results), 'invoice')} asked for.",
    )


def _row_of(one: RaiseResult) -> tuple[str, ...]:
    if one.row is None:
        return (one.requested.where, "", "", "", " ".join(one.problems) or "Not raised.")
    link = markdown.link(one.row["Name"], record_page(one.row["Id"]))
    ending = "Raised." if one.is_new else f"Was raised before; it is {one.row[record.STATUS]}."
    account = (one.row.get("Account__r") or {}).get("Name", "")
    return (one.requested.where, link, account, str(_total(one.row)), ending)


def outcome(results: Sequence[RaiseResult]) -> BulkOutcome:
    """The outcome of a bulk raise.

    Raises:
        Rejected: nothing was raised, and why.
    """
    counts = _count(results)
    reasons = [reason for one in counts.not_raised for reason in one.problems]
    if reasons and not (counts.raised or counts.there):
        raise Rejected(reasons, _summary(reasons, len(results)))
    sentence = f"{counted(len(counts.raised), 'draft')} raised over {_sums(counts.raised)}."
    if counts.there:
        sentence += f" {counted(len(counts.there), 'invoice')} had been raised before."
    if counts.not_raised:
        sentence += (
            f" {counted(len(counts.not_raised), 'invoice')} not raised; "
            "the page bulk-raise of this run says why."
        )
    return BulkOutcome(
        sentence=sentence,
        raised=len(counts.raised),
        there_before=len(counts.there),
        not_raised=len(counts.not_raised),
        names=[one.row["Name"] for one in results if one.row],
        reasons=reasons,
    )


def _sums(raised: Sequence[RaiseResult]) -> str:
    sums: dict[str, Money] = {}
    for one in raised:
        if one.row:
            amount = _total(one.row)
            sums[amount.currency] = sums.get(amount.currency, Money(amount.currency, 0)) + amount
    return ", ".join(map(str, sums.values())) or "nothing"


def _summary(reasons: Sequence[str], invoices: int) -> str:
    first = " ".join(reasons[:MAX_REASONS_SHOWN])
    more = len(reasons) - MAX_REASONS_SHOWN
    rest = f" … and {more:,} more, all on the page bulk-raise of this run." if more > 0 else ""
    return f"None of {counted(invoices, 'invoice')} was raised. {first}{rest}"
