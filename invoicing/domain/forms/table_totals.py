"""A table's own totals and taxes, held to what would be billed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from invoicing.domain.forms.invoice_table import Form
from invoicing.domain.forms.table_values import SYMBOLS
from invoicing.domain.model.invoice import Line, subtotal, total
from invoicing.domain.model.invoice_details import Discount
from invoicing.domain.model.money import Money, share


@dataclass(frozen=True, slots=True)
class Tax:
    """A tax rate: percent, and whether prices contain it."""

    percent: Decimal
    inclusive: bool


def agreed(
    percent: Decimal | None, amount: Decimal | None, nets: Sequence[Money]
) -> tuple[Decimal | None, Decimal | None]:
    """A discount that an export says twice, once: as the amount, where both are the same.

    Args:
        percent: Off what ``nets`` come to; some programs write the amount here too.
        amount: Off the same.
        nets: Amounts of one currency.
    """
    if percent is None or amount is None or not nets:
        return percent, amount
    off = Discount(percent=percent).off(nets)
    same = percent == amount or Money.of(amount, off.currency) == off
    return (None, amount) if same else (percent, amount)


def total_problems(
    form: Form,
    lines: Sequence[Line],
    currency: str,
    discount: Discount | None,
    taxes: Sequence[Tax] | None,
) -> Iterator[str]:
    """Say where a table's own figures are not what would be billed.

    Args:
        form: What the table says.
        lines: The lines that it comes to.
        currency: Of the invoice.
        discount: Off the whole invoice.
        taxes: Of the whole invoice; None where Stripe works them out when it is sent.
    """
    known, added = taxes or (), [tax for tax in taxes or () if not tax.inclusive]
    for item, line in zip(form.items, lines, strict=True):
        where, net = f"Row {item.row}", line.net(currency)
        for mark in sorted(item.currencies):
            if mark != currency and currency not in SYMBOLS.get(mark, ()):
                yield f"{where}: an amount is in {mark}, the invoice would be in {currency}."
        tax, with_tax = [_tax(net, known)], [net + _tax(net, added)]
        if taxes is None or (discount and taxes):  # nobody knows the line's part of it
            tax = with_tax = []
        yield from _differs(where, "line total", item.line_total, [net])
        yield from _differs(where, "tax amount", item.tax_amount or None, tax)
        yield from _differs(where, "line total with tax", item.line_total_with_tax, with_tax)
    where, header, whole = form.where, form.header, total(lines, currency, discount)
    sums = _tax_sums(lines, currency, discount, known)
    totals = [whole + tax for tax in _tax_sums(lines, currency, discount, added)]
    if taxes is None:
        sums = totals = []
    no_tax_is_right = not taxes and not header.invoice_tax
    yield from _differs(where, "subtotal", header.invoice_subtotal, [subtotal(lines, currency)])
    yield from _differs(where, "tax", None if no_tax_is_right else header.invoice_tax, sums)
    yield from _differs(where, "total", header.invoice_total, totals)
    yield from _differs(where, "amount due", header.amount_due, totals)


def _differs(where: str, what: str, said: Decimal | None, billed: Sequence[Money]) -> Iterator[str]:
    """Say that a figure is none of those that would be billed, or that nobody knows them: empty."""
    if said is None:
        return
    if not billed:
        yield (
            f"{where}: the {what} {said} cannot be compared, since Stripe works the tax out when "
            "the invoice is sent; empty the column, and look at the preview."
        )
    elif Money.of(said, billed[0].currency) not in billed:
        yield f"{where}: the {what} {said} is not the {billed[0]} that would be billed."


def _tax(net: Money, taxes: Sequence[Tax]) -> Money:
    """The tax on an amount; of an inclusive rate the part that it contains."""
    parts = []
    for tax in taxes:
        if tax.inclusive:
            before = net.decimal / (1 + tax.percent / 100)
            parts.append(Money.of(net.decimal - before, net.currency))
        else:
            parts.append(share(net, tax.percent))
    return sum(parts, Money(net.currency, 0))


def _tax_sums(
    lines: Sequence[Line], currency: str, discount: Discount | None, taxes: Sequence[Tax]
) -> list[Money]:
    """The taxes of an invoice, rounded on each line or on their sum."""
    on_the_sum = _tax(total(lines, currency, discount), taxes)
    if discount:
        return [on_the_sum]
    by_line = (_tax(line.net(currency), taxes) for line in lines)
    return [sum(by_line, Money(currency, 0)), on_the_sum]
