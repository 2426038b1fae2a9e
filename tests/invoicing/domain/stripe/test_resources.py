"""What is read of Stripe's answers is there, in the SDK's classes, and of the same kind."""

import inspect
import types
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, NotRequired, Union, get_args, get_origin, get_type_hints

import pytest
import stripe
from stripe._stripe_object import UntypedStripeObject
from typing_extensions import is_typeddict

from invoicing.domain.stripe import resources

SDK: dict[type, type] = {
    resources.StripeInvoice: stripe.Invoice,
    resources.ListedInvoice: stripe.Invoice,
    resources.WholeInvoice: stripe.Invoice,
    resources.PaidInvoice: stripe.Invoice,
    resources.Totals: stripe.Invoice,
    resources.Identified: stripe.Account,
    resources.StripeLine: stripe.InvoiceLineItem,
    resources.InvoicePayment: stripe.InvoicePayment,
    resources.PaymentIntent: stripe.PaymentIntent,
    resources.Refund: stripe.Refund,
    resources.Dispute: stripe.Dispute,
    resources.Charge: stripe.Charge,
    resources.PaymentRecord: stripe.PaymentRecord,
    resources.CreditNote: stripe.CreditNote,
    resources.CreditNoteLine: stripe.CreditNoteLineItem,
    resources.Customer: stripe.Customer,
    resources.TaxId: stripe.TaxId,
    resources.Product: stripe.Product,
    resources.Coupon: stripe.Coupon,
    resources.TaxRate: stripe.TaxRate,
    resources.Event: stripe.Event,
}
"""What each type is read of; types within these are compared where they stand."""

NEVER_EMPTY = {
    "WholeInvoice.status",
    "PaidInvoice.status",
    "StripeInvoice.status",
    "ListedInvoice.status",
}
"""The SDK allows null; every invoice that has an id has a status."""

PLAIN = {str, int, float, bool, Decimal}


@pytest.mark.parametrize("ours", SDK, ids=lambda ours: ours.__name__)
def test_every_field_that_is_read_is_stripes(ours: type) -> None:
    """A field the SDK does not have, of another kind, or null where it is not expected."""
    assert list(_differences(ours, SDK[ours], ours.__name__)) == []


def test_a_field_that_stripe_does_not_have_is_found() -> None:
    """The comparison itself can fail: in name, kind and emptiness."""
    found = list(_differences(resources.Refund, stripe.TaxRate, "Refund"))
    assert "Refund.amount is not in TaxRate" in found
    assert list(_compare(int, str, "a")) == ["a is read as int, and is str"]
    assert list(_compare(str, str | None, "a")) == ["a may be null"]
    assert list(_compare(str | None, str, "a")) == ["a is never null"]


def _differences(ours: type, theirs: type, where: str) -> Iterator[str]:
    known: dict[str, Any] = {}
    for parent in reversed(theirs.__mro__):
        known |= inspect.get_annotations(parent)
    for name, wanted in get_type_hints(ours, include_extras=True).items():
        place = f"{where}.{name}"
        if name not in known:
            yield f"{place} is not in {theirs.__name__}"
        else:
            wanted = get_args(wanted)[0] if get_origin(wanted) is NotRequired else wanted
            yield from _compare(wanted, known[name], place)


def _compare(ours: Any, theirs: Any, place: str) -> Iterator[str]:
    mine, there = set(_members(ours)), set(_members(theirs))
    if type(None) in there - mine and place not in NEVER_EMPTY:
        yield f"{place} may be null"
    if type(None) in mine - there:
        yield f"{place} is never null"
    plain = {_plain(kind) for kind in there} & PLAIN
    for kind in mine - {type(None)}:
        if is_typeddict(kind):
            classes = [one for one in map(_class, there) if one]
            if not classes:
                yield f"{place} is read as an object, and is {there}"
            for one in classes:
                yield from _differences(kind, one, place)
        elif get_origin(kind) is list:
            lists = [one for one in there if get_origin(one) is list]
            if not lists:
                yield f"{place} is read as a list, and is {there}"
            for one in lists:
                yield from _compare(get_args(kind)[0], get_args(one)[0], f"{place}[]")
        elif get_origin(kind) is dict:
            if not any(get_origin(one) is UntypedStripeObject for one in there):
                yield f"{place} is read as a mapping, and is {there}"
        elif plain != {kind}:
            names = " or ".join(sorted(one.__name__ for one in plain)) or str(there)
            yield f"{place} is read as {kind.__name__}, and is {names}"


def _members(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    else:
        yield annotation


def _plain(kind: Any) -> Any:
    """The kind of a listed value; an expandable object is its id until it is asked for."""
    return type(get_args(kind)[0]) if get_origin(kind) is Literal else kind


def _class(kind: Any) -> Any:
    """The class that a member names or is; lists of the API are objects too."""
    if hasattr(kind, "__forward_arg__"):
        return getattr(stripe, kind.__forward_arg__)
    origin = get_origin(kind)
    if origin is stripe.ListObject:
        [of] = get_args(kind)
        listed = {"data": types.GenericAlias(list, _class(of) or of), "has_more": bool}
        return type("ListObject", (), {"__annotations__": listed})
    return kind if isinstance(kind, type) and issubclass(kind, stripe.StripeObject) else None
