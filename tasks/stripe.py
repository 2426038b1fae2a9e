"""Steps on Stripe: customer, products, draft, finalization, mail. One effect a step.

Every step reads before it acts, and acts under the idempotency key that the ledger keeps
for it, so it may be repeated at any time, by this run or by a later one.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.calendar import end_of_day
from invoicing.domain.corrections import as_revision
from invoicing.domain.invoice import Account, Invoice, Line, sending_problems
from invoicing.domain.money import Money, plain, unit_amount_decimal
from invoicing.domain.projection import ACCOUNT_KEY, LINE_KEY, ORG_KEY, RECORD_KEY
from invoicing.domain.status import Status
from invoicing.domain.words import counted
from invoicing.errors import Conflict, Passing, Refused, WrongWorld
from invoicing.ledger import intents, leases, links
from invoicing.ledger.intents import CREATE, CREATE_CUSTOMER, FINALIZE, MAIL, SEND
from invoicing.settings import settings
from tasks.policy import STEP
from tasks.report import run_id
from tasks.salesforce import today

CLOCK_SKEW = timedelta(minutes=5)
EVENTS_KEPT = timedelta(days=30)


def _digest(params: Any) -> str:
    return hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest()[:32]


@task(task_run_name="check that it can be sent", **STEP)
def approve_sending(invoice: Invoice) -> None:
    """Refuse what cannot be sent; let a sending that was begun go on.

    Raises:
        Refused: with every reason; nothing was written to Stripe.
    """
    begun = intents.find(SEND, invoice.record_id)
    if begun and begun.outcome and begun.actor == run_id():
        return
    if begun and not begun.outcome and intents.began(FINALIZE, invoice.record_id):
        get_run_logger().info("An earlier run began to send this invoice; going on from there.")
        return
    if invoice.status is not Status.DRAFT:
        raise Refused(
            f"{invoice.name} is {invoice.status}, and only a draft can be sent. "
            "To mail it again, use Stripe's dashboard."
        )
    problems = sending_problems(invoice, today())
    if problems:
        raise Refused([f"{invoice.name} cannot be sent.", *problems])
    intents.intend(SEND, invoice.record_id, digest=invoice.content_digest, actor=run_id())


@task(task_run_name="find or create the customer", **STEP)
def ensure_customer(account: Account, email: str) -> str:
    """The Stripe customer of an Account, with the address that the invoice goes to.

    A known customer first; else one in Stripe that carries our Account id; else a new one.
    Never the Search API within its lag: https://docs.stripe.com/search#data-freshness
    """
    leases.acquire(account.id, run_id())
    try:
        customer = _known_customer(account) or _create_customer(account, email)
        if customer["email"] != email or customer["name"] != account.name:
            stripe.client().update_customer(customer["id"], {"email": email, "name": account.name})
        links.link_customer(customer["id"], account.id)
        get_run_logger().info("%s is Stripe's customer %s.", account.name, customer["id"])
        return str(customer["id"])
    finally:
        leases.release(account.id, run_id())


def _known_customer(account: Account) -> stripe.Object | None:
    for customer_id in (links.customer_of(account.id), account.stripe_customer_id):
        if customer_id:
            customer = stripe.client().customer(customer_id)
            if customer:
                return customer
            links.unlink_customer(customer_id)
            intents.reopen(CREATE_CUSTOMER, account.id)
    return None


def _create_customer(account: Account, email: str) -> stripe.Object:
    client = stripe.client()
    mine = {ORG_KEY: settings().salesforce.org_id, ACCOUNT_KEY: account.id}
    params = {"email": email, "name": account.name, "metadata": mine}

    def found(_since: datetime) -> str | None:
        for customer in client.customers_by_email(email):
            if customer["metadata"].get(ACCOUNT_KEY) == account.id:
                return str(customer["id"])
        return None

    customer_id = found(datetime.now(UTC)) or intents.once(
        CREATE_CUSTOMER,
        account.id,
        digest=_digest(params),
        actor=run_id(),
        evidence=found,
        act=lambda key: str(client.create_customer(params, key)["id"]),
    )
    customer = client.customer(customer_id)
    if customer is None:
        intents.reopen(CREATE_CUSTOMER, account.id)
        raise Passing(f"The new customer {customer_id} is gone from Stripe again.")
    return customer


@task(task_run_name="make sure the products exist", **STEP)
def ensure_products(lines: Sequence[Line]) -> None:
    """Every product of the lines exists in Stripe, under an id made of its Salesforce id."""
    wanted = {line.product_id: line.product_name for line in lines if line.product_id}
    known = links.known_products(wanted)
    for product_id, name in wanted.items():
        if product_id not in known or known[product_id].name != name:
            stripe.client().ensure_product(_stripe_product(product_id), name)
            links.remember_product(product_id, _stripe_product(product_id), name)


def _stripe_product(product_id: str) -> str:
    return f"salesforce_{product_id}"


@task(task_run_name="create the draft in Stripe", **STEP)
def create_draft(invoice: Invoice, customer_id: str) -> str:
    """The invoice's draft in Stripe, made once, and its id."""
    _keep(invoice.record_id)
    known = links.stripe_id(invoice.record_id)
    if known:
        return known
    client = stripe.client()
    params = {
        "customer": customer_id,
        "currency": invoice.currency.lower(),
        "collection_method": "send_invoice",
        "due_date": _due(invoice),
        "description": invoice.description,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "metadata": {
            ORG_KEY: settings().salesforce.org_id,
            RECORD_KEY: invoice.record_id,
            ACCOUNT_KEY: invoice.account.id,
        },
    }
    if invoice.replaces:
        params = as_revision(params, invoice.replaces)

    def found(since: datetime) -> str | None:
        for candidate in client.invoices_of(customer_id, since - CLOCK_SKEW):
            if candidate["metadata"].get(RECORD_KEY) == invoice.record_id:
                return str(candidate["id"])
        return None

    def create(key: str) -> str:
        created = client.create_invoice(params, key)
        if created["livemode"] != settings().stripe.livemode:
            raise WrongWorld(f"Stripe made {created['id']} in another mode than the settings say.")
        return str(created["id"])

    stripe_id = intents.once(
        CREATE,
        invoice.record_id,
        digest=_digest(params),
        actor=run_id(),
        evidence=found,
        act=create,
    )
    links.link_invoice(stripe_id, invoice.record_id)
    get_run_logger().info("The draft in Stripe is %s.", stripe_id)
    return stripe_id


