"""Steps on Stripe: customer, products, draft, finalization, mail. One effect a step.

Every step reads before it acts, and acts under the idempotency key that the ledger keeps
for it, so it may be repeated at any time, by this run or by a later one.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.dates import end_of_day
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Account, Invoice, Line, sending_problems
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status
from invoicing.domain.model.terms import Collection
from invoicing.domain.model.text import counted
from invoicing.domain.stripe import request_params
from invoicing.domain.stripe.projection import ACCOUNT_KEY, ORG_KEY, RECORD_KEY
from invoicing.domain.stripe.resources import Customer
from invoicing.domain.stripe.transitions import as_replacement
from invoicing.errors import Conflict, EnvironmentMismatch, Rejected, TransientError
from invoicing.ledger import intents, links
from invoicing.ledger.intents import CHARGE, CREATE, CREATE_CUSTOMER, FINALIZE, MAIL, SEND
from invoicing.settings import settings
from tasks.records.locks import ACCOUNT, INVOICE
from tasks.records.tax_rates import rate_ids, rate_problems, tax_behavior
from tasks.records.timeline import add_entry
from tasks.runtime.clock import today
from tasks.runtime.retries import STEP
from tasks.runtime.run import run_id
from tasks.sending.email import CLOCK_SKEW, mail_once, mailed


@task(task_run_name="check that it can be sent", **STEP)
def check_sendable(invoice: Invoice) -> None:
    """Refuse what cannot be sent; let a sending that was begun go on.

    Raises:
        Rejected: with every reason; nothing was written to Stripe.
    """
    earlier = intents.find(SEND, invoice.record_id)
    if earlier and earlier.outcome and earlier.actor == run_id():
        return
    if earlier and not earlier.outcome and intents.attempted(FINALIZE, invoice.record_id):
        get_run_logger().info("An earlier run began to send this invoice; going on from there.")
        return
    if invoice.status is not Status.DRAFT:
        raise Rejected(
            f"{invoice.name} is {invoice.status}, and only a draft can be sent. "
            "To mail it again, run resend-invoice."
        )
    problems = sending_problems(invoice, today()) + rate_problems(invoice.billed.tax_rates)
    if problems:
        raise Rejected([f"{invoice.name} cannot be sent.", *problems])
    intents.intend(SEND, invoice.record_id, digest=invoice.content_digest, actor=run_id())


@task(task_run_name="find or create the customer", **STEP)
def ensure_customer(account: Account, email: str) -> str:
    """The Stripe customer of an Account, with the address that the invoice goes to.

    A known customer first; else one in Stripe that carries our Account id; else a new one.
    Never the Search API within its lag: https://docs.stripe.com/search#data-freshness
    """
    with ACCOUNT.held(account.id):
        customer = _known_customer(account) or _create_customer(account, email)
        if not request_params.is_in_step(customer, account, email):
            wanted = request_params.customer_params(account, email)
            stripe.client().update_customer(customer["id"], wanted)
        links.link_customer(customer["id"], account.id)
    get_run_logger().info("%s is Stripe's customer %s.", account.name, customer["id"])
    return customer["id"]


def _known_customer(account: Account) -> Customer | None:
    for customer_id in (links.customer_of(account.id), account.stripe_customer_id):
        if customer_id:
            customer = stripe.client().customer(customer_id)
            if customer:
                return customer
            links.unlink_customer(customer_id)
            intents.reopen(CREATE_CUSTOMER, account.id)
    return None


def _create_customer(account: Account, email: str) -> Customer:
    client = stripe.client()
    mine = {ORG_KEY: settings().salesforce.org_id, ACCOUNT_KEY: account.id}
    params = request_params.new_customer_params(account, email, mine)

    def found(_since: datetime) -> str | None:
        for customer in client.customers_by_email(email):
            if (customer.get("metadata") or {}).get(ACCOUNT_KEY) == account.id:
                return customer["id"]
        return None

    customer_id = found(datetime.now(UTC)) or intents.once(
        CREATE_CUSTOMER,
        account.id,
        digest=fingerprint(params),
        actor=run_id(),
        evidence=found,
        act=lambda key: client.create_customer(params, key)["id"],
    )
    customer = client.customer(customer_id)
    if customer is None:
        intents.reopen(CREATE_CUSTOMER, account.id)
        raise TransientError(f"The new customer {customer_id} is gone from Stripe again.")
    return customer


@task(task_run_name="make sure the products exist", **STEP)
def ensure_products(lines: Sequence[Line]) -> None:
    """Every product of the lines exists in Stripe, under an id made of its Salesforce id."""
    wanted = {line.product_id: line.product_name for line in lines if line.product_id}
    known = links.known_products(wanted)
    for product_id, name in wanted.items():
        if product_id not in known or known[product_id].name != name:
            stripe.client().ensure_product(request_params.stripe_product(product_id), name)
            links.remember_product(product_id, request_params.stripe_product(product_id), name)


@task(task_run_name="make sure the coupons exist", **STEP)
def ensure_coupons(invoice: Invoice) -> None:
    """Every discount has its coupon in Stripe, under an id made of its terms."""
    for coupon_id, discount in request_params.discounts(invoice).items():
        params = request_params.coupon_params(discount, invoice.currency)
        stripe.client().ensure_coupon(coupon_id, params)


@task(task_run_name="create the draft in Stripe", **STEP)
def create_draft(invoice: Invoice, customer_id: str) -> str:
    """The invoice's draft in Stripe, made once, and its id."""
    INVOICE.keep(invoice.record_id)
    known = links.stripe_id(invoice.record_id)
    if known:
        return known
    client = stripe.client()
    mine = {
        ORG_KEY: settings().salesforce.org_id,
        RECORD_KEY: invoice.record_id,
        ACCOUNT_KEY: invoice.account.id,
    }
    due, rates = _due(invoice), rate_ids(invoice.billed.tax_rates)
    params = request_params.draft_params(invoice, customer_id, due=due, rates=rates)
    header = request_params.header_params(invoice, due=due, rates=rates)
    params["metadata"] = _header_metadata(invoice, header) | mine
    if invoice.replaces:
        params = as_replacement(params, mine, invoice.replaces)

    def found(since: datetime) -> str | None:
        for candidate in client.invoices_of(customer_id, since - CLOCK_SKEW):
            if (candidate["metadata"] or {}).get(RECORD_KEY) == invoice.record_id:
                return candidate["id"]
        return None

    def create(key: str) -> str:
        created = client.create_invoice(params, key)
        if created["livemode"] != settings().stripe.livemode:
            raise EnvironmentMismatch(
                f"Stripe made {created['id']} in another mode than the settings say."
            )
        return created["id"]

    stripe_id = intents.once(
        CREATE,
        invoice.record_id,
        digest=fingerprint(params),
        actor=run_id(),
        evidence=found,
        act=create,
    )
    links.link_invoice(stripe_id, invoice.record_id)
    get_run_logger().info("The draft in Stripe is %s.", stripe_id)
    return stripe_id


