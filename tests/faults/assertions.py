"""What both services and the ledger say, read all at once and judged afterwards."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, cast

import orjson
import requests

from invoicing.domain.salesforce.queries import Query
from invoicing.domain.salesforce.request_record import ACTIONS, REQUEST
from invoicing.domain.stripe.header_facts import STRIPES_UNLESS_CHOSEN, header_of
from invoicing.domain.stripe.line_facts import line_facts
from invoicing.domain.stripe.projection import ACCOUNT_KEY, RECORD_KEY
from invoicing.domain.stripe.resources import WholeInvoice
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.ledger.intents import AGREE, AGREE_CONTENT, AGREE_TOTAL, APPROVE, CHARGE, MAIL
from invoicing.ledger.models import (
    DriftRow,
    EntryState,
    Event,
    Intent,
    InvoiceLink,
    Lease,
    LentEmail,
    Request,
    RequestRecord,
    SyncRun,
    TimelineEntry,
)
from invoicing.ledger.personal_data import GONE
from tests.faults.listening import started_runs
from tests.faults.process_patches import acting_in, now
from tests.faults.runner import outcome_of

Thing = dict[str, Any]

RECORD_FIELDS = (
    *("Id", "Name", "Status__c", "Payment_State__c", "Sync_State__c", "Sync_Message__c"),
    *("Number__c", "Stripe_Invoice_Id__c", "Total__c", "Amount_Paid__c", "Amount_Remaining__c"),
    *("Sent_At__c", "Local_Key__c", "Description__c", "Action_Requested__c", "Currency__c"),
    *("Replaces__c", "Replaced_By__c", "Previewed_Total__c", "Is_Overdue__c"),
    *("Reminders_Sent__c", "Account__c", "Account__r.Stripe_Customer_Id__c"),
    *("Account__r.Invoice_Email__c", "Payment_Problem__c"),
    *("Amount_Credited__c", "Amount_Refunded__c", "Amount_Disputed__c"),
    Query(
        "Lines__r",
        ["Description__c", "Product__r.Name", "Quantity__c", "Amount__c"],
        order="Position__c",
    ),
)


REQUEST_FIELDS = ("Action__c", "Invoice__c", "State__c", "Outcome__c", "Open_Key__c")

TABLES = (
    *(Lease, Intent, InvoiceLink, LentEmail, Event, Request, RequestRecord),
    *(TimelineEntry, DriftRow),
)

RESTORED = "{}"
"""Changes of an entry that was read again in Salesforce, which has them in words only."""

OUT_OF_BAND = ("out_of_band_payment", "payment_record")
"""Types of payments on an invoice that Stripe did not collect."""


@dataclass
class Facts:
    """The state of the world after a schedule, and what the full syncs found before."""

    now: datetime
    invoices: Sequence[Thing]
    customers: Sequence[Thing]
    products: Sequence[Thing]
    credit_notes: Sequence[Thing]
    refunds: Sequence[Thing]
    payments: Sequence[Thing]
    out_of_band: Sequence[Thing]
    mails: Sequence[Thing]
    records: Sequence[Thing]
    leases: Sequence[Lease]
    intents: Sequence[Intent]
    links: Sequence[InvoiceLink]
    lent: Sequence[LentEmail]
    events: Sequence[Event]
    requests: Sequence[Request]
    request_records: Sequence[RequestRecord]
    asked: Sequence[Thing]
    runs: Sequence[Thing]
    timeline: Sequence[TimelineEntry]
    told: Sequence[Thing]
    drift: Sequence[DriftRow]
    syncs: Sequence[str]

    def record(self, name: str) -> Thing:
        """The invoice record of a name."""
        [found] = [record for record in self.records if record["Name"] == name]
        return found

    def invoices_of(self, record: Thing) -> list[Thing]:
        """The Stripe invoices that were made for a record."""
        return [i for i in self.invoices if i["metadata"].get(RECORD_KEY) == record["Id"]]

    def mails_of(self, record: Thing) -> list[Thing]:
        """The e-mails that went out about a record's Stripe invoices."""
        ids = {invoice["id"] for invoice in self.invoices_of(record)}
        ids.add(record["Stripe_Invoice_Id__c"])
        return [mail for mail in self.mails if mail["invoice"] in ids]


