"""A table of invoices, as spreadsheets save them: one row a line, rows of one key one invoice."""

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, ValidationInfo

from invoicing.domain.forms.parameters import DECIMAL_PATTERN, LineItem
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.wording import nearest
from invoicing.errors import Rejected

MAX_INVOICES = 2_000
"""Invoices of one run. Prefect takes parameters of up to 512 KB, some 5,000 rows."""

DELIMITERS = ",;\t|"
NUMBER_LENGTH = 40
AMBIGUOUS_NUMBER = re.compile(r"-?[1-9]\d{0,2}[.,]\d{3}")
"""A thousand and something in one country, one and something in another."""


def _number(value: str, info: ValidationInfo) -> Decimal:
    """A number; with a decimal comma where commas do not part the columns."""
    comma = bool(info.context and info.context["comma"])
    if comma and AMBIGUOUS_NUMBER.fullmatch(value):
        raise ValueError("may be in thousands or have decimals; write it like 1234 or 1.2340.")
    plain = value.replace(",", ".", 1) if comma else value
    if len(plain) > NUMBER_LENGTH or not re.fullmatch(DECIMAL_PATTERN, plain, re.ASCII):
        raise ValueError("is not a number; write it like 1234.50.")
    return Decimal(plain)


def _date(value: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
            return date.fromisoformat(value)
    except ValueError:
        pass
    raise ValueError("is not a date; write it like 2026-12-31.")


def _terms(value: str) -> Terms:
    days = re.fullmatch(r"(?:net\s*)?(\d+)(?:\s*days)?", value.casefold(), re.ASCII)
    for terms in Terms:
        if days and int(days[1][:9]) == terms.days:
            return terms
    raise ValueError(f"are none of ours; choose {', '.join(Terms)}.")


Figure = Annotated[Decimal | None, BeforeValidator(_number)]
Day = Annotated[date | None, BeforeValidator(_date)]


class Header(BaseModel):
    """The fields of a row that belong to its invoice as a whole."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str = ""
    description: str = ""
    due_date: Day = None
    payment_terms: Annotated[Terms | None, BeforeValidator(_terms)] = None
    currency: str = ""
    po_number: str = ""
    footer: str = ""
    send_on: Day = None


class Cells(Header):
    """The fields of a row: its invoice's, and one line's. Empty cells are left out."""

    invoice: str = ""
    product: str = ""
    text: str = ""
    quantity: Figure = None
    unit_price: Figure = None
    discount_percent: Figure = None
    discount_amount: Figure = None

    @property
    def item(self) -> LineItem:
        """The line."""
        return LineItem(
            product=self.product,
            description=self.text,
            quantity=Decimal(1) if self.quantity is None else self.quantity,
            unit_price=self.unit_price,
            discount_percent=self.discount_percent,
            discount_amount=self.discount_amount,
        )


ALIASES: Mapping[str, Sequence[str]] = {
    "invoice": ("invoice key", "invoice number", "invoice no", "key"),
    "account": ("account name", "account id", "customer", "customer name"),
    "description": ("memo", "invoice description", "subject"),
    "due_date": ("due", "due on", "due by"),
    "payment_terms": ("terms", "net", "net days"),
    "currency": ("currency code", "currency iso code"),
    "po_number": ("po", "purchase order", "purchase order number"),
    "footer": (),
    "send_on": ("sending date", "send date"),
    "product": ("product name", "product code", "product id", "sku"),
    "text": ("line text", "line description", "free text"),
    "quantity": ("qty", "units"),
    "unit_price": ("price", "rate", "unit amount", "sales price"),
    "discount_percent": ("discount %", "percent off"),
    "discount_amount": ("amount off",),
}
"""Other names of the columns, whatever their case, underscores and blanks."""


def plain_title(title: str) -> str:
    """A column's title without case, underscores, dots and further blanks."""
    return " ".join(re.split(r"[\s_.-]+", title.strip().casefold())).strip()


PLACEHOLDERS: Mapping[str, Any] = {
    "due_date": date.max,
    "payment_terms": Terms.NET_30,
    "unit_price": Decimal(0),
}
"""For what cannot be read, so that it is not called missing as well."""

COLUMNS: Mapping[str, str] = {
    plain_title(title): name for name, others in ALIASES.items() for title in (name, *others)
}


@dataclass(slots=True)
class Form:
    """One invoice as some rows request it.

    Attributes:
        key: Names the invoice within all there ever are.
        rows: The row of each line, as spreadsheets number them: the titles are row 1.
        header: What the rows say of the invoice.
        items: Its lines.
        problems: What is wrong with the rows by themselves, each with its row.
    """

    key: str
    rows: list[int] = field(default_factory=list)
    header: Header = field(default_factory=Header)
    items: list[LineItem] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        """Its rows, for people."""
        first, last = self.rows[0], self.rows[-1]
        if first == last:
            return f"Row {first}"
        together = last - first == len(self.rows) - 1
        return f"Rows {first} to {last}" if together else f"Rows {', '.join(map(str, self.rows))}"

    def placed(self, problem: str) -> str:
        """A sentence about one of the lines, or about the invoice, with the row it is about."""
        line = re.match(r"Line (\d+)", problem)
        if line:
            return f"Row {self.rows[int(line[1]) - 1]}{problem[line.end() :]}"
        return f"{self.where}: {problem}"


def read_table(text: str, request: str) -> list[Form]:
    """The invoices that a CSV asks for, in its order, with what is wrong in their rows.

    Rows with the same invoice key are one invoice; a row without one is an invoice by itself.

    Args:
        text: The CSV, with a row of titles.
        request: Names the act; the same rows in the same act get the same keys.

    Raises:
        Rejected: the table as a whole cannot be read, or asks for too much.
    """
    delimiter, rows = read_rows(text)
    names = _columns(rows[0] if rows else [])
    forms: dict[str, Form] = {}
    same: Counter[str] = Counter()
    for number, row in enumerate(rows[1:], 2):
        cells = {n: c for n, cell in zip(names, row, strict=False) if n and (c := cell.strip())}
        if not any(map(str.strip, row)):
            continue
        word = _word(cells, same)
        form = forms.setdefault(word, Form(_key(request, word)))
        extra = [cell for cell in row[len(names) :] if cell.strip()]
        if extra:
            form.problems.append(f"Row {number}: there are more cells than columns; quote texts.")
        _add(form, number, cells, comma=delimiter != ",")
    if not forms:
        raise Rejected("The table has no rows; write one for each line of an invoice.")
    if len(forms) > MAX_INVOICES:
        raise Rejected(
            f"The table asks for {len(forms):,} invoices; {MAX_INVOICES:,} go in one run. "
            "Divide it."
        )
    return list(forms.values())


def read_rows(text: str) -> tuple[str, list[list[str]]]:
    """The delimiter of a CSV, and its cells.

    Raises:
        Rejected: it is no CSV.
    """
    text = text.removeprefix("\ufeff").strip("\r\n")
    titles = text.partition("\n")[0]
    try:
        delimiter = csv.Sniffer().sniff(titles, DELIMITERS).delimiter
    except csv.Error:
        delimiter = ","
    try:
        return delimiter, list(csv.reader(io.StringIO(text), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Rejected(f"This is not a CSV that can be read: {error}.") from None


def _columns(titles: Sequence[str]) -> list[str]:
    """Our names of the columns; empty for a column without a title."""
    names = [COLUMNS.get(plain_title(title), "") for title in titles]
    known = ", ".join(ALIASES)
    wrong = [
        f"There is no column {title.strip()!r}{nearest(plain_title(title), COLUMNS) or '.'}"
        for title, name in zip(titles, names, strict=True)
        if title.strip() and not name
    ]
    twice = sorted(name for name, count in Counter(filter(None, names)).items() if count > 1)
    wrong += [f"The column {name!r} is there more than once." for name in twice]
    if "account" not in names:
        wrong.append("The column 'account' is missing.")
    if wrong:
        raise Rejected([*wrong, f"The columns are: {known}."])
    return names


def _word(cells: Mapping[str, str], same: Counter[str]) -> str:
    """Tells one invoice from another: by its key, or by its content and how often that came."""
    if "invoice" in cells:
        return f"key:{cells['invoice']}"
    content = "\x1f".join(f"{name}={value}" for name, value in sorted(cells.items()))
    same[content] += 1
    return f"row:{same[content]}:{content}"


def _key(request: str, word: str) -> str:
    parts = (hashlib.sha256(part.encode()).hexdigest()[:20] for part in (request, word))
    return "-".join(("bulk", *parts))


def _add(form: Form, number: int, cells: Mapping[str, str], *, comma: bool) -> None:
    """Take one row into its invoice."""
    unreadable: dict[str, str] = {}
    try:
        row = Cells.model_validate(cells, context={"comma": comma})
    except ValidationError as error:
        unreadable = {str(e["loc"][0]): str(e["ctx"]["error"]) for e in error.errors()}
        rest = {name: cell for name, cell in cells.items() if name not in unreadable}
        row = Cells.model_validate(rest, context={"comma": comma})
        row = row.model_copy(update={name: PLACEHOLDERS.get(name) for name in unreadable})
    wrong = [f"{_called(name, cells[name])} {reason}" for name, reason in unreadable.items()]
    wrong += _merge(form, row, unreadable)
    form.problems += [f"Row {number}: {reason}" for reason in wrong]
    form.rows.append(number)
    form.items.append(row.item)


def _called(name: str, value: object) -> str:
    return f"the {name.replace('_', ' ')} {str(value)[:60]!r}"


def _merge(form: Form, row: Cells, unreadable: Container[str]) -> Iterator[str]:
    """Fill the invoice's header from a row, and say where it differs from rows before."""
    filled: dict[str, Any] = {}
    for name in Header.model_fields:
        was, said = getattr(form.header, name), getattr(row, name)
        if was and said and was != said and name not in unreadable:
            yield (
                f"{_called(name, said)} differs from {str(was)[:60]!r} in a row before, of the "
                "same invoice."
            )
        filled[name] = was or said
    form.header = Header.model_construct(**filled)