HEADER_KEY = "salesforce_header"
"""Metadata of a draft: a fingerprint of the header it was given."""


def _due(invoice: Invoice) -> int | None:
    day = invoice.details.due_on(invoice.due_date, today())
    return end_of_day(day, settings().business.zone) if day else None


def _header_metadata(invoice: Invoice, header: object) -> dict[str, str]:
    """What makes a draft say by itself whether its header is still the one that it was given."""
    more = dict(invoice.org_fields.metadata)
    return more | {HEADER_KEY: fingerprint([header, more])}


@task(task_run_name="fill in header and lines", **STEP)
def fill_draft(stripe_id: str, invoice: Invoice) -> None:
    """Make the Stripe draft say exactly what the record says.

    Raises:
        Conflict: somebody sent, deleted or extended the draft in Stripe meanwhile.
    """
    INVOICE.keep(invoice.record_id)
    client = stripe.client()
    draft = client.invoice(stripe_id)
    if draft is None:
        raise Conflict(
            f"The draft of {invoice.name} was deleted in Stripe ({stripe_id}). "
            "Clone the record to bill it again, or delete it."
        )
    if draft["status"] != "draft":
        return
    present = client.invoice_lines(stripe_id) if draft["lines"]["data"] else []
    strange = [line for line in present if request_params.line_facts(line)[0] == ""]
    if strange and not invoice.replaces:
        raise Conflict(
            f"Somebody added lines to the draft of {invoice.name} in Stripe ({stripe_id}). "
            "Remove them there, or delete the draft there and clone the record."
        )
    due, rates = _due(invoice), rate_ids(invoice.billed.tax_rates)
    header = request_params.header_params(invoice, due=due, rates=rates)
    metadata = _header_metadata(invoice, header)
    seen = {"description": draft["description"], "due_date": draft["due_date"]}
    if (draft["metadata"] or {}).get(HEADER_KEY) != metadata[HEADER_KEY] or any(
        (value or None) != (header.get(field) or None) for field, value in seen.items()
    ):
        client.update_invoice(stripe_id, {**header, "metadata": metadata})
    wanted = request_params.wanted_facts(invoice)
    if sorted(map(request_params.line_facts, present)) == sorted(wanted):
        return
    if present:
        ids = [line["id"] for line in present]
        _change_lines(
            "remove-lines",
            stripe_id,
            ids,
            lambda key: client.remove_lines(stripe_id, ids, key),
            until=[],
        )
    behavior = tax_behavior(invoice)
    lines = [
        request_params.line_params(line, invoice.currency, tax_behavior=behavior)
        for line in invoice.lines
    ]
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
    until: list[request_params.LineFacts],
) -> None:
    """Change the lines of a draft once, until they are as wanted."""
    subject = f"{stripe_id}:{fingerprint(change)}"

    def done(_since: datetime) -> str | None:
        present = stripe.client().invoice_lines(stripe_id)
        return "done" if sorted(map(request_params.line_facts, present)) == sorted(until) else None

    def change_once(key: str) -> str:
        act(key)
        return "done"

    before = intents.find(operation, subject)
    if before and before.outcome:
        intents.reopen(operation, subject)
    intents.once(
        operation,
        subject,
        digest=fingerprint(until),
        actor=run_id(),
        evidence=done,
        act=change_once,
    )


