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
    for number, line, claims in zip(form.rows, lines, form.claims, strict=True):
        for mark in sorted(claims.currencies):
            if mark != currency and currency not in SYMBOLS.get(mark, ()):
                yield f"Row {number}: an amount is in {mark}, the invoice would be in {currency}."
        place, net = f"Row {number}", line.net(currency)
        if claims.line_total is not None:
            yield from _differs(place, "line total", claims.line_total, [net])
        for what, said, billed in (
            ("tax amount", claims.tax_amount or None, _tax(net, taxes or ())),
            ("line total with tax", claims.line_total_with_tax, net + _tax(net, _added(taxes))),
        ):
            if said is not None and (taxes is None or (discount and taxes)):
                yield f"{place}: {_UNKNOWN.format(what=what, said=said)}"
            elif said is not None:
                yield from _differs(place, what, said, [billed])
    where, header = form.where, form.header
    if header.invoice_subtotal is not None:
        yield from _differs(where, "subtotal", header.invoice_subtotal, [subtotal(lines, currency)])
    if header.invoice_tax and taxes is None:
        yield f"{where}: {_UNKNOWN.format(what='tax', said=header.invoice_tax)}"
    elif header.invoice_tax is not None:
        sums = _tax_sums(lines, currency, discount, taxes or ())
        yield from _differs(where, "tax", header.invoice_tax, sums)
    for what, said in (("total", header.invoice_total), ("amount due", header.amount_due)):
        if said is not None and taxes is None:
            yield f"{where}: {_UNKNOWN.format(what=what, said=said)}"
        elif said is not None:
            yield from _differs(where, what, said, _totals(lines, currency, discount, taxes or ()))


_UNKNOWN = (
    "the {what} {said} cannot be compared, since Stripe works the tax out when the invoice is "
    "sent; empty the column, and look at the preview."
)


def _differs(where: str, what: str, said: Decimal, billed: Sequence[Money]) -> Iterator[str]:
    if Money.of(said, billed[0].currency) not in billed:
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


def _totals(
    lines: Sequence[Line], currency: str, discount: Discount | None, taxes: Sequence[Tax]
) -> list[Money]:
    """What the invoice comes to."""
    whole = total(lines, currency, discount)
    return [whole + tax for tax in _tax_sums(lines, currency, discount, _added(taxes))]


def _added(taxes: Sequence[Tax] | None) -> list[Tax]:
    """The taxes that prices do not contain."""
    return [tax for tax in taxes or () if not tax.inclusive]


def _tax_sums(
    lines: Sequence[Line], currency: str, discount: Discount | None, taxes: Sequence[Tax]
) -> list[Money]:
    """The taxes of an invoice, rounded on each line or on their sum."""
    on_the_sum = _tax(total(lines, currency, discount), taxes)
    if discount:
        return [on_the_sum]
    by_line = (_tax(line.net(currency), taxes) for line in lines)
    return [sum(by_line, Money(currency, 0)), on_the_sum]