def gather(syncs: Sequence[str]) -> Facts:
    """Read everything; in a process where flows are called by hand."""
    from sqlmodel import select

    from invoicing.connectors import salesforce
    from invoicing.ledger.database import session
    from invoicing.settings import settings

    stripe = _Stripe()
    payments = list(stripe.all("/v1/invoice_payments"))
    mails = requests.get(f"{stripe.url}/_sandbox/mail", timeout=60).json()["data"]
    invoices = list(stripe.all("/v1/invoices"))
    with session() as ledger:
        tables: Mapping[Any, Any] = {table: list(ledger.exec(select(table))) for table in TABLES}
    asked = salesforce.client().query(Query(REQUEST, ["Id", *REQUEST_FIELDS]))
    anybody_asked = asked or tables[Request]
    return Facts(
        now=now(),
        invoices=invoices,
        customers=list(stripe.all("/v1/customers")),
        products=list(stripe.all("/v1/products")),
        credit_notes=list(stripe.all("/v1/credit_notes")),
        refunds=list(stripe.all("/v1/refunds")),
        payments=payments,
        out_of_band=[p for p in payments if p["payment"]["type"] in OUT_OF_BAND],
        mails=mails,
        records=salesforce.client().query(Query("Stripe_Invoice__c", RECORD_FIELDS)),
        leases=tables[Lease],
        intents=tables[Intent],
        links=tables[InvoiceLink],
        lent=tables[LentEmail],
        events=tables[Event],
        requests=tables[Request],
        request_records=tables[RequestRecord],
        asked=asked,
        runs=started_runs(settings().prefect_api_url, acting_in[0]) if anybody_asked else (),
        timeline=sorted(tables[TimelineEntry], key=lambda entry: (entry.happened_at, entry.key)),
        drift=tables[DriftRow],
        told=salesforce.client().query(Query("Stripe_Invoice_Event__c", ["Key__c"])),
        syncs=syncs,
    )


class _Stripe:
    """Stripe's lists, read to their ends."""

    def __init__(self) -> None:
        from invoicing.settings import settings

        self.url = settings().stripe.base_url
        self._session = requests.Session()
        self._session.auth = (settings().stripe.api_key.get_secret_value(), "")

    def all(self, path: str) -> Iterator[Thing]:
        params: Thing = {"limit": 100}
        while True:
            page = self._session.get(self.url + path, params=params, timeout=60).json()
            yield from page["data"]
            if not page["has_more"]:
                return
            params["starting_after"] = page["data"][-1]["id"]


def settle_down() -> bool:
    """Let the schedules do their work; returns whether no event waits any more."""
    from sqlmodel import col, select

    from invoicing.ledger.database import session

    for flow in ("poll-events", "handle-events", "watch-salesforce"):
        outcome_of(flow)
    waiting = select(Event).where(col(Event.state).in_(WAITING))
    with session() as ledger:
        return ledger.exec(waiting).first() is None


WAITING = ("received", "processing", "failed")
"""States of events that nobody has dealt with."""


def compare() -> Facts:
    """Compare everything, and read what is so.

    What the first comparison has put right, the second must find so. One that has read
    everything itself and finds nothing has changed nothing, and is not repeated.
    """
    enough = 2 if _is_half_read() else 1
    syncs: list[str] = []
    while len(syncs) < 2 and not (len(syncs) >= enough and agrees(syncs[-1])):
        syncs.append(str(getattr(outcome_of("full-sync"), "sentence", "")))
    return gather(syncs)


def _is_half_read() -> bool:
    """Whether the next full sync goes on with what one that died has read."""
    from sqlmodel import col, select

    from invoicing.ledger.database import session

    with session() as ledger:
        query = select(SyncRun).where(col(SyncRun.finished_at).is_(None))
        return ledger.exec(query).first() is not None


def agrees(sync: str) -> bool:
    """Whether a full sync said that it found no difference."""
    return sync.endswith(" 0 differed.")


def violations(facts: Facts, wanted: Mapping[str, int]) -> list[str]:
    """Everything that is not as it must be after any schedule, whatever its story.

    Args:
        facts: After both systems were compared twice.
        wanted: How many credit notes, refunds, out-of-band payments and further mails people
            asked for, whether both sides may have been edited, and whether the ledger was lost.
    """
    return [
        *_once_each(facts, wanted),
        *_started_once(facts),
        *_as_agreed(facts),
        *_given_back_once(facts),
        *_in_agreement(
            facts, edited=bool(wanted.get("edited")), rebuilt=bool(wanted.get("rebuilt"))
        ),
        *_own_addresses(facts),
        *_told_once(facts, edited=bool(wanted.get("edited"))),
        *_nothing_left(facts),
    ]