@task(task_run_name="compare the totals", **STEP)
def compare_totals(stripe_id: str, invoice: Invoice, customer_id: str) -> Money:
    """Read the draft back and compare; the last step before anything reaches the customer.

    Compared are what both sides can work out: the lines after their own discounts, the total
    after all discounts before the tax that Stripe puts on top, and the number of lines. Tax
    itself is Stripe's alone.

    Returns:
        What the customer is billed, taxes included.

    Raises:
        Conflict: with the two sums; or the draft is another customer's.
    """
    draft = stripe.client().invoice(stripe_id)
    if draft is None:
        raise Conflict(f"The draft of {invoice.name} was deleted in Stripe ({stripe_id}).")
    if draft["status"] == "draft" and draft["customer"] != customer_id:
        raise Conflict(
            f"{invoice.name} was not sent: its draft in Stripe ({stripe_id}) was made for another "
            f"customer than {invoice.account.name}. Clone the record, and delete this one."
        )
    subtotal = Money(draft["currency"], draft["subtotal"])
    total = request_params.net_of_exclusive_tax(draft)
    lines = len(draft["lines"]["data"])
    if draft["lines"]["has_more"]:
        lines = len(stripe.client().invoice_lines(stripe_id))
    if (subtotal, total, lines) != (invoice.subtotal, invoice.total, len(invoice.lines)):
        off, stripe_off = invoice.subtotal - invoice.total, subtotal - total
        raise Conflict(
            f"{invoice.name} was not sent: before tax, Salesforce adds up to {invoice.total} on "
            f"{len(invoice.lines)} lines with {off} discount, Stripe to {total} on {lines} lines "
            f"with {stripe_off} discount. Compare the draft {stripe_id} in Stripe with the record."
        )
    get_run_logger().info(
        "Both sides add up to %s before tax on %s; Stripe adds %s tax.",
        invoice.total,
        counted(lines, "line"),
        request_params.tax_of(draft),
    )
    return Money(draft["currency"], draft["total"])


@task(task_run_name="finalize", **STEP)
def finalize(stripe_id: str, invoice: Invoice, customer_id: str) -> None:
    """Turn the draft into an open invoice, once, with the address that it is to go to.

    That address is the customer's until this moment, and each sending to the Account sets it:
    it is made right and frozen with nobody in between.

    Never with ``auto_advance``: Stripe would mail it by itself, and ours would be the second.
    """
    INVOICE.keep(invoice.record_id)
    client = stripe.client()

    def finalized(_since: datetime) -> str | None:
        now = client.invoice(stripe_id)
        return str(now["status"]) if now and now["status"] != "draft" else None

    with ACCOUNT.held(invoice.account.id):
        _correct_email(stripe_id, invoice.email, customer_id)
        intents.once(
            FINALIZE,
            invoice.record_id,
            digest=fingerprint(stripe_id),
            actor=run_id(),
            evidence=finalized,
            act=lambda key: str(client.finalize(stripe_id, key)["status"]),
        )
    get_run_logger().info("%s is finalized: numbered and frozen.", stripe_id)


