"""An invoice's life, from draft to its end, as a client of the SDK sees it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import stripe

MakeDraft = Callable[..., stripe.Invoice]


def event_types(client: stripe.StripeClient) -> list[str]:
    """The types of all events so far, oldest first."""
    return [str(event.type) for event in client.v1.events.list({"limit": 100}).data][::-1]


def pay_on_page(invoice: stripe.Invoice, card: str, amount: str = "") -> httpx.Response:
    """Do what the customer does on the invoice's page."""
    assert invoice.hosted_invoice_url
    form = {"card": card, "amount": amount}
    return httpx.post(invoice.hosted_invoice_url, data=form, follow_redirects=True)


def refused(call: Callable[[], Any]) -> stripe.InvalidRequestError:
    """The refusal a call meets."""
    with pytest.raises(stripe.InvalidRequestError) as refusal:
        call()
    return refusal.value


def test_sent_mailed_and_paid(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Sending mails the customer a link; paying there pays the invoice."""
    draft = make_draft(metadata={"salesforce_id": "a01"}, description="November")
    assert (draft.status, draft.number, draft.hosted_invoice_url) == ("draft", None, None)

    sent = live.v1.invoices.send_invoice(draft.id)
    assert (sent.status, sent.amount_due, sent.amount_remaining) == ("open", 10_000, 10_000)
    assert sent.number
    assert sent.number.endswith("-0001")

    (mail,) = admin.get("/_sandbox/mail").json()["data"]
    assert mail["to"] == "pay@globex.example"
    assert mail["hosted_invoice_url"] == sent.hosted_invoice_url
    assert str(sent.hosted_invoice_url) in admin.get(f"/mail/{mail['id']}").text

    assert "Thank you" in pay_on_page(sent, "4242 4242 4242 4242").text
    paid = live.v1.invoices.retrieve(draft.id, {"expand": ["payments"]})
    assert (paid.status, paid.amount_paid, paid.amount_remaining) == ("paid", 10_000, 0)
    assert paid.payments
    assert [payment.status for payment in paid.payments.data] == ["paid"]
    story = event_types(live)
    told = [kind for kind in story if kind.startswith("invoice.") and kind != "invoice.updated"]
    assert told == [
        "invoice.created",
        "invoice.finalized",
        "invoice.sent",
        "invoice.paid",
        "invoice.payment_succeeded",
    ]


def test_test_mode_sends_no_mail_but_says_so(
    test: stripe.StripeClient, admin: httpx.Client
) -> None:
    """In test mode nothing is mailed, but the event comes."""
    customer = test.v1.customers.create({"email": "a@b.example"})
    draft = test.v1.invoices.create(
        {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 1}
    )
    test.v1.invoice_items.create({"customer": customer.id, "invoice": draft.id, "amount": 500})
    test.v1.invoices.send_invoice(draft.id)
    assert "invoice.sent" in event_types(test)
    assert admin.get("/_sandbox/mail").json()["data"] == []


def test_declined_then_partly_then_fully_paid(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """A declined card, then a part, then the rest."""
    sent = live.v1.invoices.send_invoice(make_draft().id)

    declined = pay_on_page(sent, "4000 0000 0000 0002")
    assert declined.status_code == 402
    assert "declined" in declined.text
    assert live.v1.invoices.retrieve(sent.id).attempted

    pay_on_page(sent, "4242424242424242", "40.00")
    partly = live.v1.invoices.retrieve(sent.id)
    assert (partly.status, partly.amount_paid, partly.amount_remaining) == ("open", 4_000, 6_000)
    payments = live.v1.invoice_payments.list({"invoice": sent.id}).data
    assert {(p.status, p.amount_requested, p.is_default) for p in payments} == {
        ("paid", 4_000, False),
        ("open", 6_000, True),
    }

    pay_on_page(sent, "4242424242424242")
    assert live.v1.invoices.retrieve(sent.id).status == "paid"


def test_draft_is_edited_freely_and_not_at_all_once_open(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """Finalization freezes an invoice, all but its metadata."""
    draft = make_draft()
    line = draft.lines.data[0]
    more = live.v1.invoices.add_lines(
        draft.id, {"lines": [{"amount": 500}, {"amount": 250, "description": "Travel"}]}
    )
    assert more.total == 10_750
    fewer = live.v1.invoices.remove_lines(
        draft.id, {"lines": [{"id": more.lines.data[1].id, "behavior": "delete"}]}
    )
    assert fewer.total == 10_250
    changed = live.v1.invoices.update_lines(draft.id, {"lines": [{"id": line.id, "amount": 1_000}]})
    assert changed.total == 1_250

    live.v1.invoices.finalize_invoice(draft.id)
    for edit in (
        lambda: live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 1}]}),
        lambda: live.v1.invoices.update(draft.id, {"description": "late"}),
        lambda: live.v1.invoices.delete(draft.id),
        lambda: live.v1.invoices.finalize_invoice(draft.id),
    ):
        assert refused(edit).code == "invoice_not_editable"
    late = live.v1.invoices.update(draft.id, {"metadata": {"a": "b"}})
    assert late.metadata
    assert late.metadata.to_dict() == {"a": "b"}


def test_a_draft_follows_its_customer_until_finalized(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """The customer's details are copied for good at finalization."""
    draft = make_draft()
    live.v1.customers.update(customer.id, {"name": "Globex Corporation"})
    assert live.v1.invoices.finalize_invoice(draft.id).customer_name == "Globex Corporation"
    live.v1.customers.update(customer.id, {"name": "Renamed"})
    assert live.v1.invoices.retrieve(draft.id).customer_name == "Globex Corporation"


def test_deleted_draft_is_gone(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """A deleted draft cannot be retrieved."""
    draft = make_draft()
    assert live.v1.invoices.delete(draft.id).deleted
    assert refused(lambda: live.v1.invoices.retrieve(draft.id)).code == "resource_missing"
    assert event_types(live)[-1] == "invoice.deleted"


def test_void_and_uncollectible(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Uncollectible is not the end, void is."""
    given_up = live.v1.invoices.finalize_invoice(make_draft().id)
    given_up = live.v1.invoices.mark_uncollectible(given_up.id)
    assert given_up.status == "uncollectible"
    assert live.v1.invoices.void_invoice(given_up.id).status == "void"
    assert refused(lambda: live.v1.invoices.pay(given_up.id)).http_status == 400
    assert refused(lambda: live.v1.invoices.void_invoice(given_up.id)).http_status == 400

    rescued = live.v1.invoices.finalize_invoice(make_draft().id)
    live.v1.invoices.mark_uncollectible(rescued.id)
    assert live.v1.invoices.pay(rescued.id, {"paid_out_of_band": True}).status == "paid"


def test_paid_outside_stripe(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """Out-of-band payment pays the invoice without a charge."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    paid = live.v1.invoices.pay(
        sent.id, {"paid_out_of_band": True, "expand": ["amount_paid_off_stripe", "payments"]}
    )
    assert (paid.status, paid.amount_paid, paid.amount_paid_off_stripe) == ("paid", 10_000, 10_000)
    assert paid.payments
    assert [payment.status for payment in paid.payments.data] == ["canceled"]
    assert "invoice.payment_succeeded" not in event_types(live)


def test_what_cannot_be_sent(
    live: stripe.StripeClient, admin: httpx.Client, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """No e-mail, the wrong collection method, or a past due date."""
    draft = make_draft()
    live.v1.customers.update(customer.id, {"email": ""})
    assert "email" in str(refused(lambda: live.v1.invoices.send_invoice(draft.id)))

    automatic = live.v1.invoices.create({"customer": customer.id})
    assert refused(lambda: live.v1.invoices.send_invoice(automatic.id)).http_status == 400

    live.v1.customers.update(customer.id, {"email": "back@globex.example"})
    admin.post("/_sandbox/clock", json={"advance": 31 * 24 * 3600})
    assert refused(lambda: live.v1.invoices.send_invoice(draft.id)).param == "due_date"


def test_rules_of_due_dates(live: stripe.StripeClient, customer: stripe.Customer) -> None:
    """A due date belongs to send_invoice, which needs one in the future."""

    def create(**params: Any) -> stripe.Invoice:
        return live.v1.invoices.create({"customer": customer.id, **params})  # type: ignore[arg-type]

    assert refused(lambda: create(collection_method="send_invoice", due_date=1)).param == "due_date"
    missing = refused(lambda: create(collection_method="send_invoice"))
    assert missing.param == "days_until_due"
    assert refused(lambda: create(due_date=4_000_000_000)).param == "due_date"


def test_an_empty_draft_finalizes_to_a_paid_zero(
    live: stripe.StripeClient, make_draft: MakeDraft
) -> None:
    """Stripe's own trap is here too."""
    empty = live.v1.invoices.finalize_invoice(make_draft(None).id)
    assert (empty.status, empty.total) == ("paid", 0)


def test_more_than_250_lines(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """The 251st line is refused, and nothing of that call remains."""
    lines: Any = [{"amount": 1} for _ in range(125)]
    draft = make_draft(None)
    live.v1.invoices.add_lines(draft.id, {"lines": lines})
    full = live.v1.invoices.add_lines(draft.id, {"lines": lines})
    assert (full.total, len(full.lines.data), full.lines.has_more) == (250, 10, True)
    assert len(list(live.v1.invoices.line_items.list(draft.id).auto_paging_iter())) == 250
    assert (
        refused(
            lambda: live.v1.invoices.add_lines(draft.id, {"lines": [{"amount": 1}]})
        ).http_status
        == 400
    )
    assert live.v1.invoices.retrieve(draft.id).total == 250


def test_pending_items_only_when_asked_for(
    live: stripe.StripeClient, customer: stripe.Customer, make_draft: MakeDraft
) -> None:
    """Pending items of the invoice's currency come along on request only."""
    live.v1.invoice_items.create({"customer": customer.id, "amount": 700, "currency": "usd"})
    live.v1.invoice_items.create({"customer": customer.id, "amount": 900, "currency": "eur"})
    assert make_draft(None).total == 0
    assert make_draft(None, pending_invoice_items_behavior="include").total == 700


def test_the_pdf_is_a_pdf(live: stripe.StripeClient, make_draft: MakeDraft) -> None:
    """The PDF link gives a PDF."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    assert sent.invoice_pdf
    answer = httpx.get(sent.invoice_pdf)
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.content.startswith(b"%PDF")


def test_each_reading_gives_another_link_to_the_same_page(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Mails, events and answers of all times lead to one page; an event keeps its link."""
    sent = live.v1.invoices.send_invoice(make_draft().id)
    (event,) = live.v1.events.list({"type": "invoice.sent"}).data
    admin.post("/_sandbox/clock", json={"advance": 3600}).raise_for_status()
    (later,) = live.v1.invoices.list().data
    assert later.hosted_invoice_url != sent.hosted_invoice_url
    assert later.invoice_pdf == f"{later.hosted_invoice_url}/pdf"
    assert live.v1.events.retrieve(event.id).data.object == event.data.object
    for link in (sent.hosted_invoice_url, event.data.object["hosted_invoice_url"]):
        assert str(sent.number) in httpx.get(str(link)).text
    assert "Thank you" in pay_on_page(later, "4242 4242 4242 4242").text


def test_finalization_adds_the_usual_tax_ids_of_the_account(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """Those that somebody has chosen for an invoice stay."""
    usual = {"default_account_tax_ids": ["atxi_usual"]}
    admin.post("/_sandbox/settings", json=usual).raise_for_status()
    plain, chosen = make_draft(), make_draft(account_tax_ids=["atxi_chosen"])
    assert plain.account_tax_ids is None
    for draft, ids in ((plain, ["atxi_usual"]), (chosen, ["atxi_chosen"])):
        assert live.v1.invoices.finalize_invoice(draft.id).account_tax_ids == ids


def test_drafts_that_advance_by_themselves(
    live: stripe.StripeClient, admin: httpx.Client, make_draft: MakeDraft
) -> None:
    """An hour after it was made, an advancing draft is finalized and mailed; others stay."""
    advancing, staying = make_draft(auto_advance=True), make_draft()
    scheduled = make_draft(automatically_finalizes_at=advancing.created + 7_200)
    admin.post("/_sandbox/clock", json={"advance": 3_601})
    admin.post("/_sandbox/deliveries/settle")
    assert live.v1.invoices.retrieve(advancing.id).status == "open"
    assert live.v1.invoices.retrieve(scheduled.id).status == "draft"
    assert len(admin.get("/_sandbox/mail").json()["data"]) == 1
    admin.post("/_sandbox/clock", json={"advance": 3_600})
    admin.post("/_sandbox/deliveries/settle")
    assert live.v1.invoices.retrieve(scheduled.id).status == "open"
    assert live.v1.invoices.retrieve(staying.id).status == "draft"
