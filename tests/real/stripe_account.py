"""A Stripe account that experiments and stories use, and the end of all that they left there."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
import stripe

from invoicing.settings import STRIPE_API_VERSION
from invoicing.settings import Stripe as Settings

ADDRESS = "check-real@example.com"
"""Of every customer that is made, by which it is found again."""

MARK = "check-real"
"""The beginning of the name of everything else that is made."""

STEP_SECONDS = 5
"""Between two looks at something that takes its time."""

REFUSALS = (stripe.InvalidRequestError, stripe.CardError, stripe.IdempotencyError)
"""What Stripe says of a request itself, as against an outage, a limit, or a wrong key."""

Answer = TypeVar("Answer")


def is_local(url: str) -> bool:
    """Whether an address is this machine's own, where only a sandbox can be."""
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def connect(settings: Settings) -> "Account":
    """The account of the settings; where it is a sandbox, time passes at once."""
    url = settings.base_url
    addresses: Any = dict.fromkeys(("api", "connect", "files", "meter_events"), url)
    client = stripe.StripeClient(
        settings.api_key.get_secret_value(),
        base_addresses=addresses,
        stripe_version=STRIPE_API_VERSION,
        max_network_retries=3,
    )

    def advance(seconds: float) -> None:
        order = {"advance": seconds}
        requests.post(f"{url}/_sandbox/clock", json=order, timeout=60).raise_for_status()

    return Account(client.v1, advance if is_local(url) else time.sleep)


def refusal(error: stripe.StripeError) -> str:
    """What a refusal is called, without a word or an id of its own."""
    said = error.error
    known = (said.type, said.code, said.decline_code, said.param) if said else ()
    return " ".join(["refused:", *(str(part) for part in known if part)])


def attempt(deed: Callable[[], object]) -> str:
    """Try something; whether it was accepted, or what the refusal is called."""
    try:
        deed()
    except REFUSALS as error:
        return refusal(error)
    return "accepted"


def figures(invoice: Any) -> dict[str, Any]:
    """State and amounts of an invoice."""
    names = ("status", "total", "amount_due", "amount_paid", "amount_remaining", "amount_overpaid")
    return {name: invoice[name] for name in (*names, "starting_balance", "ending_balance")}


