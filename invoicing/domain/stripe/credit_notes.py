"""Credit notes: what is credited, how it goes back, and what is wrong with it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

from more_itertools import duplicates_everseen

from invoicing.domain.forms.parameters import CreditLine, CreditReason, GiveBack
from invoicing.domain.model.dates import written
from invoicing.domain.model.invoice import Line
from invoicing.domain.model.money import Money, line_amount, share
from invoicing.domain.model.status import Status
from invoicing.domain.stripe.action_rules import (
    InvoiceAction,
    InvoiceState,
    action_problems,
    amount_problems,
    debit_under_way,
    line_key,
)
from invoicing.domain.stripe.payment_facts import MoneyBack
from invoicing.domain.stripe.resources import CreditNoteLine, DiscountAmount, StripeLine, Tax

if TYPE_CHECKING:
    from stripe import params as sdk


GIVEN_BACK_AS: Mapping[
    GiveBack, Literal["refund_amount", "credit_amount", "out_of_band_amount"]
] = {
    "refund": "refund_amount",
    "customer balance": "credit_amount",
    "out of band": "out_of_band_amount",
}
"""In which parameter of a credit note Stripe is told what goes back in a way."""


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
    refunds: "tuple[sdk.CreditNoteCreateParamsRefund, ...]" = ()
    lost: bool = False
    """Whether a dispute that was lost has taken the money back."""

    def describe(self, give_back: GiveBack) -> str:
        """Its effect in words."""
        ways = {
            "refund": "refunded",
            "customer balance": "put on the customer's balance",
            "out of band": "taken back by the lost dispute"
            if self.lost
            else "to be paid back by you",
            "refunded already": "refunded before",
        }
        parts = [f"{self.off} need not be paid"] if self.off.minor else []
        parts += [f"{self.back} {ways.get(give_back, 'given back')}"] if self.back.minor else []
        return f"{self.total} credited ({', '.join(parts)})"


def plan_credit(
    state: InvoiceState,
    request: CreditRequest,
    *,
    stripe_lines: Sequence[StripeLine],
    credited_lines: Sequence[CreditNoteLine] = (),
    money_back: MoneyBack,
    zone: ZoneInfo,
) -> tuple[Credit, list[str]]:
    """Work out a credit note: the whole of what is left, an amount of it, or by line.

    It first lowers what remains to be paid; only what goes beyond that is given back:
    https://docs.stripe.com/invoicing/credit-notes

    Args:
        state: The invoice as it is now.
        request: What is to be credited.
        stripe_lines: The invoice's lines as Stripe has them.
        credited_lines: What earlier credit notes credit of single lines.
        money_back: What went back of the invoice so far.
        zone: The business's time zone.

    Returns:
        The credit, and everything that is wrong with it.
    """
    problems = list(action_problems(InvoiceAction.CREDIT, state))
    by_line, total = _credited_lines(state, request.lines, stripe_lines, credited_lines, problems)
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
    credit = Credit(
        total,
        off,
        back,
        tuple(by_line),
        _linked(money_back, back) if request.give_back == "refunded already" else (),
        lost=bool(money_back.lost),
    )
    if not problems:
        problems += _credit_problems(state, credit, request.give_back, money_back, zone)
    return credit, problems


def _credit_problems(
    state: InvoiceState,
    credit: Credit,
    give_back: GiveBack,
    money_back: MoneyBack,
    zone: ZoneInfo,
) -> Iterator[str]:
    total, back = credit.total, credit.back
    if not state.creditable.minor:
        yield f"All of {state.name} has been credited already."
    elif total.minor <= 0:
        yield f"The lines that are named come to {total}; there is nothing to credit."
    elif total > state.creditable:
        yield f"Only {state.creditable} of {state.name} is left to credit, not {total}."
    elif credit.off > state.payable:
        yield f"{debit_under_way(state)} Only what it leaves can be credited: {state.payable}."
    elif give_back == "refunded already" and not back.minor:
        yield (
            f"{state.remaining} of {state.name} remains to be paid, and a credit lowers that "
            "first. It would not be for the refund; credit more, or choose that nothing goes back."
        )
    elif back.minor:
        yield from _given_back_problems(state, back, give_back, money_back, zone)


def _given_back_problems(
    state: InvoiceState, back: Money, give_back: GiveBack, money_back: MoneyBack, zone: ZoneInfo
) -> Iterator[str]:
    """Say why money cannot go back in the way that was chosen, above all because it has already.

    What was refunded or lost without a credit note gets its note before any more is given.
    """
    name = state.name

    def money(minor: int) -> Money:
        return Money(state.currency, minor)

    # A refund of what was paid too much is not of the invoice's own sum, and needs no credit note.
    unnoted = money(max(0, sum(rest for _, rest in money_back.unnoted) - state.overpaid.minor))
    lost, undecided = money(money_back.lost), money_back.undecided
    if give_back == "nothing":
        already = " Or it was refunded already: a refund of it lacks its credit note."
        yield (
            f"{back} of {name} has been paid already. Choose where that goes: refund it, keep it "
            "for the next invoice (customer balance), or pay it back outside of Stripe (out of "
            f"band).{already if unnoted.minor else ''}"
        )
    elif give_back == "refunded already":
        if back > unnoted:
            yield (
                f"Only {unnoted} of {name} was refunded without a credit note, not {back}. Credit "
                f"{unnoted} first, and the rest by a credit of its own."
                if unnoted.minor
                else f"No refund of {name} lacks its credit note. Choose another way to give back."
            )
    elif unnoted.minor:
        days = " and ".join(map(written, money_back.refunded_on(zone)))
        yield (
            f"{unnoted} of {name} was refunded already, on {days}, and no credit note is for that. "
            f"Nothing more is given back before. Credit {unnoted} first, and choose refunded "
            "already: then no money moves, and the credit note names the refund."
        )
    elif lost.minor and (give_back != "out of band" or back > lost):
        yield (
            f"{lost} of {name} went back already: a dispute was lost, and no credit note is for "
            f"that. Credit {lost} first, and choose out of band: that is for the books, and "
            "nothing is to be paid back."
        )
    elif undecided and back > money(state.creditable.minor - undecided):
        yield (
            f"{money(undecided)} of {name} is disputed, and the bank may give it back to the "
            "customer. Wait until the dispute is decided; the record shows it."
        )
    elif give_back == "refund" and back.minor > money_back.refundable:
        yield (
            f"Stripe collected only {money(sum(money_back.paid.values()))} of {name}, can refund "
            f"{money(money_back.refundable)} of it, and cannot refund {back}. Choose out of band, "
            "and pay it back the way it came."
        )


def _linked(money_back: MoneyBack, back: Money) -> "tuple[sdk.CreditNoteCreateParamsRefund, ...]":
    """The refunds that a credit note is for; one of just that sum first, then the newest."""
    links: list[sdk.CreditNoteCreateParamsRefund] = []
    left = back.minor
    for refund, rest in sorted(money_back.unnoted, key=lambda each: each[1] != back.minor):
        part = min(rest, left)
        if part:
            links.append({"type": "refund", "refund": refund["id"], "amount_refunded": part})
            left -= part
    return tuple(links)


def _credited_lines(
    state: InvoiceState,
    wanted: Sequence[CreditLine],
    stripe_lines: Sequence[StripeLine],
    earlier: Sequence[CreditNoteLine],
    problems: list[str],
) -> "tuple[list[sdk.CreditNoteCreateParamsLine], Money]":
    """The lines of a credit note as Stripe takes them, and what they come to.

    Of each line, all credit notes together credit no more than the line, and all by amount or all
    by quantity: https://docs.stripe.com/invoicing/integration/programmatic-credit-notes
    """
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
        before = [each for each in earlier if each.get("invoice_line_item") == theirs["id"]]
        left = theirs["amount"] - sum(each["amount"] for each in before)
        amount = _line_credit(one, ours, Money(state.currency, left), problems)
        param: sdk.CreditNoteCreateParamsLine = {
            "type": "invoice_line_item",
            "invoice_line_item": theirs["id"],
        }
        if any(each["quantity"] is not None for each in before):
            quantity = _units(one, ours, before, problems)
            param["quantity"] = quantity
            amount = line_amount(Decimal(quantity), ours.unit_price, state.currency)
        else:
            param["amount"] = amount.minor
        params.append(param)
        total += _with_tax(theirs, amount)
    twice = set(duplicates_everseen(one.line for one in wanted))
    problems += [f"Line {position} is named more than once." for position in sorted(twice)]
    return params, total


def _units(
    one: CreditLine, line: Line, before: Sequence[CreditNoteLine], problems: list[str]
) -> int:
    """How many units are credited of a line of which earlier credit notes credit units."""
    left = line.quantity - sum(each["quantity"] or 0 for each in before)
    wanted = left if one.quantity is None else one.quantity
    if one.amount is not None or wanted != int(wanted):
        problems.append(
            f"Line {one.line} ({line.label}) was credited by quantity before, so only whole units "
            f"of it can be credited: give a quantity, up to {left:f}."
        )
    return int(wanted)


def _line_credit(one: CreditLine, line: Line, left: Money, problems: list[str]) -> Money:
    where = f"Line {one.line} ({line.label})"
    if not left.minor:
        problems.append(f"{where} has been credited whole already.")
        return left
    if one.amount is not None and one.quantity is not None:
        problems.append(f"{where}: give either a quantity or an amount, not both.")
        return left
    if one.amount is not None:
        problems += [f"{where}: {what}" for what in amount_problems(one.amount, left.currency)]
        amount = Money.of(one.amount, left.currency)
    elif one.quantity is not None:
        if not 0 < one.quantity <= line.quantity:
            problems.append(
                f"{where}: the quantity must be above zero and at most {line.quantity:f}, "
                f"not {one.quantity}."
            )
        amount = line_amount(one.quantity, line.unit_price, left.currency)
        problems += [f"{where}: {what}" for what in amount_problems(amount.decimal, left.currency)]
    else:
        return left
    if amount > left:
        problems.append(f"{where} has {left} left to credit; {amount} of it cannot be credited.")
    return amount


def _with_tax(line: StripeLine, amount: Money) -> Money:
    """A credited part of a line with its share of the line's discounts and added taxes."""

    def part(of: Tax | DiscountAmount) -> int:
        whole = Money(amount.currency, of["amount"])
        return share(whole, Decimal(amount.minor), line["amount"] or 1).minor

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
    if credit.refunds:
        params["refunds"] = list(credit.refunds)
    elif credit.back.minor and request.give_back in GIVEN_BACK_AS:
        params[GIVEN_BACK_AS[request.give_back]] = credit.back.minor
    if request.reason != "other":
        params["reason"] = request.reason.replace(" ", "_")
    if request.memo:
        params["memo"] = request.memo
    return params
