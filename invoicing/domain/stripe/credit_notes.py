"""Credit notes: what is credited, how it goes back, and what is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING

from invoicing.domain.forms.parameters import CreditLine, CreditReason, GiveBack
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.money import Money, line_amount
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.resources import DiscountAmount, StripeLine, Tax
from invoicing.domain.stripe.transitions import (
    InvoiceAction,
    InvoiceState,
    action_problems,
    amount_problems,
    line_key,
)

if TYPE_CHECKING:
    from stripe import params as sdk


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