def _once_each(facts: Facts, wanted: Mapping[str, int]) -> Iterator[str]:
    def key(things: Iterable[Thing], name: str) -> Counter[str]:
        return Counter(t["metadata"][name] for t in things if name in (t.get("metadata") or {}))

    for what, counts in (
        ("Stripe invoices for record", key(facts.invoices, RECORD_KEY)),
        ("Stripe customers for Account", key(facts.customers, ACCOUNT_KEY)),
        ("products called", Counter(product["name"] for product in facts.products)),
        ("records with Stripe id", Counter(r["Stripe_Invoice_Id__c"] for r in facts.records)),
    ):
        yield from (
            f"{count} {what} {name}" for name, count in counts.items() if name and count > 1
        )
    mails = Counter((matter(mail), mail["invoice"]) for mail in facts.mails)
    for (about, invoice), count in mails.items():
        allowed = wanted.get("credit_notes", 0) if about == "Credit" else 1 + wanted.get("mails", 0)
        if count > allowed:
            yield f"{count} e-mails about {invoice} ({about}), {allowed} wanted"
    ours = [refund for refund in facts.refunds if not _is_somebodys(refund)]
    for what, found in (
        ("credit_notes", facts.credit_notes),
        ("refunds", ours),
        ("out_of_band", facts.out_of_band),
    ):
        if len(found) > wanted.get(what, 0):
            yield f"{len(found)} {what}, {wanted.get(what, 0)} wanted"


def _is_somebodys(refund: Thing) -> bool:
    """Whether somebody else made a refund, beside all credit notes."""
    from tests.faults.stories import BY_SOMEBODY

    return BY_SOMEBODY in (refund["metadata"] or {})


def _started_once(facts: Facts) -> Iterator[str]:
    """No more runs were started of a flow on an invoice than people asked for in Salesforce.

    Counted by what they do, not by the keys that keep them from being two.
    """
    from tasks.requests.action_field import FLOW_BY_ACTION

    asked = Counter((ACTIONS[one["Action__c"]].flow, one["Invoice__c"]) for one in facts.asked)
    asked.update((FLOW_BY_ACTION[one.action], one.record_id) for one in facts.requests)
    started = Counter((run["flow"], run["parameters"].get("invoice")) for run in facts.runs)
    for what, times in asked.items():
        if started[what] > times:
            yield f"{started[what]} runs of {what}, asked for {times} times"


def _own_addresses(facts: Facts) -> Iterator[str]:
    """Whoever was asked for one invoice, the customer has its own address again."""
    customers = {customer["id"]: customer["email"] for customer in facts.customers}
    for record in facts.records:
        account = record["Account__r"]
        has, own = customers.get(account["Stripe_Customer_Id__c"]), account["Invoice_Email__c"]
        if has and own and has != own:
            yield f"the customer of {record['Name']} has the address {has} instead of {own}"
    yield from (f"{loan.customer_id} has {loan.lent} on loan" for loan in facts.lent)


def _given_back_once(facts: Facts) -> Iterator[str]:
    """No request has two credit notes, and no invoice gives back more than came in on it.

    Each refund belongs to a credit note, unless somebody else made it. What these two have given
    twice nobody could keep from going, and the record says it.
    """
    from tasks.corrections.duplicate_requests import REQUEST_KEY

    requests = Counter((note["metadata"] or {}).get(REQUEST_KEY) for note in facts.credit_notes)
    yield from (
        f"{count} credit notes for the request {request}"
        for request, count in requests.items()
        if request and count > 1
    )
    for invoice in facts.invoices:
        notes = [note for note in facts.credit_notes if note["invoice"] == invoice["id"]]
        paid = [p["payment"] for p in facts.payments if p["invoice"] == invoice["id"]]
        intents = {payment.get("payment_intent") for payment in paid} - {None}
        made = [refund for refund in facts.refunds if refund["payment_intent"] in intents]
        refunds = sum(refund["amount"] for refund in made if not _is_somebodys(refund))
        others = sum(refund["amount"] for refund in made if _is_somebodys(refund))
        linked = sum(link["amount_refunded"] for note in notes for link in note["refunds"])
        back = sum(note["post_payment_amount"] for note in notes)
        warned = any(
            "twice" in (record["Payment_Problem__c"] or "")
            for record in facts.records
            if record["Stripe_Invoice_Id__c"] == invoice["id"]
        )
        if others and back + others > invoice["amount_paid"] and not warned:
            yield f"{back} and {others} of {invoice['id']} went back, which the record does not say"
        if refunds != linked:
            yield f"{refunds} of {invoice['id']} were refunded, credit notes name {linked}"
        if back > invoice["amount_paid"]:
            yield f"{back} of {invoice['id']} went back, {invoice['amount_paid']} were paid"


