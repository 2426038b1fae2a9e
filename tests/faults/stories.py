"""One story for each flow that changes anything: how it begins, what is asked, how it must end.

A new flow is proved by adding its story here; a test names the flows that have none.
"""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import requests

from invoicing.domain.model.reminder_dates import GRACE_PERIOD
from invoicing.domain.salesforce.queries import Query, all_of, equals
from invoicing.domain.stripe.projection import ACCOUNT_KEY
from invoicing.errors import InvoicingError, Rejected
from invoicing.ledger.intents import AGREE, CREATE, CREDIT, MAIL, REPORT_PAYMENT, RESEND
from invoicing.ledger.personal_data import GONE
from tests.faults.assertions import Facts
from tests.faults.listening import LISTENER
from tests.faults.process_patches import now
from tests.faults.runner import outcome_of
from tests.faults.worlds import SALESFORCE, World

Parameters = dict[str, Any]

ACME = equals("Name", "Acme Corporation")


def _same(parameters: Parameters) -> Parameters:
    return parameters


@dataclass(frozen=True)
class Story:
    """A flow's story.

    Attributes:
        flow: The deployed flow.
        prepare: Makes the beginning, without Prefect and without trouble; returns the
            parameters of the run.
        ends: What is wrong with the end, if the flow came to its own.
        rival: What another run wants that is started at the same moment.
        again: Whether a new run with the same parameters asks for the same thing. If not, only
            the run itself is taken up again.
        meanwhile: What people do in the world while it goes on.
        by_events: Whether events alone bring everything in step, before any full sync.
        how: How it ends where nothing goes wrong.
        wanted: How many credit notes, refunds, out-of-band payments and further mails the story
            asks for.
    """

    flow: str
    prepare: Callable[[], Parameters]
    ends: Callable[[Facts, Parameters], Iterator[str]]
    rival: Callable[[Parameters], Parameters] = _same
    again: bool = True
    meanwhile: Callable[[random.Random, World], None] | None = None
    by_events: bool = False
    how: str = "completed"
    wanted: Mapping[str, int] = field(default_factory=dict)


def form(**changes: Any) -> Parameters:
    """The form for a draft of two lines over 2,450 dollars, due in 45 days."""
    from tasks.runtime.clock import today

    return {
        "account": "Acme Corporation",
        "description": "November services",
        "due_date": (today() + timedelta(days=45)).isoformat(),
        "lines": [
            {"product": "Consulting", "quantity": "3"},
            {"product": "Onboarding", "unit_price": "2000"},
        ],
        **changes,
    }


def draft() -> str:
    """A draft; its name."""
    return str(outcome_of("raise-invoice", **form()).name)


def sent() -> str:
    """An invoice that was sent, and whose events were settled; its name."""
    name = draft()
    outcome_of("send-invoice", invoice=name)
    outcome_of("poll-events")
    return name


def paid() -> str:
    """An invoice that was sent, and then paid by the customer, which nobody has noticed."""
    name = draft()
    outcome = outcome_of("send-invoice", invoice=name)
    outcome_of("poll-events")
    pay(outcome.hosted_invoice_url)
    return name


def pay(hosted_invoice_url: str) -> None:
    """Pay as the customer does."""
    answer = requests.post(hosted_invoice_url, data={"card": "4242424242424242"}, timeout=60)
    assert answer.ok, answer.text


def pay_part(stripe_id: str, amount: int) -> None:
    """Pay some whole units of an invoice as the customer does."""
    from invoicing.connectors import stripe

    invoice = stripe.client().invoice(stripe_id)
    assert invoice is not None
    form = {"card": "4242424242424242", "amount": f"{amount}.00"}
    answer = requests.post(str(invoice["hosted_invoice_url"]), data=form, timeout=60)
    assert answer.ok, answer.text


def write(name: str, **fields: Any) -> None:
    """Overwrite a record by hand."""
    from invoicing.connectors import salesforce

    client = salesforce.client()
    [record] = client.query(Query("Stripe_Invoice__c", ["Id"], where=equals("Name", name)))
    client.update("Stripe_Invoice__c", record["Id"], fields)


def stripe_post(path: str, **params: Any) -> dict[str, Any]:
    """Do something as a user of Stripe's dashboard."""
    from invoicing.settings import settings

    at = settings().stripe
    key = at.api_key.get_secret_value()
    answer = requests.post(at.base_url + path, data=params, auth=(key, ""), timeout=60)
    assert answer.ok, answer.text
    return dict(answer.json())


def stripe_get(path: str, **params: Any) -> list[dict[str, Any]]:
    """What a list of Stripe's says, newest first."""
    from invoicing.settings import settings

    at = settings().stripe
    key = at.api_key.get_secret_value()
    answer = requests.get(at.base_url + path, params=params, auth=(key, ""), timeout=60)
    assert answer.ok, answer.text
    return list(answer.json()["data"])


