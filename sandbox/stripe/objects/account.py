"""The account itself."""

from sandbox.stripe.api import Params, operation
from sandbox.stripe.context import Account, Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.store import Doc


@operation("GET", "/v1/account", "AccountRetrieveCurrentParams")
def retrieve_current(context: Context, _: Params) -> Doc:
    """Return the account the key belongs to."""
    return _shown(context.account)


@operation("GET", "/v1/accounts/{account}", "AccountRetrieveParams")
def retrieve(context: Context, _: Params, account_id: str) -> Doc:
    """Return the account by its id."""
    if account_id != context.account.id:
        raise StripeError(
            f"The provided key does not have access to account '{account_id}' "
            "(or that account does not exist).",
            status=403,
            code="account_invalid",
        )
    return _shown(context.account)


def _shown(account: Account) -> Doc:
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "name": account.name,
            "product_description": None,
            "support_address": None,
            "support_email": account.email,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "country": account.country,
        "created": 1700000000,
        "default_currency": account.currency,
        "details_submitted": True,
        "email": account.email,
        "metadata": {},
        "payouts_enabled": True,
        "settings": {
            "dashboard": {"display_name": account.name, "timezone": "Etc/UTC"},
            "invoices": {"default_account_tax_ids": None, "hosted_payment_method_save": "never"},
            "payments": {"statement_descriptor": account.name.upper()[:22]},
        },
        "type": "standard",
    }