def _correct_email(stripe_id: str, email: str | None, customer_id: str) -> None:
    """Let a draft go to an address, where the customer has another one by now."""
    if _has_email(stripe_id, email):
        return
    stripe.client().update_customer(customer_id, {"email": email or ""})
    if not _has_email(stripe_id, email):
        raise TransientError(f"Stripe still has another e-mail address on the draft {stripe_id}.")


def _has_email(stripe_id: str, email: str | None) -> bool:
    draft = stripe.client().invoice(stripe_id)
    return draft is None or draft["status"] != "draft" or draft["customer_email"] == email


@task(task_run_name="mail it to {email}", **STEP)
def mail(stripe_id: str, record_id: str, email: str) -> None:
    """Have Stripe e-mail the invoice, once.

    Raises:
        Conflict: so long ago that Stripe no longer knows whether the mail went out.
    """
    INVOICE.keep(record_id)

    def evidence(since: datetime) -> str | None:
        forgotten = (
            f"Stripe no longer tells whether {stripe_id} was mailed on {since:%Y-%m-%d}. "
            "Ask the customer, and mail it from Stripe's dashboard if need be."
        )
        return mailed(since, lambda event: event["data"]["object"]["id"] == stripe_id, forgotten)

    when = mail_once(MAIL, record_id, stripe_id, digest=fingerprint(stripe_id), evidence=evidence)
    links.mark_sent(stripe_id, when)
    key = f"{record_id}-mailed-{int(when.timestamp())}"
    add_entry(key, record_id, f"Mailed to {email}", stripe_id=stripe_id, happened_at=when)
    get_run_logger().info("Stripe has mailed it to %s.", email)


@task(task_run_name="look for a saved payment method", **STEP)
def check_saved_payment(invoice: Invoice, customer_id: str) -> None:
    """Make sure that a customer who is to be charged saved something to charge.

    Raises:
        Rejected: before anything is finalized.
    """
    if invoice.details.collection is not Collection.CHARGE:
        return
    customer = stripe.client().customer(customer_id)
    default = customer["invoice_settings"] if customer else None
    saved = default and default["default_payment_method"]
    if not customer or not (saved or customer.get("default_source")):
        raise Rejected(
            f"{invoice.account.name} has no payment method saved in Stripe ({customer_id}) to "
            "charge. Revise the invoice to be sent instead, or have one saved as the default."
        )


@task(task_run_name="charge the saved payment method", **STEP)
def charge(stripe_id: str, record_id: str) -> None:
    """Charge the customer, once.

    Raises:
        Rejected: the payment was declined. The invoice stays open; sending it again tries again.
    """
    INVOICE.keep(record_id)
    client = stripe.client()

    def paid(_since: datetime) -> str | None:
        now = client.invoice(stripe_id)
        return str(now["status"]) if now and now["status"] == "paid" else None

    intents.once(
        CHARGE,
        record_id,
        digest=fingerprint(stripe_id),
        actor=run_id(),
        evidence=paid,
        act=lambda key: str(client.pay(stripe_id, key)["status"]),
    )
    get_run_logger().info("%s is paid.", stripe_id)


@task(task_run_name="enable auto-advance", **STEP)
def enable_auto_advance(stripe_id: str) -> None:
    """Let Stripe remind and reconcile from now on, where the business wants it to.

    Only a draft and an open invoice take that, and one that was paid meanwhile needs it no more:
    https://docs.stripe.com/invoicing/integration/automatic-advancement-collection
    """
    if not settings().stripe.auto_advance:
        return
    now = stripe.client().invoice(stripe_id)
    if now and now["status"] == "open":
        stripe.client().update_invoice(stripe_id, {"auto_advance": True})


@task(task_run_name="conclude the sending", **STEP)
def conclude_sending(record_id: str, stripe_id: str) -> None:
    """Write down that the whole sending came to its end."""
    intents.conclude(SEND, record_id, stripe_id)
