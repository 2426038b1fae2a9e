"""An invoice is raised: a draft in Salesforce, nothing in Stripe."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
import stripe

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem, Options
from invoicing.errors import Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Raise = Callable[..., InvoiceOutcome]


def test_a_draft_is_in_salesforce_and_nothing_in_stripe(
    draft: Raise, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Price book prices and typed ones are kept; Stripe hears nothing yet."""
    outcome = draft()
    record = org.record("INV-0001")
    assert (record["Status__c"], record["Sync_State__c"]) == ("Draft", "Clean")
    assert [float(line["Amount__c"]) for line in record["Lines__r"]["records"]] == [450, 2000]
    assert float(record["Total__c"]) == 2450
    assert "2,450.00 USD" in outcome.sentence
    assert dashboard.v1.invoices.list().data == []
    assert dashboard.v1.customers.list().data == []


def test_the_same_request_raises_one_invoice(draft: Raise, org: Org) -> None:
    """A program that asks again after a lost answer gets the first invoice."""
    first, second = draft(request_id="order-7"), draft(request_id="order-7")
    assert first.record_id == second.record_id
    assert org.count() == 1
    others: list[dict[str, Any]] = [
        {"account": "Vandelay Industries"},
        {"lines": [LineItem(product="Consulting", quantity=4)]},
        {"description": "December services"},
        {"options": Options(footer="Thank you")},
    ]
    for other in others:
        with pytest.raises(Rejected, match="used before for INV-0001, with other content"):
            draft(request_id="order-7", **other)
    assert org.count() == 1


def test_a_request_that_was_refused_may_be_put_right(
    draft: Raise, org: Org, salesforce_sandbox: Sandbox
) -> None:
    """Nothing was raised for it, neither by us nor by Salesforce: the id is still free."""
    with pytest.raises(Rejected, match="Cunsulting"):
        draft(lines=[LineItem(product="Cunsulting")], request_id="order-8")
    rule = {"kind": "refuse", "status": 400, "path": "*/composite/graph", "count": 1}
    code = {"code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}
    salesforce_sandbox.admin("POST", "faults", rules=[rule | code])
    with pytest.raises(Rejected):
        draft(description="Forbidden here", request_id="order-8")
    assert draft(description="Allowed here", request_id="order-8").name == "INV-0001"
    assert org.count() == 1


def test_an_answer_lost_after_the_write_raises_one_invoice(
    draft: Raise, org: Org, salesforce_sandbox: Sandbox
) -> None:
    """Salesforce wrote the draft, and the answer never came."""
    salesforce_sandbox.admin(
        "POST", "faults", rules=[{"kind": "lost", "path": "*/composite/graph", "count": 1}]
    )
    assert draft().name == "INV-0001"
    assert org.count() == 1


def test_currency_follows_the_account(draft: Raise, org: Org) -> None:
    """A yen account is billed in yen, at the yen prices, without decimals."""
    outcome = draft(account="Umbrella KK", lines=[LineItem(product="Consulting", quantity=2)])
    assert outcome.total.endswith("JPY")
    assert "." not in outcome.total


def test_every_mistake_in_one_refusal_and_nothing_written(draft: Raise, org: Org) -> None:
    """Account, products, date, quantity and price, all at once."""
    with pytest.raises(Rejected) as refusal:
        draft(
            account="Nobody Inc",
            due_date=date.today() - timedelta(days=3),
            lines=[
                LineItem(product="Moon Base"),
                LineItem(product="Fax Module"),
                LineItem(product="Consulting", quantity=-1),
                LineItem(product="Consulting", unit_price="-5"),
            ],
        )
    said = str(refusal.value)
    for part in ("Nobody Inc", "Moon Base", "Fax Module", "has passed", "Line 3", "Line 4"):
        assert part in said
    assert org.count() == 0