def somebody_else(dice: random.Random, world: World) -> None:
    """Let somebody act who knows nothing of the run: in Stripe, or in Salesforce.

    What comes too late is refused: somebody had been there first.
    """
    with suppress(requests.RequestException, InvoicingError):  # trouble meets everybody
        dice.choice((_in_the_dashboard, _in_the_dashboard, _in_salesforce))(dice, world)


def _in_the_dashboard(dice: random.Random, _: World) -> None:
    """Do one of the things that Stripe's dashboard, or another program, does with an invoice."""
    from invoicing.domain.stripe.projection import RECORD_KEY
    from invoicing.settings import settings

    at = settings().stripe
    dashboard = requests.Session()
    dashboard.auth = (at.api_key.get_secret_value(), "")
    more = "expand[]=data.payments.data.payment.payment_intent"
    listed = dashboard.get(f"{at.base_url}/v1/invoices?limit=100&{more}", timeout=60).json()
    ours = [i for i in listed.get("data", ()) if RECORD_KEY in i["metadata"]]
    possible = [(i, act) for i in ours for act in DASHBOARD.get(i["status"], ())]
    if not possible:
        return
    invoice, (path, form) = dice.choice(possible)
    lines, payments = invoice["lines"]["data"], invoice["payments"]["data"]
    by_intent = [p for p in payments if p["payment"]["type"] == "payment_intent"]
    intents = [p["payment"]["payment_intent"]["id"] for p in by_intent if p["status"] == "paid"]
    if len(lines) < 2 or (path == REFUNDS and not intents):
        return
    told = invoice | {"intent": (intents or [""])[0], "first": lines[0], "second": lines[1]}
    form = {key: value.format_map(told) for key, value in form.items()}
    dashboard.post(at.base_url + path.format_map(told), data=form, timeout=60)


_INVOICE, REFUNDS = "/v1/invoices/{id}", "/v1/refunds"
_DESCRIBE = (_INVOICE, {"description": "As discussed"})
_VOID: tuple[str, Mapping[str, str]] = (f"{_INVOICE}/void", {})
_MORE = {"invoice": "{id}", "customer": "{customer}", "amount": "5000", "currency": "{currency}"}
_SWAP = {
    "lines[0][id]": "{first[id]}",
    "lines[0][amount]": "{second[amount]}",
    "lines[1][id]": "{second[id]}",
    "lines[1][amount]": "{first[amount]}",
}
"""Two changes that cancel."""

BY_SOMEBODY = "by_somebody"
"""Metadata of a refund that no credit note of ours made."""

_REFUND = {"payment_intent": "{intent}", "amount": "10000", f"metadata[{BY_SOMEBODY}]": "yes"}

DASHBOARD: Mapping[str, Sequence[tuple[str, Mapping[str, str]]]] = {
    "draft": [
        _DESCRIBE,
        ("/v1/invoiceitems", _MORE),
        (f"{_INVOICE}/update_lines", _SWAP),
        (f"{_INVOICE}/finalize", {}),
    ],
    "open": [_DESCRIBE, _VOID, (f"{_INVOICE}/mark_uncollectible", {})],
    "uncollectible": [_VOID],
    "paid": [(REFUNDS, _REFUND)],
}
"""What somebody may do with an invoice in each status: path and form."""


def _in_salesforce(dice: random.Random, world: World) -> None:
    """Overwrite a record, or merge its Account into another, as people in the org do."""
    from invoicing.connectors import salesforce
    from invoicing.domain.salesforce import record

    client = salesforce.client()
    rows = client.query(Query(record.INVOICE, ["Id", record.STATUS, "Account__c"]))
    if not rows:
        return
    row = dice.choice(rows)
    if dice.random() < MERGES:
        made = client.write_graph([creating("Account", "new", {"Name": "Acme Holding"})])
        order = {"master": made["new"]["id"], "losers": [row["Account__c"]]}
        world.sandboxes[SALESFORCE].admin("POST", "merge", **order)
        return
    client.update(record.INVOICE, row["Id"], OVERWRITTEN[row[record.STATUS] == "Draft"])


MERGES = 0.3
"""How much of what people do in Salesforce is a merge of Accounts."""

OVERWRITTEN: Mapping[bool, Mapping[str, Any]] = {
    True: {"Description__c": "In other words"},
    False: {"Total__c": 1, "Amount_Due__c": 7, "Status__c": "Draft", "Footer__c": "By hand"},
}
"""What people write over: of a draft what is theirs, of all else what is Stripe's."""


