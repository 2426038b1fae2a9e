"""What a run against the real services needs, and what it will not begin with."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import stripe as sdk
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from deployments.metadata_api import administrator
from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.record_ids import same_id
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce.queries import Query
from invoicing.errors import EnvironmentMismatch, Misconfigured, Rejected
from invoicing.ledger import database
from invoicing.settings import Salesforce, Settings, Stripe, settings
from tests.real.package_deploy import PackageDeploy
from tests.real.stage import CUSTOMER, OPPORTUNITY, OTHER_CUSTOMER, PRICES, Stage
from tests.real.stripe_account import ADDRESS, connect, is_local

NEEDS = """This is what it needs, in the environment or in .env:

  INVOICING_STRIPE__API_KEY      the account's secret key in test mode (sk_test_…), or a restricted
                                 one (rk_test_…) that may write customers, payment methods, payment
                                 intents, refunds, products, prices, coupons, invoices, credit notes
                                 and payment records, and read events, charges, disputes, balance
                                 transactions and the account itself
  INVOICING_STRIPE__ACCOUNT_ID   that account (acct_…)
  INVOICING_STRIPE__LIVEMODE     false

and for the stories also an org for development: Developer Edition, a scratch org or a sandbox, with
the package of deployments/salesforce, and without invoices.

  INVOICING_SALESFORCE__ORG_ID             its id (00D…)
  INVOICING_SALESFORCE__DOMAIN             its My Domain, without .salesforce.com
  INVOICING_SALESFORCE__CONSUMER_KEY       of the connected app or external client app
  INVOICING_SALESFORCE__CONSUMER_SECRET    of the same, or instead of it these two:
  INVOICING_SALESFORCE__USERNAME           the integration user, and
  INVOICING_SALESFORCE__PRIVATE_KEY_FILE   the PEM file of its certificate

That user creates, changes and deletes Accounts, Products, Price Book Entries, Opportunities,
Opportunity Products and everything of the package. With the first three alone the experiments can
be made: make check-real ARGS=experiments

The package is deployed by an administrator whom Salesforce's command line has logged in
(sf org login web --set-default), or by SF_ACCESS_TOKEN and SF_ORG_INSTANCE_URL. That alone needs
no other variable: make check-real ARGS=package. Without that login there are the rest:
make check-real ARGS="stories experiments"
"""


class _StripeAlone(BaseSettings):
    model_config = Settings.model_config

    stripe: Stripe


@dataclass(frozen=True)
class Services:
    """Where everything happens.

    Attributes:
        stripe: The Stripe account.
        org: The id of the org, if stories are played.
    """

    stripe: Stripe
    org: str | None

    @property
    def real(self) -> bool:
        """Whether this is Stripe itself."""
        return urlsplit(self.stripe.base_url).hostname == "api.stripe.com"

    def plan(self, stories: Sequence[str], experiments: Sequence[str]) -> str:
        """What will be created, where, and what becomes of it."""
        mode = "live" if self.stripe.livemode else "test"
        where = f"the Stripe account {self.stripe.account_id} ({mode} mode, {self.stripe.base_url})"
        made = []
        if stories:
            made.append(
                f"In the Salesforce org {self.org}: the Accounts {CUSTOMER} and "
                f"{OTHER_CUSTOMER}, the Opportunity {OPPORTUNITY}, the products "
                f"{', '.join(PRICES)} with standard prices, and about "
                f"{counted(2 * len(stories), 'invoice')} with lines and timelines, by one pass of "
                f"{counted(len(stories), 'flow')}.\n"
                f"In {where}: two customers, the same products, and the invoices that are sent."
            )
        if experiments:
            made.append(
                f"In {where}: by {counted(len(experiments), 'experiment')}, each with customers of "
                "its own, about a hundred drafts and invoices up to 1,000,000.00, payments with "
                "test cards and test bank accounts, credit notes, refunds, disputes, payment "
                "records, products, prices and coupons. Some wait for debits: a quarter of an hour."
            )
        made.append(
            f"Every customer has the address {ADDRESS}. At the end, also after an error, records, "
            "customers, drafts, coupons and products are deleted, and open invoices are void. "
            "What Stripe never deletes stays in test mode: finalized invoices, payments, credit "
            "notes, events, payment records, and archived products that have prices."
        )
        return "\n\n".join(["This will be created.", *made])


def package() -> PackageDeploy:
    """Log in as the administrator, and look at the org without writing anything.

    Raises:
        InvoicingError: there is no such login, or the org does not answer.
    """
    try:
        return PackageDeploy(administrator())
    except Misconfigured as error:
        raise Misconfigured(f"{error}\n\n{NEEDS}") from None


def services(*, org: bool) -> Services:
    """Read the settings, and look at both services without writing anything.

    Args:
        org: Whether a Salesforce org is needed, too.

    Raises:
        InvoicingError: something is missing, or is not for trying things out.
    """
    for cache in (settings, database.engine, stripe.client, salesforce.client):
        cache.cache_clear()
    try:
        wanted = settings().stripe if org else _StripeAlone().stripe
    except (Misconfigured, ValidationError) as error:
        why = f"{error}\n\n" if isinstance(error, Misconfigured) else ""
        raise Misconfigured(why + NEEDS) from None
    _check_account(wanted)
    if org:
        _check_org(settings().salesforce, Stage(connect(wanted)))
    return Services(wanted, settings().salesforce.org_id if org else None)


def _check_account(wanted: Stripe) -> None:
    live = wanted.livemode or "_live_" in wanted.api_key.get_secret_value()
    if live and not is_local(wanted.base_url):
        raise Rejected(
            "This is a live key, or INVOICING_STRIPE__LIVEMODE is true. Nothing of this is done "
            "with real money: take a key of the account's test mode, and set false."
        )
    try:
        found = connect(wanted).v1.accounts.retrieve_current().id
    except sdk.StripeError as error:
        raise EnvironmentMismatch(f"Stripe did not say whose key this is: {error}") from None
    if found != wanted.account_id:
        raise EnvironmentMismatch(
            f"The key belongs to {found}, INVOICING_STRIPE__ACCOUNT_ID says {wanted.account_id}."
        )


def _check_org(wanted: Salesforce, stage: Stage) -> None:
    """Make sure that it is the org of the settings, and one to try things out in.

    Source of what tells production orgs: Object Reference for Salesforce, "Organization".
    """
    fields = ["Id", "IsSandbox", "OrganizationType"]
    [org] = stage.org.query(Query("Organization", fields))
    found = org["Id"]
    if not same_id(found, wanted.org_id):
        raise EnvironmentMismatch(
            f"The login is for {found}, INVOICING_SALESFORCE__ORG_ID says {wanted.org_id}."
        )
    local = wanted.url is not None and is_local(wanted.url)
    if not (local or org["IsSandbox"] or org["OrganizationType"] == "Developer Edition"):
        raise Rejected(
            f"{found} is a production org ({org['OrganizationType']}). Take a sandbox, a scratch "
            "org or a Developer Edition."
        )
    if strangers := stage.strangers():
        raise Rejected(
            f"{found} has {strangers} or more invoices of other Accounts. Flows that look at all "
            "invoices would change them: take an org that has none."
        )
