"""What stands behind generated invoices: it agrees with them, and is there when looked at."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
import stripe

from sandbox.stripe.context import Sandbox
from sandbox.stripe.generate import Generator, Order
from sandbox.stripe.generated_rows import State
from sandbox.stripe.store import Doc

DAY = 24 * 3600
STATES = dict.fromkeys(get_args(State), 1.0)
PAYMENTS = ["data.payments.data.payment.payment_intent"]

Generate = Callable[..., list[Doc]]


@pytest.fixture
def generate(admin: httpx.Client, live: stripe.StripeClient) -> Generate:
    """Generate invoices, and return them with their payments and intents, newest first."""

    def make(**order: Any) -> list[Doc]:
        order = {"customers": 5, "invoices": 60, "days": 20, "states": STATES} | order
        admin.post("/_sandbox/generate", json=order).raise_for_status()
        listed = live.v1.invoices.list({"limit": 100, "expand": PAYMENTS})
        return [each.to_dict() for each in listed.auto_paging_iter()]

    return make


def _state(invoice: Doc) -> str:
    """The state that an invoice was ordered in, of those that are told apart by money."""
    if invoice["pre_payment_credit_notes_amount"]:
        return "credited"
    part = 0 < invoice["amount_paid"] < invoice["total"]
    return "partly_paid" if part else str(invoice["status"])


def _payments(invoice: Doc) -> list[tuple[str, str, int, bool]]:
    """Status of each payment and of its intent, the intent's amount, and whether it is default."""
    payments = [(each, each["payment"]["payment_intent"]) for each in invoice["payments"]["data"]]
    return sorted((p["status"], i["status"], i["amount"], p["is_default"]) for p, i in payments)


@pytest.mark.parametrize("business", [False, True])
def test_each_invoice_has_the_payments_of_its_state(generate: Generate, business: bool) -> None:
    """Open ones wait for a payment, paid ones have one, and what will not be paid is canceled."""
    open_one, waiting, canceled = "open", "requires_payment_method", "canceled"
    for invoice in generate(business=business):
        total, paid, left = (invoice[f] for f in ("total", "amount_paid", "amount_remaining"))
        expected = {
            "draft": [],
            "open": [(open_one, waiting, total, True)],
            "uncollectible": [(open_one, waiting, total, True)],
            "partly_paid": [
                (open_one, waiting, left, True),
                ("paid", "succeeded", paid, False),
            ],
            "paid": [("paid", "succeeded", total, True)],
            "void": [(canceled, canceled, total, True)],
            "credited": [(canceled, canceled, total, True)],
        }
        assert _payments(invoice) == expected[_state(invoice)]


def test_money_that_came_and_went_is_booked(generate: Generate, live: stripe.StripeClient) -> None:
    """Charges, refunds and credit notes name each other, and add up to what invoices say."""
    invoices = generate()
    assert {_state(each) for each in invoices} == {*STATES} - {"overdue", "refunded"}
    refunded = 0
    for invoice in invoices:
        for payment in invoice["payments"]["data"]:
            intent = payment["payment"]["payment_intent"]
            if intent["status"] != "succeeded":
                continue
            [charge] = live.v1.charges.list(
                {"payment_intent": intent["id"], "expand": ["data.balance_transaction"]}
            ).data
            assert charge.id == intent["latest_charge"]
            booked: Any = charge.balance_transaction
            assert (booked.amount, booked.currency) == (charge.amount, invoice["currency"])
            assert booked.net == charge.amount - booked.fee
            refunds = live.v1.refunds.list({"charge": charge.id}).data
            assert sum(refund.amount for refund in refunds) == charge.amount_refunded
            assert charge.refunded == bool(refunds)
            refunded += charge.refunded
        notes = live.v1.credit_notes.list({"invoice": invoice["id"]}).data
        assert [note.total for note in notes] == [invoice["total"]] * bool(
            invoice["pre_payment_credit_notes_amount"]
        )
    assert 0 < refunded < sum(each["status"] == "paid" for each in invoices)


