"""What changes an amount: discounts, taxes, credit notes, refunds, disputes, revisions."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]
Types = Callable[[], list[str]]


@pytest.fixture
def types(live: stripe.StripeClient) -> Types:
    """The types of all events so far, oldest first."""

    def told() -> list[str]:
        return [str(event.type) for event in live.v1.events.list({"limit": 100}).data][::-1]

    return told


@pytest.fixture
def paid(live: stripe.StripeClient, make_draft: MakeDraft) -> stripe.Invoice:
    """An invoice of 100.00, paid by card."""
    return live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_visa"})


def charge_of(live: stripe.StripeClient, invoice: stripe.Invoice) -> stripe.Charge:
    """The charge an invoice was paid with."""
    paths = ["data.payment.payment_intent.latest_charge"]
    (payment,) = live.v1.invoice_payments.list({"invoice": invoice.id, "expand": paths}).data
    intent = payment.payment.payment_intent
    assert isinstance(intent, stripe.PaymentIntent)
    assert isinstance(intent.latest_charge, stripe.Charge)
    return intent.latest_charge


def test_percentages_are_rounded_on_each_line(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """Two lines of 0.33 at 20 % make 0.14 of tax, not 0.13."""
    rate = live.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 20, "inclusive": False, "country": "GB"}
    )
    draft = make_draft(None, default_tax_rates=[rate.id])
    invoice = live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 33}, {"amount": 33}]})
    assert (invoice.subtotal, invoice.total, invoice.total_excluding_tax) == (66, 80, 66)
    assert invoice.total_taxes
    assert [(tax.amount, tax.taxable_amount) for tax in invoice.total_taxes] == [(14, 66)]
    assert invoice.default_tax_rates
    assert '"_"' not in str(invoice), "what the sandbox notes for itself is nobody's"


def test_inclusive_tax_is_inside_the_price(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """119.00 at an inclusive 19 % is 100.00 and 19.00."""
    rate = live.v1.tax_rates.create({"display_name": "USt", "percentage": 19, "inclusive": True})
    invoice = make_draft(11_900, default_tax_rates=[rate.id])
    assert (invoice.total, invoice.total_excluding_tax) == (11_900, 10_000)
    assert invoice.subtotal_excluding_tax == 10_000


def test_coupons_line_first_then_invoice_then_tax(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """A line's half, then ten off in proportion, then tax on the rest."""
    half = live.v1.coupons.create({"percent_off": 50})
    ten = live.v1.coupons.create({"amount_off": 1_000, "currency": "usd", "id": "TEN"})
    rate = live.v1.tax_rates.create({"display_name": "VAT", "percentage": 10, "inclusive": False})
    draft = make_draft(None, discounts=[{"coupon": ten.id}], default_tax_rates=[rate.id])
    invoice = live.v1.invoices.add_lines(
        draft.id,
        {"lines": [{"amount": 4_000, "discounts": [{"coupon": half.id}]}, {"amount": 2_000}]},
    )
    assert (invoice.subtotal, invoice.total) == (4_000, 3_300)
    assert invoice.total_discount_amounts
    assert sorted(cut.amount for cut in invoice.total_discount_amounts) == [1_000, 2_000]
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.coupons.create({"id": "TEN", "percent_off": 5})


