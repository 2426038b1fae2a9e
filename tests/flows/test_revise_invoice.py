"""A draft is revised until it is right; what was sent is not touched."""

from collections.abc import Callable

import pytest

from flows.revise_invoice import revise_invoice
from flows.send_invoice import send_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineChange, LineItem
from invoicing.domain.model.invoice import Invoice
from invoicing.errors import Rejected
from tasks.drafting.draft_revision import Revision, write_revision
from tasks.runtime.run_name import this_attempt
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.leases import release


def test_change_add_and_remove(draft: Callable[..., InvoiceOutcome], org: Org) -> None:
    """One quantity changed, one line added, one removed: the record follows."""
    name = draft().name
    outcome = revise_invoice(
        invoice=name,
        change=[LineChange(line=1, quantity="5")],
        add=[LineItem(product="Training Day")],
        remove=[2],
    )
    lines = org.record("INV-0001")["Lines__r"]["records"]
    assert [float(line["Amount__c"]) for line in lines] == [750, 1800]
    assert org.record("INV-0001")["Sync_State__c"] == "Clean"
    assert outcome.total == "2,550.00 USD"


def test_a_lost_answer_does_not_revise_twice(
    draft: Callable[..., InvoiceOutcome], org: Org, salesforce_sandbox: Sandbox
) -> None:
    """The line is added once, though the first answer was lost."""
    name = draft().name
    salesforce_sandbox.admin(
        "POST", "faults", rules=[{"kind": "lost", "path": "*/composite/graph", "count": 1}]
    )
    revise_invoice(invoice=name, add=[LineItem(product="Training Day")], remove=[1])
    lines = org.record("INV-0001")["Lines__r"]["records"]
    assert [float(line["Amount__c"]) for line in lines] == [2000, 1800]


def test_sent_while_a_revision_hung(
    draft: Callable[..., InvoiceOutcome], org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its turn was over, and somebody sent the draft: what the customer has is not changed."""
    name = draft().name

    def too_late(revision: Revision) -> Invoice:
        release(revision.after.record_id, this_attempt())
        send_invoice(name)
        return write_revision(revision)

    monkeypatch.setattr("flows.revise_invoice.write_revision", too_late)
    with pytest.raises(Rejected, match="being sent"):
        revise_invoice(invoice=name, change=[LineChange(line=1, quantity="5")])
    lines = org.record(name)["Lines__r"]["records"]
    assert [float(line["Amount__c"]) for line in lines] == [450, 2000]


def test_mistakes_are_named_together(draft: Callable[..., InvoiceOutcome], org: Org) -> None:
    """A line that is not there and a product that is not sold; nothing is written."""
    name = draft().name
    with pytest.raises(Rejected, match=r"no line 9.*Moon Base"):
        revise_invoice(invoice=name, remove=[9], add=[LineItem(product="Moon Base")])
    record = org.record("INV-0001")
    assert len(record["Lines__r"]["records"]) == 2
    assert "no line 9" in record["Sync_Message__c"]


def test_what_was_sent_cannot_be_revised(sent: InvoiceOutcome, org: Org) -> None:
    """Stripe keeps what was sent; the record stays in step and says why."""
    with pytest.raises(Rejected, match="only a draft can be revised"):
        revise_invoice(invoice=sent.name, description="Other")
    record = org.record("INV-0001")
    assert record["Sync_State__c"] == "Clean"
    assert "only a draft can be revised" in record["Sync_Message__c"]
