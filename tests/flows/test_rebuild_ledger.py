"""The ledger is restored from a copy, or lost, while both services went on; it is rebuilt."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import stripe
from prefect.states import Failed

from flows.credit_invoice import credit_invoice
from flows.full_sync import full_sync
from flows.poll_events import poll_events
from flows.rebuild_ledger import rebuild_ledger
from flows.record_payment import record_payment
from flows.replace_invoice import replace_invoice
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.watch_salesforce import watch_salesforce
from invoicing.connectors.stripe import Stripe
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger import database, lent_emails
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.flows.conftest import Deployed, Org
from tests.flows.dialogues import Conversation
from tests.flows.test_send_invoice import contact

DAY = 86_400

ANN = "ann@acme.example.com"


class Ledger:
    """The ledger's file, and a copy of it."""

    def __init__(self, folder: Path) -> None:
        """Remember where it is."""
        self._file, self._copy = folder / "ledger.db", folder / "copy.db"

    def save(self) -> None:
        """Make the copy."""
        database.engine().dispose()
        shutil.copy(self._file, self._copy)

    def restore(self) -> None:
        """Put the copy in its place."""
        self.replace(self._copy)

    def replace(self, by: Path) -> None:
        """Put another ledger in its place."""
        database.engine().dispose()
        for rest in ("-wal", "-shm"):
            self._file.with_name(self._file.name + rest).unlink(missing_ok=True)
        shutil.copy(by, self._file)
        database.engine.cache_clear()


@pytest.fixture
def ledger(world: None, tmp_path: Path) -> Ledger:
    """The ledger."""
    return Ledger(tmp_path)


def die(*_: object, **__: object) -> None:
    """Be killed."""
    raise SystemExit


def dies(monkeypatch: pytest.MonkeyPatch, step: str, invoice: str) -> None:
    """Begin to send an invoice, in a process that dies before a step."""
    with monkeypatch.context() as patched, suppress(SystemExit):
        patched.setattr(f"flows.send_invoice.{step}", die)
        send_invoice(invoice)


def ask_for_everything() -> None:
    """What programs ask for, each under a request id, so that they may ask again."""
    credit_invoice("INV-0001", Decimal("50"), request_id="credit-1")
    record_payment("INV-0001", Decimal("400"), request_id="bank-1", reference="Statement 11")
    resend_invoice("INV-0001", request_id="mail-1")
    with suppress(Rejected):  # it is no draft any more
        send_invoice("INV-0002")
    replace_invoice("INV-0002", request_id="replace-1")
    with suppress(Rejected):
        send_invoice("INV-0003")


def effects(dashboard: stripe.StripeClient, sandbox: Sandbox) -> dict[str, Any]:
    """All that was billed, mailed, given back and counted so far."""
    v1 = dashboard.v1
    invoices = v1.invoices.list({"limit": 100}).data
    return {
        "invoices": sorted((i.id, i.status, i.amount_paid, i.amount_remaining) for i in invoices),
        "customers": [c.id for c in v1.customers.list({"limit": 100}).data],
        "credit notes": [n.id for n in v1.credit_notes.list({"limit": 100}).data],
        "payments": len(v1.invoice_payments.list({"limit": 100, "status": "paid"}).data),
        "mails": [mail["subject"] for mail in sandbox.admin("GET", "mail")["data"]],
    }


LOSSES = pytest.mark.parametrize(
    "copied",
    [*(pytest.param(ago, marks=pytest.mark.long) for ago in ("an hour ago", "a day ago")), "never"],
)
"""When the copy was made that is restored."""