def test_a_used_up_coupon(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A coupon for one redemption works once."""
    coupon = live.v1.coupons.create({"percent_off": 10, "max_redemptions": 1})
    assert make_draft(discounts=[{"coupon": coupon.id}]).total == 9_000
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        make_draft(discounts=[{"coupon": coupon.id}])
    assert refusal.value.code == "coupon_expired"


def test_automatic_tax_needs_a_country(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft, types: Types
) -> None:
    """Without an address finalization fails and says so; with one the country's rate applies."""
    draft = make_draft(automatic_tax={"enabled": True})
    assert draft.automatic_tax.status == "requires_location_inputs"
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.invoices.finalize_invoice(draft.id)
    assert refusal.value.code == "customer_tax_location_invalid"
    assert types()[-1] == "invoice.finalization_failed"
    live.v1.customers.update(customer.id, {"address": {"country": "DE"}})
    assert live.v1.invoices.finalize_invoice(draft.id).total == 11_900


def test_automatic_tax_that_nobody_set_up(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Its settings say what is missing, and no invoice gets it; without it all is as ever."""
    assert live.v1.tax.settings.retrieve().status == "active"
    admin.post("/_sandbox/settings", json={"tax_lacks": ["head_office"]}).raise_for_status()
    found = live.v1.tax.settings.retrieve()
    assert (found.status, found.head_office) == ("pending", None)
    assert found.status_details.pending
    assert found.status_details.pending.missing_fields == ["head_office"]
    with pytest.raises(stripe.InvalidRequestError, match="valid head office address"):
        make_draft(automatic_tax={"enabled": True})
    assert make_draft(automatic_tax={"enabled": False}).status == "draft"


def test_an_account_that_stripe_wants_to_know_more_of(
    live: stripe.StripeClient, admin: httpx.Client
) -> None:
    """What is due stands on the account, and why it is disabled."""
    due = {"currently_due": ["company.tax_id"], "disabled_reason": "requirements.past_due"}
    admin.post("/_sandbox/settings", json={"requirements": due}).raise_for_status()
    requirements = live.v1.accounts.retrieve_current().requirements
    assert requirements
    assert requirements.currently_due == ["company.tax_id"]
    assert requirements.disabled_reason == "requirements.past_due"


def test_an_exempt_customer_pays_no_tax(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """The tax is listed as zero, with the reason."""
    rate = live.v1.tax_rates.create({"display_name": "VAT", "percentage": 20, "inclusive": False})
    live.v1.customers.update(customer.id, {"tax_exempt": "exempt"})
    invoice = make_draft(default_tax_rates=[rate.id])
    assert invoice.total == 10_000
    assert invoice.total_taxes
    assert invoice.total_taxes[0].taxability_reason == "customer_exempt"


def test_credit_note_before_payment(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft, types: Types
) -> None:
    """It lowers what is due, down to paid; voiding it puts it back."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    note = live.v1.credit_notes.create({"invoice": sent.id, "amount": 4_000, "memo": "Sorry"})
    assert (note.type, note.pre_payment_amount, note.number) == (
        "pre_payment",
        4_000,
        f"{sent.number}-CN-01",
    )
    lowered = live.v1.invoices.retrieve(sent.id)
    assert (lowered.amount_due, lowered.amount_remaining, lowered.total) == (6_000, 6_000, 10_000)
    assert "Credit note" in admin.get("/_sandbox/mail").json()["data"][0]["subject"]
    assert httpx.get(note.pdf).content.startswith(b"%PDF")

    live.v1.credit_notes.void_credit_note(note.id)
    assert live.v1.invoices.retrieve(sent.id).amount_remaining == 10_000
    line = sent.lines.data[0].id
    live.v1.credit_notes.create(
        {
            "invoice": sent.id,
            "lines": [{"type": "invoice_line_item", "invoice_line_item": line, "quantity": 1}],
        }
    )
    assert live.v1.invoices.retrieve(sent.id).status == "paid"
    assert "credit_note.created" in types()


def test_credit_note_after_payment(live: stripe.StripeClient, paid: stripe.Invoice) -> None:
    """The whole of it must be refunded, credited or given elsewhere."""
    with pytest.raises(stripe.InvalidRequestError, match="post-payment"):
        live.v1.credit_notes.create({"invoice": paid.id, "amount": 5_000})
    params: Any = {
        "invoice": paid.id,
        "amount": 5_000,
        "refund_amount": 2_000,
        "credit_amount": 2_500,
        "out_of_band_amount": 500,
    }
    assert live.v1.credit_notes.preview(params).post_payment_amount == 5_000
    assert live.v1.credit_notes.list().data == []
    note = live.v1.credit_notes.create(params)
    assert [refund.amount_refunded for refund in note.refunds] == [2_000]
    assert live.v1.customers.retrieve(str(paid.customer)).balance == -2_500
    after = live.v1.invoices.retrieve(paid.id)
    assert (after.status, after.post_payment_credit_notes_amount) == ("paid", 5_000)
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.credit_notes.create(
            {"invoice": paid.id, "amount": 5_001, "out_of_band_amount": 5_001}
        )


def test_refunds(
    live: stripe.StripeClient, admin: httpx.Client, paid: stripe.Invoice, types: Types
) -> None:
    """Partly, then the rest; a refund may fail later. The invoice stays paid."""
    charge = charge_of(live, paid)
    intent = str(charge.payment_intent)
    first = live.v1.refunds.create({"payment_intent": intent, "amount": 3_000})
    live.v1.refunds.create({"charge": charge.id})
    assert live.v1.charges.retrieve(charge.id).refunded
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        live.v1.refunds.create({"charge": charge.id})
    assert refusal.value.code == "charge_already_refunded"
    admin.post("/_sandbox/refunds/fail", json={"refund": first.id}).raise_for_status()
    assert live.v1.charges.retrieve(charge.id).amount_refunded == 7_000
    assert types()[-1] == "refund.failed"
    assert live.v1.invoices.retrieve(paid.id).status == "paid"


def test_disputes(
    live: stripe.StripeClient, admin: httpx.Client, paid: stripe.Invoice, types: Types
) -> None:
    """A dispute is provoked, and won."""
    answer = admin.post("/_sandbox/disputes", json={"invoice": paid.id, "reason": "duplicate"})
    dispute = live.v1.disputes.retrieve(answer.json()["id"])
    assert (dispute.reason, dispute.status, dispute.amount) == (
        "duplicate",
        "needs_response",
        10_000,
    )
    assert charge_of(live, paid).disputed
    admin.post("/_sandbox/disputes/close", json={"dispute": dispute.id, "status": "won"})
    assert types()[-2:] == ["charge.dispute.closed", "charge.dispute.funds_reinstated"]
    assert charge_of(live, paid).disputed  # has been, though it was won


def test_a_card_that_is_disputed(
    live: stripe.StripeClient, make_draft: MakeDraft, types: Types
) -> None:
    """Stripe's own test card does it without being told."""
    live.v1.invoices.pay(make_draft().id, {"payment_method": "pm_card_createDispute"})
    assert "charge.dispute.created" in types()


def test_declined_by_the_api(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """402, and the attempt is counted."""
    draft = make_draft()
    with pytest.raises(stripe.CardError) as refusal:
        live.v1.invoices.pay(draft.id, {"payment_method": "pm_card_visa_chargeDeclined"})
    assert refusal.value.code == "card_declined"
    assert live.v1.invoices.retrieve(draft.id).attempt_count == 1


def test_attached_payments(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft, types: Types
) -> None:
    """A part paid outside Stripe, then an intent that pays too much."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    record = live.v1.payment_records.report_payment(
        {
            "amount_requested": {"currency": "usd", "value": 4_000},
            "initiated_at": sent.created,
            "payment_method_details": {"type": "custom", "custom": {"display_name": "Wire"}},
            "outcome": "guaranteed",
            "guaranteed": {"guaranteed_at": sent.created},
        }
    )
    live.v1.invoices.attach_payment(sent.id, {"payment_record": record.id})
    partly = live.v1.invoices.retrieve(sent.id, {"expand": ["amount_paid_off_stripe"]})
    assert (partly.amount_remaining, partly.amount_paid_off_stripe) == (6_000, 4_000)

    intent = live.v1.payment_intents.create(
        {"amount": 7_000, "currency": "usd", "customer": customer.id}
    )
    live.v1.invoices.attach_payment(sent.id, {"payment_intent": intent.id})
    assert live.v1.invoices.retrieve(sent.id).status == "open"
    live.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    over = live.v1.invoices.retrieve(sent.id)
    assert (over.status, over.amount_paid, over.amount_overpaid) == ("paid", 10_000, 1_000)
    assert live.v1.customers.retrieve(customer.id).balance == -1_000
    assert "invoice.overpaid" in types()


def test_a_revision_replaces_its_original(
    live: stripe.StripeClient, make_draft: MakeDraft, types: Types
) -> None:
    """Finalizing the revision voids the original."""
    original = live.v1.invoices.send_invoice(make_draft(metadata={"a": "b"}).id)
    revision = live.v1.invoices.create(
        {"from_invoice": {"action": "revision", "invoice": original.id}}
    )
    assert (revision.status, revision.total) == ("draft", 10_000)
    assert live.v1.invoices.retrieve(original.id).latest_revision == revision.id
    live.v1.invoices.update_lines(
        revision.id, {"lines": [{"id": revision.lines.data[0].id, "amount": 8_000}]}
    )
    assert live.v1.invoices.finalize_invoice(revision.id).amount_due == 8_000
    assert live.v1.invoices.retrieve(original.id).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        live.v1.invoices.create({"from_invoice": {"action": "revision", "invoice": original.id}})


def test_a_preview_leaves_nothing_behind(
    live: stripe.StripeClient, customer: stripe.Customer, types: Types
) -> None:
    """It shows the total, and no object or event is made."""
    before = types()
    preview = live.v1.invoices.create_preview(
        {
            "customer": customer.id,
            "invoice_items": [{"amount": 700, "currency": "usd", "description": "Travel"}],
        }
    )
    assert (preview.total, preview.status) == (700, "draft")
    assert preview.id.startswith("upcoming_in_")
    assert types() == before
    assert live.v1.invoice_items.list().data == []
