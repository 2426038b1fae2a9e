"""Actions on an invoice after it was drafted: which its state allows, and their amounts.

Which act is allowed in which status is Stripe's state machine:
https://docs.stripe.com/invoicing/integration/workflow-transitions and, for replacing,
https://docs.stripe.com/invoicing/invoice-edits
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from invoicing.domain.model.dates import written
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.money import Money, chargeable_step, decimals, exponent
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.payment_facts import payments_of, under_way
from invoicing.domain.stripe.projection import (
    LINE_KEY,
    REPLACES_KEY,
    credited,
)
from invoicing.domain.stripe.resources import PaidInvoice, StripeLine

if TYPE_CHECKING:
    from stripe import params as sdk


class InvoiceAction(StrEnum):
    """An action on an invoice that was sent; values end "it cannot be …"."""

    VOID = "voided"
    WRITE_OFF = "written off"
    PAY = "marked as paid"
    CREDIT = "credited"
    RESEND = "mailed again"
    REPLACE = "replaced"


ALLOWED_STATUSES: Mapping[InvoiceAction, frozenset[Status]] = {
    InvoiceAction.VOID: frozenset([Status.OPEN, Status.UNCOLLECTIBLE]),
    InvoiceAction.WRITE_OFF: frozenset([Status.OPEN]),
    InvoiceAction.PAY: frozenset([Status.OPEN, Status.UNCOLLECTIBLE]),
    InvoiceAction.CREDIT: frozenset([Status.OPEN, Status.PAID, Status.UNCOLLECTIBLE]),
    InvoiceAction.RESEND: frozenset([Status.OPEN, Status.PAID]),
    InvoiceAction.REPLACE: frozenset([Status.OPEN, Status.UNCOLLECTIBLE]),
}
"""Statuses of an invoice in which Stripe allows an action."""

RESULTING_STATUS: Mapping[InvoiceAction, Status] = {
    InvoiceAction.VOID: Status.VOID,
    InvoiceAction.WRITE_OFF: Status.UNCOLLECTIBLE,
}
"""The status that an act results in: an invoice that has it already needs nothing more."""

NEXT_STEPS: Mapping[Status, str] = {
    Status.DRAFT: "Nothing of it has reached the customer yet: revise it, send it or delete it.",
    Status.OPEN: "It waits for its payment.",
    Status.PAID: "What was paid is given back with a credit note: press Credit on its page, or "
    "run credit-invoice.",
    Status.UNCOLLECTIBLE: "It can be paid, credited, voided, or replaced by a new invoice.",
    Status.VOID: "That is final; raise a new invoice to bill it again.",
    Status.DELETED: "Its draft was deleted in Stripe; raise a new invoice to bill it.",
}
"""Next steps for people, by status."""

PAID_TWICE = (
    "If this money came in beside what paid it, send it back the way it came; that needs no credit "
    "note, for all that was billed stays paid."
)
"""The next step where a payment finds its invoice paid."""


def taken_back_next_step(lost: Money) -> str:
    """The next step where what paid an invoice was taken back: Stripe leaves it paid.

    So it is too where a bank returns a debit that had succeeded:
    https://docs.stripe.com/payments/ach-direct-debit#disputed-payments
    """
    return (
        f"Of what paid it, {lost} went back by a dispute that was lost; Stripe leaves it Paid all "
        "the same. If this is that money, paid again, raise a new invoice over it and record the "
        "payment there."
    )


def as_replacement(
    params: "sdk.InvoiceCreateParams", ours: Mapping[str, str], original: str
) -> "sdk.InvoiceCreateParams":
    """The parameters of a draft that is to replace an invoice, which Stripe then voids.

    It begins as a copy of the original, lines included, and is then filled in like any draft:
    https://docs.stripe.com/invoicing/invoice-edits

    Args:
        params: The parameters of a draft that replaces nothing.
        ours: Metadata that names the record.
        original: The invoice that is replaced.
    """
    revision: sdk.InvoiceCreateParams = {
        "auto_advance": False,
        "collection_method": params["collection_method"],
        "from_invoice": {"action": "revision", "invoice": original},
        "metadata": {**ours, REPLACES_KEY: original},
    }
    if "due_date" in params:
        revision["due_date"] = params["due_date"]
    return revision


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """An invoice record, and the state of its invoice in Stripe at this moment."""

    record_id: str
    name: str
    account: str
    lines: tuple[Line, ...]
    stripe_id: str
    status: Status
    total: Money
    paid: Money
    remaining: Money
    credited: Money
    overpaid: Money
    under_way: Money
    """Amount of bank debits that may still succeed or fail."""
    email: str = ""
    """The address that its letters go to: the customer's when it was sent."""
    email_in_salesforce: str = ""
    """The address that an invoice like this would have today."""
    customer_id: str = ""

    @property
    def currency(self) -> str:
        """In which all of its amounts are."""
        return self.total.currency

    @property
    def creditable(self) -> Money:
        """Amount billed and not yet credited."""
        return Money(self.currency, self.total.minor - self.credited.minor)

    @property
    def payable(self) -> Money:
        """Amount that remains to be paid, beyond what is under way."""
        return Money(self.currency, max(0, self.remaining.minor - self.under_way.minor))