def test_lines_name_items_products_and_prices_that_are_there(
    generate: Generate, live: stripe.StripeClient
) -> None:
    """One product a kind of work; one price for each work, currency and amount."""
    [*invoices] = generate()
    prices = {each.id: each for each in live.v1.prices.list({"limit": 100}).auto_paging_iter()}
    products = {each.id: each.name for each in live.v1.products.list().auto_paging_iter()}
    assert len(set(products.values())) == len(products)
    named = set()
    for invoice in invoices:
        for line in invoice["lines"]["data"]:
            details = line["pricing"]["price_details"]
            price = prices[details["price"]]
            assert str(price.unit_amount) == str(line["pricing"]["unit_amount_decimal"])
            assert (price.currency, price.product) == (line["currency"], details["product"])
            assert products[details["product"]] == line["description"]
            behind = line["parent"]["invoice_item_details"]["invoice_item"]
            item = live.v1.invoice_items.retrieve(behind)
            assert (item.invoice, item.amount) == (invoice["id"], line["amount"])
            named.add(price.id)
    assert named == prices.keys()


def test_events_of_the_last_thirty_days_show_the_invoice_as_it_was(
    generate: Generate, live: stripe.StripeClient, admin: httpx.Client, receiver: Any
) -> None:
    """Nobody is told of them again, and of what is older Stripe has none."""
    live.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["*"]})
    invoices = generate(days=90, invoices=179)
    now = time.time()
    events = list(live.v1.events.list({"type": "invoice.*", "limit": 100}).auto_paging_iter())
    told: dict[str, dict[str, Any]] = {}
    for event in events:
        assert (event.pending_webhooks, event.created >= now - 30 * DAY) == (0, True)
        data: Any = event.data.object
        told.setdefault(data["id"], {})[event.type] = data
    closed = {
        "paid": {"invoice.paid", "invoice.payment_succeeded"},
        "credited": {"invoice.paid"},
        "void": {"invoice.voided"},
        "uncollectible": {"invoice.marked_uncollectible"},
    }
    sent = {"invoice.finalized", "invoice.sent"}
    for invoice in invoices:
        state, own = _state(invoice), told.get(invoice["id"], {})
        if invoice["created"] < now - 30 * DAY - 1:
            assert own.keys() <= closed.get(state, set())
            continue
        expected = {"invoice.created"} | (set() if state == "draft" else sent)
        assert own.keys() == expected | closed.get(state, set())
        assert own["invoice.created"]["status"] == "draft"
        for name in sent & own.keys():
            assert own[name]["status"] == "open"
            assert own[name]["amount_remaining"] == invoice["total"]
        for name in closed.get(state, ()):
            assert own[name]["status"] == invoice["status"]
    admin.post("/_sandbox/deliveries/settle")
    assert receiver.bodies == []


def test_what_happens_before_anybody_looks_is_told_as_well(
    generate: Generate, live: stripe.StripeClient
) -> None:
    """An invoice that is voided and a draft that is deleted were what they were before."""
    invoices = generate(states={"open": 1, "draft": 1})
    sent = next(each for each in invoices if each["status"] == "open")
    draft = next(each for each in invoices if each["status"] == "draft")
    live.v1.invoices.void_invoice(sent["id"])
    live.v1.invoices.delete(draft["id"])
    events = live.v1.events.list({"limit": 100}).auto_paging_iter()
    told = [(event.type, event.data.object) for event in events]
    of_sent: list[Any] = [(name, doc["status"]) for name, doc in told if doc["id"] == sent["id"]]
    assert of_sent[0] == ("invoice.voided", "void")
    assert ("invoice.finalized", "open") in of_sent
    of_draft = [name for name, doc in told if doc["id"] == draft["id"]]
    assert of_draft == ["invoice.deleted", "invoice.created"]
    assert not live.v1.invoice_items.list({"invoice": draft["id"]}).data