@LOSSES
def test_nothing_is_done_twice_after_the_ledger_was_lost(
    copied: str,
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    ledger: Ledger,
    migrated_ledger: Path,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Everything is asked for again, with the same requests; both sides agree afterwards."""
    for _ in range(2):
        draft()
    if copied == "a day ago":
        ledger.save()
    send_invoice("INV-0001")
    poll_events()
    if copied == "an hour ago":
        ledger.save()
    ask_for_everything()
    record_payment("INV-0001", Decimal("100"), reference="Statement 12")
    for _ in range(2):
        draft()
    dies(monkeypatch, "fill_draft", "INV-0004")
    dies(monkeypatch, "enable_auto_advance", "INV-0005")
    before = effects(dashboard, stripe_sandbox)
    told = org.query("SELECT Key__c, What__c FROM Stripe_Invoice_Event__c ORDER BY Key__c")
    if copied == "never":
        ledger.replace(migrated_ledger)
    else:
        ledger.restore()
    if copied != "an hour ago":
        stripe_sandbox.admin("POST", "clock", advance=2 * DAY)  # no key protects any more
    said = rebuild_ledger(None if copied == "never" else date.today()).sentence
    assert "INV-0005. Run send-invoice for it" not in said
    assert deployed.runs("full-sync") == 1
    ask_for_everything()
    with pytest.raises(InvoicingError, match="was noted on INV-0001 already"):
        record_payment("INV-0001", Decimal("100"), reference="Statement 12")
    with pytest.raises(InvoicingError, match="was used before, for something else"):
        credit_invoice("INV-0001", Decimal("51"), request_id="credit-1")
    assert effects(dashboard, stripe_sandbox) == before
    full_sync()
    poll_events()
    assert full_sync().sentence.endswith("compared, 0 differed.")
    assert effects(dashboard, stripe_sandbox) == before
    assert told == [
        row
        for row in org.query("SELECT Key__c, What__c FROM Stripe_Invoice_Event__c ORDER BY Key__c")
        if row["Key__c"] in {one["Key__c"] for one in told}
    ]
    send_invoice("INV-0004")
    with suppress(Rejected):
        send_invoice("INV-0005")
    after = effects(dashboard, stripe_sandbox)
    assert len(after["invoices"]) == len(before["invoices"])
    assert len(after["mails"]) == len(before["mails"]) + 1
    assert full_sync().sentence.endswith("compared, 0 differed.")
    assert lent_emails.accounts() == []


@LOSSES
def test_a_lent_address_is_given_back_although_the_loan_was_lost(
    copied: str,
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    ledger: Ledger,
    migrated_ledger: Path,
    deployed: Deployed,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ann had it for her own invoice, when run and ledger were lost; she gets hers all the same."""
    ann = contact(org, "Acme Corporation", ANN)

    def for_ann() -> str:
        name = draft().name
        org.set(name, Bill_To__c=ann)
        return name

    def mailed() -> list[str]:
        return [mail["to"] for mail in stripe_sandbox.admin("GET", "mail")["data"]]

    send_invoice(draft().name)
    [own] = mailed()
    if copied == "a day ago":
        ledger.save()
    send_invoice(for_ann())
    if copied == "an hour ago":
        ledger.save()
    interrupted = for_ann()
    with monkeypatch.context() as patched, suppress(SystemExit):
        patched.setattr(Stripe, "finalize", die)
        send_invoice(interrupted)
    assert email(dashboard) == ANN
    if copied == "never":
        ledger.replace(migrated_ledger)
    else:
        ledger.restore()
    said = rebuild_ledger(None if copied == "never" else date.today()).sentence
    assert "1 customer with a lent address" in said
    assert "0 customers with a lent address" in rebuild_ledger().sentence
    full_sync()
    assert (email(dashboard), lent_emails.accounts()) == (own, [])
    assert sorted(mailed()) == sorted([own, ANN])
    send_invoice(interrupted)
    assert sorted(mailed()) == sorted([own, ANN, ANN])
    assert (email(dashboard), lent_emails.accounts()) == (own, [])


def test_a_request_that_ran_meanwhile_is_answered(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    ledger: Ledger,
    migrated_ledger: Path,
    deployed: Deployed,
) -> None:
    """Its run had ended when the ledger was lost; nobody begins another."""
    request = org.ask(draft().name, "Send")
    watch_salesforce()
    ledger.replace(migrated_ledger)
    deployed.put("send-invoice", Failed(message="The customer is gone."))
    rebuild_ledger()
    for _ in range(2):
        watch_salesforce()
    told = org.request(request)
    assert (told["State__c"], told["Outcome__c"]) == ("Failed", "The customer is gone.")
    assert deployed.runs("send-invoice") == 1


def email(dashboard: stripe.StripeClient) -> str | None:
    """The address of the one customer."""
    [customer] = dashboard.v1.customers.list().data
    return customer.email


def test_what_was_final_and_not_mailed_is_named_asked_about_and_mailed_once(
    draft: Callable[..., InvoiceOutcome],
    org: Org,
    ledger: Ledger,
    migrated_ledger: Path,
    deployed: Deployed,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run died between the two, and the ledger with it."""
    dies(monkeypatch, "mail", draft().name)
    ledger.replace(migrated_ledger)
    said = rebuild_ledger().sentence
    assert said.endswith(
        "It is not known whether the customer has got INV-0001. Run send-invoice for it: what "
        "Stripe has mailed or charged is seen, and not done again."
    )
    full_sync()
    assert org.record("INV-0001")["Status__c"] == "Open"
    with pytest.raises(Rejected, match="was not sent yet"):
        resend_invoice("INV-0001")
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()
    talk = Conversation(send_invoice, invoice="INV-0001")
    assert "what was agreed is not known any more" in talk.said
    assert stripe_sandbox.admin("GET", "mail")["data"] == []
    assert "was sent" in talk.answer(decision="Approve", approver="Anna Ledger")
    assert len(stripe_sandbox.admin("GET", "mail")["data"]) == 1
    assert rebuild_ledger().sentence.endswith("No invoice was sent in part only.")


def test_a_ledger_that_lost_nothing_stays_as_it_is(
    sent: InvoiceOutcome, org: Org, deployed: Deployed
) -> None:
    """Rebuilding it finds nothing that it did not know."""
    assert rebuild_ledger().sentence == (
        "Found again: 0 links of invoices, 0 customers, 0 acts such as mails and credit notes, "
        "0 payments from outside Stripe, 0 customers with a lent address, 0 entries of timelines. "
        "A full sync was started, which does the rest. No invoice was sent in part only."
    )
