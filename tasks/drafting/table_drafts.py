"""Drafts from a table: read as it was said, remembered, checked against Salesforce."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal

from invoicing.domain.forms.draft_lines import discount_of, new_lines
from invoicing.domain.forms.invoice_table import (
    Form,
    Table,
    read_csv,
    read_file,
    read_invoices,
    says_nothing,
)
from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.forms.price_book import PriceBook
from invoicing.domain.forms.table_layout import TableLayout
from invoicing.domain.forms.table_totals import Tax, agreed, total_problems
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Content, Line
from invoicing.domain.model.invoice_details import Details
from invoicing.domain.model.money import CURRENCIES, line_amount, plain
from invoicing.errors import Rejected
from invoicing.ledger import intents, table_layouts
from invoicing.settings import settings
from tasks.drafting.bulk_checks import BulkItem, Defaults, checked
from tasks.drafting.draft_record import options_problems
from tasks.drafting.table_source import read_file_at
from tasks.records.accounts import read_accounts
from tasks.records.org_facts import org_currency
from tasks.records.price_books import read_price_book
from tasks.records.tax_rate_names import known_rate, rate_problems, read_taxes
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@step("read the table", cached=True)
def read_table(csv: str, file: str, layout: TableLayout) -> Table | None:
    """Read a table as text or from where it is, with what is remembered of its layout.

    Read once for a run: a file that changes while the run is begun again, or a layout, would
    make other invoices of the same rows.

    Raises:
        Rejected: it cannot be read, or not in one way only.
    """
    if csv.strip() and file.strip():
        raise Rejected("Give the table as text, or a file; not both.")
    if not csv.strip() and not file.strip():
        return None
    full = _remembered(layout)
    sheet = read_file(read_file_at(file), full) if file.strip() else read_csv(csv, full)
    table = Table(sheet, full)
    digest = fingerprint(sheet, full.model_dump())
    if not intents.claim(intents.READ_TABLE, run_id(), digest=digest, actor=run_id()):
        raise Rejected(
            "The file, or its layout, was changed since this run began. Look at what it has "
            "raised, and start a new run for the rest."
        )
    return table


def _remembered(layout: TableLayout) -> TableLayout:
    """What is said of a table, together with what is remembered under its name."""
    if not layout.name:
        return layout
    found = table_layouts.find(layout.name)
    if found is None and not layout.chooses:
        known = ", ".join(map(repr, table_layouts.names())) or "none"
        raise Rejected(
            f"No layout is remembered as {layout.name!r}; there is {known}. To remember one, give "
            "its choices along with the name."
        )
    return layout.over(TableLayout.model_validate_json(found)) if found else layout


@step("check the table")
def check_table(table: Table | None, defaults: Defaults, request: str) -> list[BulkItem]:
    """Check a whole table against Salesforce, in a few queries for all of its rows.

    What was said of its layout is remembered under its name, once the table can be read so.

    Raises:
        Rejected: the table as a whole cannot be read.
    """
    if table is None:
        return []
    forms = read_invoices(table, request, settings().business.zone)
    if table.layout.name:
        table_layouts.remember(table.layout.name, table.layout.model_dump_json())
    customers = read_accounts(form.header.account for form in forms)
    books = _price_books(forms, customers)
    rates = _rates(forms, defaults)
    return [_asked(form, customers[form.header.account], books, defaults, rates) for form in forms]


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


NO_TAX = "none"


@dataclass(frozen=True, slots=True)
class Rates:
    """The tax rates that rows of the table name, looked up once.

    Attributes:
        problems: What is wrong with a name; nothing, where it is one of a rate.
        taxes: Their percentages, by which the table's own figures are compared.
    """

    problems: Mapping[str, Sequence[str]]
    taxes: Mapping[tuple[str, ...], Sequence[Tax]]


def _rates(forms: Sequence[Form], defaults: Defaults) -> Rates:
    named = {rate for form in forms for rate in _named_rates(form)} - {"", NO_TAX}
    problems = {rate: rate_problems([rate]) for rate in named}
    used = {
        _details(form, defaults).tax_rates
        for form in forms
        if form.header.invoice_tax
        or form.header.invoice_total
        or form.header.amount_due
        or any(item.tax_amount or item.line_total_with_tax for item in form.items)
    }
    wrong = {rate for rate, found in problems.items() if found}
    return Rates(problems, {rates: read_taxes(rates) for rates in used if not wrong & {*rates}})


def _named_rates(form: Form) -> set[str]:
    """The tax rates that the rows of an invoice name: empty, or none, where they say so."""
    names = {item.tax_rate for item in form.items}
    no_tax = {name for name in names if name and says_nothing(name) and not known_rate(name)}
    return (names - no_tax) | ({NO_TAX} if no_tax else set())


def _details(form: Form, defaults: Defaults) -> Details:
    """The details of one invoice: its own before those of all."""
    header, details = form.header, defaults.details
    if header.due_date or header.payment_terms:
        details = replace(details, terms=header.payment_terms)
    if rates := _named_rates(form) - {""}:
        taxes = tuple(sorted(rates - {NO_TAX}))
        details = replace(details, tax_rates=taxes, automatic_tax=False)
    own = {name: getattr(header, name) for name in ("po_number", "footer", "send_on")}
    return replace(details, **{name: value for name, value in own.items() if value})


def _asked(
    form: Form,
    customer: Account | str,
    books: Mapping[Book, PriceBook],
    defaults: Defaults,
    rates: Rates,
) -> BulkItem:
    header, book = form.header, books[_book(form, customer)]
    details = _details(form, defaults)
    items = [_with_one_discount(item, book.currency) for item in form.items]
    lines, problems = new_lines(items, book, key=form.key)
    problems += options_problems(Details(send_on=header.send_on))
    problems += _tax_problems(form, rates)
    details = _with_own_discount(form, details, lines, book.currency)
    own_due = header.due_date or header.payment_terms
    content = Content(
        currency=book.currency,
        description=header.description or defaults.description,
        due_date=header.due_date if own_due else defaults.due_date,
        lines=tuple(lines),
        details=details,
    )
    draft, wrong = checked(form.key, customer, content)
    problems += wrong
    placed = form.problems + [form.placed(problem) for problem in problems]
    if not placed:
        taxes = None if details.automatic_tax else rates.taxes.get(details.tax_rates, ())
        placed += total_problems(form, lines, book.currency, details.discount, taxes)
    asked = _asked_for(form, defaults)
    return BulkItem(form.where, form.key, None if placed else draft, tuple(placed), asked)


def _asked_for(form: Form, defaults: Defaults) -> str:
    """Fingerprint of what rows ask for, wherever they stand and however numbers are written."""
    items = [item.model_dump(exclude={"row", "currencies"}) for item in form.items]
    said = [_plainly(value) for part in (asdict(form.header), *items) for value in part.values()]
    return fingerprint(said, defaults.description, defaults.due_date, defaults.details)


def _plainly(value: object) -> object:
    return plain(value) if isinstance(value, Decimal) else value


def _tax_problems(form: Form, rates: Rates) -> Iterator[str]:
    """What is wrong with the rates that rows name: Stripe is given one for the whole invoice."""
    names = _named_rates(form)
    for name in sorted(names):
        yield from rates.problems.get(name, ())
    if len(names) > 1:
        said = " and ".join(repr(name) if name else "nothing" for name in sorted(names))
        yield f"the rows name different tax rates, {said}; all lines of an invoice have the same."


def _with_one_discount(item: LineItem, currency: str) -> LineItem:
    if item.unit_price is None or currency not in CURRENCIES:
        return item
    amount = line_amount(item.quantity, item.unit_price, currency)
    percent, off = agreed(item.discount_percent, item.discount_amount, [amount])
    return item.model_copy(update={"discount_percent": percent, "discount_amount": off})


def _with_own_discount(
    form: Form, details: Details, lines: Sequence[Line], currency: str
) -> Details:
    header = form.header
    nets = [line.net(currency) for line in lines] if currency in CURRENCIES else []
    own = discount_of(
        *agreed(header.invoice_discount_percent, header.invoice_discount_amount, nets)
    )
    return replace(details, discount=own) if own else details
