"""Before a run's first write: org, Stripe account and mode are those that the ledger knows."""

from datetime import UTC, datetime, timedelta

from prefect import task

from invoicing.connectors import salesforce, stripe
from invoicing.domain.model.record_ids import same_id
from invoicing.errors import EnvironmentMismatch
from invoicing.ledger import links
from invoicing.mapping import mapping_fingerprint
from invoicing.mapping_check import check_org
from invoicing.settings import Settings, settings
from tasks.runtime.retries import STEP

VERIFIED_FOR = timedelta(hours=1)
"""A schema changes by deployments, a few in a week. Asking for it costs an org with a field
mapping eleven calls, so 264 a day: 1.8 % of the 15,000 of the smallest edition."""


@task(task_run_name="check the world", **STEP)
def verify_environment() -> None:
    """Make sure that org, Stripe account and mode are those this ledger is bound to.

    Where a field mapping gives the org's own names, the org must also be as it says.

    Raises:
        EnvironmentMismatch: nothing is written to either system then.
    """
    wanted = settings()
    bound = links.binding(wanted.stripe.account_id, livemode=wanted.stripe.livemode)
    if bound is not None:
        if not same_id(bound.org_id, wanted.salesforce.org_id):
            raise EnvironmentMismatch(
                f"In this ledger, Stripe account {bound.stripe_account_id} "
                f"({_mode(bound.livemode)}) belongs to Salesforce org {bound.org_id}, but the "
                f"settings name {wanted.salesforce.org_id}. Use another ledger for another org."
            )
        fresh = datetime.now(UTC) - bound.verified_at < VERIFIED_FOR
        if fresh and bound.mapping == mapping_fingerprint():
            return
    org_id = _verify(wanted)
    if wanted.mapping:
        check_org()
    links.bind(
        org_id,
        wanted.stripe.account_id,
        livemode=wanted.stripe.livemode,
        mapping=mapping_fingerprint(),
    )


def _verify(wanted: Settings) -> str:
    if ("_live_" in wanted.stripe.api_key.get_secret_value()) != wanted.stripe.livemode:
        raise EnvironmentMismatch(f"The Stripe key is not a {_mode(wanted.stripe.livemode)} key.")
    account_id = stripe.client().account()["id"]
    if account_id != wanted.stripe.account_id:
        raise EnvironmentMismatch(
            f"The Stripe key belongs to {account_id}, but INVOICING_STRIPE__ACCOUNT_ID says "
            f"{wanted.stripe.account_id}."
        )
    org_id = salesforce.client().org_id()
    if not same_id(org_id, wanted.salesforce.org_id):
        raise EnvironmentMismatch(
            f"The Salesforce login belongs to org {org_id}, but INVOICING_SALESFORCE__ORG_ID "
            f"says {wanted.salesforce.org_id}."
        )
    return org_id


def _mode(livemode: bool) -> str:
    return "live mode" if livemode else "test mode"
