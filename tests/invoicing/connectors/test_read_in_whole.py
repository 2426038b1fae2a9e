"""Nothing is read in part: whatever a service gives in parts is read to its end, or refused."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import stripe as sdk

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import Salesforce, queries
from invoicing.domain.salesforce.queries import Query
from invoicing.domain.stripe.payment_facts import PaymentName, payments_of
from invoicing.errors import TransientError
from invoicing.settings import Salesforce as SalesforceSettings
from tests.conftest import Sandbox
from tests.invoicing.connectors.test_types_at_the_door import Answering, answering  # noqa: F401

pytestmark = pytest.mark.usefixtures("environment")

MANY = 101
"""One more than a page of Stripe's lists has."""

EMAIL = "ann@example.com"


@pytest.fixture
def v1(stripe_sandbox: Sandbox) -> Any:
    """Stripe as somebody else uses it."""
    url = stripe_sandbox.url
    bases: Any = {"api": url, "connect": url, "files": url, "meter_events": url}
    return sdk.StripeClient("sk_live_sandbox", base_addresses=bases).v1


@pytest.fixture
def opened(v1: Any) -> Callable[[int], str]:
    """Makes an open invoice of so many lines of 10.00."""

    def make(lines: int) -> str:
        customer = v1.customers.create({"email": EMAIL}).id
        header = {"collection_method": "send_invoice", "days_until_due": 14, "currency": "usd"}
        made = v1.invoices.create({"customer": customer, **header}).id
        wanted = [{"amount": 1_000, "description": f"Day {n}"} for n in range(lines)]
        v1.invoices.add_lines(made, {"lines": wanted})
        v1.invoices.finalize_invoice(made)
        return str(made)

    return make


def test_the_payments_that_an_invoice_carries(v1: Any, opened: Callable[[int], str]) -> None:
    """Ten come with it; twelve transfers were noted."""
    invoice = opened(12)
    for _ in range(12):
        noted = v1.payment_records.report_payment(
            {
                "amount_requested": {"currency": "usd", "value": 500},
                "payment_method_details": {"type": "custom", "custom": {"display_name": "Bank"}},
                "initiated_at": 1_700_000_000,
                "outcome": "guaranteed",
                "guaranteed": {"guaranteed_at": 1_700_000_100},
            }
        )
        v1.invoices.attach_payment(invoice, {"payment_record": noted.id})
    read = stripe.client().invoice_with_payments(invoice)
    assert read
    paid = [payment["amount_paid"] for payment in payments_of(read) if payment["amount_paid"]]
    assert paid == [500] * 12
    assert len(stripe.client().paid_payments(invoice)) == 12


def test_the_lines_of_invoices_and_of_credit_notes(v1: Any, opened: Callable[[int], str]) -> None:
    """Ten come with each."""
    invoice = opened(MANY)
    lines = stripe.client().invoice_lines(invoice)
    assert len(lines) == MANY
    each = [
        {"type": "invoice_line_item", "invoice_line_item": line["id"], "amount": 100}
        for line in lines[:12]
    ]
    v1.credit_notes.create({"invoice": invoice, "lines": each})
    notes = stripe.client().credit_notes(invoice)
    assert len(stripe.client().credited_lines(notes)) == 12


def test_refunds_and_credit_notes_beyond_a_page(v1: Any, opened: Callable[[int], str]) -> None:
    """A hundred of each were given in small parts, and one more."""
    invoice = opened(MANY)
    for _ in range(MANY):
        v1.credit_notes.create({"invoice": invoice, "amount": 100})
    v1.invoices.pay(invoice, {"payment_method": "pm_card_visa"})
    [payment] = v1.invoice_payments.list({"invoice": invoice, "status": "paid"}).data
    intent = str(payment.payment.payment_intent)
    for _ in range(MANY):
        v1.refunds.create({"payment_intent": intent, "amount": 100})
    client = stripe.client()
    assert len(client.credit_notes(invoice)) == len(list(client.all_credit_notes(None))) == MANY
    assert len(client.refunds(PaymentName("payment_intent", intent))) == MANY
    assert len(list(client.refunds_and_disputes(None))) == MANY


def test_customers_of_one_address(v1: Any, stripe_sandbox: Sandbox) -> None:
    """By the list and by the search, which has pages of its own kind."""
    for _ in range(MANY):
        v1.customers.create({"email": EMAIL})
    assert len(stripe.client().customers_by_email(EMAIL)) == MANY
    stripe_sandbox.admin("POST", "clock", advance=120)
    assert len(stripe.client().search_customers(EMAIL.upper())) == MANY


def names(client: Salesforce) -> list[str]:
    """The names of all Accounts, as a query gives them."""
    return sorted(row["Name"] for row in client.query(Query("Account", ["Id", "Name"])))


def test_records_in_batches_and_in_bulk(
    salesforce_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches and parts of two, of as many Accounts as there are."""
    client = salesforce.client()
    whole = names(client)
    assert len(whole) > 4
    salesforce_sandbox.admin("POST", "batches", largest=2)
    assert names(client) == whole
    monkeypatch.setattr(queries, "BULK_PART", 2)
    salesforce_sandbox.admin("DELETE", "requests")
    rows: Sequence[Sequence[str]] = list(client.bulk_query(Query("Account", ["Id", "Name"])))
    assert sorted(row[1] for row in rows) == whole
    asked = salesforce_sandbox.admin("GET", "requests")["requests"]
    assert sum(request["path"].endswith("/results") for request in asked) == (len(whole) + 1) // 2


@pytest.mark.parametrize("cut", ["records", "children"])
def test_an_answer_that_is_cut_and_does_not_say_so_is_refused(
    answering: Answering,  # noqa: F811
    cut: str,
) -> None:
    """Fewer records came than it announces itself, at the top or below."""
    one: dict[str, Any] = {"attributes": {"type": "Account"}, "Id": "001"}
    some = {"done": True, "totalSize": 2, "records": [one]}
    if cut == "children":
        some = {"done": True, "totalSize": 1, "records": [one | {"Contacts": some}]}
    org = {"domain": "acme.my", "org_id": "00D000000000001", "url": answering(some)}
    login = {"consumer_key": "key", "consumer_secret": "secret"}
    client = Salesforce(SalesforceSettings.model_validate({**org, **login}))
    with pytest.raises(TransientError, match="gave 1 of 2 records"):
        client.query(Query("Account", ("Id",)))