def _due(invoice: Invoice) -> int:
    if invoice.due_date is None:
        raise Refused(f"{invoice.name} has no due date.")
    return end_of_day(invoice.due_date, settings().business.zone)


def _line_params(line: Line, currency: str) -> dict[str, Any]:
    params: dict[str, Any] = {
        "description": line.label,
        "quantity_decimal": plain(line.quantity),
        "metadata": {LINE_KEY: line.key},
    }
    price = {
        "currency": currency.lower(),
        "unit_amount_decimal": unit_amount_decimal(line.unit_price, currency),
    }
    product = (
        {"product": _stripe_product(line.product_id)}
        if line.product_id
        else {"product_data": {"name": line.label}}
    )
    return params | {"price_data": price | product}


LineFacts = tuple[str, str, int]
"""What must be the same on both sides: our key, the text, the amount in minor units."""


def _line_facts(line: Mapping[str, Any]) -> LineFacts:
    key = (line.get("metadata") or {}).get(LINE_KEY) or ""
    return key, str(line["description"]), int(line["amount"])


@task(task_run_name="fill in header and lines", **STEP)
def fill_draft(stripe_id: str, invoice: Invoice) -> None:
    """Make the Stripe draft say exactly what the record says.

    Raises:
        Conflict: somebody sent, deleted or extended the draft in Stripe meanwhile.
    """
    _keep(invoice.record_id)
    client = stripe.client()
    draft = client.invoice(stripe_id)
    if draft is None:
        raise Conflict(
            f"The draft of {invoice.name} was deleted in Stripe ({stripe_id}). "
            "Clone the record to bill it anew, or delete it."
        )
    if draft["status"] != "draft":
        return
    header = {"description": invoice.description, "due_date": _due(invoice)}
    if any(draft[field] != value for field, value in header.items()):
        client.update_invoice(stripe_id, header)
    wanted = [(line.key, line.label, line.amount(invoice.currency).minor) for line in invoice.lines]
    present = client.invoice_lines(stripe_id) if draft["lines"]["data"] else []
    if sorted(map(_line_facts, present)) == sorted(wanted):
        return
    strange = [line for line in present if _line_facts(line)[0] == ""]
    if strange and not invoice.replaces:
        raise Conflict(
            f"Somebody added lines to the draft of {invoice.name} in Stripe ({stripe_id}). "
            "Remove them there, or delete the draft there and clone the record."
        )
    if present:
        ids = [line["id"] for line in present]
        _change_lines(
            "remove-lines",
            stripe_id,
            ids,
            lambda key: client.remove_lines(stripe_id, ids, key),
            until=[],
        )
    lines = [_line_params(line, invoice.currency) for line in invoice.lines]
    _change_lines(
        "add-lines",
        stripe_id,
        wanted,
        lambda key: client.add_lines(stripe_id, lines, key),
        until=wanted,
    )


