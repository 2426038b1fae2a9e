"""The SDK's own example requests.

Fetches the stripe source distribution with pip, takes the requests out of its generated tests, and
sends those about resources the sandbox carries. The ids in them are made up, so an object of the
right kind is made first and put in their place.

A case passes if the operation's own parameter type accepts the request and the sandbox answers 200,
or if the type (or a rule listed here) refuses it and the sandbox answers 400. It fails on anything
else.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx
import orjson

from sandbox.common.serve import running
from sandbox.evidence.pypi import source_distribution
from sandbox.evidence.verdict import Verdict, unavailable, verdict
from sandbox.stripe.api import OPERATIONS, Operation
from sandbox.stripe.app import make_app
from sandbox.stripe.errors import StripeError
from sandbox.stripe.validation import unflatten, validate

VERSION = version("stripe")
SOURCE = f"stripe {VERSION} generated examples"
TESTS = "tests/test_generated_examples.py"

RESOURCES = {
    "account",
    "charges",
    "core",
    "coupons",
    "credit_notes",
    "customers",
    "disputes",
    "events",
    "invoice_payments",
    "invoiceitems",
    "invoices",
    "payment_intents",
    "payment_methods",
    "payment_records",
    "prices",
    "products",
    "promotion_codes",
    "refunds",
    "tax_rates",
    "webhook_endpoints",
}
"""What the sandbox says it carries, by the path's first word after the version."""

ABSENT = {
    "accounts": "Connect",
    "apply_customer_balance": "bank transfers",
    "capture": "authorizations",
    "cash_balance": "bank transfers",
    "cash_balance_transactions": "bank transfers",
    "funding_instructions": "bank transfers",
    "increment_authorization": "authorizations",
    "sources": "card sources",
    "verify_microdeposits": "bank debits",
}
"""Parts of those resources that it does not carry, and what they are about."""


REFUSED = {
    "GET /v1/credit_notes/preview/lines limit=3&invoice=": "a credit note needs an amount or lines",
    "POST /v1/invoiceitems customer=": "an item needs a price",
    "POST /v1/invoices/in_xxxxxxxxxxxxx/pay": "the customer has no payment method",
    "POST /v1/refunds/re_xxxxxxxxxxxxx/cancel": "a card refund cannot be canceled",
    "POST /v2/core/event_destinations {": "only webhook endpoints are delivered to",
}
"""Beginnings of examples whose types are right but whose content Stripe or we must refuse."""


class Example(NamedTuple):
    """One example request."""

    method: str
    path: str
    query: str
    body: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.query or self.body}".strip()


