"""The dialogue that raises an invoice step by step: its questions, and what answers mean.

A dialogue is a generator: it yields questions and is sent answers. What it asks next depends
on nothing but the answers so far and on what was read when it began, so that it can be gone
through again from the start after every answer.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from invoicing.domain.forms.dialogue import (
    Dialogue,
    Question,
    choice,
    form_model,
    question_text,
    read_answer,
)
from invoicing.domain.forms.parameters import DateOrEmpty, LineItem, Number
from invoicing.domain.forms.price_book import PriceBookEntry
from invoicing.domain.model import markdown
from invoicing.domain.model.dates import written
from invoicing.domain.model.invoice import (
    NOTHING_TO_PAY,
    Account,
    Content,
    Line,
    draft_problems,
    line_problems,
)
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.money import Money, decimals, exponent, line_amount, plain, shown
from invoicing.domain.model.wording import counted

MAX_LISTED = 100
"""The most choices of one list; more are narrowed by a search first."""

SEARCH = "Search for the text below"

NO_MORE_LINES = "No more lines"

YES, NO = "Yes", "No"

RAISE = "Raise this invoice"

ADD_LINE = "Add a line"

CHANGE_HEADER = "Change the description or the due date"

ABANDON = "Abandon: raise nothing"

ON_A_DATE = "Due on a date"

TERMS = {terms.value: terms.days for terms in Terms}

ANYTHING = Line("", 1, "anything", Decimal(1), Decimal(1))
"""A line with which a header is right or wrong by itself."""


@dataclass(frozen=True, slots=True)
class WizardContext:
    """The data that the dialogue begins with: the customer, the price book, the day."""

    account: Account
    currency: str
    entries: tuple[PriceBookEntry, ...]
    today: date


@dataclass(frozen=True, slots=True)
class Order:
    """The invoice as answered so far."""

    description: str = ""
    due_date: date | None = None
    items: tuple[LineItem, ...] = field(default=())


# Step 1: the customer


def choose_account(word: str, find: Callable[[str], Sequence[Account]]) -> Dialogue[Account]:
    """Ask for the Account that is billed.

    Args:
        word: What is known already: an id, a name, a part of a name, or nothing.
        find: Finds the Accounts that a word may mean.
    """
    while True:
        found = find(word) if word else []
        if len(found) == 1:
            return found[0]
        labels = {f"{account.name} ({account.id})": account for account in found}
        nobody = bool(word) and not found
        reason = f"There is no Account {word!r} in Salesforce." if nobody else ""
        answer = yield _account_question(list(labels), reason)
        chosen, search = str(answer.get("account", "")), str(answer.get("search", ""))
        if chosen in labels and not search.strip():
            return labels[chosen]
        word = (search if labels else chosen).strip()


def _account_question(labels: Sequence[str], reason: str) -> Question:
    if labels:
        matches = f"{counted(len(labels), 'Account')} match."
        form = _searchable("ChooseAccount", "account", "Account", [*labels, SEARCH])
    else:
        matches = ""
        title = "The Account's name, a part of it, or its Salesforce id."
        account = (str, Field(title="Account", description=title, min_length=1))
        form = form_model("ChooseAccount", account=account)
    return Question(question_text("Who is billed?", matches, reason=reason), form)


def _searchable(name: str, what: str, title: str, choices: Sequence[str]) -> type[BaseModel]:
    search = "To search: choose the last entry of the list, and write a part of the name here."
    return form_model(
        name,
        **{what: (choice(choices), Field(title=title))},
        search=(str, Field("", title="Search text", description=search)),
    )


# Step 2: description and due date


def ask_header(context: WizardContext, order: Order) -> Dialogue[Order]:
    """Ask for the description and the due date."""
    reason = ""
    while True:
        form = _header_form(order)
        question = Question(
            question_text(
                f"Step 1 of 4: the invoice for {context.account.name}",
                f"Billed in {context.currency}.",
                reason=reason,
            ),
            form,
        )
        filled: Any = read_answer(form, (yield question))
        if isinstance(filled, str):
            reason = filled
            continue
        due = filled.due_date
        if filled.payment_terms in TERMS:
            due = context.today + timedelta(days=TERMS[filled.payment_terms])
        order = replace(order, description=filled.purpose.strip(), due_date=due)
        problems = [] if order.description else ["The description is missing."]
        if filled.payment_terms not in (*TERMS, ON_A_DATE):
            problems.append(f"There are no payment terms {filled.payment_terms!r}.")
        draft = Content(currency=context.currency, due_date=due, lines=(ANYTHING,))
        problems += draft_problems(draft, context.today)
        if not problems:
            return order
        reason = " ".join(problems)


def _header_form(order: Order) -> type[BaseModel]:
    due = order.due_date
    return form_model(
        "DescribeInvoice",
        purpose=(
            str,
            Field(
                order.description or ...,
                title="Description",
                description="What the invoice is for; the customer reads it.",
            ),
        ),
        payment_terms=(
            choice([*TERMS, ON_A_DATE]),
            Field(
                ON_A_DATE if due else "Net 30",
                title="Payment terms",
                description=f"Days from today, or '{ON_A_DATE}' and the date below.",
            ),
        ),
        due_date=(
            DateOrEmpty,
            Field(
                due.isoformat() if due else "",  # the form sends it back, and may send no null
                title="Due date",
                description=f"Only for '{ON_A_DATE}'.",
                validate_default=True,
            ),
        ),
    )


# Step 3: the lines, one after another


def ask_items(context: WizardContext, order: Order) -> Dialogue[Order]:
    """Lines, until no more are wanted."""
    while True:
        entry = yield from _choose_product(context, order)
        if entry is None:
            return order
        item, more = yield from _ask_price(context, order, entry)
        order = replace(order, items=(*order.items, item))
        if not more:
            return order


def _choose_product(context: WizardContext, order: Order) -> Dialogue[PriceBookEntry | None]:
    search = reason = ""
    number = len(order.items) + 1
    while True:
        found = _narrowed(context, search)
        if not found:
            reason = f"No product matches {search!r}." if search else "The price book is empty."
            search, found = "", _narrowed(context, "")
        many = len(context.entries) > MAX_LISTED
        listed = dict(list(found.items())[:MAX_LISTED])
        choices = [*listed, *([SEARCH] if many else []), *([NO_MORE_LINES] if order.items else [])]
        said = f"{counted(len(found), 'product')} in the {context.currency} price book"
        said += f" for {search!r}." if search else "."
        if len(found) > MAX_LISTED:
            said += f" The first {MAX_LISTED} are listed; search for the others."
        text = question_text(f"Step 2 of 4: line {number}, the product", said, reason=reason)
        if many:
            form = _searchable("ChooseProduct", "product", "Product", choices)
        else:
            form = form_model("ChooseProduct", product=(choice(choices), Field(title="Product")))
        answer = yield Question(text, form)
        chosen = str(answer.get("product", ""))
        wanted = str(answer.get("search", "")).strip()
        if chosen == NO_MORE_LINES and order.items:
            return None
        programs = _labels([*found.values()], lambda price: f"{plain(price)} {context.currency}")
        entry = listed.get(chosen) or programs.get(chosen)
        if entry and not wanted:
            return entry
        search = wanted
        reason = "" if wanted else f"{chosen!r} is not in the list; choose a product from it."
        if chosen == SEARCH and not wanted:
            reason = "Write what to search for, or choose a product."


def _narrowed(context: WizardContext, search: str) -> dict[str, PriceBookEntry]:
    """The products whose name or code has every word of a search, by what people read."""
    words = search.casefold().split()
    found = [
        entry
        for entry in context.entries
        if all(word in f"{entry.name} {entry.code}".casefold() for word in words)
    ]
    least = exponent(context.currency)
    return _labels(found, lambda price: f"{shown(price, least)} {context.currency}")


def _labels(
    entries: Sequence[PriceBookEntry], priced: Callable[[Decimal], str]
) -> dict[str, PriceBookEntry]:
    """Products by what people read of them; those of one name with their codes."""
    names = Counter(entry.name for entry in entries)
    return {
        f"{entry.name}{f' [{entry.code or entry.product_id}]' if names[entry.name] > 1 else ''}"
        f" ({priced(entry.unit_price)})": entry
        for entry in entries
    }


def _ask_price(
    context: WizardContext, order: Order, entry: PriceBookEntry
) -> Dialogue[tuple[LineItem, bool]]:
    reason = ""
    number = len(order.items) + 1
    form = form_model(
        "PriceLine",
        unit_price=(
            Number,
            Field(
                offered_price(entry.unit_price, context.currency),
                title="Unit price",
                description=f"In {context.currency}; offered as in the price book.",
                validate_default=True,
            ),
        ),
        quantity=(
            Number,
            Field("1", title="Quantity", description="e.g. 1.5.", validate_default=True),
        ),
        text=(
            str,
            Field("", title="Text on the invoice", description="Empty: the product's name."),
        ),
        more=(choice([NO, YES]), Field(title="Create more items?")),
    )
    while True:
        heading = f"Step 3 of 4: line {number}, {entry.name}"
        filled: Any = read_answer(
            form, (yield Question(question_text(heading, reason=reason), form))
        )
        if isinstance(filled, str):
            reason = filled
            continue
        text, quantity, price = filled.text.strip(), filled.quantity, filled.unit_price
        line = Line("", number, text, quantity, price, product_name=entry.name)
        problems = list(line_problems(number, line, context.currency))
        if not problems:
            item = LineItem(
                product=entry.product_id, quantity=quantity, unit_price=price, description=text
            )
            return item, filled.more == YES
        reason = " ".join(problems)


def offered_price(price: Decimal, currency: str) -> str:
    """A price in a field, which sends it back: with cents, and as one number only.

    1.230 dinars may be two (:func:`~invoicing.domain.forms.parameters.typed_number`).
    """
    return f"{price:.{max(min(exponent(currency), 2), decimals(price))}f}"


# Step 4: the summary


def review(
    context: WizardContext, order: Order, reasons: Sequence[str] = ()
) -> Dialogue[Order | None]:
    """The whole invoice with its total: confirm, or go back. None when it is abandoned.

    Args:
        context: What was known at the beginning.
        order: What was asked for.
        reasons: Why the same order was refused after it was confirmed.
    """
    reason = " ".join(reasons)
    while True:
        removals = {
            f"Remove line {number}: {_name(context, item)}": number - 1
            for number, item in enumerate(order.items, 1)
        }
        choices = [RAISE, ADD_LINE, *removals, CHANGE_HEADER, ABANDON]
        form = form_model("Confirm", next=(choice(choices), Field(title="What next?")))
        answer = yield Question(question_text(*_summary(context, order), reason=reason), form)
        chosen, reason = str(answer.get("next", "")), ""
        if chosen == RAISE and order.items:
            return order
        if chosen == ABANDON:
            return None
        if chosen == ADD_LINE:
            order = yield from ask_items(context, order)
        elif chosen == CHANGE_HEADER:
            order = yield from ask_header(context, order)
        elif chosen in removals:
            gone = removals[chosen]
            order = replace(order, items=(*order.items[:gone], *order.items[gone + 1 :]))
        else:
            reason = "The invoice has no lines." if chosen == RAISE else "Choose from the list."


def _name(context: WizardContext, item: LineItem) -> str:
    names = {entry.product_id: entry.name for entry in context.entries}
    return item.description or names.get(item.product, item.product)


def _summary(context: WizardContext, order: Order) -> tuple[str, ...]:
    rows: list[tuple[object, ...]] = []
    total = Money(context.currency, 0)
    for number, item in enumerate(order.items, 1):
        price = item.unit_price or Decimal(0)
        amount = line_amount(item.quantity, price, context.currency)
        total += amount
        each = shown(price, exponent(context.currency))
        rows.append((number, _name(context, item), shown(item.quantity), each, amount))
    rows.append(("", "**Total**", "", "", f"**{total}**"))
    due = f"due {written(order.due_date)}" if order.due_date else "no due date"
    return (
        f"Step 4 of 4: the invoice for {context.account.name}",
        f"{order.description} · {due}",
        markdown.table(markdown.LINE_COLUMNS, rows),
        "" if total.minor or not order.items else NOTHING_TO_PAY,
    )


def compose(context: WizardContext) -> Dialogue[Order | None]:
    """The whole dialogue; None when it is abandoned."""
    order = yield from ask_header(context, Order())
    order = yield from ask_items(context, order)
    return (yield from review(context, order))
