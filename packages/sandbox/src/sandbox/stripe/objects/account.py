"""The account itself."""

from sandbox.stripe.api import Params, operation
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError
from sandbox.stripe.expansion import MAKERS
from sandbox.stripe.store import Doc


@operation("GET", "/v1/account", "AccountRetrieveCurrentParams")
def retrieve_current(context: Context, _: Params) -> Doc:
    """Return the account the key belongs to."""
    return _shown(context)


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
    return _shown(context)


def _shown(context: Context) -> Doc:
    account = context.account
    return {
        "id": account.id,
        "object": "account",
        "business_profile": {
            "annual_revenue": None,
            "estimated_worker_count": None,
            "mcc": None,
            "minority_owned_business_designation": None,
            "name": account.name,
            "product_description": None,
            "specified_commercial_transactions_act_url": None,
            "support_address": None,
            "support_email": account.email,
            "support_phone": None,
            "support_url": None,
            "url": None,
        },
        "business_type": "company",
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": context.sandbox.settings.charges_enabled,
        "country": account.country,
        "created": 1700000000,
        "default_currency": account.currency,
        "details_submitted": True,
        "email": account.email,
        "metadata": {},
        "payouts_enabled": True,
        "requirements": {
            **context.sandbox.settings.requirements.model_dump(),
            "alternatives": [],
            "errors": [],
            "eventually_due": [],
            "pending_verification": [],
        },
        "settings": {
            "branding": {
                "icon": None,
                "logo": None,
                "primary_color": None,
                "secondary_color": None,
            },
            "card_payments": {
                "decline_on": {"avs_failure": False, "cvc_failure": True},
                "statement_descriptor_prefix": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
            "dashboard": {"display_name": account.name, "timezone": "Etc/UTC"},
            "invoices": {
                "default_account_tax_ids": context.sandbox.settings.default_account_tax_ids or None,
                "hosted_payment_method_save": "never",
            },
            "payments": {
                "statement_descriptor": account.name.upper()[:22],
                "statement_descriptor_kana": None,
                "statement_descriptor_kanji": None,
                "statement_descriptor_prefix_kana": None,
                "statement_descriptor_prefix_kanji": None,
            },
        },
        "type": "standard",
    }


MAKERS["account"] = lambda context, _: _shown(context)
