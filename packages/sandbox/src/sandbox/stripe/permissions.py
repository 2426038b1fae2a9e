"""Keys that may do less than everything, or nothing any more.

A restricted key has permissions, each to read or to write what belongs to one resource; to write
implies to read. Sources: https://docs.stripe.com/keys/permissions-reference (which endpoint needs
which), https://docs.stripe.com/stripe-apps/reference/permissions (``tax_settings_read``),
stripe-node#2246 and tylerjrichards/st-paywall#36 (how a refusal reads),
https://docs.stripe.com/error-codes (``api_key_expired``).
"""

from pydantic import BaseModel, ConfigDict

from sandbox.stripe.errors import StripeError, unauthorized

RESOURCES = {
    "account": "connected_account",
    "accounts": "connected_account",
    "charges": "charge",
    "coupons": "coupon",
    "credit_notes": "credit_note",
    "customers": "customer",
    "disputes": "dispute",
    "events": "event",
    "invoice_payments": "invoice",
    "invoiceitems": "invoice",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "payment_records": "payment_records",
    "prices": "plan",
    "products": "product",
    "refunds": "charge",
    "tax": "tax_settings",
    "tax_rates": "tax_rate",
    "webhook_endpoints": "webhook",
}
"""The permissions that guard a path, by its first part."""


class Key(BaseModel):
    """A key that was made for somebody."""

    model_config = ConfigDict(extra="forbid")

    key: str
    livemode: bool = True
    permissions: list[str] | None = None
    """Such as ``customer_write``; of a key without them, everything is allowed."""
    expired: bool = False


def check(key: Key, shown: str, account_id: str, method: str, path: str) -> None:
    """Refuse what a key may not do.

    Args:
        key: The key.
        shown: What may be shown of it.
        account_id: Whose it is.
        method: HTTP method of the request.
        path: Path of the request.

    Raises:
        StripeError: 401 for an expired key, 403 for a permission it lacks.
    """
    if key.expired:
        error = unauthorized(f"Expired API Key provided: {shown}")
        error.body["code"] = "api_key_expired"
        raise error
    if key.permissions is None:
        return
    resource = RESOURCES.get(path.split("/")[2], "")
    right = f"{resource}_{'read' if method == 'GET' else 'write'}"
    if right in key.permissions or f"{resource}_write" in key.permissions:
        return
    raise StripeError(
        f"The provided key '{shown}' does not have the required permissions for this endpoint on "
        f"account '{account_id}'. Having the 'rak_{right}' permission would allow this request to "
        "continue.",
        status=403,
        stored=False,
    )
