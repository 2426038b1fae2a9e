"""Key, account, org and currency are those that the settings name."""

from invoicing.connectors.salesforce import OrgFacts
from invoicing.domain.model.record_ids import same_id
from invoicing.errors import EnvironmentMismatch
from invoicing.settings import Settings


def check_key_mode(wanted: Settings) -> None:
    """Refuse a key of the other mode.

    Raises:
        EnvironmentMismatch: it says in its own letters that it is one.
    """
    if ("_live_" in wanted.stripe.api_key.get_secret_value()) != wanted.stripe.livemode:
        raise EnvironmentMismatch(f"The Stripe key is not a {mode(wanted.stripe.livemode)} key.")


def check_account(wanted: Settings, account_id: str) -> None:
    """Refuse the key of another account.

    Raises:
        EnvironmentMismatch: the settings name another account.
    """
    if account_id != wanted.stripe.account_id:
        raise EnvironmentMismatch(
            f"The Stripe key belongs to {account_id}, but INVOICING_STRIPE__ACCOUNT_ID says "
            f"{wanted.stripe.account_id}."
        )


def check_org(wanted: Settings, org: OrgFacts) -> None:
    """Refuse the login of another org.

    Raises:
        EnvironmentMismatch: the settings name another org.
    """
    if not same_id(org.id, wanted.salesforce.org_id):
        raise EnvironmentMismatch(
            f"The Salesforce login belongs to org {org.id}, but INVOICING_SALESFORCE__ORG_ID "
            f"says {wanted.salesforce.org_id}."
        )


def check_currency(wanted: Settings, org: OrgFacts) -> None:
    """Hold the settings to what the org says; they cannot make it another.

    Raises:
        EnvironmentMismatch: they say something else, or nothing where the org says nothing.
    """
    if wanted.salesforce.multi_currency not in (None, org.multi_currency):
        has = "several currencies" if org.multi_currency else f"one currency, {org.currency}"
        raise EnvironmentMismatch(
            f"The Salesforce org has {has}, but INVOICING_SALESFORCE__MULTI_CURRENCY says "
            f"{wanted.salesforce.multi_currency}. Leave it unset: the org is asked."
        )
    if org.multi_currency:
        return
    if not (org.currency or wanted.business.currency):
        raise EnvironmentMismatch(
            "The Salesforce org has one currency and does not say which. Set "
            "INVOICING_BUSINESS__CURRENCY to what Setup → Company Information shows."
        )
    if org.currency and wanted.business.currency not in (None, org.currency):
        raise EnvironmentMismatch(
            f"The Salesforce org's currency is {org.currency}, but INVOICING_BUSINESS__CURRENCY "
            f"says {wanted.business.currency}. Leave it unset: the org is asked."
        )


def mode(livemode: bool) -> str:
    """Stripe's mode in words."""
    return "live mode" if livemode else "test mode"
