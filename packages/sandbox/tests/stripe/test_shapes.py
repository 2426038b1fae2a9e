"""The sandbox's answers are held to Stripe's own types, and breaking one is noticed."""

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import stripe

from sandbox.evidence import state_stories, stripe_shapes
from sandbox.evidence.response_types import ResponseTypes, fetched
from sandbox.stripe import invoice_object
from sandbox.stripe.app import make_app

pytestmark = [pytest.mark.standard, pytest.mark.xdist_group("shapes")]

Invoice = dict[str, Any]
MakeDraft = Callable[..., stripe.Invoice]


@cache
def _fetched() -> ResponseTypes | str:
    return fetched()


@pytest.fixture
def types() -> ResponseTypes:
    """Stripe's types, if they can be had here."""
    found = _fetched()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (lambda invoice: invoice.pop("amount_due"), "amount_due is missing"),
        (lambda invoice: invoice.update(total=None), "total is null"),
        (lambda invoice: invoice.update(status="sent"), "status is 'sent'"),
        (lambda invoice: invoice.update(_={}), "_ is not a property at Stripe"),
        (lambda invoice: invoice["lines"]["data"][0].pop("taxes"), "lines.data[].taxes is missing"),
        (lambda invoice: invoice.update(created="today"), "created is 'today'"),
    ],
)
def test_each_kind_of_mistake_in_an_answer_is_named(
    types: ResponseTypes,
    make_draft: MakeDraft,
    broken: Callable[[Invoice], None],
    complaint: str,
) -> None:
    """An answer as it is has no fault; one that was broken has just that one."""
    invoice: Invoice = make_draft().to_dict()
    line = invoice["lines"]["data"][0]
    line["quantity_decimal"] = str(line["quantity_decimal"])
    line["pricing"]["unit_amount_decimal"] = str(line["pricing"]["unit_amount_decimal"])
    assert types.complaints(invoice) == []
    broken(invoice)
    assert types.complaints(invoice) == [complaint]


def test_the_check_fails_for_a_property_that_is_lost_and_for_what_no_story_tells_of(
    types: ResponseTypes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A property is taken off the invoices, and a story of a new call and its states is missing."""
    whole = invoice_object.new_invoice

    def without(*args: Any) -> Invoice:
        invoice = whole(*args)
        del invoice["receipt_number"]
        return invoice

    monkeypatch.setattr(invoice_object, "new_invoice", without)
    told = dict(state_stories.STORIES)
    for name in [name for name in told if name.startswith(("Banks are debited", "A card is ch"))]:
        del told[name]
    monkeypatch.setattr(state_stories, "STORIES", told)
    failures = stripe_shapes.judged(types, make_app)["failures"]
    assert failures["invoice (open)"] == "receipt_number is missing"
    assert failures["operation: POST /v1/charges"] == "no story calls it"
    assert failures["states: charge.status"] == "never pending"