def into_the_inbox(dice: random.Random | None = None) -> None:
    """Write all of Stripe's events down as the receiver does, in any order if told so."""
    from invoicing.connectors import stripe
    from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
    from invoicing.ledger import inbox
    from tests.flows.events import event_from

    since = now() - timedelta(days=20)
    found = [event_from(e) for e in stripe.client().events(since=since, types=HANDLED_TYPES)]
    if dice:
        dice.shuffle(found)
    for event in found:
        inbox.receive([event])


# Beginnings


def _raise_once() -> Parameters:
    return form(request_id="order-4711")


def _raise_many() -> Parameters:
    """A table of two invoices, one of two lines, and an Opportunity of one product."""
    _win("Acme renewal")
    table = """invoice;account;description;terms;product;quantity;price
A;Acme Corporation;November services;Net 30;Consulting;3;
A;Acme Corporation;;;Onboarding;1;2000,00
B;Acme Corporation;December services;Net 30;Onboarding;1;2450,00
"""
    options = {"payment_terms": "Net 30"}
    return {
        "csv": table,
        "opportunities": ["Acme renewal"],
        "options": options,
        "request_id": "november",
    }


def _win(name: str) -> None:
    """An Opportunity of Acme that was won, with two hours of Consulting."""
    from invoicing.connectors import salesforce

    client = salesforce.client()
    [account] = client.query(Query("Account", ["Id"], where=ACME))
    [entry] = client.query(
        Query(
            "PricebookEntry",
            ["Id"],
            where=all_of(
                equals("Product2.Name", "Consulting"),
                equals("CurrencyIsoCode", "USD"),
                equals("Pricebook2.IsStandard", True),
            ),
        )
    )
    won = {
        "Name": name,
        "AccountId": account["Id"],
        "StageName": "Closed Won",
        "CloseDate": "2026-11-01",
        "CurrencyIsoCode": "USD",
    }
    product = {"OpportunityId": "@{won.id}", "PricebookEntryId": entry["Id"]}
    product |= {"Quantity": 2, "UnitPrice": 140}
    client.write_graph(
        [
            creating("Opportunity", "won", won),
            creating("OpportunityLineItem", "product", product),
        ]
    )


