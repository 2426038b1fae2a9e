"""One pass of every deployed flow: what somebody does, and how it comes out on both sides."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlmodel import col, delete

from invoicing.connectors import stripe
from invoicing.connectors.prefect import Prefect
from invoicing.domain.salesforce.record import stamp
from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
from invoicing.errors import EnvironmentMismatch, Rejected
from invoicing.ledger import inbox, intents, links
from invoicing.ledger.database import session
from invoicing.ledger.intents import MAIL
from invoicing.ledger.models import Intent, InvoiceLink
from invoicing.settings import settings
from tasks.drafting.product_options import FORMS
from tasks.runtime.clock import today
from tests.flows.events import event_from
from tests.real.stage import (
    CONSULTING,
    CUSTOMER,
    ONBOARDING,
    OPPORTUNITY,
    OTHER_CUSTOMER,
    TRAINING,
    Stage,
    expect,
)

Story = Callable[[Stage], None]

STORIES: dict[str, Story] = {}
"""By the flow's name, in the order in which they are told."""

LONG_AGO = timedelta(days=10)
"""When an invoice was mailed that is to be reminded of."""


def story(flow: str) -> Callable[[Story], Story]:
    """Register the story of a flow."""

    def register(tell: Story) -> Story:
        STORIES[flow] = tell
        return tell

    return register


def _status(stage: Stage, name: str, status: str, **fields: object) -> None:
    """The record is in a state, and Stripe says the same."""
    record = stage.record(name)
    expect(f"{name}, state", record["Status__c"], status)
    expect(f"{name} in Stripe, state", stage.invoice(name).status, status.lower())
    for field, wanted in fields.items():
        expect(f"{name}, {field}", record[field], wanted)


@story("raise-invoice")
def raise_invoice(stage: Stage) -> None:
    """A draft of two lines; Stripe knows nothing of it."""
    name = stage.draft()
    record = stage.record(name)
    expect("state", (record["Status__c"], record["Stripe_Invoice_Id__c"]), ("Draft", None))
    expect("lines", (stage.amounts(name), record["Total__c"]), ([450, 2000], 2450))


@story("raise-invoice-wizard")
def raise_invoice_wizard(stage: Stage) -> None:
    """The same, question by question."""
    currency = stage.record(stage.draft())["Currency__c"]
    answers = [
        {"purpose": "November services", "payment_terms": "Net 30"},
        {"product": f"{CONSULTING} (150 {currency})"},
        {"quantity": "3", "more": "Yes"},
        {"product": f"{ONBOARDING} (2500 {currency})"},
        {"quantity": "1", "unit_price": "2000", "more": "No"},
        {"next": "Raise this invoice"},
    ]
    name = stage.run("raise-invoice-wizard", account=CUSTOMER, answers=answers).name
    expect("lines", stage.amounts(name), [450, 2000])


@story("bulk-raise")
def bulk_raise(stage: Stage) -> None:
    """A table of two invoices, and an Opportunity that was won."""
    before = {record["Name"] for record in stage.records()}
    table = f"""invoice;account;description;terms;product;quantity;price
A;{CUSTOMER};November services;Net 30;{CONSULTING};3;
A;{CUSTOMER};;;{ONBOARDING};1;2000,00
B;{CUSTOMER};December services;Net 30;{ONBOARDING};1;2450,00
"""
    terms = {"payment_terms": "Net 30"}
    stage.run("bulk-raise", csv=table, opportunities=[OPPORTUNITY], options=terms)
    new = {record["Name"] for record in stage.records()} - before
    lines = sorted(stage.amounts(name) for name in new)
    expect("lines", lines, [[280], [450, 2000], [2450]])


@story("revise-invoice")
def revise_invoice(stage: Stage) -> None:
    """A line is changed, one added, one removed."""
    name = stage.draft()
    change, add = [{"line": 1, "quantity": "5"}], [{"product": TRAINING}]
    stage.run("revise-invoice", invoice=name, change=change, add=add, remove=[2])
    expect("lines", stage.amounts(name), [750, 1800])


@story("preview-invoice")
def preview_invoice(stage: Stage) -> None:
    """Stripe is asked for the total, which comes onto the record, and makes no invoice."""
    name = stage.draft()
    stage.run("preview-invoice", invoice=name)
    record = stage.record(name)
    seen = (record["Previewed_Total__c"], record["Stripe_Invoice_Id__c"])
    expect("previewed", seen, (2450, None))


@story("clone-invoice")
def clone_invoice(stage: Stage) -> None:
    """A second draft like the first."""
    name = stage.run("clone-invoice", invoice=stage.draft()).name
    expect("lines", stage.amounts(name), [450, 2000])


@story("delete-draft")
def delete_draft(stage: Stage) -> None:
    """A draft is gone."""
    name = stage.draft()
    stage.run("delete-draft", invoice=name)
    expect("records", [each for each in stage.records() if each["Name"] == name], [])


