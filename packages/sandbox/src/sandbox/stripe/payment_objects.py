"""Building payment intents, charges and invoice payments."""

from sandbox.stripe.cards import Card
from sandbox.stripe.context import Context
from sandbox.stripe.debits import Debit
from sandbox.stripe.ids import new_id, token
from sandbox.stripe.store import Doc


def new_intent(context: Context, amount: int, currency: str, customer: str | None) -> Doc:
    """Build a payment intent that waits for a payment method."""
    intent_id = new_id("payment_intent")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{token(25)}",
        "confirmation_method": "automatic",
        "created": context.now,
        "currency": currency,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": context.livemode,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def new_invoice_payment(
    context: Context,
    invoice: Doc,
    amount: int,
    payment_intent: str | None = None,
    *,
    payment_record: str | None = None,
    charge: str | None = None,
    default: bool = True,
) -> Doc:
    """Build the link between an invoice and a payment."""
    payment: Doc
    if payment_record:
        payment = {"payment_record": payment_record, "type": "payment_record"}
    elif charge:
        payment = {"charge": charge, "type": "charge"}
    else:
        payment = {"payment_intent": payment_intent, "type": "payment_intent"}
    return {
        "id": new_id("invoice_payment"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": amount,
        "created": context.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": default,
        "livemode": context.livemode,
        "payment": payment,
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }


def new_charge(context: Context, intent: Doc, card: Card, method: str) -> Doc:
    """Build the charge of a card, succeeded or failed as the card will have it."""
    charge_id = new_id("charge")
    failed = card.declines
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0 if failed else intent["amount"],
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": {
                "city": None,
                "country": None,
                "line1": None,
                "line2": None,
                "postal_code": None,
                "state": None,
            },
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": context.account.name.upper()[:22],
        "captured": not failed,
        "created": context.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": card.code,
        "failure_message": "Your card was declined." if failed else None,
        "fraud_details": {},
        "livemode": context.livemode,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "declined_by_network" if failed else "approved_by_network",
            "reason": card.decline_code,
            "risk_level": "normal",
            "seller_message": "The bank declined the payment." if failed else "Payment complete.",
            "type": "issuer_declined" if failed else "authorized",
        },
        "paid": not failed,
        "payment_intent": intent["id"],
        "payment_method": method,
        "payment_method_details": {
            "card": {
                "amount_authorized": None if failed else intent["amount"],
                "authorization_code": None,
                "brand": card.brand,
                "checks": {
                    "address_line1_check": None,
                    "address_postal_code_check": None,
                    "cvc_check": "pass",
                },
                "country": "US",
                "electronic_commerce_indicator": None,
                "exp_month": 12,
                "exp_year": 2034,
                "fingerprint": f"fp{card.number[-8:]}",
                "funding": "credit",
                "installments": None,
                "last4": card.last4,
                "mandate": None,
                "network": card.brand,
                "network_transaction_id": None if failed else f"{charge_id[3:18]}",
                "regulated_status": "unregulated",
                "three_d_secure": None,
                "transaction_link_id": None,
                "wallet": None,
            },
            "type": "card",
        },
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "failed" if failed else "succeeded",
        "transfer_data": None,
        "transfer_group": None,
    }


def new_debit_charge(context: Context, intent: Doc, debit: Debit, method: str) -> Doc:
    """Build the charge of a bank account, which is pending until the bank has spoken."""
    no_card = Card("", "", debit.token)
    return new_charge(context, intent, no_card, method) | {
        "paid": False,
        "payment_method_details": {debit.kind: debit.charge_details(), "type": debit.kind},
        "status": "pending",
    }


def note_attempt(invoice: Doc) -> None:
    """Count an attempt to pay an invoice: any is the first, and none by hand counts after it.

    Source: the SDK's docstring of ``Invoice.attempt_count``.
    """
    invoice |= {"attempted": True, "attempt_count": max(1, invoice["attempt_count"])}
