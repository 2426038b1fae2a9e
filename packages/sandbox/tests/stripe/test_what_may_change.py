"""What Stripe refuses to change or to take: after finalization, and for its length."""

from collections.abc import Callable
from typing import Any

import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


@pytest.mark.parametrize(
    "change",
    [
        {"due_date": 4_000_000_000},
        {"days_until_due": 90},
        {"description": "Other"},
        {"footer": "Other"},
        {"collection_method": "charge_automatically"},
        {"custom_fields": [{"name": "PO", "value": "1"}]},
        {"number": "A-1"},
    ],
)
def test_finalization_freezes(
    live: stripe.StripeClient, make_draft: MakeDraft, change: dict[str, Any]
) -> None:
    """Of an open invoice neither the due date nor anything that is printed can be changed."""
    invoice = live.v1.invoices.finalize_invoice(make_draft().id)
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.invoices.update(invoice.id, change)  # type: ignore[arg-type]
    assert (refusal.value.code, refusal.value.param) == ("invoice_not_editable", *change)


def test_the_size_of_pages_may_change_at_any_time(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """It is how the PDF is printed, not what it says; a template is frozen."""
    invoices = live.v1.invoices
    invoice = invoices.finalize_invoice(make_draft(rendering={"template": "inrtem_1"}).id)
    printed = invoices.update(invoice.id, {"rendering": {"pdf": {"page_size": "a4"}}}).rendering
    assert printed
    assert printed.pdf
    assert (printed.pdf.page_size, printed.template) == ("a4", "inrtem_1")
    with pytest.raises(stripe.InvalidRequestError, match="updated in this way"):
        invoices.update(invoice.id, {"rendering": {"template": "inrtem_2"}})


def test_a_draft_begins_with_what_its_customer_has_by_default(
    live: stripe.StripeClient, make_draft: MakeDraft, customer: stripe.Customer
) -> None:
    """Footer and custom fields are those of the customer, unless the order says otherwise."""
    defaults: Any = {"custom_fields": [{"name": "Vendor", "value": "4711"}], "footer": "Thank you"}
    live.v1.customers.update(customer.id, {"invoice_settings": defaults})
    draft = make_draft()
    assert draft.footer == "Thank you"
    assert [one.to_dict() for one in draft.custom_fields or ()] == defaults["custom_fields"]
    own = make_draft(footer="Mine", custom_fields="")
    assert (own.footer, own.custom_fields) == ("Mine", None)


def test_advancing_is_for_drafts_and_open_invoices(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """A paid, void or uncollectible invoice takes metadata, and no ``auto_advance``."""
    invoices = live.v1.invoices
    assert invoices.update(make_draft().id, {"auto_advance": True}).auto_advance
    still_open = invoices.finalize_invoice(make_draft().id)
    assert invoices.update(still_open.id, {"auto_advance": True}).auto_advance
    over = [
        invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"}),
        invoices.void_invoice(invoices.finalize_invoice(make_draft().id).id),
        invoices.mark_uncollectible(invoices.finalize_invoice(make_draft().id).id),
    ]
    assert [invoice.status for invoice in over] == ["paid", "void", "uncollectible"]
    for invoice in over:
        assert invoices.update(invoice.id, {"metadata": {"seen": "1"}}).metadata
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            invoices.update(invoice.id, {"auto_advance": True})
        assert refusal.value.param == "auto_advance"


def test_texts_have_a_length(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Product names, line descriptions, memos and footers are refused when they are too long."""
    draft = make_draft(description="m" * 1500, footer="f" * 5000)
    live.v1.products.create({"name": "n" * 250})
    live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 1, "description": "d" * 500}]})
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("name", lambda: live.v1.products.create({"name": "n" * 251})),
        (
            "description",
            lambda: live.v1.invoices.add_lines(
                draft.id, {"lines": [{"amount": 1, "description": "d" * 501}]}
            ),
        ),
        ("description", lambda: live.v1.invoices.update(draft.id, {"description": "m" * 1501})),
        ("footer", lambda: live.v1.invoices.update(draft.id, {"footer": "f" * 5001})),
    ]
    for param, attempt in attempts:
        with pytest.raises(stripe.InvalidRequestError) as refusal:
            attempt()
        assert refusal.value.param == param
