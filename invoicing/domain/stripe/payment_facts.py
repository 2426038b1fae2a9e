"""Refunds, disputes and failed payments of an invoice, beyond what the invoice itself says.

Since API 2025-03-31 an invoice may be paid by several payments, and refunds and disputes belong
to those: https://docs.stripe.com/changelog/basil
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from invoicing.domain.model.dates import local_date
from invoicing.domain.model.money import Money
from invoicing.domain.model.wording import of_the_customer
from invoicing.domain.stripe.resources import (
    CreditNote,
    Dispute,
    InvoicePayment,
    PaidInvoice,
    PaymentError,
    Refund,
)

PROBLEM_LENGTH = 255

FAILED_REFUNDS = frozenset(["failed", "canceled"])
"""Refunds in these states moved no money in the end."""

DISPUTES_NOT_LOST = frozenset(
    ["won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed"]
)
"""Disputes in these states leave, or gave back, the money. A warning is an inquiry: the bank asks,
and withdraws nothing: https://docs.stripe.com/disputes/how-disputes-work"""


Named = Mapping[str, Any] | str | None
"""An object that stands in another one: whole, by its id, or not at all."""


class PaymentName(NamedTuple):
    """What a payment through Stripe is called there."""

    kind: Literal["payment_intent", "charge"]
    id: str

    @property
    def of_no_invoice(self) -> str:
        """Message where no invoice was paid by it."""
        return f"no invoice was paid by {self.kind.replace('_', ' ')} {self.id}, so it is of none."


@dataclass(frozen=True, slots=True)
class PaymentFacts:
    """Facts known of an invoice's payments. Amounts are minor units."""

    refunded: int = 0
    disputed: int = 0
    dispute_status: str = ""
    problem: str = ""
    credited: int = 0
    """Amount credited after payment when refunds and disputes were read last."""
    unnoted: int = 0
    """The part of what was refunded that no credit note names."""
    lost: int = 0
    """Amount of lost disputes that no credit note books."""
    on_balance: int = 0
    """Amount that credit notes put on the customer's balance."""
    out_of_band: int = 0
    """Amount that credit notes say is paid back outside Stripe."""
    under_way: int = 0
    """Amount of bank debits that may still succeed or fail."""
    failed_refunds: int = 0
    """Amount that credit notes say is refunded, of refunds that failed afterwards."""


NO_PAYMENT_FACTS = PaymentFacts()


