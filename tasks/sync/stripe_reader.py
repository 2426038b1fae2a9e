"""Read invoices in Stripe, with refunds and disputes where there may be new ones."""

from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from invoicing.connectors import stripe
from invoicing.domain.model.status import PaymentState
from invoicing.domain.stripe.payment_facts import (
    NO_PAYMENT_FACTS,
    PaymentFacts,
    payments_of,
    problem,
    under_way,
)
from invoicing.domain.stripe.projection import UNPAID_STATUSES, Projection, payment_state, project
from invoicing.domain.stripe.resources import Lines, PaidInvoice
from invoicing.errors import InvoicingError
from invoicing.ledger import payment_facts
from invoicing.settings import settings
from tasks.runtime.clock import today

READERS = 8
"""Stripe invoices read side by side."""


class ReadInvoice(NamedTuple):
    """An invoice as it was read.

    Attributes:
        invoice: Its projection.
        lines: Its first lines, or all.
        known: What is known of its payments.
        payment_state: Where the money stands, if that decides it.
    """

    invoice: Projection
    lines: Lines
    known: PaymentFacts
    payment_state: PaymentState | None


def read_invoices(
    stripe_ids: Iterable[str], reread_payments: Collection[str] = ()
) -> dict[str, ReadInvoice | InvoicingError | None]:
    """Stripe's side, read now; None for what does not exist.

    An invoice and its attempts to pay are one call. Refunds and disputes are two more for each
    payment, and read only where there may be news of them; else what was read last holds. What
    is read is remembered, so the caller has the invoices locked.

    Args:
        stripe_ids: The invoices.
        reread_payments: Those whose refunds and disputes are to be read.
    """
    ids = list(stripe_ids)
    if not ids:
        return {}
    before = payment_facts.known(ids)

    def read(stripe_id: str) -> ReadInvoice | InvoicingError | None:
        try:
            return _read(
                stripe_id, before.get(stripe_id, NO_PAYMENT_FACTS), stripe_id in reread_payments
            )
        except InvoicingError as error:
            return error

    with ThreadPoolExecutor(min(READERS, len(ids))) as pool:
        found = dict(zip(ids, pool.map(read, ids), strict=True))
    payment_facts.remember(
        {
            id_: (one.known, one.payment_state, one.invoice.payment_problem)
            for id_, one in found.items()
            if isinstance(one, ReadInvoice) and (id_ in before or one.known != NO_PAYMENT_FACTS)
        }
    )
    return found


def _read(stripe_id: str, before: PaymentFacts, look: bool) -> ReadInvoice | None:
    invoice = stripe.client().invoice_with_payments(stripe_id)
    if invoice is None:
        return None
    known = _known_now(invoice, before, look)
    zone = settings().business.zone
    projection = project(invoice, today=today(), zone=zone, known=known)
    alone = projection.payment_state is payment_state(invoice)
    decided = None if alone else projection.payment_state
    return ReadInvoice(projection, invoice["lines"], known, decided)


def _known_now(invoice: PaidInvoice, before: PaymentFacts, look: bool) -> PaymentFacts:
    waiting, payments = invoice["status"] in UNPAID_STATUSES, payments_of(invoice)
    now = replace(
        before,
        problem=problem(payments) if waiting else "",
        under_way=under_way(payments) if waiting else 0,
    )
    credited = invoice["post_payment_credit_notes_amount"]
    if not look and credited == before.credited:
        return now
    return stripe.client().money_back(invoice).facts(now, credited)