def creating(sobject: str, reference: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """One record of a graph that is written at once."""
    path = f"sobjects/{sobject}"
    return {"method": "POST", "path": path, "referenceId": reference, "body": body}


def _answer() -> Parameters:
    return {
        "account": "Acme Corporation",
        "answers": [
            {"purpose": "November services", "payment_terms": "Net 30"},
            {"product": "Consulting (150.00 USD)"},
            {"quantity": "3", "more": "Yes"},
            {"product": "Onboarding (2,500.00 USD)"},
            {"quantity": "1", "unit_price": "2000", "more": "No"},
            {"next": "Raise this invoice"},
        ],
    }


def _revise() -> Parameters:
    return {
        "invoice": draft(),
        "change": [{"line": 1, "quantity": "5"}],
        "add": [{"product": "Training Day"}],
        "remove": [2],
    }


def _preview() -> Parameters:
    from invoicing.domain.forms.parameters import Options

    options = Options(discount_percent=Decimal(10)).model_dump(mode="json", exclude_unset=True)
    return {"invoice": str(outcome_of("raise-invoice", **form(options=options)).name)}


def _schedule() -> Parameters:
    from tasks.runtime.clock import today

    write(draft(), Send_On__c=today().isoformat())
    return {}


BILL_TO = "wile.coyote@example.com"
"""Of a contact of Acme, whose own address is another."""


def _send() -> Parameters:
    from invoicing.connectors import salesforce

    name, where = draft(), equals("Email", BILL_TO)
    [contact] = salesforce.client().query(Query("Contact", ["Id"], where=where))
    write(name, Bill_To__c=contact["Id"])
    return {"invoice": name}


def _charge() -> Parameters:
    """A draft that is charged to the bank account which Acme has saved since its last invoice."""
    sent()
    [customer] = stripe_get("/v1/customers")
    attach = "/v1/payment_methods/pm_usBankAccount_success/attach"
    account = stripe_post(attach, customer=customer["id"])
    default = {"invoice_settings[default_payment_method]": account["id"]}
    stripe_post(f"/v1/customers/{customer['id']}", **default)
    charged = form(due_date=None, options={"collection": "Charge Automatically"})
    return {"invoice": str(outcome_of("raise-invoice", **charged).name)}


def _link() -> Parameters:
    """A draft, and a customer of the same address whom somebody made in Stripe."""
    draft()
    there = stripe_post("/v1/customers", name="ACME Corp.", email="billing@acme.example.com")
    return {"account": "Acme Corporation", "customer": there["id"]}


def _void() -> Parameters:
    return {"invoice": sent()}


def _resend() -> Parameters:
    return {"invoice": sent(), "request_id": "again"}


def _record_payment() -> Parameters:
    return {"invoice": sent(), "amount": "450", "reference": "Line 7", "request_id": "bank-1"}


def _credit() -> Parameters:
    return {"invoice": paid(), "amount": "450", "give_back": "refund", "request_id": "day-3"}


def press(name: str, action: str, parameters: str = "") -> str:
    """Make the request that a button of the package makes; returns its id."""
    from invoicing.connectors import salesforce

    body = _request_of(name, action, parameters)
    path = "sobjects/Stripe_Invoice_Request__c"
    request = {"method": "POST", "path": path, "referenceId": "asked", "body": body}
    return str(salesforce.client().write_graph([request])["asked"]["id"])


def _request_of(name: str, action: str, parameters: str) -> dict[str, str]:
    from invoicing.connectors import salesforce
    from invoicing.domain.salesforce.request_record import open_key

    client = salesforce.client()
    [record] = client.query(Query("Stripe_Invoice__c", ["Id"], where=equals("Name", name)))
    return {
        "Invoice__c": record["Id"],
        "Action__c": action,
        "Open_Key__c": open_key(record["Id"], action),
        "Parameters__c": parameters,
    }


def _press_as_approver(name: str, action: str, parameters: str) -> str:
    """Make an approver's request: the user as whom the product acts is none."""
    from invoicing.settings import settings

    at = settings().salesforce.url
    person = {"name": f"{action} Ledger", "permission_sets": ["Invoice_Approver"]}
    hired = requests.post(f"{at}/_sandbox/people", json=person, timeout=60).json()
    asked = requests.post(
        f"{at}/services/data/v67.0/sobjects/Stripe_Invoice_Request__c",
        json=_request_of(name, action, parameters),
        headers={"Authorization": f"Bearer {hired['access_token']}"},
        timeout=60,
    )
    assert asked.ok, asked.text
    return str(asked.json()["id"])


def _decided(*actions: str) -> tuple[str, list[str]]:
    """A large invoice that waits for approval, and decisions on it; its name, and their ids."""
    from invoicing.connectors import salesforce
    from tasks.requests.request_records import collect_request_records

    name = str(outcome_of("raise-invoice", **form(lines=LARGE)).name)
    outcome_of("send-invoice", invoice=name)
    fields = ["Approval_Key__c"]
    [record] = salesforce.client().query(
        Query("Stripe_Invoice__c", fields, where=equals("Name", name))
    )
    given = f"approval_key: {record['Approval_Key__c']}\ncomment: Seen"
    requests_made = [_press_as_approver(name, action, given) for action in actions]
    collect_request_records.fn()
    return name, requests_made


LARGE = [{"product": "Onboarding", "unit_price": "200000"}]
"""Above the limit."""


def approved() -> Parameters:
    """A large invoice, and an approver's yes, which has not been taken up."""
    name, [yes] = _decided("Approve")
    return {"invoice": name, "request_id": yes}


def approved_and_rejected() -> tuple[Parameters, Parameters]:
    """A large invoice, and both answers at once."""
    name, [yes, no] = _decided("Approve", "Reject")
    return {"invoice": name, "request_id": yes}, {"invoice": name, "request_id": no}


def _reject() -> Parameters:
    name, [no] = _decided("Reject")
    return {"invoice": name, "request_id": no}


def _is_rejected(facts: Facts, parameters: Parameters) -> Iterator[str]:
    record = facts.record(parameters["invoice"])
    yield from _says("state", record["Status__c"], "Draft")
    yield from _says("declined", "was declined by" in (record["Sync_Message__c"] or ""), True)
    yield from _says("timeline", [e.what for e in facts.timeline if "Declined" in e.what][1:], [])
    yield from _says("e-mails", len(facts.mails), 0)


def _replace() -> Parameters:
    return {"invoice": sent(), "request_id": "again"}


def _sync() -> Parameters:
    return {"invoice": paid()}


def _handle() -> Parameters:
    paid()
    into_the_inbox()
    return {}


def _poll() -> Parameters:
    paid()
    return {}


def _replay() -> Parameters:
    name = paid()
    outcome_of("poll-events")
    write(name, Status__c="Open", Amount_Paid__c=0)
    return {"states": ["done"]}


def _full_sync() -> Parameters:
    name = sent()
    write(name, Status__c="Void", Total__c=1)
    from invoicing.connectors import salesforce

    [account] = salesforce.client().query(Query("Account", ["Stripe_Customer_Id__c"], where=ACME))
    made = stripe_post(
        "/v1/invoices",
        customer=account["Stripe_Customer_Id__c"],
        collection_method="send_invoice",
        days_until_due="30",
        auto_advance="false",
    )
    line = {"lines[0][amount]": "9900", "lines[0][description]": "Workshop"}
    stripe_post(f"/v1/invoices/{made['id']}/add_lines", **line)
    stripe_post(f"/v1/invoices/{made['id']}/finalize", auto_advance="false")
    return {}


def _watch() -> Parameters:
    for name, action in ((draft(), "Send"), (draft(), "Sync"), (sent(), "Void")):
        write(name, Action_Requested__c=action)
    for name, action in ((draft(), "Send"), (draft(), "Preview")):
        press(name, action)
    return {}


def _to_be_asked_about() -> Parameters:
    """A draft that goes to somebody else's address, and an invoice that was sent."""
    return {"draft": _send()["invoice"], "sent": sent()}


def _click(dice: random.Random, world: World) -> None:
    """People press buttons, alone or many at once, and twice; now and then the stream breaks."""
    asked = [*CLICKS, *CLICKS[:2]]
    dice.shuffle(asked)
    breaks = dice.randint(0, 3)
    for name, action, given in asked:
        time.sleep(dice.choice((0, 0, 0.2)))
        if breaks and dice.random() < 0.5:
            breaks -= 1
            world.sandboxes[SALESFORCE].admin("DELETE", "pubsub")
        _press_until_it_is_there(name, action, given)


def _press_until_it_is_there(name: str, action: str, given: str) -> None:
    """A click that Salesforce refuses is one whose request is there already."""
    for _ in range(CLICKED_AT_MOST):
        try:
            press(name, action, given)
        except Rejected:
            return
        except InvoicingError:
            time.sleep(0.05)
        else:
            return


CLICKED_AT_MOST = 60

CLICKS = (
    ("INV-0001", "Send", ""),
    ("INV-0002", "Resend", ""),
    ("INV-0002", "Record Payment", "amount: 450"),
    ("INV-0002", "Credit", "amount: 50\ngive_back: nothing"),
    ("INV-0002", "Sync", ""),
)
"""Which button on which invoice, with what in its form."""


def _is_heard(facts: Facts, parameters: Parameters) -> Iterator[str]:
    """Each request was carried out once, and says what came of it."""
    yield from _says("requests", len(facts.asked), len(CLICKS))
    for request in facts.asked:
        came = (request["State__c"], request["Open_Key__c"], bool(request["Outcome__c"]))
        yield from _says(f"{request['Action__c']}, {request['Outcome__c']}", came, CARRIED_OUT)
    runs = [request.run_id for request in facts.request_records]
    yield from _says("runs", len({*runs} - {None}), len(CLICKS))
    yield from _is_sent(facts, {"invoice": parameters["draft"]})
    yield from _is("Open", paid=450, mails=3)(facts, {"invoice": parameters["sent"]})
    yield from _says("credit notes", [n["amount"] for n in facts.credit_notes], [5000])


CARRIED_OUT = ("Done", None, True)


def _overdue() -> Parameters:
    write(sent(), Is_Overdue__c=True)
    return {}


EVENTS_KEPT = timedelta(days=30)
"""For how long Stripe can be asked what it mailed."""

LONG_AGO = timedelta(days=10)
"""When an invoice was mailed that is to be reminded of."""


def _remind() -> Parameters:
    from invoicing.domain.salesforce.record import stamp
    from invoicing.ledger import links

    name = sent()
    long_ago = now() - LONG_AGO
    write(name, Sent_At__c=stamp(long_ago))
    [stripe_id] = _stripe_ids(name)
    links.mark_sent(stripe_id, long_ago)
    return {}


def _stripe_ids(name: str) -> list[str]:
    from invoicing.connectors import salesforce

    query = Query("Stripe_Invoice__c", ["Stripe_Invoice_Id__c"], where=equals("Name", name))
    return [row["Stripe_Invoice_Id__c"] for row in salesforce.client().query(query)]


def _lose_the_ledger() -> Parameters:
    """An invoice that was mailed twice, paid in part and credited; and no ledger that knows it."""
    from sqlmodel import col, delete

    from invoicing.ledger.database import session
    from invoicing.ledger.models import Cursor, Customer, Event, Intent, InvoiceLink, TimelineEntry

    name = sent()
    outcome_of("resend-invoice", invoice=name, request_id="again")
    outcome_of("record-payment", invoice=name, amount="450", request_id="bank-1")
    outcome_of("credit-invoice", invoice=name, amount="50", request_id="day-3")
    kept_to_judge_by = col(Intent.operation) == AGREE
    with session() as ledger:
        ledger.execute(delete(Intent).where(~kept_to_judge_by))
        for table in (InvoiceLink, Customer, TimelineEntry, Event, Cursor):
            ledger.execute(delete(table))
    return {}


def _settled() -> Parameters:
    """Acme has paid all that it owes, and everybody knows it."""
    from invoicing.connectors import salesforce

    paid()
    outcome_of("poll-events")
    [account] = salesforce.client().query(Query("Account", ["Id"], where=ACME))
    return {"account": account["Id"]}


def _grow_old() -> Parameters:
    """The same, and it was years ago."""
    from sqlmodel import update

    from invoicing.ledger.database import session
    from invoicing.ledger.models import Event, TimelineEntry

    _settled()
    long_ago = now() - timedelta(days=1000)
    with session() as ledger:
        ledger.execute(update(Event).values(received_at=long_ago))
        ledger.execute(update(TimelineEntry).values(happened_at=long_ago))
    return {}


# Ends


def _says(what: str, there: Any, wanted: Any) -> Iterator[str]:
    if there != wanted:
        yield f"{what}: {there!r} instead of {wanted!r}"


def _amounts(record: Mapping[str, Any]) -> list[float]:
    lines = (record["Lines__r"] or {"records": []})["records"]
    return [float(line["Amount__c"]) for line in lines]


def _is_raised(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("records", len(facts.records), 1)
    for record in facts.records:
        yield from _says("lines", _amounts(record), [450, 2000])
        yield from _says("total", float(record["Total__c"]), 2450)


def _is_raised_by_each(facts: Facts, _: Parameters) -> Iterator[str]:
    keys = {record["Local_Key__c"] for record in facts.records}
    yield from _says("records", len(facts.records), max(1, len(keys)))
    for record in facts.records:
        yield from _says("lines", _amounts(record), [450, 2000])


def _are_raised(facts: Facts, _: Parameters) -> Iterator[str]:
    lines = sorted(_amounts(record) for record in facts.records)
    yield from _says("lines", lines, [[280], [450, 2000], [2450]])
    totals = sorted(float(record["Total__c"]) for record in facts.records)
    yield from _says("totals", totals, [280, 2450, 2450])
    told = [entry.what for entry in facts.timeline if entry.what.startswith("Raised")]
    yield from _says("told", len(told), 3)


def _is_revised(facts: Facts, _: Parameters) -> Iterator[str]:
    [record] = facts.records
    yield from _says("lines", _amounts(record), [750, 1800])
    yield from _says("total", float(record["Total__c"]), 2550)


def _is_previewed(facts: Facts, _: Parameters) -> Iterator[str]:
    [record] = facts.records
    yield from _says("previewed", float(record["Previewed_Total__c"] or 0), 2205)
    yield from _says("Stripe invoices", len(facts.invoices), 0)


def _is_left_to_its_run(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("status", [r["Status__c"] for r in facts.records], ["Draft"])
    yield from _says("e-mails", len(facts.mails), 0)


def _half_sent() -> Parameters:
    """A draft that Stripe has too, because its sending was stopped there."""
    from tasks.records.invoices import read_invoice
    from tasks.records.locks import lock_invoice
    from tasks.sending.customer import ensure_customer
    from tasks.sending.stripe_draft import create_draft

    name = draft()
    with lock_invoice(name) as record_id:
        content = read_invoice(record_id)
        customer = ensure_customer(content)
        create_draft(content, customer)
    return {"invoice": name}


def _clone() -> Parameters:
    return {"invoice": draft(), "request_id": "again-4711"}


def _is_gone(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("records", len(facts.records), 0)
    yield from _says("Stripe invoices", len(facts.invoices), 0)


def _is_cloned(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("records", len(facts.records), 2)
    for record in facts.records:
        yield from _says("lines", _amounts(record), [450, 2000])
        yield from _says("status", record["Status__c"], "Draft")


def _is_sent(facts: Facts, parameters: Parameters) -> Iterator[str]:
    record = facts.record(parameters["invoice"])
    yield from _says("Stripe invoices", len(facts.invoices_of(record)), 1)
    yield from _says("e-mails", [mail["to"] for mail in facts.mails_of(record)], [BILL_TO])
    yield from _says("status", record["Status__c"], "Open")
    yield from _says("lines", [i["subtotal"] for i in facts.invoices_of(record)], [245000])
    yield from _says("time of sending", record["Sent_At__c"] is not None, True)
    customers = [customer["id"] for customer in facts.customers]
    yield from _says("customer", [record["Account__r"]["Stripe_Customer_Id__c"]], customers)


def _is_charged(facts: Facts, parameters: Parameters) -> Iterator[str]:
    """Once, and nobody is mailed: a bank debit that is under way for days, and succeeds then."""
    record = facts.record(parameters["invoice"])
    invoices = facts.invoices_of(record)
    ids = [invoice["id"] for invoice in invoices]
    charges = [payment for payment in facts.payments if payment["invoice"] in ids]
    is_over = [invoice["status"] for invoice in invoices] == ["paid"]
    yield from _says("status", record["Status__c"], "Paid" if is_over else "Open")
    yield from _says("charges", [p["amount_requested"] for p in charges], [245000])
    yield from _says("e-mails", len(facts.mails_of(record)), 0)


def _is_linked(facts: Facts, parameters: Parameters) -> Iterator[str]:
    [record] = facts.records
    linked = record["Account__r"]["Stripe_Customer_Id__c"]
    yield from _says("customer", linked, parameters["customer"])
    carried = [customer["metadata"].get(ACCOUNT_KEY) for customer in facts.customers]
    yield from _says("carried", carried, [record["Account__c"]])


def _is(status: str, paid: float = 0, mails: int = 1) -> Callable[..., Iterator[str]]:
    """The invoice is in a state, with so much paid on it and so many mails sent about it."""

    def ends(facts: Facts, parameters: Parameters) -> Iterator[str]:
        record = facts.record(parameters["invoice"])
        yield from _says("status", record["Status__c"], status)
        yield from _says("paid", float(record["Amount_Paid__c"] or 0), paid)
        yield from _says("e-mails", len(facts.mails_of(record)), mails)

    return ends


def _is_replaced(facts: Facts, parameters: Parameters) -> Iterator[str]:
    yield from _is("Open")(facts, parameters)
    old = facts.record(parameters["invoice"])
    new = [record for record in facts.records if record["Replaces__c"] == old["Id"]]
    yield from _says("replacements", [record["Status__c"] for record in new], ["Draft"])
    yield from _says("replaced by", [old["Replaced_By__c"]], [record["Id"] for record in new])
    yield from _says("lines", [_amounts(record) for record in new], [_amounts(old)])


def _is_credited(facts: Facts, parameters: Parameters) -> Iterator[str]:
    yield from _is("Paid", 2450, mails=2)(facts, parameters)
    yield from _says("credit notes", [n["amount"] for n in facts.credit_notes], [45000])
    yield from _says("refunds", [r["amount"] for r in facts.refunds], [45000])


def _is_paid(facts: Facts, _: Parameters) -> Iterator[str]:
    [record] = facts.records
    yield from _says("status", record["Status__c"], "Paid")
    yield from _says("paid", float(record["Amount_Paid__c"] or 0), 2450)


def _is_synced(facts: Facts, _: Parameters) -> Iterator[str]:
    states = sorted((record["Status__c"], float(record["Total__c"])) for record in facts.records)
    yield from _says("records", states, [("Open", 99.0), ("Open", 2450.0)])
    lines = sorted(_amounts(record) for record in facts.records)
    yield from _says("lines", lines, [[99], [450, 2000]])


def _is_asked_once(facts: Facts, _: Parameters) -> Iterator[str]:
    actions = sorted(request.action for request in facts.requests)
    yield from _says("requests", actions, ["Send", "Sync", "Void"])
    yield from _says("runs", len({request.run_id for request in facts.requests}), 3)
    yield from _says("actions", [r["Action_Requested__c"] for r in facts.records], [None] * 5)
    pressed = [request.run_id for request in facts.request_records]
    yield from _says("runs of requests", len({*pressed} - {None}), 2)
    own = {request.run_id for request in facts.requests}
    yield from _says("runs that do both", own & {*pressed}, set())
    yield from _says("e-mails", len(facts.mails), 1)


def _is_in_time(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("overdue", [record["Is_Overdue__c"] for record in facts.records], [False])
    told = [entry.what for entry in facts.timeline if "overdue" in entry.what]
    yield from _says("timeline", told, ["No longer overdue"])


def _is_reminded(facts: Facts, parameters: Parameters) -> Iterator[str]:
    """Once, unless its day was over before; what Stripe has forgotten, nobody can tell."""
    [record] = facts.records
    passed = facts.now - datetime.fromisoformat(record["Sent_At__c"]) - LONG_AGO
    sent = len(facts.mails) - 1
    if passed < GRACE_PERIOD - timedelta(days=1):
        yield from _says("reminders mailed", sent, 1)
    yield from _is("Open", mails=1 + sent)(facts, {"invoice": record["Name"]})
    told = [entry for entry in facts.timeline if entry.what.startswith("Reminder")]
    yield from _says("reminders", float(record["Reminders_Sent__c"] or 0), len(told))
    if passed < EVENTS_KEPT or told:
        yield from _says("timeline", len(told), sent)


def _is_offered(_: Facts, __: Parameters) -> Iterator[str]:
    from invoicing.connectors.prefect import Prefect
    from invoicing.settings import settings
    from tasks.drafting.product_options import FORMS

    forms = Prefect(settings().prefect_api_url).forms(FORMS)
    yield from _says("forms", sorted(forms), sorted(FORMS))
    for form in forms.values():
        listed, _other = form["definitions"]["LineItem"]["properties"]["product"]["anyOf"]
        yield from _says("offered", {"Consulting", "Onboarding"} <= {*listed["enum"]}, True)


def _look() -> Parameters:
    draft()
    return {}


def _is_as_it_was(facts: Facts, _: Parameters) -> Iterator[str]:
    yield from _says("records", [record["Status__c"] for record in facts.records], ["Draft"])
    yield from _says("invoices in Stripe", len(facts.invoices), 0)


def _is_known_again(facts: Facts, _: Parameters) -> Iterator[str]:
    """Whatever was done for a request; a mail for as long as Stripe tells of it."""
    [record] = facts.records
    [invoice] = facts.invoices_of(record)
    linked = {link.record_id: link.stripe_id for link in facts.links}
    yield from _says("linked", linked, {record["Id"]: invoice["id"]})
    known = {(i.operation, i.subject) for i in facts.intents if i.outcome}
    done = {(CREATE, ""), (REPORT_PAYMENT, ":bank-1"), (CREDIT, ":day-3")}
    if facts.now - datetime.fromisoformat(record["Sent_At__c"]) < EVENTS_KEPT:
        done |= {(MAIL, ""), (RESEND, ":again")}
    wanted = {(operation, record["Id"] + request) for operation, request in done}
    yield from _says("not known", wanted - known, set())
    yield from _says("paid", float(record["Amount_Paid__c"] or 0), 450)


def _is_written_down(facts: Facts, parameters: Parameters) -> Iterator[str]:
    from invoicing.settings import settings

    yield from _is_paid(facts, parameters)
    files = [file.name for file in settings().reports.iterdir()]
    yield from _says("exports", f"customer-{parameters['account']}.json" in files, True)


def _is_erased(facts: Facts, parameters: Parameters) -> Iterator[str]:
    """No text is left, and everything that exactly-once rests on."""
    yield from _is_paid(facts, parameters)
    yield from _says("timeline", {entry.what for entry in facts.timeline}, {GONE})
    yield from _says("bodies of events", {event.body for event in facts.events}, {""})


STORIES: Mapping[str, Story] = {
    story.flow: story
    for story in (
        Story("raise-invoice", _raise_once, _is_raised),
        Story("bulk-raise", _raise_many, _are_raised),
        Story("raise-invoice-wizard", _answer, _is_raised_by_each, again=False),
        Story(
            "revise-invoice",
            _revise,
            _is_revised,
            rival=lambda asked: {"invoice": asked["invoice"], "description": "In other words"},
            again=False,
        ),
        Story("preview-invoice", _preview, _is_previewed),
        Story("clone-invoice", _clone, _is_cloned),
        Story("delete-draft", _half_sent, _is_gone),
        Story("send-invoice", _send, _is_sent),
        Story("reject-invoice", _reject, _is_rejected),
        Story("link-customer", _link, _is_linked),
        Story("send-scheduled", _schedule, _is_left_to_its_run),
        Story("void-invoice", _void, _is("Void")),
        Story("write-off-invoice", _void, _is("Uncollectible")),
        Story("resend-invoice", _resend, _is("Open", mails=2), wanted={"mails": 1}),
        Story("record-payment", _record_payment, _is("Open", paid=450), wanted={"out_of_band": 1}),
        Story("credit-invoice", _credit, _is_credited, wanted={"credit_notes": 1, "refunds": 1}),
        Story("replace-invoice", _replace, _is_replaced),
        Story("sync-invoice", _sync, _is_paid),
        Story("handle-events", _handle, _is_paid, by_events=True),
        Story("poll-events", _poll, _is_paid, by_events=True),
        Story("replay-events", _replay, _is_paid, by_events=True),
        Story("full-sync", _full_sync, _is_synced),
        Story("watch-salesforce", _watch, _is_asked_once),
        Story(
            LISTENER,
            _to_be_asked_about,
            _is_heard,
            meanwhile=_click,
            wanted={"mails": 1, "out_of_band": 1, "credit_notes": 1},
        ),
        Story("mark-overdue", _overdue, _is_in_time),
        Story("send-reminders", _remind, _is_reminded, wanted={"mails": 1}),
        Story("refresh-choices", dict, _is_offered),
        Story(
            "rebuild-ledger",
            _lose_the_ledger,
            _is_known_again,
            wanted={"mails": 1, "out_of_band": 1, "credit_notes": 1, "rebuilt": 1},
        ),
        Story("doctor", _look, _is_as_it_was, how="refused"),
        Story("overview", _look, _is_as_it_was),
        Story("export-customer", _settled, _is_written_down),
        Story("erase-customer", _settled, _is_erased),
        Story("forget-old-data", _grow_old, _is_erased),
    )
}

OTHER_WAYS: Mapping[str, Story] = {
    "send-invoice, charged": Story("send-invoice", _charge, _is_charged),
}
"""Stories of flows that have one, with other effects."""
