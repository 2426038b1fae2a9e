"""Actions on an invoice after it was drafted: which its state allows, and their amounts.

Which act is allowed in which status is Stripe's state machine:
https://docs.stripe.com/invoicing/integration/workflow-transitions and, for replacing,
https://docs.stripe.com/invoicing/invoice-edits
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from invoicing.domain.forms.parameters import CreditLine, CreditReason, GiveBack
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.money import Money, chargeable_step, decimals, exponent, line_amount
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.projection import (
    LINE_KEY,
    REPLACES_KEY,
    credited,
)
from invoicing.domain.stripe.resources import DiscountAmount, StripeLine, Tax, WholeInvoice

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
    Status.PAID: "What was paid is given back with a credit note: run credit-invoice.",
    Status.UNCOLLECTIBLE: "It can be paid, credited, voided, or replaced by a new invoice.",
    Status.VOID: "That is final; raise a new invoice to bill it again.",
    Status.DELETED: "Its draft was deleted in Stripe; raise a new invoice to bill it.",
}
"""Next steps for people, by status."""


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
    email: str = ""

    @property
    def currency(self) -> str:
        """In which all of its amounts are."""
        return self.total.currency

    @property
    def creditable(self) -> Money:
        """Amount billed and not yet credited."""
        return Money(self.currency, self.total.minor - self.credited.minor)


def invoice_state(
    record_id: str,
    name: str,
    account: str,
    lines: Iterable[Line],
    *,
    currency: str,
    status: Status,
    invoice: WholeInvoice | None,
) -> InvoiceState:
    """The state of an invoice; without one in Stripe only the record's status is known."""
    if invoice is None:
        zero = Money(currency, 0)
        return InvoiceState(
            record_id, name, account, tuple(lines), "", status, zero, zero, zero, zero
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
        email=invoice["customer_email"] or "",
    )


def action_problems(act: InvoiceAction, state: InvoiceState) -> Iterator[str]:
    """Say why an invoice's state does not allow an act."""
    if state.status not in ALLOWED_STATUSES[act]:
        yield f"{state.name} is {state.status} and cannot be {act}. {NEXT_STEPS[state.status]}"
    elif act in (InvoiceAction.VOID, InvoiceAction.REPLACE) and state.paid.minor:
        yield (
            f"{state.paid} has been paid on {state.name}, so it cannot be {act}: that money would "
            "belong to no invoice. Credit what the customer need not pay instead: run "
            "credit-invoice."
        )
    elif act is InvoiceAction.RESEND and not state.email:
        yield f"{state.name} has no e-mail address in Stripe, so it cannot be mailed again."


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
    state: InvoiceState, amount: Decimal | None, received_on: date, today: date
) -> Iterator[str]:
    """Say everything that is wrong with a payment that was received outside Stripe."""
    yield from action_problems(InvoiceAction.PAY, state)
    if amount is not None:
        wrong = list(amount_problems(amount, state.currency))
        yield from wrong
        money = Money.of(amount, state.currency)
        if (
            not wrong
            and state.status in ALLOWED_STATUSES[InvoiceAction.PAY]
            and money > state.remaining
        ):
            yield f"Only {state.remaining} of {state.name} remains to be paid, not {money}."
    if received_on > today:
        yield f"The payment cannot have been received on {received_on}, which is still to come."


@dataclass(frozen=True)
class CreditRequest:
    """A requested credit.

    Attributes:
        amount: Tax included; None for all that is left, or for what the lines come to.
        lines: What is credited of single lines.
        give_back: Where the part goes that the customer has paid.
        reason: Why.
        memo: What the customer reads on the credit note.
        mail: Whether Stripe mails the credit note to the customer.
    """

    amount: Decimal | None = None
    lines: tuple[CreditLine, ...] = ()
    give_back: GiveBack = "nothing"
    reason: CreditReason = "other"
    memo: str = ""
    mail: bool = True

    def __repr__(self) -> str:
        """As it goes into the digests of requests, which the ledger keeps for good."""
        said = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"CreditWish({said})"


@dataclass(frozen=True, slots=True)
class Credit:
    """A credit note that is right, and not yet issued."""

    total: Money
    off: Money
    back: Money
    lines: "tuple[sdk.CreditNoteCreateParamsLine, ...]" = ()

    def describe(self, give_back: GiveBack) -> str:
        """Its effect in words."""
        ways = {
            "refund": "refunded",
            "customer balance": "put on the customer's balance",
            "out of band": "to be paid back by you",
        }
        parts = [f"{self.off} need not be paid"] if self.off.minor else []
        parts += [f"{self.back} {ways.get(give_back, 'given back')}"] if self.back.minor else []
        return f"{self.total} credited ({', '.join(parts)})"


def plan_credit(
    state: InvoiceState,
    request: CreditRequest,
    *,
    stripe_lines: Sequence[StripeLine],
    collected: int,
) -> tuple[Credit, list[str]]:
    """Work out a credit note: the whole of what is left, an amount of it, or by line.

    It first lowers what remains to be paid; only what goes beyond that is given back:
    https://docs.stripe.com/invoicing/credit-notes

    Args:
        state: The invoice as it is now.
        request: What is to be credited.
        stripe_lines: The invoice's lines as Stripe has them.
        collected: What Stripe itself collected and could refund at most, in minor units.

    Returns:
        The credit, and everything that is wrong with it.
    """
    problems = list(action_problems(InvoiceAction.CREDIT, state))
    by_line, total = _credited_lines(state, request.lines, stripe_lines, problems)
    if request.lines and request.amount is not None:
        problems.append("Give either an amount or lines to credit, not both.")
    elif request.amount is not None:
        problems += amount_problems(request.amount, state.currency)
        total = Money.of(request.amount, state.currency)
    elif not request.lines:
        total = state.creditable
    remaining = state.remaining.minor if state.status is not Status.PAID else 0
    off = Money(state.currency, min(total.minor, remaining))
    back = Money(state.currency, total.minor - off.minor)
    if not problems:
        problems += _credit_problems(state, total, back, request.give_back, collected)
    return Credit(total, off, back, tuple(by_line)), problems