@story("send-invoice")
def send_invoice(stage: Stage) -> None:
    """A draft is sent, and is open on both sides with the same total and its lines."""
    name = stage.sent()
    _status(stage, name, "Open", Total__c=2450)
    expect("time of sending", stage.record(name)["Sent_At__c"] is not None, True)
    lines = stage.account.v1.invoices.line_items.list(stage.invoice(name).id).data
    currency = stage.record(name)["Currency__c"].lower()
    expect("currency in Stripe", {line.currency for line in lines}, {currency})
    expect("lines in Stripe", len(lines), 2)


@story("reject-invoice")
def reject_invoice(stage: Stage) -> None:
    """Only a request of an approver rejects; our own user is none, and may make no request."""
    name = stage.draft()
    try:
        stage.run("reject-invoice", invoice=name, request_id="none")
    except Rejected as error:
        expect("refusal", "There is no request" in str(error), True)
    else:
        expect("refusal", "completed", "refused")
    expect("state", stage.record(name)["Status__c"], "Draft")


@story("resend-invoice")
def resend_invoice(stage: Stage) -> None:
    """It is mailed again, and stays open."""
    name = stage.sent()
    stage.run("resend-invoice", invoice=name)
    _status(stage, name, "Open")


@story("poll-events")
def poll_events(stage: Stage) -> None:
    """The customer pays, and the news is fetched."""
    name = stage.paid()

    def seen() -> bool:
        stage.run("poll-events")
        return bool(stage.record(name)["Status__c"] == "Paid")

    stage.account.until(seen)
    _status(stage, name, "Paid", Amount_Paid__c=2450, Payment_State__c="Paid")


@story("handle-events")
def handle_events(stage: Stage) -> None:
    """The customer pays, and Stripe's news is in the inbox."""
    name = stage.paid()
    invoice = stage.invoice(name).id

    def news() -> list[inbox.NewEvent]:
        since = datetime.now(UTC) - timedelta(hours=1)
        found = stripe.client().events(since=since, types=HANDLED_TYPES)
        events = [event_from(event) for event in found]
        mine = [event for event in events if event["invoice_id"] == invoice]
        return mine if any(event["type"] == "invoice.paid" for event in mine) else []

    inbox.receive(stage.account.until(news))
    stage.run("handle-events")
    _status(stage, name, "Paid", Amount_Paid__c=2450)


@story("replay-events")
def replay_events(stage: Stage) -> None:
    """A record was overwritten; what happened to its invoice is handled once more."""
    name = stage.sent()
    invoice = stage.invoice(name).id

    def handled() -> bool:
        stage.run("poll-events")
        stage.write(name, Status__c="Void", Total__c=1)
        stage.run("replay-events", states=["done"], invoice=invoice)
        return bool(stage.record(name)["Status__c"] == "Open")

    stage.account.until(handled)
    _status(stage, name, "Open", Total__c=2450)


@story("sync-invoice")
def sync_invoice(stage: Stage) -> None:
    """The customer pays, nobody notices, and somebody looks."""
    name = stage.paid()
    stage.run("sync-invoice", invoice=name)
    _status(stage, name, "Paid", Amount_Paid__c=2450)


@story("record-payment")
def record_payment(stage: Stage) -> None:
    """A part comes in by bank transfer."""
    name = stage.sent()
    stage.run("record-payment", invoice=name, amount="450", reference="Line 7")
    _status(stage, name, "Open", Amount_Paid__c=450)


@story("credit-invoice")
def credit_invoice(stage: Stage) -> None:
    """A part of what was paid goes back to the card."""
    name = stage.paid()
    stage.run("sync-invoice", invoice=name)
    stage.run("credit-invoice", invoice=name, amount="450", give_back="refund")
    _status(stage, name, "Paid", Amount_Credited__c=450)


@story("void-invoice")
def void_invoice(stage: Stage) -> None:
    """It need not be paid."""
    name = stage.sent()
    stage.run("void-invoice", invoice=name)
    _status(stage, name, "Void")


@story("write-off-invoice")
def write_off_invoice(stage: Stage) -> None:
    """It is given up."""
    name = stage.sent()
    stage.run("write-off-invoice", invoice=name)
    _status(stage, name, "Uncollectible")


@story("replace-invoice")
def replace_invoice(stage: Stage) -> None:
    """A new draft takes its place, is sent, and the old one is void."""
    old = stage.sent()
    new = stage.run("replace-invoice", invoice=old).name
    stage.run("send-invoice", invoice=new)
    _status(stage, new, "Open", Total__c=2450)
    _status(stage, old, "Void", Replaced_By__c=stage.record(new)["Id"])


@story("full-sync")
def full_sync(stage: Stage) -> None:
    """A record that was overwritten is put right; one that is missing is made."""
    name = stage.sent()
    customer = stage.customer_of(CUSTOMER) or ""
    currency = stage.record(name)["Currency__c"].lower()
    stage.write(name, Status__c="Void", Total__c=1)
    made = stage.account.open(customer, 9_900, currency=currency).id
    stage.run("full-sync", approve_above=1)
    _status(stage, name, "Open", Total__c=2450)
    [found] = [r["Name"] for r in stage.records() if r["Stripe_Invoice_Id__c"] == made]
    _status(stage, found, "Open")