def invoice_state(
    record_id: str,
    name: str,
    account: str,
    lines: Iterable[Line],
    *,
    currency: str,
    status: Status,
    invoice: PaidInvoice | None,
    email: str = "",
) -> InvoiceState:
    """The state of an invoice; without one in Stripe only the record's status is known."""
    if invoice is None:
        zero = Money(currency, 0)
        return InvoiceState(
            record_id, name, account, tuple(lines), "", status, zero, zero, zero, zero, zero, zero
        )

    def money(minor: int) -> Money:
        return Money(invoice["currency"], minor)

    return InvoiceState(
        record_id=record_id,
        name=name,
        account=account,
        lines=tuple(lines),
        stripe_id=invoice["id"],
        status=Status.of_stripe(invoice["status"]),
        total=money(invoice["total"]),
        paid=money(invoice["amount_paid"]),
        remaining=money(invoice["amount_remaining"]),
        credited=money(credited(invoice)),
        overpaid=money(invoice["amount_overpaid"]),
        under_way=money(under_way(payments_of(invoice))),
        email=invoice["customer_email"] or "",
        email_in_salesforce=email,
        customer_id=invoice["customer"] or "",
    )


def action_problems(act: InvoiceAction, state: InvoiceState) -> Iterator[str]:
    """Say why an invoice's state does not allow an act.

    Source for credit notes: https://docs.stripe.com/invoicing/invoice-edits
    """
    if state.status not in ALLOWED_STATUSES[act]:
        paid_twice = act is InvoiceAction.PAY and state.status is Status.PAID
        next_step = PAID_TWICE if paid_twice else NEXT_STEPS[state.status]
        yield f"{state.name} is {state.status} and cannot be {act}. {next_step}"
    elif act in (InvoiceAction.VOID, InvoiceAction.REPLACE) and state.paid.minor:
        yield (
            f"{state.paid} has been paid on {state.name}, so it cannot be {act}: that money would "
            "belong to no invoice. Credit what the customer need not pay instead: press Credit on "
            "its page, or run credit-invoice."
        )
    elif act in (InvoiceAction.VOID, InvoiceAction.REPLACE) and state.under_way.minor:
        yield f"{debit_under_way(state)} Until then it cannot be {act}."
    elif act is InvoiceAction.REPLACE and state.credited.minor:
        yield (
            f"{state.credited} of {state.name} was credited, so it cannot be {act}: Stripe leaves "
            "credit notes with the old invoice, and the new one would ask for that again. Void the "
            "credit note in Stripe's dashboard first, which an open invoice allows; or credit all "
            "that is left, and raise a new invoice."
        )
    elif act is InvoiceAction.RESEND and not state.email:
        yield f"{state.name} has no e-mail address in Stripe, so it cannot be mailed again."


def debit_under_way(state: InvoiceState) -> str:
    """A bank debit that is under way, and what to do about it."""
    return (
        f"A bank debit of {state.under_way} is under way on {state.name}. Wait until it has "
        "succeeded or failed, which takes days and is shown on the record."
    )


def amount_problems(amount: Decimal, currency: str) -> Iterator[str]:
    """Say why an amount of money that somebody wrote is none."""
    money = Money.of(amount, currency)
    if amount <= 0:
        yield f"The amount must be above zero, not {amount}."
    elif decimals(amount) > exponent(currency):
        yield f"{amount} has more decimals than {currency} has."
    elif money.minor % chargeable_step(currency):
        step = Money(currency, chargeable_step(currency))
        yield f"{money} is not possible; {currency} goes in steps of {step}."


def payment_problems(
    state: InvoiceState, amount: Decimal | None, received_on: date, today: date, lost: int = 0
) -> Iterator[str]:
    """Say everything that is wrong with a payment that was received outside Stripe.

    Args:
        state: The invoice.
        amount: What came in; None for all that remains.
        received_on: When.
        today: The business's day.
        lost: What disputes took back for good, in minor units.
    """
    yield from action_problems(InvoiceAction.PAY, state)
    if lost:
        yield taken_back_next_step(Money(state.currency, lost))
    if amount is None and state.under_way.minor:
        yield debit_under_way(state)
    elif amount is not None:
        wrong = list(amount_problems(amount, state.currency))
        yield from wrong
        money = Money.of(amount, state.currency)
        if (
            not wrong
            and state.status in ALLOWED_STATUSES[InvoiceAction.PAY]
            and money > state.payable
        ):
            debit = f" {debit_under_way(state)}" if state.under_way.minor else ""
            yield f"Only {state.payable} of {state.name} remains to be paid, not {money}.{debit}"
    if received_on > today:
        day = written(received_on)
        yield f"The payment cannot have been received on {day}, which is still to come."


def line_key(line: StripeLine) -> str:
    """Key that joins a Stripe line with the record's: ours, or its id where it is not ours."""
    return line["metadata"].get(LINE_KEY) or line["id"]
