"""The doctor as a flow, and whether what it asks for is enough."""

from collections.abc import Callable
from decimal import Decimal

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from flows.credit_invoice import credit_invoice
from flows.doctor import doctor
from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.record_payment import record_payment
from flows.send_invoice import send_invoice
from flows.void_invoice import void_invoice
from invoicing.connectors import stripe
from invoicing.doctor.stripe_checks import PERMISSIONS
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.settings import settings
from sandbox.salesforce.oauth import CONSUMER_SECRET
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org


def test_the_doctor_keeps_a_page_and_ends_in_alarm(deployed: Deployed) -> None:
    """Nothing was deployed to this server: the run fails, says what, and tells no secret."""
    state = doctor(return_state=True)
    assert state.is_failed()
    assert "work pool: There is no work pool 'invoices'." in str(state.message)
    with get_client(sync_client=True) as client:
        key = ArtifactFilter(key=ArtifactFilterKey(any_=["doctor"]))
        page = str(client.read_artifacts(artifact_filter=key)[-1].data)
    assert "| fail | Prefect | work pool |" in page
    assert "| pass | Salesforce | Salesforce login |" in page
    for secret in ("sk_live_sandbox", "whsec_test", CONSUMER_SECRET):
        assert secret not in page


@pytest.fixture
def restricted(world: None, stripe_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key that may do what the doctor asks for, and nothing more."""
    rights = [*(permission.name for permission in PERMISSIONS), "connected_account_read"]
    stripe_sandbox.admin("POST", "keys", key="rk_live_least", permissions=rights)
    monkeypatch.setenv("INVOICING_STRIPE__API_KEY", "rk_live_least")
    settings.cache_clear()
    stripe.client.cache_clear()


@pytest.mark.usefixtures("restricted")
def test_the_permissions_that_it_asks_for_are_enough(
    draft: Callable[..., InvoiceOutcome], org: Org, stripe_sandbox: Sandbox
) -> None:
    """With a key of these alone, invoices are sent, paid either way, credited, void, compared."""
    paid = send_invoice(draft().name)
    stripe_sandbox.post_form(str(paid.hosted_invoice_url), card="4242424242424242")
    other = send_invoice(draft(options=Options(discount_percent=Decimal(10))).name)
    record_payment(other.name, amount=Decimal(450), reference="Line 7")
    poll_events()
    credit_invoice(paid.name, amount=Decimal(450), give_back="refund")
    void_invoice(send_invoice(draft().name).name)
    poll_events()
    full_sync()
    records = [org.record(name) for name in ("INV-0001", "INV-0002", "INV-0003")]
    assert [record["Status__c"] for record in records] == ["Paid", "Open", "Void"]
    assert {record["Sync_State__c"] for record in records} == {"Clean"}