@story("send-scheduled")
def send_scheduled(stage: Stage) -> None:
    """The day of a draft has come, and its sending is started."""
    stage.write(stage.draft(), Send_On__c=today().isoformat())
    said = stage.run("send-scheduled").sentence
    expect("said", said, "The day of 1 draft has come; 1 run started.")


@story("watch-salesforce")
def watch_salesforce(stage: Stage) -> None:
    """A record asks for something, and that is started once."""
    name = stage.draft()
    stage.write(name, Action_Requested__c="Sync")
    said = stage.run("watch-salesforce").sentence
    expect("said", said, "1 record asked for something; 1 run started: sync-invoice.")
    expect("action", stage.record(name)["Action_Requested__c"], None)


@story("mark-overdue")
def mark_overdue(stage: Stage) -> None:
    """What is due in weeks is not overdue, whoever says so."""
    name = stage.sent()
    stage.write(name, Is_Overdue__c=True)
    stage.run("mark-overdue")
    _status(stage, name, "Open", Is_Overdue__c=False)


@story("send-reminders")
def send_reminders(stage: Stage) -> None:
    """An invoice that was mailed a while ago is reminded of, once."""
    name = stage.sent()
    long_ago = datetime.now(UTC) - LONG_AGO
    stage.write(name, Sent_At__c=stamp(long_ago))
    links.mark_sent(stage.invoice(name).id, long_ago)
    for _ in range(2):
        stage.run("send-reminders")
        _status(stage, name, "Open", Reminders_Sent__c=1)


@story("rebuild-ledger")
def rebuild_ledger(stage: Stage) -> None:
    """The ledger has lost an invoice and its mail, and reads both again."""
    name = stage.sent()
    record_id, stripe_id = stage.record(name)["Id"], stage.invoice(name).id
    with session() as ledger:
        ledger.execute(delete(InvoiceLink).where(col(InvoiceLink.stripe_id) == stripe_id))
        ledger.execute(delete(Intent).where(col(Intent.subject) == record_id))

    def known() -> bool:
        stage.run("rebuild-ledger", saved_on=today())
        mail = intents.find(MAIL, record_id)
        return mail is not None and mail.outcome is not None

    stage.account.until(known)
    expect("link", links.stripe_id(record_id), stripe_id)


@story("refresh-choices")
def refresh_choices(stage: Stage) -> None:
    """The forms offer the products that can be sold, unless there are too many."""
    if stage.run("refresh-choices").sentence.startswith("No list of products"):
        return
    forms = Prefect(settings().prefect_api_url).forms(FORMS)
    for name in FORMS:
        listed, _ = forms[name]["definitions"]["LineItem"]["properties"]["product"]["anyOf"]
        expect(f"{CONSULTING} in the form of {name}", CONSULTING in listed["enum"], True)


@story("link-customer")
def link_customer(stage: Stage) -> None:
    """Another Account is a customer whom somebody made in Stripe, of the same address."""
    customer = stage.account.customer()
    stage.run("link-customer", account=OTHER_CUSTOMER, customer=customer)
    expect("customer", stage.customer_of(OTHER_CUSTOMER), customer)


@story("doctor")
def doctor(stage: Stage) -> None:
    """Services and ledger are as they should be, whatever was never deployed to this server."""
    try:
        said = stage.run("doctor").sentence
    except EnvironmentMismatch as error:
        said = str(error)
    for check in ("Stripe key", "Salesforce login", "ledger"):
        expect(check, f"{check}: " in said, False)


@story("overview")
def overview(stage: Stage) -> None:
    """The page is written, whatever else this server has run."""
    said = stage.run("overview").sentence
    expect("said", said.endswith(" failed in the last seven days."), True)


@story("export-customer")
def export_customer(stage: Stage) -> None:
    """What is held of the customer is in a file, with its invoice."""
    name = stage.sent()
    stage.run("export-customer", account=stage.record(name)["Account__c"])
    [file] = settings().reports.glob("customer-*.json")
    expect("invoice", stage.invoice(name).id in file.read_text(encoding="utf-8"), True)


@story("erase-customer")
def erase_customer(stage: Stage) -> None:
    """Refused, because an invoice is open."""
    account = stage.record(stage.sent())["Account__c"]
    try:
        said = stage.run("erase-customer", account=account).sentence
    except Rejected as error:
        said = str(error)
    expect("refused", said.startswith(f"Nothing was erased of {account}. "), True)


@story("forget-old-data")
def forget_old_data(stage: Stage) -> None:
    """Nothing of this pass is old."""
    said = stage.run("forget-old-data").sentence
    expect("said", said.startswith("Deleted: 0 rows of the ledger, "), True)
