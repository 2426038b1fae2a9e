"""What a generated invoice and everything behind it look like, as templates of rows.

The story of an invoice (drafted, sent, and what became of it) is told to a scratch sandbox, once
for each state and number of lines, by the code that answers requests. Its ids, names, amounts and
times occur nowhere else: they are found in what the story leaves behind, and are where invoices
differ.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from operator import itemgetter
from typing import Any, Literal

import orjson

from sandbox.stripe import (
    account_balance,
    events,
    lifecycle,
    lines,
    payment_methods,
    product_objects,
)
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.objects import credit_notes, customers, invoiceitems, invoices, refunds
from sandbox.stripe.store import KINDS, Doc, Kind, Row, row_of

DAY = 24 * 3600

State = Literal[
    "draft",
    "open",
    "overdue",
    "partly_paid",
    "paid",
    "void",
    "uncollectible",
    "credited",
    "refunded",
]
"""Credited: before it was paid, the whole. Refunded: paid by card, and the whole given back."""

Values = dict[bytes, Any]
"""What an invoice has in place of the blanks: bytes for texts, whole numbers for the rest."""

BEHIND = (
    "balance_transaction",
    "charge",
    "credit_note",
    "event",
    "invoice_payment",
    "invoiceitem",
    "payment_intent",
    "refund",
    "v2.core.event",
)
"""Kinds of which each invoice has its own."""

CATALOGUE = ("product", "price")
"""Kinds that lines of many invoices name."""

BASE = "http://scratch.example"
CARD = "pm_card_visa"
METADATA = {"@metadata@": "@metadata@"}

STARTED, CREATED, LATER, AFTER = 2_000_000_011, 2_000_100_013, 2_000_500_017, 2_000_900_019
DUE = 2_005_000_021
"""Times: of the catalogue, of the invoice, of what became of it, of what came after that."""

MOMENTS = {"created": CREATED, "later": LATER, "after": AFTER}

UNIT, QUANTITY, PART = 10_007, 701, 1_234_567
"""Price and quantity of the first line; what is paid of a part. All products are numbers apart."""


@dataclass(frozen=True)
class Template:
    """A row with blanks.

    Attributes:
        columns: What makes each column of an invoice's values.
    """

    columns: tuple[Callable[[Values], Any], ...]

    def row(self, values: Values) -> Row:
        """Return the row of an invoice."""
        return [column(values) for column in self.columns]

    def created(self, values: Values) -> int:
        """Return when the object of an invoice is from."""
        moment: int = self.columns[1](values)
        return moment


@cache
def shapes(livemode: bool, state: State, count: int) -> Mapping[str, list[Template]]:
    """Return the templates of an invoice and of what is behind it, by kind, oldest first.

    Args:
        livemode: Of which half of the account.
        state: What became of the invoice.
        count: How many lines it has.
    """
    sandbox = Sandbox(BASE)
    at = partial(Context, sandbox, sandbox.store.space(livemode))
    customer = customers.new_customer(at(STARTED))
    customer |= {"name": "@name@", "email": "@email@"}
    at(STARTED).space.insert("customer", customer)
    drafted = _drafted(at, customer, count)
    if state != "draft":
        invoices.send(at(CREATED), {}, drafted["id"])
        _ended(at, drafted, state)
    invoice = at(AFTER).require("invoice", drafted["id"])
    kept = ("advances", "token")  # all else that is remembered of it is what goes without saying
    invoice["_"] = {name: value for name, value in invoice["_"].items() if name in kept}
    docs = {kind: at(AFTER).space.find(kind, {}) for kind in (*BEHIND, *CATALOGUE)}
    sandbox.store.close()
    numbers = _numbers(invoice, PART if state == "partly_paid" else invoice["total"])
    blanks = _Blanks(_texts(invoice, customer, docs), numbers)
    docs["invoice"] = [invoice]
    return {
        kind: [blanks.template(KINDS[kind], doc) for doc in found if not _repeats(doc)]
        for kind, found in docs.items()
    }


def _drafted(at: Callable[[int], Context], customer: Doc, count: int) -> Doc:
    for index in reversed(range(count)):  # the newest item becomes the first line
        name = {"name": f"@work{index}@"}
        product = product_objects.new_product(at(STARTED), f"prod_@work{index}@", name)
        terms = {"currency": "usd", "product": product["id"], "unit_amount": UNIT + index}
        price = product_objects.new_price(at(STARTED), terms)
        at(STARTED).space.insert("product", product)
        at(STARTED).space.insert("price", price)
        item = {"pricing": {"price": price["id"]}, "quantity": QUANTITY + index}
        invoiceitems.create(at(CREATED), {"customer": customer["id"], "currency": "usd", **item})
    terms = {
        "collection_method": "send_invoice",
        "currency": "usd",
        "customer": customer["id"],
        "due_date": DUE,
        "metadata": METADATA,
        "pending_invoice_items_behavior": "include",
    }
    invoices.create(at(CREATED), terms)
    [drafted] = at(CREATED).space.find("invoice", {})
    return drafted


def _ended(at: Callable[[int], Context], drafted: Doc, state: State) -> None:
    """Tell what became of an invoice that was sent."""
    context, invoice_id = at(LATER), drafted["id"]
    match state:
        case "paid" | "refunded":
            invoices.pay(context, {"payment_method": CARD}, invoice_id)
        case "partly_paid":
            invoice = context.require("invoice", invoice_id)
            card = payment_methods.instrument_of(context, CARD)
            lifecycle.pay(context, invoice, card, CARD, PART, off_session=False)
        case "void":
            invoices.void(context, {}, invoice_id)
        case "uncollectible":
            invoices.mark_uncollectible(context, {}, invoice_id)
        case "credited":
            note = {"invoice": invoice_id, "amount": drafted["total"], "reason": "order_change"}
            credit_notes.create(context, note)
    if state == "refunded":
        [charge] = at(AFTER).space.find("charge", {})
        refunds.create(at(AFTER), {"charge": charge["id"], "reason": "requested_by_customer"})


def _repeats(doc: Doc) -> bool:
    """Whether an event only says again what another one says."""
    return doc["object"] in ("event", "v2.core.event") and doc["type"].endswith(".updated")


def derived(values: Values) -> Values:
    """Return what follows from an invoice's values, and only what is behind it shows."""
    fee = account_balance.fee_of(values[b"paid"])
    wait = account_balance.DAYS_UNTIL_AVAILABLE * DAY
    moments = [name.encode() for name in MOMENTS]
    return {
        b"fee": fee,
        b"net": values[b"paid"] - fee,
        **{b"available_" + name: values[name] + wait for name in moments},
        **{b"iso_" + name: events.iso(values[name]).encode() for name in moments},
    }


