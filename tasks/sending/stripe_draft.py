"""The draft in Stripe: products and coupons, created once, and filled in."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from prefect.logging import get_run_logger

from invoicing.connectors import stripe
from invoicing.domain.model.dates import end_of_day
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.invoice import Invoice, Line
from invoicing.domain.model.invoice_details import Discount
from invoicing.domain.stripe import line_facts, request_params
from invoicing.domain.stripe.action_rules import as_replacement
from invoicing.domain.stripe.header_facts import (
    STRIPES_UNLESS_CHOSEN,
    other_parts,
    said,
    told_header,
)
from invoicing.domain.stripe.line_facts import LineFacts
from invoicing.domain.stripe.projection import ACCOUNT_KEY, LINE_KEY, ORG_KEY, RECORD_KEY
from invoicing.errors import Conflict, EnvironmentMismatch, Rejected
from invoicing.ledger import intents, links
from invoicing.ledger.intents import AGREE_CONTENT, CREATE
from invoicing.settings import settings
from tasks.records.linked_invoice import lost_draft
from tasks.records.locks import INVOICE
from tasks.records.tax_rate_names import rate_ids, tax_behavior
from tasks.records.timeline import add_entry
from tasks.runtime.clock import today
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step
from tasks.sending.agreed_content import agree, content_of, other_lines


@step("make sure its products exist in Stripe")
def ensure_products(lines: Sequence[Line]) -> None:
    """Every product of the lines exists in Stripe, under an id made of its Salesforce id.

    One that was deleted there is made again. An archived one cannot be billed; whether it may be
    unarchived is a setting.

    Raises:
        Rejected: with every product that is archived; no product was made.
    """
    client = stripe.client()
    wanted = {
        request_params.stripe_product(line.product_id): line.product_name
        for line in lines
        if line.product_id
    }
    there = {product["id"]: product for product in client.products(wanted)}
    archived = [id_ for id_ in wanted if id_ in there and not there[id_]["active"]]
    if archived and not settings().stripe.unarchive_products:
        raise Rejected(
            [
                f"{wanted[id_]} is archived in Stripe ({id_}) and cannot be billed. Unarchive it "
                "there, or take it off the invoice."
                for id_ in archived
            ]
        )
    for id_, name in wanted.items():
        if id_ not in there:
            client.create_product(id_, name)
        elif id_ in archived or there[id_]["name"] != name:
            client.update_product(id_, {"name": name, "active": True})


def ensure_coupons(invoice: Invoice) -> None:
    """Every discount has its coupon in Stripe, under an id made of its terms."""
    if coupons := request_params.discounts(invoice):
        _ensure_coupons(coupons, invoice.currency)


@step("make sure its discounts exist in Stripe")
def _ensure_coupons(coupons: Mapping[str, Discount], currency: str) -> None:
    for coupon_id, discount in coupons.items():
        params = request_params.coupon_params(discount, currency)
        stripe.client().ensure_coupon(coupon_id, params)


@step("create the draft in Stripe")
def create_draft(invoice: Invoice, customer_id: str) -> str:
    """The invoice's draft in Stripe, made once, and its id."""
    INVOICE.keep(invoice.record_id)
    made_there = invoice.stripe_id if invoice.made_in_stripe else None
    known = links.stripe_id(invoice.record_id) or made_there
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
        there = lost_draft(invoice.record_id, customer_id, since)
        return there["id"] if there else None

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


@step("fill in header and lines in Stripe")
def fill_draft(stripe_id: str, invoice: Invoice) -> None:
    """Make the Stripe draft say exactly what the record says.

    One that was made in Stripe stays as it is: the record says what it says.

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
    if draft["status"] != "draft" or invoice.made_in_stripe:
        return
    there = content_of(draft)
    strange = [line for line in there.lines if LINE_KEY not in line["metadata"]]
    if strange and not invoice.replaces:
        raise Conflict(
            f"Somebody added lines to the draft of {invoice.name} in Stripe ({stripe_id}). "
            "Remove them there, or delete the draft there and clone the record."
        )
    due, rates = _due(invoice), rate_ids(invoice.billed.tax_rates)
    header = request_params.header_params(invoice, due=due, rates=rates)
    metadata, told = _header_metadata(invoice, header), told_header(header)
    edited = other_parts(there.header, told)
    revised = (draft["metadata"] or {}).get(HEADER_KEY) != metadata[HEADER_KEY]
    if edited and not revised:
        what = f"Changed in Stripe, and put back to what the record says: {said(edited)}"
        seen = {name: there.header.get(name) for name in edited}
        _tell_edited(invoice, stripe_id, what, seen)
    if kept := [name for name in STRIPES_UNLESS_CHOSEN if name in there.header]:
        chosen = [there.header[name] for name in kept]
        words = f"Chosen in Stripe, and sent as it is there: {said(kept)}"
        _tell_edited(invoice, stripe_id, words, chosen)
    if edited or revised:
        there = content_of(client.update_invoice(stripe_id, {**header, "metadata": metadata}))
    wanted = line_facts.wanted_facts(invoice)
    if sorted(there.facts) == sorted(wanted):
        agree(invoice, told, wanted)
        return
    if differing := other_lines(invoice, there.facts):
        what = f"Lines changed in Stripe, and put back to what the record says: {differing}"
        known = intents.find(AGREE_CONTENT, invoice.record_id)
        _tell_edited(invoice, stripe_id, what, differing, known and known.generation)
    intents.reopen(AGREE_CONTENT, invoice.record_id)  # until it is filled in, nothing is known
    if there.lines:
        ids = [line["id"] for line in there.lines]
        _change_lines(
            "remove-lines",
            stripe_id,
            ids,
            lambda key: client.remove_lines(stripe_id, ids, key)["id"],
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
        lambda key: client.add_lines(stripe_id, lines, key)["id"],
        until=wanted,
    )
    agree(invoice, told, wanted)


def _tell_edited(invoice: Invoice, stripe_id: str, what: str, *seen: object) -> None:
    """Tell on the timeline what somebody changed on a draft of ours, and what became of it.

    Args:
        invoice: The record.
        stripe_id: Its draft.
        what: What was changed, in words.
        seen: What it was changed to: the same is told once.
    """
    key = f"{invoice.record_id}-{fingerprint(stripe_id, *seen)}"
    add_entry(key, invoice.record_id, what, stripe_id=stripe_id)
    get_run_logger().warning("%s. A draft of ours is edited in Salesforce.", what)


def _change_lines(
    operation: str,
    stripe_id: str,
    change: Sequence[Any],
    act: Callable[[str], str],
    *,
    until: list[LineFacts],
) -> None:
    """Change the lines of a draft once, until they are as wanted."""
    subject = f"{stripe_id}:{fingerprint(change)}"

    def done(_since: datetime) -> str | None:
        now = stripe.client().invoice(stripe_id)
        return stripe_id if now and sorted(content_of(now).facts) == sorted(until) else None

    before = intents.find(operation, subject)
    if before and before.outcome:
        intents.reopen(operation, subject)
    intents.once(
        operation,
        subject,
        digest=fingerprint(until),
        actor=run_id(),
        evidence=done,
        act=act,
    )