class Account:
    """What experiments do, each in a few words.

    Args:
        v1: The first API of the SDK's client. Parameters are as free as what is tried with them.
        pass_time: Lets some seconds pass.
    """

    def __init__(self, v1: Any, pass_time: Callable[[float], None]) -> None:
        self.v1 = v1
        self.pass_time = pass_time

    def customer(self, **params: Any) -> str:
        """Make a customer and return its id."""
        return str(self.v1.customers.create({"name": MARK, "email": ADDRESS, **params}).id)

    def card(self, customer: str, method: str = "pm_card_visa") -> str:
        """Attach a test card or bank account to a customer and return its id."""
        return str(self.v1.payment_methods.attach(method, {"customer": customer}).id)

    def product(self, **params: Any) -> str:
        """Make a product and return its id."""
        return str(self.v1.products.create({"name": MARK, **params}).id)

    def draft(self, customer: str, *amounts: int, currency: str = "usd", **params: Any) -> Any:
        """Make a draft, to be mailed unless told otherwise, of lines in minor units."""
        terms = {"collection_method": "send_invoice"} | params
        if terms["collection_method"] == "send_invoice" and "due_date" not in terms:
            terms["days_until_due"] = 30
        made = self.v1.invoices.create({"customer": customer, "currency": currency, **terms})
        lines = [{"amount": amount, "description": "Consulting"} for amount in amounts]
        return self.add_lines(made.id, lines) if lines else made

    def add_lines(self, invoice: str, lines: Sequence[dict[str, Any]]) -> Any:
        """Add lines to a draft."""
        return self.v1.invoices.add_lines(invoice, {"lines": list(lines)})

    def finalize(self, invoice: str) -> Any:
        """Finalize a draft; nothing happens to it by itself afterwards."""
        return self.v1.invoices.finalize_invoice(invoice, {"auto_advance": False})

    def open(self, customer: str, *amounts: int, **params: Any) -> Any:
        """Make an invoice that waits for its payment."""
        return self.finalize(self.draft(customer, *amounts, **params).id)

    def paid(
        self, customer: str, *amounts: int, method: str = "pm_card_visa", **params: Any
    ) -> Any:
        """Make an invoice that is paid with a test card."""
        card = self.card(customer, method)
        invoice = self.open(customer, *amounts, **params)
        return self.v1.invoices.pay(invoice.id, {"payment_method": card})

    def revise(self, invoice: str, **params: Any) -> Any:
        """Begin a revision of an invoice."""
        origin = {"action": "revision", "invoice": invoice}
        return self.v1.invoices.create({"from_invoice": origin, **params})

    def intents(self, invoice: str) -> list[str]:
        """The payment intents of an invoice, the oldest first."""
        found = self.v1.invoice_payments.list({"invoice": invoice, "limit": 100}).data[::-1]
        payments = [each.payment for each in found]
        return [str(each.payment_intent) for each in payments if each.type == "payment_intent"]

    def record(self, amount: int, currency: str = "usd", customer: str | None = None) -> Any:
        """Report a payment that was made elsewhere."""
        moment = int(time.time()) - 60
        params: dict[str, Any] = {
            "amount_requested": {"value": amount, "currency": currency},
            "initiated_at": moment,
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Wire"}},
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": moment},
        }
        if customer:
            params["customer_details"] = {"customer": customer}
        return self.v1.payment_records.report_payment(params)

    def moves(self, customer: str) -> list[list[Any]]:
        """What happened to a customer's balance, the oldest first: kind, amount, balance then."""
        found = self.v1.customers.balance_transactions.list(customer, {"limit": 100}).data
        return [[move.type, move.amount, move.ending_balance] for move in found][::-1]

    def events(self, customer: str, awaited: str) -> list[str]:
        """The types of the events about a customer, once an awaited one is among them."""

        def found() -> list[str]:
            events = self.v1.events.list({"limit": 100}).data
            return sorted(event.type for event in events if customer in _owners(event))

        self.until(lambda: awaited in found())
        return found()

    def until(self, read: Callable[[], Answer], seconds: float = 60) -> Answer:
        """Look until the answer is true, or for so long; the last answer."""
        for _ in range(int(seconds / STEP_SECONDS)):
            if answer := read():
                return answer
            self.pass_time(STEP_SECONDS)
        return read()

    def clean(self) -> list[str]:
        """Remove everything that was made, by this run or an earlier one.

        What is finalized cannot be deleted: it is void, paid or given up afterwards, and its
        customer is gone.

        Returns:
            What could not be removed, and why.
        """
        return [problem for remove in self._leftovers() if (problem := _problem(remove))]

    def _leftovers(self) -> Iterator[tuple[str, Callable[[], object]]]:
        v1 = self.v1
        for customer in _all(v1.customers, {"email": ADDRESS}):
            invoices = _all(v1.invoices, {"customer": customer.id})
            for draft in (each for each in invoices if each.status == "draft"):
                yield f"draft {draft.id}", partial(v1.invoices.delete, draft.id)
            for invoice in (each for each in invoices if each.status == "open"):
                yield f"invoice {invoice.id}", partial(self._end, invoice.id)
            yield f"customer {customer.id}", partial(v1.customers.delete, customer.id)
        for product in _all(v1.products, {}):
            if product.name.startswith(MARK):
                yield f"product {product.id}", partial(self._retire, product)
        for coupon in _all(v1.coupons, {}):
            if coupon.name == MARK:
                yield f"coupon {coupon.id}", partial(v1.coupons.delete, coupon.id)

    def _end(self, invoice: str) -> None:
        """Void an open invoice, or give it up if something has been paid on it."""
        with suppress(*REFUSALS):
            self.v1.invoices.void_invoice(invoice)
            return
        self.v1.invoices.mark_uncollectible(invoice)

    def _retire(self, product: Any) -> None:
        """Delete a product, or archive it if it has prices."""
        with suppress(*REFUSALS):
            self.v1.products.delete(product.id)
            return
        if product.active:
            self.v1.products.update(product.id, {"active": False})


def _all(service: Any, params: dict[str, Any]) -> list[Any]:
    return list(service.list({"limit": 100, **params}).auto_paging_iter())


def _owners(event: Any) -> Iterable[Any]:
    about = event.data.object.to_dict()
    return about.get("id"), about.get("customer")


def _problem(remove: tuple[str, Callable[[], object]]) -> str:
    what, deed = remove
    said = attempt(deed)
    return "" if said == "accepted" else f"{what} ({said})"