def test_a_generated_invoice_lives_on(generate: Generate, live: stripe.StripeClient) -> None:
    """An open one is paid, a paid one refunded and credited, a draft gets another line."""
    invoices = generate()
    part = next(each for each in invoices if _state(each) == "partly_paid")
    paid = live.v1.invoices.pay(part["id"], {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.amount_paid) == ("paid", part["total"])
    whole = next(each for each in invoices if _state(each) == "open")
    intent = whole["payments"]["data"][0]["payment"]["payment_intent"]["id"]
    live.v1.payment_intents.confirm(intent, {"payment_method": "pm_card_visa"})
    assert live.v1.invoices.retrieve(whole["id"]).status == "paid"
    note = live.v1.credit_notes.create(
        {"invoice": whole["id"], "amount": 100, "refund_amount": 100}
    )
    assert len(note.refunds) == 1
    draft = next(each for each in invoices if each["status"] == "draft")
    line = draft["lines"]["data"][0]
    price = line["pricing"]["price_details"]["price"]
    grown = live.v1.invoices.add_lines(
        draft["id"], {"lines": [{"pricing": {"price": price}, "quantity": line["quantity"]}]}
    )
    assert grown.total == draft["total"] + line["amount"]


def _filled(data: Path | None = None) -> Sandbox:
    sandbox = Sandbox("http://sandbox.example", data)
    with sandbox.store.transaction():
        Generator(sandbox.context(True), Order(invoices=30, states={"paid": 1})).run()
    return sandbox


def test_a_request_that_is_undone_leaves_nothing_half_made() -> None:
    """What was made while a request was refused, or only rehearsed, is made again when asked."""
    sandbox = _filled()
    space, store = sandbox.store.space(True), sandbox.store

    def refused() -> None:
        with store.transaction():
            assert space.count("charge") == 30
            raise RuntimeError

    with pytest.raises(RuntimeError):
        refused()
    with store.transaction():
        with store.rehearsal():
            assert space.count("charge") == 30
        assert space.count("charge") == 30
    assert space.count("charge") == 30
    assert sandbox.store.space(False).count("charge") == 0


def test_an_account_that_is_reset_forgets_what_it_had_not_made() -> None:
    """Nothing of the old data set comes up in an empty account."""
    sandbox = _filled()
    sandbox.store.clear()
    assert sandbox.store.space(True).count("charge") == 0


def test_an_account_in_a_file_is_whole_after_a_restart(tmp_path: Path) -> None:
    """Who starts the sandbox again on its file finds the payments too."""
    _filled(tmp_path / "data").store.close()
    again = Sandbox("http://sandbox.example", tmp_path / "data")
    assert again.store.space(True).count("charge") == 30


def test_data_sets_stand_side_by_side(admin: httpx.Client, live: stripe.StripeClient) -> None:
    """Of other seeds, of a business, and in test mode: each has its own catalogue."""
    for which in ({"seed": 1}, {"seed": 2}, {"seed": 1, "business": True}, {"livemode": False}):
        order = {"customers": 3, "invoices": 5, **which}
        admin.post("/_sandbox/generate", json=order).raise_for_status()
    products = {each.id for each in live.v1.products.list({"limit": 100}).auto_paging_iter()}
    invoices = live.v1.invoices.list({"limit": 100, "expand": PAYMENTS}).data
    named = {
        line.to_dict()["pricing"]["price_details"]["product"]
        for invoice in invoices
        for line in invoice.lines.data
    }
    assert named == products
    items = live.v1.invoice_items.list({"limit": 100}).data
    assert {each.invoice for each in items} == {each.id for each in invoices}


def test_a_generated_data_set(live: stripe.StripeClient, admin: httpx.Client) -> None:
    """Any number of invoices in all states, the same for the same seed."""
    order = {
        "seed": 7,
        "customers": 20,
        "invoices": 500,
        "invoice_metadata": {"salesforce_id": "a01{n:015d}"},
    }
    made = admin.post("/_sandbox/generate", json=order).json()
    assert (made["customers"], made["invoices"]) == (20, 500)
    invoices = list(live.v1.invoices.list({"limit": 100}).auto_paging_iter())
    assert len(invoices) == 500
    assert {invoice.status for invoice in invoices} == {
        "draft",
        "open",
        "paid",
        "void",
        "uncollectible",
    }
    for invoice in invoices:
        assert invoice.total == sum(line.amount for line in invoice.lines.data)
        assert invoice.amount_remaining == invoice.amount_due - invoice.amount_paid
    assert invoices[-1].to_dict()["metadata"] == {"salesforce_id": "a01000000000000000"}

    draft = next(invoice for invoice in invoices if invoice.status == "draft")
    line = draft.lines.data[0]
    changed = live.v1.invoices.update_lines(draft.id, {"lines": [{"id": line.id, "amount": 5}]})
    assert changed.total == draft.total - line.amount + 5
    assert live.v1.invoices.send_invoice(draft.id).status == "open"

    twice = admin.post("/_sandbox/generate", json=order)
    assert (twice.status_code, "another seed" in twice.text) == (409, True)
    admin.post("/_sandbox/reset")
    admin.post("/_sandbox/generate", json=order)
    again = live.v1.invoices.list({"limit": 100}).data
    totals = [invoice.total for invoice in invoices[:100]]
    assert [invoice.total for invoice in again] == totals