def _texts(invoice: Doc, customer: Doc, docs: Mapping[str, list[Doc]]) -> dict[str, bytes]:
    """Return each text of a story that differs from invoice to invoice, and its blank."""
    texts = {
        BASE: b"%(base)b",
        '"usd"': b'"%(currency)b"',
        "@name@": b"%(name)b",
        "@email@": b"%(email)b",
        orjson.dumps(METADATA).decode(): b"%(metadata)b",
        invoice["id"]: b"%(id)b",
        customer["id"]: b"%(customer)b",
    }
    for name, moment in MOMENTS.items():
        texts[events.iso(moment)] = b"%%(iso_%b)b" % name.encode()
    if invoice["number"]:
        texts[invoice["number"]] = b"%(number)b"
        texts[invoice["hosted_invoice_url"]] = b"%(page)b"
        texts[invoice["_"]["token"]] = b"%(token)b"
    for kind in BEHIND:
        own = KINDS[kind].prefix + ("_1Thin" if kind == "v2.core.event" else "_1Gen")
        for index, doc in enumerate(docs[kind]):
            texts[doc["id"]] = b"%b%%(key)b%02d" % (own.encode(), index)
    for index, line in enumerate(invoice["lines"]["data"]):
        details, work = line["pricing"]["price_details"], b"%%(work%d)b" % index
        texts |= {
            line["id"]: b"il_1Gen%%(key)b%02d" % index,
            lines.item_id(line): b"ii_1Gen%%(key)b%02d" % index,
            details["product"]: b"prod_1Gen%(set)b" + work,
            details["price"]: b"price_1Gen%%(set)b%b%%(currency)b%%(unit%d)d" % (work, index),
            f"@work{index}@": work,
        }
    for note in docs["credit_note"]:
        texts[note["lines"]["data"][0]["id"]] = b"cnli_1Gen%(key)b00"
    for charge in docs["charge"]:
        texts[charge["payment_method_details"]["card"]["network_transaction_id"]] = b"%(key)b"
    return texts


def _numbers(invoice: Doc, paid: int) -> dict[str, int]:
    """Return the numbers of a story that differ from invoice to invoice, by name.

    Where two are the same, as are the total and what was paid of it, the later name is meant.
    """
    wait = account_balance.DAYS_UNTIL_AVAILABLE * DAY
    fee = account_balance.fee_of(paid)
    numbers = {"started": STARTED, "due": DUE, **MOMENTS}
    numbers |= {f"available_{name}": moment + wait for name, moment in MOMENTS.items()}
    numbers |= {"fee": fee, "net": paid - fee, "remaining": invoice["total"] - paid}
    numbers |= {"paid": paid, "total": invoice["total"]}
    for index, line in enumerate(invoice["lines"]["data"]):
        numbers[f"unit{index}"] = UNIT + index
        numbers[f"quantity{index}"] = QUANTITY + index
        numbers[f"amount{index}"] = line["amount"]
    return numbers


class _Blanks:
    """Puts blanks where objects of a story differ from invoice to invoice.

    Args:
        texts: Those that differ, and their blanks.
        numbers: Those that differ, by the names of their blanks.
    """

    def __init__(self, texts: Mapping[str, bytes], numbers: Mapping[str, int]) -> None:
        self._texts = {text.encode(): blank for text, blank in texts.items()}
        self._by_number = {str(n).encode(): name for name, n in numbers.items() if n}
        words = "|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True))
        self._blank = re.compile(rf"{words}|(?<![\w.])\d+(?![\w.])".encode())

    def template(self, kind: Kind, doc: Doc) -> Template:
        """Return the template of an object's row."""
        return Template(tuple(self._column(value) for value in row_of(kind, doc)))

    def _column(self, value: Any) -> Callable[[Values], Any]:
        if isinstance(value, bytes):
            return self._with_blanks(value).__mod__
        if isinstance(value, str):
            text = self._with_blanks(orjson.dumps(value))[1:-1]
            if b"%(" in text:
                return lambda values: (text % values).decode()
        name = self._by_number.get(str(value).encode())
        if name and type(value) is int:
            return itemgetter(name.encode())
        return lambda _: value

    def _with_blanks(self, text: bytes) -> bytes:
        return self._blank.sub(self._placeholder, text.replace(b"%", b"%%"))

    def _placeholder(self, found: "re.Match[bytes]") -> bytes:
        name = self._by_number.get(found[0])
        return self._texts.get(found[0]) or (b"%%(%b)d" % name.encode() if name else found[0])