@dataclass(frozen=True, slots=True)
class MoneyBack:
    """What Stripe lists of the money that went back of an invoice. Amounts are minor units.

    Attributes:
        currency: The invoice's.
        paid: What each payment through Stripe brought in.
        refunds: Of these payments.
        disputes: About these payments.
        notes: The invoice's credit notes.
    """

    currency: str
    paid: Mapping[PaymentName, int]
    refunds: Sequence[Refund] = ()
    disputes: Sequence[Dispute] = ()
    notes: Sequence[CreditNote] = ()

    @property
    def refunded(self) -> int:
        """What was refunded."""
        return sum(refund["amount"] for refund in self._made())

    @property
    def unnoted(self) -> list[tuple[Refund, int]]:
        """Refunds that no credit note names, or only in part; the newest first, with the rest.

        A credit note names the refunds that belong to it:
        https://docs.stripe.com/api/credit_notes/object
        """
        named: dict[str, int] = {}
        for note in self._issued():
            for link in note["refunds"]:
                named[link["refund"]] = named.get(link["refund"], 0) + link["amount_refunded"]
        rests = [(refund, refund["amount"] - named.get(refund["id"], 0)) for refund in self._made()]
        return [(refund, rest) for refund, rest in rests if rest > 0]

    @property
    def failed_refunds(self) -> int:
        """What credit notes say is refunded, and is not: the refund failed, and none was made anew.

        The money is back with the merchant then: https://docs.stripe.com/refunds#failed-refunds
        """
        failed = {one["id"] for one in self.refunds if one["status"] in FAILED_REFUNDS}
        links = (link for note in self._issued() for link in note["refunds"])
        named = sum(link["amount_refunded"] for link in links if link["refund"] in failed)
        return max(0, named - sum(rest for _, rest in self.unnoted))

    @property
    def disputed(self) -> int:
        """What disputes hold back or took for good."""
        return sum(map(self._held, self.disputes))

    @property
    def undecided(self) -> int:
        """What disputes hold back that are not lost yet."""
        return sum(self._held(one) for one in self.disputes if one["status"] != "lost")

    @property
    def lost(self) -> int:
        """What lost disputes took and no later credit note out of band has booked."""
        return self._lost() - self._booked()

    @property
    def dispute_status(self) -> str:
        """How the newest dispute stands; with its own amount where that is in other money."""
        if not self.disputes:
            return ""
        newest = max(self.disputes, key=lambda dispute: dispute["created"])
        status = newest["status"].replace("_", " ").capitalize()
        if newest["currency"] == self.currency:
            return status
        return f"{status}, {Money(newest['currency'], newest['amount'])}"

    @property
    def on_balance(self) -> int:
        """What credit notes put on the customer's balance."""
        return sum(
            note["post_payment_amount"]
            - (note["out_of_band_amount"] or 0)
            - sum(link["amount_refunded"] for link in note["refunds"])
            for note in self._issued()
        )

    @property
    def out_of_band(self) -> int:
        """What credit notes say is paid back outside Stripe, or book of a lost dispute."""
        return sum(note["out_of_band_amount"] or 0 for note in self._issued())

    @property
    def refundable(self) -> int:
        """What Stripe collected, and still can refund."""
        return max(0, sum(self.paid.values()) - self.refunded - self.disputed)

    def books_a_dispute(self, note: CreditNote) -> bool:
        """Whether a credit note out of band only books what a lost dispute took before."""
        lost = (one["created"] for one in self.disputes if one["status"] == "lost")
        return bool(note["out_of_band_amount"]) and any(note["created"] >= at for at in lost)

    def refunded_on(self, zone: ZoneInfo) -> list[date]:
        """Days of the refunds that no credit note names, in a time zone."""
        return sorted({local_date(refund["created"], zone) for refund, _ in self.unnoted})

    def facts(self, before: PaymentFacts, credited: int) -> PaymentFacts:
        """What is known of the payments now.

        Args:
            before: What is known besides.
            credited: What was credited after payment, in all.
        """
        return replace(
            before,
            refunded=self.refunded,
            disputed=self.disputed,
            dispute_status=self.dispute_status,
            credited=credited,
            unnoted=sum(rest for _, rest in self.unnoted),
            lost=self.lost,
            on_balance=self.on_balance,
            out_of_band=self.out_of_band,
            failed_refunds=self.failed_refunds,
        )

    def _made(self) -> list[Refund]:
        """Refunds that are under way or were made; one that failed gave nothing back."""
        return [refund for refund in self.refunds if refund["status"] not in FAILED_REFUNDS]

    def _issued(self) -> list[CreditNote]:
        return [note for note in self.notes if note["status"] == "issued"]

    def _held(self, dispute: Dispute) -> int:
        """What a dispute takes of the invoice, in the invoice's currency.

        Its amount may be above the payment's, and in other money, by the exchange rate of the day;
        then it takes all that was left of the payment.
        """
        if dispute["status"] in DISPUTES_NOT_LOST:
            return 0
        payment = named_payment(dispute)
        paid = self.paid.get(payment, 0)
        if dispute["currency"] == self.currency:
            return min(dispute["amount"], paid)
        return paid - sum(r["amount"] for r in self._made() if named_payment(r) == payment)

    def _lost(self) -> int:
        return sum(self._held(one) for one in self.disputes if one["status"] == "lost")

    def _booked(self) -> int:
        notes = [note for note in self._issued() if self.books_a_dispute(note)]
        return min(self._lost(), sum(note["out_of_band_amount"] or 0 for note in notes))


def named_payment(thing: Refund | Dispute) -> PaymentName:
    """The payment that a refund or a dispute names."""
    return payment_name(thing["payment_intent"], thing["charge"]) or PaymentName("charge", "")


def payment_name(intent: Named, charge: Named) -> PaymentName | None:
    """What a payment is called by its intent, or else by its charge; None if it has neither."""
    if intent:
        return PaymentName("payment_intent", _id_of(intent))
    return PaymentName("charge", _id_of(charge)) if charge else None


def _id_of(named: Mapping[str, Any] | str) -> str:
    return named if isinstance(named, str) else str(named["id"])


def payments_of(invoice: PaidInvoice) -> list[InvoicePayment]:
    """The payments on an invoice and the attempts at one, newest first."""
    return invoice["payments"]["data"] if invoice["payments"] else []


def successful_payments(payments: Iterable[InvoicePayment]) -> dict[PaymentName, int]:
    """The payments through Stripe that brought money in, and how much, in minor units.

    Invoices finalized before March 2019 name a charge: the SDK's ``InvoicePayment.Payment``.
    """
    paid: dict[PaymentName, int] = {}
    for payment in payments:
        means = payment["payment"]
        name = payment_name(means.get("payment_intent"), means.get("charge"))
        if name and payment["status"] == "paid":
            paid[name] = payment["amount_paid"] or 0
    return paid


def under_way(payments: Iterable[InvoicePayment]) -> int:
    """What bank debits of an invoice may still bring in; its payment intents are expanded.

    They are ``processing`` for days and may fail then:
    https://docs.stripe.com/payments/paymentintents/lifecycle
    """
    return sum(
        payment["amount_requested"]
        for payment in payments
        if payment["status"] == "open"
        and isinstance(intent := payment["payment"].get("payment_intent"), dict)
        and intent["status"] == "processing"
    )


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
    told = of_the_customer(said)
    return f"{told} Reason: {reason}." if reason else told
