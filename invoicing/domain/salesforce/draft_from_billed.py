"""What Stripe bills, as the content of a new draft in Salesforce.

From finalization on an invoice is Stripe's, as one is from the beginning that was made there. A
copy is made of that: of what the customer was asked for, whatever its record shows of it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial

from more_itertools import map_reduce

from invoicing.domain.model.invoice import Invoice, Line
from invoicing.domain.model.invoice_details import Collection, Details, Discount
from invoicing.domain.model.money import Money, plain
from invoicing.domain.salesforce.line_mirror import Kept, MirroredFacts, mirror_of
from invoicing.domain.stripe.line_facts import rates_of
from invoicing.domain.stripe.projection import Projection
from invoicing.domain.stripe.request_params import net_of_exclusive_tax
from invoicing.domain.stripe.resources import Coupon, StripeLine, WholeInvoice

NO_LIMIT = 100_000
"""Characters: texts are compared whole, so that none is copied that a field has cut off."""

NOT_HELD = (
    ("shipping_cost", "shipping costs"),
    ("shipping_details", "an address that it is shipped to"),
    ("account_tax_ids", "tax ids of your own that were chosen for it"),
    ("on_behalf_of", "another account that it is billed for"),
    ("default_payment_method", "a payment method of its own that is charged"),
    ("default_source", "a payment method of its own that is charged"),
    ("statement_descriptor", "a text of its own on statements of cards"),
)
"""Properties of Stripe's invoice of which no field of a record says anything.

