"""The customer's country: picked from a list, typed as a name, or not known at all."""

from collections.abc import Callable

import pytest
import stripe

from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import Org

Draft = Callable[..., InvoiceOutcome]


def country_in_stripe(dashboard: stripe.StripeClient) -> str | None:
    """The country of the only customer."""
    [customer] = dashboard.v1.customers.list().data
    return customer.address.country if customer.address else None


def set_country(org: Org, **fields: str) -> None:
    """Write the country of Acme as its people do."""
    [acme] = org.query("SELECT Id FROM Account WHERE Name = 'Acme Corporation'")
    salesforce.client().update("Account", acme["Id"], fields)


@pytest.mark.parametrize("name", ["Germany", "Deutschland", "germany", "DE"])
def test_a_country_that_was_typed_is_known_by_its_name(
    org: Org, draft: Draft, dashboard: stripe.StripeClient, name: str
) -> None:
    """The invoice has the address, and Stripe Tax can be used."""
    set_country(org, BillingCountry=name)
    sent = send_invoice(draft(options=Options(stripe_tax="on")).name)
    assert country_in_stripe(dashboard) == "DE"
    assert "billing country" not in sent.sentence


def test_an_org_that_has_codes_is_asked_for_them(
    salesforce_sandbox: Sandbox, draft: Draft, dashboard: stripe.StripeClient
) -> None:
    """The name there is the org's own, in any language."""
    salesforce_sandbox.admin("POST", "reset", profiles=["country-picklists"])
    send_invoice(draft().name)
    [customer] = dashboard.v1.customers.list().data
    assert customer.address
    assert (customer.address.country, customer.address.state) == ("US", "AZ")


def test_a_country_that_nobody_knows_is_told(
    org: Org, draft: Draft, dashboard: stripe.StripeClient
) -> None:
    """The invoice goes out without it; what needs it is refused, and says what was written."""
    set_country(org, BillingCountry="Atlantis")
    note = "Acme Corporation's billing country 'Atlantis' is none that is known"
    taxed = draft(options=Options(stripe_tax="on"))
    with pytest.raises(Rejected, match=f"Stripe Tax needs to know.*{note}"):
        preview_invoice(taxed.name)
    assert note in send_invoice(draft().name).sentence
    assert country_in_stripe(dashboard) is None
