"""Refunds, disputes and failed payments of an invoice, beyond what the invoice itself says.

Since API 2025-03-31 an invoice may be paid by several payments, and refunds and disputes belong
to those: https://docs.stripe.com/changelog/basil
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from invoicing.domain.stripe.resources import (
    Dispute,
    InvoicePayment,
    PaymentError,
    Refund,
)

PROBLEM_LENGTH = 255

FAILED_REFUNDS = frozenset(["failed", "canceled"])
"""Refunds in these states moved no money in the end."""

DISPUTES_NOT_LOST = frozenset(["won", "warning_closed", "prevented"])
"""Disputes in these states leave, or gave back, the money."""


class PaymentName(NamedTuple):
    """What a payment through Stripe is called there."""

    kind: Literal["payment_intent", "charge"]
    id: str


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Facts known of an invoice's payments. Amounts are minor units."""

    refunded: int = 0
    disputed: int = 0
    dispute_status: str = ""
    problem: str = ""
    credited: int = 0
    """Amount credited after payment when refunds and disputes were read last."""


NO_PAYMENT_FACTS = PaymentFacts()


def successful_payments(payments: Iterable[InvoicePayment]) -> list[PaymentName]:
    """The payments through Stripe that brought money in."""
    paid = []
    for payment in payments:
        means = payment["payment"]
        intent, charge = means.get("payment_intent"), means.get("charge")
        if payment["status"] != "paid":
            continue
        if intent:
            paid.append(
                PaymentName("payment_intent", intent if isinstance(intent, str) else intent["id"])
            )
        elif charge:
            paid.append(PaymentName("charge", charge))
    return paid


def problem(payments: Iterable[InvoicePayment]) -> str:
    """Why a payment that is still open did not succeed, or what it waits for, in words.

    Args:
        payments: Of one invoice, newest first, their payment intents expanded.
    """
    for payment in payments:
        intent = payment["payment"].get("payment_intent")
        if payment["status"] != "open" or not isinstance(intent, dict):
            continue
        if intent["status"] == "requires_action":
            return "The customer has to confirm the payment with their bank."
        error = intent["last_payment_error"]
        if error:
            return _in_words(error)[:PROBLEM_LENGTH]
    return ""


def _in_words(error: PaymentError) -> str:
    reason = str(error.get("decline_code") or error.get("code") or "").replace("_", " ")
    said = str(error.get("message") or "The payment failed.")
    return f"{said} Reason: {reason}." if reason else said


def refunded(refunds: Iterable[Refund]) -> int:
    """What was given back; a refund under way counts, one that failed does not."""
    return sum(refund["amount"] for refund in refunds if refund["status"] not in FAILED_REFUNDS)


def disputed(disputes: Iterable[Dispute]) -> tuple[int, str]:
    """What disputes hold back or took for good, and how the newest one stands."""
    newest = sorted(disputes, key=lambda dispute: dispute["created"])
    held = sum(d["amount"] for d in newest if d["status"] not in DISPUTES_NOT_LOST)
    status = str(newest[-1]["status"]).replace("_", " ").capitalize() if newest else ""
    return held, status