def matter(mail: Thing) -> str:
    """Whether a mail brings an invoice, its receipt, or a credit note: the subject's first word."""
    return str(mail["subject"]).split()[0]


def _as_agreed(facts: Facts) -> Iterator[str]:
    """Nobody was mailed or charged more than was said or approved, another total or content."""
    agreed: dict[str, int] = {}
    for intent in facts.intents:
        if intent.operation in (AGREE, APPROVE) and intent.outcome:
            record_id = intent.subject.partition(":")[0]
            agreed[record_id] = max(int(intent.outcome), agreed.get(record_id, 0))
    totals = {i.subject: int(i.outcome or 0) for i in facts.intents if i.operation == AGREE_TOTAL}
    content = {
        i.subject: [part for part in i.outcome.split() if not part.startswith("discounts=")]
        for i in facts.intents
        if i.operation == AGREE_CONTENT and i.outcome
    }
    decided = {i.subject for i in facts.intents if i.operation == APPROVE and i.outcome}
    gone_out = {i.subject for i in facts.intents if i.operation in (MAIL, CHARGE) and i.outcome}
    for record in facts.records:
        for invoice in facts.invoices_of(record) if record["Id"] in gone_out else ():
            if invoice["amount_due"] > agreed.get(record["Id"], 0):
                yield (
                    f"{record['Name']} asks for {invoice['amount_due']}, "
                    f"{agreed.get(record['Id'])} was agreed"
                )
            total = invoice["total"]
            if totals.get(record["Id"], total) != total and (
                f"{record['Id']}:total-{total}" not in decided
            ):
                yield f"{record['Name']} is over {total}, {totals[record['Id']]} was compared"
            wanted = content.get(record["Id"])
            if (
                wanted is not None
                and _content(invoice, wanted) != wanted
                and (f"{record['Id']}:total-{total}" not in decided)
            ):
                yield f"{record['Name']} went out with other content than was agreed: {invoice}"


def _content(invoice: Thing, wanted: Iterable[str]) -> list[str]:
    """What an invoice says, as the ledger keeps it, but for its coupons, whose ids it lacks.

    What Stripe adds by itself counts only where somebody has chosen it.
    """
    from tasks.sending.agreed_content import as_agreed

    rates = [rate["id"] for rate in invoice["default_tax_rates"]]
    taxed = invoice["automatic_tax"]["enabled"]
    facts = [line_facts(one, None if taxed else rates, {}) for one in invoice["lines"]["data"]]
    header = header_of(cast(WholeInvoice, invoice), {})
    chosen = {part.partition("=")[0] for part in wanted}
    passed_over = {"discounts", *STRIPES_UNLESS_CHOSEN} - (chosen & {*STRIPES_UNLESS_CHOSEN})
    parts = as_agreed(header, facts)
    return [part for part in parts if part.partition("=")[0] not in passed_over]


def _told_once(facts: Facts, *, edited: bool) -> Iterator[str]:
    """Each change is on the timeline once, in Salesforce as in the ledger, up to the last.

    A status that a person wrote over before Stripe came to the same is on no timeline.
    """
    here = {record["Id"] for record in facts.records}
    done = (EntryState.HAPPENED, EntryState.PUBLISHED)
    happened = {e.key: e for e in facts.timeline if e.state in done and e.record_id in here}
    there = Counter(row["Key__c"] for row in facts.told)
    for key in happened.keys() | there.keys():
        if key not in happened or there[key] != 1:
            yield f"the timeline has {key} {there[key]} times"
    kept = [e for e in happened.values() if not e.number and e.what != GONE]
    said = Counter((e.record_id, e.what, e.happened_at) for e in kept)
    yield from (
        f"the timeline says twice: {what}" for (_, what, _), times in said.items() if times > 1
    )
    for record in facts.records:
        mine = [e for e in happened.values() if e.record_id == record["Id"] and e.number]
        mine.sort(key=lambda entry: entry.number or 0)
        for before, after in pairwise(mine):
            if before.changes == after.changes != RESTORED:
                yield f"{record['Name']}'s timeline says twice: {after.what}"
        states = [s[1] for e in mine if (s := orjson.loads(e.changes).get("Status__c"))]
        if states and states[-1] != record["Status__c"] and not edited:
            yield f"{record['Name']} is {record['Status__c']}, its timeline ends {states[-1]}"