class Cast:
    """Makes objects and puts their ids where an example has made-up ones."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self._makers: dict[str, Callable[[], str]] = {
            "cus": self._customer,
            "prod": lambda: self._make("products", name="Widget"),
            "price": self._price,
            "in": self._invoice,
            "ii": self._item,
            "cn": lambda: self._make("credit_notes", invoice=self._invoice("open"), amount="100"),
            "ch": lambda: str(self._paid()["latest_charge"]),
            "pi": self._intent,
            "pm": lambda: self._make("payment_methods", type="card", **{"card[token]": "tok_visa"}),
            "re": lambda: self._make("refunds", charge=str(self._paid()["latest_charge"])),
            "du": self._dispute,
            "dp": self._dispute,
            "txr": lambda: self._make(
                "tax_rates", display_name="VAT", percentage="20", inclusive="false"
            ),
            "txi": self._tax_id,
            "we": lambda: self._make(
                "webhook_endpoints", url="https://a.example", **{"enabled_events[]": "*"}
            ),
            "evt": lambda: self._newest("v1/events"),
            "coupon": self._coupon,
            "il": self._line,
            "cbtxn": self._balance,
            "promo": lambda: self._make(
                "promotion_codes",
                **{"promotion[type]": "coupon", "promotion[coupon]": self._coupon()},
            ),
        }
        self._last_customer = ""
        self._last_invoice = ""

    def play(self, example: Example) -> Example:
        """Return the example with real ids."""
        finalized = r"/(void|mark_uncollectible|pay|send)$|/credit_notes"
        state = "open" if re.search(finalized, example.path) else ""
        ids: dict[str, str] = {}

        def real(found: re.Match[str]) -> str:
            prefix = found[1] or "coupon"
            if found[0] not in ids and prefix in self._makers:
                make = self._makers[prefix]
                ids[found[0]] = self._invoice(state) if prefix == "in" and state else make()
            return ids.get(found[0], found[0])

        made_up = r"\b([a-z]+)_(?:x{5,}|123|xyz)\b|Z4OV52SU"
        if example.path.startswith("/v2/core/event_destinations"):
            self._makers["id"] = self._destination
        elif example.path.startswith("/v2/core/events"):
            self._makers["id"] = self._makers["ll"] = lambda: self._newest("v2/core/events")
        return Example(*(re.sub(made_up, real, part) for part in example))

    def _make(self, resource: str, **form: str) -> str:
        answer = self.client.post(f"/v1/{resource}", data=form)
        answer.raise_for_status()
        return str(answer.json()["id"])

    def _newest(self, resource: str) -> str:
        self._make("products", name="Widget")
        return str(self.client.get(f"/{resource}", params={"limit": 1}).json()["data"][0]["id"])

    def _destination(self) -> str:
        body = {
            "name": "a",
            "type": "webhook_endpoint",
            "event_payload": "thin",
            "enabled_events": ["v1.invoice.paid"],
            "webhook_endpoint": {"url": "https://a.example"},
        }
        answer = self.client.post("/v2/core/event_destinations", json=body)
        return str(answer.json()["id"])

    def _customer(self) -> str:
        self._last_customer = self._make("customers", email="a@b.example")
        return self._last_customer

    def _coupon(self) -> str:
        return self._make("coupons", percent_off="10")

    def _price(self) -> str:
        product = self._make("products", name="Widget")
        return self._make("prices", product=product, currency="usd", unit_amount="500")

    def _invoice(self, state: str = "") -> str:
        invoice = self._make(
            "invoices",
            customer=self._customer(),
            collection_method="send_invoice",
            days_until_due="30",
        )
        form = {"lines[0][amount]": "1000"}
        self.client.post(f"/v1/invoices/{invoice}/add_lines", data=form).raise_for_status()
        if state:
            self.client.post(f"/v1/invoices/{invoice}/finalize").raise_for_status()
        self._last_invoice = invoice
        return invoice

    def _item(self) -> str:
        return self._make("invoiceitems", customer=self._customer(), amount="500", currency="usd")

    def _line(self) -> str:
        invoice_id = self._last_invoice or self._invoice()
        invoice = self.client.get(f"/v1/invoices/{invoice_id}").json()
        return str(invoice["lines"]["data"][0]["id"])

    def _intent(self) -> str:
        form = {"amount": "1000", "currency": "usd", "payment_method": "pm_card_visa"}
        return self._make("payment_intents", **form)

    def _paid(self) -> Any:
        intent = self._intent()
        return self.client.post(f"/v1/payment_intents/{intent}/confirm").json()

    def _dispute(self) -> str:
        charge = self._paid()["latest_charge"]
        answer = self.client.post("/_sandbox/disputes", json={"charge": charge})
        return str(answer.json()["id"])

    def _tax_id(self) -> str:
        form = {"type": "eu_vat", "value": "DE123456789"}
        return self._make(f"customers/{self._last_customer}/tax_ids", **form)

    def _balance(self) -> str:
        path = f"customers/{self._last_customer}/balance_transactions"
        return self._make(path, amount="-500", currency="usd")


def report() -> Verdict:
    """Run all cases and count them."""
    source = source_distribution("stripe", VERSION, TESTS)
    if isinstance(source, str):
        return unavailable(SOURCE, source)
    cases: dict[str, str] = {}
    absent: dict[str, str] = {}
    with (
        running(make_app) as url,
        httpx.Client(base_url=url, auth=("sk_test_123", ""), timeout=30) as client,
    ):
        cast = Cast(client)
        for example in _examples(source):
            reason = _absent(example)
            if reason:
                absent[str(example)] = reason
                continue
            cases[str(example)] = _tried(client, cast, example)
    ours = sum(reason in ABSENT.values() for reason in absent.values())
    why = f"{len(absent) - ours} other resources, {ours} parts not carried"
    return verdict(SOURCE, cases, skipped=len(absent), why=why)


def _tried(client: httpx.Client, cast: Cast, example: Example) -> str:
    """Send an example and return what is wrong with the answer, if anything."""
    real = cast.play(example)
    op = _operation(real)
    if op is None:
        return "the sandbox has no such operation"
    as_json = real.path.startswith("/v2/")
    answer = client.request(
        real.method,
        real.path,
        params=real.query,
        content=real.body,
        headers={
            "Content-Type": "application/json" if as_json else "application/x-www-form-urlencoded"
        },
    )
    refused = _refused_by_type(op, real, as_json) or str(example).startswith(tuple(REFUSED))
    expected = 400 if refused else 200
    if answer.status_code == expected:
        return ""
    return f"{answer.status_code} instead of {expected}: {answer.json()['error']['message']}"


def _refused_by_type(op: Operation, example: Example, as_json: bool) -> bool:
    values = unflatten(parse_qsl(example.query))
    values |= orjson.loads(example.body or b"{}") if as_json else unflatten(parse_qsl(example.body))
    try:
        validate(op.params, values, op.given)
    except StripeError:
        return True
    return False


def _operation(example: Example) -> Operation | None:
    """Return the operation an example is of; a fixed path wins over one with placeholders."""
    for op in sorted(OPERATIONS, key=lambda op: op.path.count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", op.path)
        if op.method == example.method and re.fullmatch(pattern, example.path):
            return op
    return None


def _absent(example: Example) -> str:
    """Return why an example is beside what the sandbox carries, if it is."""
    words = example.path.split("/")[2:]
    if words[0] not in RESOURCES or words[:2] == ["core", "accounts"]:
        return words[0]
    if example.path.startswith("/v2/core/") and not words[1].startswith("event"):
        return words[1]
    if example.method == "POST" and example.path == "/v1/charges":
        return "card sources"
    return next((ABSENT[word] for word in words if word in ABSENT), "")


def _examples(source: Path) -> Iterator[Example]:
    """Read the distinct requests out of the SDK's generated tests."""
    tree = ast.parse(source.read_text())
    seen: set[Example] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "assert_requested":
            given = {word.arg: word.value for word in node.keywords}
            text = {
                name: ast.literal_eval(given[name])
                for name in ("path", "query_string", "post_data")
                if name in given
            }
            seen.add(
                Example(
                    ast.literal_eval(node.args[0]).upper(),
                    text["path"],
                    text.get("query_string", ""),
                    text.get("post_data", ""),
                )
            )
    yield from sorted(seen)