def _change_lines(
    operation: str,
    stripe_id: str,
    change: Sequence[Any],
    act: Callable[[str], object],
    *,
    until: list[LineFacts],
) -> None:
    """Change the lines of a draft once, until they are as wanted."""
    subject = f"{stripe_id}:{_digest(change)}"

    def done(_since: datetime) -> str | None:
        present = stripe.client().invoice_lines(stripe_id)
        return "done" if sorted(map(_line_facts, present)) == sorted(until) else None

    def change_once(key: str) -> str:
        act(key)
        return "done"

    before = intents.find(operation, subject)
    if before and before.outcome:
        intents.reopen(operation, subject)
    intents.once(
        operation,
        subject,
        digest=_digest(until),
        actor=run_id(),
        evidence=done,
        act=change_once,
    )


@task(task_run_name="compare the totals", **STEP)
def compare_totals(stripe_id: str, invoice: Invoice) -> Money:
    """Read the draft back and compare; the last step before anything reaches the customer.

    Raises:
        Conflict: with the two sums.
    """
    draft = stripe.client().invoice(stripe_id)
    if draft is None:
        raise Conflict(f"The draft of {invoice.name} was deleted in Stripe ({stripe_id}).")
    stripe_total = Money(draft["currency"], draft["subtotal"])
    lines = int(draft["lines"].get("total_count") or len(draft["lines"]["data"]))
    if draft["lines"]["has_more"] and "total_count" not in draft["lines"]:
        lines = len(stripe.client().invoice_lines(stripe_id))
    if stripe_total != invoice.total or lines != len(invoice.lines):
        raise Conflict(
            f"{invoice.name} was not sent: Salesforce adds up to {invoice.total} on "
            f"{len(invoice.lines)} lines, Stripe to {stripe_total} on {lines} lines. "
            f"Compare the draft {stripe_id} in Stripe with the record."
        )
    if draft["status"] == "draft" and draft["customer_email"] != invoice.email:
        raise Passing(f"Stripe still has another e-mail address on the draft {stripe_id}.")
    get_run_logger().info("Both sides add up to %s on %s.", invoice.total, counted(lines, "line"))
    return stripe_total


@task(task_run_name="finalize", **STEP)
def finalize(stripe_id: str, record_id: str) -> None:
    """Turn the draft into an open invoice, once.

    Never with ``auto_advance``: Stripe would mail it by itself, and ours would be the second.
    """
    _keep(record_id)
    client = stripe.client()

    def finalized(_since: datetime) -> str | None:
        now = client.invoice(stripe_id)
        return str(now["status"]) if now and now["status"] != "draft" else None

    intents.once(
        FINALIZE,
        record_id,
        digest=_digest(stripe_id),
        actor=run_id(),
        evidence=finalized,
        act=lambda key: str(client.finalize(stripe_id, key)["status"]),
    )
    get_run_logger().info("%s is finalized: numbered and frozen.", stripe_id)


@task(task_run_name="mail it to {email}", **STEP)
def mail(stripe_id: str, record_id: str, email: str) -> None:
    """Have Stripe e-mail the invoice, once.

    Raises:
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    _keep(record_id)
    client = stripe.client()

    def mailed(since: datetime) -> str | None:
        for event in client.events(since=since - CLOCK_SKEW, types=["invoice.sent"]):
            if event["data"]["object"]["id"] == stripe_id:
                return str(event["created"])
        if datetime.now(UTC) - since > EVENTS_KEPT:
            raise Conflict(
                f"Stripe no longer tells whether {stripe_id} was mailed on {since:%Y-%m-%d}. "
                "Ask the customer, and mail it from Stripe's dashboard if need be."
            )
        return None

    def send(key: str) -> str:
        client.send(stripe_id, key)
        return str(int(datetime.now(UTC).timestamp()))

    sent = intents.once(
        MAIL, record_id, digest=_digest(stripe_id), actor=run_id(), evidence=mailed, act=send
    )
    links.mark_sent(stripe_id, datetime.fromtimestamp(int(sent), UTC))
    get_run_logger().info("Stripe has mailed it to %s.", email)


@task(task_run_name="let Stripe follow up", **STEP)
def hand_over(stripe_id: str) -> None:
    """Let Stripe remind and reconcile from now on, where the business wants it to."""
    if settings().stripe.auto_advance:
        stripe.client().update_invoice(stripe_id, {"auto_advance": True})


@task(task_run_name="conclude", **STEP)
def conclude_sending(record_id: str, stripe_id: str) -> None:
    """Write down that the whole sending came to its end."""
    intents.conclude(SEND, record_id, stripe_id)


def _keep(record_id: str) -> None:
    """Stay the only run that works on the invoice; asked before every effect."""
    leases.acquire(record_id, run_id())
