"""Stripe's key is rotated in the middle of a sending: what was done under the old one is done."""

from collections.abc import Callable

import pytest
import stripe as sdk

from flows.poll_events import poll_events
from flows.send_invoice import send_invoice
from invoicing.connectors import stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import EnvironmentMismatch
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.test_bill_to_email import end_leases
from tests.flows.test_rebuild_ledger import dies

OLD, NEW = "rk_live_old", "rk_live_new"


@pytest.fixture
def start_with(world: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Read the settings as a process that starts with a key."""

    def start(key: str) -> None:
        monkeypatch.setenv("INVOICING_STRIPE__API_KEY", key)
        settings.cache_clear()
        stripe.client.cache_clear()

    return start


def test_a_sending_goes_on_under_the_new_key(
    start_with: Callable[[str], None],
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    stripe_sandbox: Sandbox,
    dashboard: sdk.StripeClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both keys are in force for a while; then the old one is not, and says so."""
    for key in (OLD, NEW):
        stripe_sandbox.admin("POST", "keys", key=key)
    start_with(OLD)
    first, second = draft().name, draft().name
    dies(monkeypatch, "fill_draft", first)
    dies(monkeypatch, "enable_auto_advance", second)
    end_leases()
    start_with(NEW)
    send_invoice(first)
    start_with(OLD)
    poll_events()
    stripe_sandbox.admin("POST", "keys", key=OLD, expired=True)
    with pytest.raises(EnvironmentMismatch, match="expired"):
        send_invoice(second)
    end_leases()
    start_with(NEW)
    send_invoice(second)
    assert len(dashboard.v1.invoices.list().data) == 2
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 2
    assert {org.record(name)["Status__c"] for name in (first, second)} == {"Open"}