def _credit_problems(
    state: InvoiceState, total: Money, back: Money, give_back: GiveBack, collected: int
) -> Iterator[str]:
    if not state.creditable.minor:
        yield f"All of {state.name} has been credited already."
    elif total > state.creditable:
        yield f"Only {state.creditable} of {state.name} is left to credit, not {total}."
    elif back.minor and give_back == "nothing":
        yield (
            f"{back} of it has been paid already. Choose where that goes: refund, customer "
            "balance (taken off the next invoice), or out of band (you pay it back yourself)."
        )
    elif give_back == "refund" and back.minor > collected:
        yield (
            f"Stripe collected only {Money(state.currency, collected)} of {state.name} and cannot "
            f"refund {back}. Choose out of band, and pay it back the way it came."
        )


def _credited_lines(
    state: InvoiceState,
    wanted: Sequence[CreditLine],
    stripe_lines: Sequence[StripeLine],
    problems: list[str],
) -> "tuple[list[sdk.CreditNoteCreateParamsLine], Money]":
    """The lines of a credit note as Stripe takes them, and what they come to."""
    by_key = {line_key(line): line for line in stripe_lines}
    by_key |= {line["id"]: line for line in stripe_lines}
    by_position = {line.position: line for line in state.lines}
    params: list[sdk.CreditNoteCreateParamsLine] = []
    total = Money(state.currency, 0)
    for one in wanted:
        ours = by_position.get(one.line)
        theirs = by_key.get(ours.key) if ours else None
        if ours is None or theirs is None:
            there = ", ".join(map(str, by_position)) or "none"
            problems.append(f"There is no line {one.line} on the invoice; its lines are {there}.")
            continue
        amount = _line_credit(one, ours, Money(state.currency, theirs["amount"]), problems)
        params.append(
            {
                "type": "invoice_line_item",
                "invoice_line_item": theirs["id"],
                "amount": amount.minor,
            }
        )
        total += _with_tax(theirs, amount)
    named = [one.line for one in wanted]
    problems += [
        f"Line {position} is named more than once."
        for position in sorted(set(named))
        if named.count(position) > 1
    ]
    return params, total


def line_key(line: StripeLine) -> str:
    """Key that joins a Stripe line with the record's: ours, or its id where it is not ours."""
    return line["metadata"].get(LINE_KEY) or line["id"]


def _line_credit(one: CreditLine, line: Line, whole: Money, problems: list[str]) -> Money:
    where = f"Line {one.line} ({line.label})"
    if one.amount is not None and one.quantity is not None:
        problems.append(f"{where}: give either a quantity or an amount, not both.")
        return whole
    if one.amount is not None:
        problems += [f"{where}: {what}" for what in amount_problems(one.amount, whole.currency)]
        amount = Money.of(one.amount, whole.currency)
    elif one.quantity is not None:
        if not 0 < one.quantity <= line.quantity:
            problems.append(
                f"{where}: the quantity must be above zero and at most {line.quantity:f}, "
                f"not {one.quantity}."
            )
        amount = line_amount(one.quantity, line.unit_price, whole.currency)
    else:
        return whole
    if amount > whole:
        problems.append(f"{where} comes to {whole}; {amount} of it cannot be credited.")
    return amount


def _with_tax(line: StripeLine, amount: Money) -> Money:
    """A credited part of a line with its share of the line's discounts and added taxes."""
    share = Decimal(amount.minor) / line["amount"] if line["amount"] else Decimal(0)

    def part(of: Tax | DiscountAmount) -> int:
        return int((of["amount"] * share).quantize(Decimal(1), ROUND_HALF_UP))

    taxes = [t for t in line["taxes"] or () if t["tax_behavior"] == "exclusive"]
    more = sum(map(part, taxes))
    less = sum(map(part, line["discount_amounts"] or ()))
    return Money(amount.currency, amount.minor + more - less)


def credit_note_params(
    state: InvoiceState, request: CreditRequest, credit: Credit, metadata: dict[str, str]
) -> "sdk.CreditNoteCreateParams":
    """A credit note as Stripe takes it."""
    params: sdk.CreditNoteCreateParams = {
        "invoice": state.stripe_id,
        "email_type": "credit_note" if request.mail else "none",
        "metadata": metadata,
    }
    if credit.lines:
        params["lines"] = list(credit.lines)
    else:
        params["amount"] = credit.total.minor
    match credit.back.minor, request.give_back:
        case 0, _:
            pass
        case back, "refund":
            params["refund_amount"] = back
        case back, "customer balance":
            params["credit_amount"] = back
        case back, "out of band":
            params["out_of_band_amount"] = back
    if request.reason != "other":
        params["reason"] = request.reason.replace(" ", "_")
    if request.memo:
        params["memo"] = request.memo
    return params