def _in_agreement(facts: Facts, *, edited: bool, rebuilt: bool) -> Iterator[str]:
    """Both sides say the same; but where both were edited, which is right is for a person.

    A ledger that was rebuilt does not know what was written last, before something is written.
    """
    invoices = {invoice["id"]: invoice for invoice in facts.invoices}
    for record in facts.records:
        invoice = invoices.get(record["Stripe_Invoice_Id__c"])
        yield from _agreeing(record, invoice, facts, rebuilt=rebuilt)
    for invoice in facts.invoices:
        if invoice["id"] not in {record["Stripe_Invoice_Id__c"] for record in facts.records}:
            yield f"{invoice['id']} has no record"
    open_questions = {row.kind for row in facts.drift if row.outcome == "found"} == {Kind.CONFLICT}
    if not agrees(facts.syncs[-1]) and not (edited and open_questions):
        yield f"the second full sync says {facts.syncs[-1]!r}: {facts.drift}"


def _agreeing(
    record: Thing, invoice: Thing | None, facts: Facts, *, rebuilt: bool
) -> Iterator[str]:
    name = record["Name"]
    linked = {link.record_id: link for link in facts.links}
    link = linked.get(record["Id"])
    if invoice is None:
        if record["Stripe_Invoice_Id__c"] and record["Status__c"] != "Deleted":
            yield f"{name} names {record['Stripe_Invoice_Id__c']}, which Stripe does not have"
        return
    if link is None or link.stripe_id != invoice["id"]:
        yield f"{name} is {invoice['id']}, the ledger says {link and link.stripe_id}"
    if record["Status__c"].lower() != invoice["status"]:
        yield f"{name} is {record['Status__c']}, Stripe says {invoice['status']}"
    if invoice["status"] == "draft":
        return
    wrote = link and link.status
    if link and (wrote or "").lower() != invoice["status"] and (wrote or not rebuilt):
        yield f"{name} is {invoice['status']} in Stripe, the ledger wrote {link.status}"
    unit = 1 if invoice["currency"] == "jpy" else 100
    for field, minor in (
        ("Total__c", "total"),
        ("Amount_Paid__c", "amount_paid"),
        ("Amount_Remaining__c", "amount_remaining"),
    ):
        if record[field] is None or round(float(record[field]) * unit) != invoice[minor]:
            yield f"{name}: {field} is {record[field]}, Stripe says {invoice[minor]}"
    here = sorted((_text(line), round(float(line["Amount__c"]) * unit)) for line in _lines(record))
    there = sorted((line["description"] or "", line["amount"]) for line in invoice["lines"]["data"])
    if here != there and not invoice["lines"]["has_more"]:
        yield f"{name} has lines of {here}, Stripe says {there}"
    if record["Number__c"] != invoice["number"]:
        yield f"{name} is number {record['Number__c']}, Stripe says {invoice['number']}"
    if record["Sync_State__c"] != "Clean":
        yield f"{name} is sent and {record['Sync_State__c']}: {record['Sync_Message__c']}"


def _lines(record: Thing) -> list[Thing]:
    return list((record["Lines__r"] or {"records": []})["records"])


def _text(line: Thing) -> str:
    return str(line["Description__c"] or (line["Product__r"] or {}).get("Name") or "")


def _nothing_left(facts: Facts) -> Iterator[str]:
    for event in facts.events:
        if event.state != "done":
            yield f"event {event.type} is {event.state}: {event.reason}"
    for lease in facts.leases:
        if lease.expires_at > facts.now:
            yield f"a lease on {lease.subject} is held until {lease.expires_at:%H:%M:%S}"
    for record in facts.records:
        begun = any(i.subject == record["Id"] and i.outcome is None for i in facts.intents)
        failed = record["Sync_State__c"] in ("Failed", "Conflict")
        if record["Status__c"] == "Draft" and (begun or failed) and not record["Sync_Message__c"]:
            yield f"{record['Name']} is stuck without a reason"
    for request in facts.requests:
        if not request.cleared or not request.run_id:
            yield f"the request for {request.action} was not taken up"
    for asked in facts.request_records:
        if not asked.run_id and not asked.answered:
            yield f"the request {asked.id} for {asked.action} was not taken up"
    known = {asked.id for asked in facts.request_records}
    for there in facts.asked:
        if there["Id"] not in known and there["Open_Key__c"]:
            yield f"the request {there['Id']} for {there['Action__c']} was lost"
