"""Prefect's database is lost: what its runs were about is named, and goes on in new ones."""

from collections.abc import Callable
from datetime import date

import pytest

from flows.rebuild_ledger import rebuild_ledger
from flows.send_invoice import send_invoice
from flows.send_scheduled import send_scheduled
from flows.watch_salesforce import watch_salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.dialogues import Conversation
from tests.flows.test_bill_to_email import end_leases
from tests.flows.test_rebuild_ledger import dies

SMALL = [LineItem(product="Consulting")]


@pytest.fixture
def limit(world: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above 2,000 dollars somebody is asked in Prefect's dialogue."""
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", '{"usd": "2000"}')
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()


def test_what_runs_were_about_is_named_and_goes_on(
    limit: None,
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One asked for approval, one was requested in Salesforce, two were being sent."""
    asked, wanted = draft().name, draft(lines=SMALL).name
    final, begun = draft(lines=SMALL).name, draft(lines=SMALL).name
    assert Conversation(send_invoice, invoice=asked).waits
    request = org.ask(wanted, "Send")
    watch_salesforce()
    dies(monkeypatch, "mail", final)
    dies(monkeypatch, "finalize", begun)
    end_leases()
    deployed.lose_all()
    watch_salesforce()
    assert org.request(request)["Outcome__c"] == (
        "Prefect no longer knows its run. Look at the invoice, then ask again."
    )
    assert send_scheduled().sentence.endswith("1 approval expired.")
    assert "the approvers are asked again" in org.record(asked)["Sync_Message__c"]
    assert rebuild_ledger(date.today()).sentence.endswith(
        f"It is not known whether the customer has got {final}. Run send-invoice for it: what "
        f"Stripe has mailed or charged is seen, and not done again. Sending {begun} was begun, "
        "and it is still a draft. If no run is at it, run send-invoice for it."
    )
    org.ask(wanted, "Send")
    watch_salesforce()
    deployed.carry_out(send_invoice)
    talk = Conversation(send_invoice, invoice=asked)
    assert "was sent" in talk.answer(decision="Approve", approver="Anna Ledger")
    for name in (final, begun):
        send_invoice(name)
    mails = [mail["invoice"] for mail in stripe_sandbox.admin("GET", "mail")["data"]]
    assert sorted(mails) == sorted(
        org.record(name)["Stripe_Invoice_Id__c"] for name in (asked, wanted, final, begun)
    )
    assert rebuild_ledger().sentence.endswith("No invoice was sent in part only.")