https://docs.stripe.com/api/invoices/object
"""


def billed_copy(
    original: Invoice,
    there: WholeInvoice,
    lines: Sequence[StripeLine],
    coupons: Mapping[str, Coupon],
    seen: Projection,
    *,
    taxes: Details,
    rates: Sequence[str],
    tax_behavior: str,
    exact_prices: bool,
) -> tuple[Invoice, list[str]]:
    """An invoice with the content that Stripe bills, and what no record can hold of that.

    What Stripe does not say stays as the record has it: Bill To, payment terms, and whatever comes
    from the org's own fields.

    Args:
        original: The record.
        there: Its invoice in Stripe.
        lines: All of that one's lines.
        coupons: Those of its discounts and of its lines', by the discounts' ids.
        seen: The projection of it.
        taxes: Details with the taxes that a copy of the record has by itself.
        rates: Stripe's ids of their tax rates.
        tax_behavior: How Stripe Tax would take the copy's prices.
        exact_prices: Whether the org keeps prices that need more decimals than a number has.
    """
    own = {field.name.casefold() for field in original.org_fields.custom_fields}
    charged = seen.collection is Collection.CHARGE
    details = replace(
        original.details,
        terms=None if charged else original.details.terms,
        po_number=seen.po_number or "",
        footer=seen.footer or "",
        custom_fields=tuple(
            field for field in seen.other_custom_fields if field.name.casefold() not in own
        ),
        collection=seen.collection,
        discount=_terms(there["discounts"], coupons, original.currency),
        payment_methods=tuple(there["payment_settings"]["payment_method_types"] or ()),
        template=(there["rendering"] or {"template": None})["template"] or "",
    )
    by_line = {tuple(sorted(rates_of(line))) for line in lines}
    taxed = next(iter(by_line), ()) or tuple(rate["id"] for rate in there["default_tax_rates"])
    copy = replace(
        original,
        description=seen.description or "",
        due_date=None if details.terms else seen.due_date,
        lines=tuple(_copied(original, lines, coupons, Kept(False, exact_prices, NO_LIMIT))),
        details=_taxed(details, there, taxed, taxes, rates),
    )
    lacking = [words for name, words in NOT_HELD if there.get(name)]
    if any(line["period"]["start"] != line["period"]["end"] for line in lines):
        lacking.append("periods of time that its lines are for")
    lacking += _discounts_not_held(copy, there, lines, coupons)
    if there["automatic_tax"]["enabled"]:
        if original.made_in_stripe:
            lacking.append("Stripe Tax, on products and prices of Stripe's own")
        elif any(tax["tax_behavior"] != tax_behavior for tax in there["total_taxes"] or ()):
            lacking.append(f"Stripe Tax that is not {tax_behavior} of its prices")
    elif len(by_line) > 1:
        lacking.append("taxes that differ by line")
    if not (taxed or there["automatic_tax"]["enabled"]) and (
        copy.billed.automatic_tax or copy.billed.tax_rates
    ):
        lacking.append("no tax, where fields of the record ask for one")
    before_tax = net_of_exclusive_tax(there)
    if not lacking and before_tax != copy.total:
        lacking.append(f"{before_tax} to pay before tax, where its lines come to {copy.total}")
    return copy, lacking


def _taxed(
    details: Details,
    there: WholeInvoice,
    taxed: Sequence[str],
    taxes: Details,
    rates: Sequence[str],
) -> Details:
    """The details with Stripe's taxes, in the record's own words where these mean the same."""
    automatic = there["automatic_tax"]["enabled"]
    if automatic == taxes.automatic_tax and (automatic or {*taxed} == {*rates}):
        return details
    return replace(details, automatic_tax=automatic, tax_rates=() if automatic else tuple(taxed))


def _terms(
    discounts: Sequence[str], coupons: Mapping[str, Coupon], currency: str
) -> Discount | None:
    """A discount as a record can hold it; None where there is none, or another than that."""
    coupon = coupons.get(discounts[0]) if len(discounts) == 1 else None
    if coupon is None:
        return None
    if coupon["percent_off"] is not None:
        return Discount(percent=Decimal(str(coupon["percent_off"])))
    if coupon["amount_off"] is None or coupon["currency"] != currency.lower():
        return None
    return Discount(amount=Money(currency, coupon["amount_off"]).decimal)


def _copied(
    original: Invoice, lines: Iterable[StripeLine], coupons: Mapping[str, Coupon], kept: Kept
) -> Iterator[Line]:
    """Stripe's lines in the record's order, as the record has them where it has the same."""
    currency = original.currency
    known = map_reduce(original.lines, partial(_facts, currency=currency))
    copied = []
    for position, there in enumerate(lines, 1):
        mirrored = mirror_of(there, currency, ours=False, kept=kept)
        same = known.get(mirrored.facts)
        line = same.pop(0) if same else mirrored.line(position)
        copied.append(replace(line, discount=_terms(there["discounts"], coupons, currency)))
    copied.sort(key=lambda line: line.position)
    yield from (replace(line, position=n) for n, line in enumerate(copied, 1))


def _facts(line: Line, currency: str) -> MirroredFacts:
    quantity, price = plain(line.quantity), plain(line.unit_price)
    return MirroredFacts("", line.label.strip(), quantity, price, line.amount(currency).minor)


def _discounts_not_held(
    copy: Invoice,
    there: WholeInvoice,
    lines: Iterable[StripeLine],
    coupons: Mapping[str, Coupon],
) -> Iterator[str]:
    """Name what discounts come to that are several at once, or of terms that no field holds."""
    amounts = there["total_discount_amounts"] or ()
    for given in (there["discounts"], *(line["discounts"] for line in lines)):
        if given and _terms(given, coupons, copy.currency) is None:
            off = sum(one["amount"] for one in amounts if one["discount"] in given)
            how = "several discounts at once" if len(given) > 1 else "a discount"
            yield f"{how}, of {Money(copy.currency, off)}"


def copy_problem(name: str, act: str, lacking: Iterable[str], instead: str) -> Iterator[str]:
    """Say why a record cannot stand for its invoice when another is made of it."""
    words = ", ".join(lacking)
    if words:
        yield (
            f"{name} cannot be {act} from here, because no record can hold all of the invoice: in "
            f"Stripe it has {words}. {instead}"
        )


def note_of_fields(original: Invoice, copy: Invoice) -> str:
    """Say what a copy lacks because the org has it in fields of its own; begins with a space."""
    there = {one.name for one in copy.billed.all_custom_fields}
    lacking = [one.name for one in original.org_fields.custom_fields if one.name not in there]
    if not (copy.billed.automatic_tax or copy.billed.tax_rates) and (
        original.org_fields.automatic_tax or original.org_fields.tax_rates
    ):
        lacking.append("the tax")
    if not lacking:
        return ""
    return (
        f" Not copied: {', '.join(lacking)}. On {original.name} that comes from fields of your "
        f"own; fill them in on {copy.name} before it is sent."
    )
