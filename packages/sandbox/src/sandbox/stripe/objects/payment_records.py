"""Payment records: payments made outside Stripe and reported to it."""

from typing import Any

from sandbox.stripe.api import Listing, Params, operation
from sandbox.stripe.apply_params import put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.generic_reads import retrieves
from sandbox.stripe.ids import new_id
from sandbox.stripe.listing import listed
from sandbox.stripe.store import Doc

AMOUNTS = ("authorized", "canceled", "failed", "guaranteed", "refunded")


@operation("POST", "/v1/payment_records/report_payment", "PaymentRecordReportPaymentParams")
def report_payment(context: Context, params: Params) -> Doc:
    """Record a payment made elsewhere; it is guaranteed unless said to have failed."""
    asked = params["amount_requested"]
    currency, value = asked["currency"].lower(), asked["value"]
    failed = params.get("outcome") == "failed" or "failed" in params
    amounts = dict.fromkeys(AMOUNTS, 0)
    amounts["failed" if failed else "guaranteed"] = value
    record: Doc = {
        "id": new_id("payment_record"),
        "object": "payment_record",
        "amount": _money(value, currency),
        "amount_requested": _money(value, currency),
        "application": None,
        "created": context.now,
        "customer_details": _customer(params.get("customer_details")),
        "customer_presence": params.get("customer_presence"),
        "description": params.get("description"),
        "latest_payment_attempt_record": None,
        "livemode": context.livemode,
        "metadata": {},
        "payment_method_details": _method(params["payment_method_details"]),
        "processor_details": _processor(params.get("processor_details", {})),
        "reported_by": "self",
        "shipping_details": None,
        "_": {"guaranteed": not failed},
    }
    record |= {f"amount_{name}": _money(value, currency) for name, value in amounts.items()}
    put_metadata(record, params)
    context.space.insert("payment_record", record)
    return record


retrieves("payment_record", "/v1/payment_records/{id}", "PaymentRecordRetrieveParams")


@operation("GET", "/v1/payment_records", "PaymentRecordListParams")
def list_records(context: Context, params: Params) -> Listing:
    """List payment records, those made after or before a moment if asked.

    Source: the SDK's ``PaymentRecordListParams``, which has no ``created``.
    """
    created: dict[str, int] = {}
    for name, bound in (("created_after", "gt"), ("created_before", "lt")):
        if name in params:
            created[bound] = params.pop(name)
    ranges = {"created": created} if created else None
    return listed(context, "payment_record", "/v1/payment_records", params, None, ranges)


def _money(value: int, currency: str) -> Doc:
    return {"currency": currency, "value": value}


def _customer(given: Any) -> Doc | None:
    if not given:
        return None
    return {name: given.get(name) for name in ("customer", "email", "name", "phone")}


def _processor(given: Any) -> Doc:
    if "custom" not in given:
        return {"type": "custom"}
    reference = given["custom"].get("payment_reference")
    return {"custom": {"payment_reference": reference}, "type": "custom"}


def _custom(given: Any) -> Doc | None:
    if not given:
        return None
    return {"display_name": given.get("display_name", ""), "type": given.get("type")}


def _method(given: Any) -> Doc:
    return {
        "billing_details": None,
        "custom": _custom(given.get("custom")),
        "payment_method": given.get("payment_method"),
        "type": given.get("type", "custom"),
    }
