"""Before a run's first write: org, Stripe account and mode are those that the ledger knows."""

from datetime import UTC, datetime, timedelta
from functools import cache

import orjson

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import OrgFacts
from invoicing.doctor import identity
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.record_ids import same_id
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.mapping_validation import Describe
from invoicing.errors import EnvironmentMismatch
from invoicing.ledger import environment_binding
from invoicing.ledger.models import Binding
from invoicing.mapping import schema_fingerprint
from invoicing.org_check import check_org, check_package
from invoicing.settings import Settings, settings
from tasks.runtime.step import step

VERIFIED_FOR = timedelta(hours=1)
"""A schema changes by deployments, a few in a week. Asking for it costs an org with a field
mapping eleven calls, so 264 a day: 1.8 % of the 15,000 of the smallest edition. What can change
from one run to the next is checked by each: the credentials, the settings, the mapping."""


@step("check that Stripe and Salesforce belong together")
def verify_environment() -> None:
    """Make sure that org, Stripe account and mode are those this ledger is bound to.

    The org must also have what this release needs: under our names, which is looked at once for
    each release and login, or under those of a field mapping. What was found within the last hour
    holds for the same credentials, settings and needs, and for no others.

    Raises:
        EnvironmentMismatch: nothing is written to either system then.
    """
    _verified()


def known_binding() -> Binding:
    """The environment that the ledger knows, verified first where it knows none."""
    return _bound(settings()) or _verified()


def _bound(wanted: Settings) -> Binding | None:
    return environment_binding.binding(wanted.stripe.account_id, livemode=wanted.stripe.livemode)


def _verified() -> Binding:
    wanted = settings()
    bound, access, mapping = _bound(wanted), _access(wanted), schema_fingerprint()
    as_before = bound is not None and (bound.access, bound.mapping) == (access, mapping)
    if bound is not None:
        if not same_id(bound.org_id, wanted.salesforce.org_id):
            raise EnvironmentMismatch(
                f"In this ledger, Stripe account {bound.stripe_account_id} "
                f"({identity.mode(bound.livemode)}) belongs to Salesforce org {bound.org_id}, but "
                f"the settings name {wanted.salesforce.org_id}. Use another ledger for another org."
            )
        fresh = datetime.now(UTC) - bound.verified_at < VERIFIED_FOR
        known = bound.lengths and bound.invoice_prefix
        if fresh and known and as_before:
            return bound
    org = _verify(wanted)
    describe = cache(salesforce.client().describe)
    lengths: dict[str, dict[str, int]] = {}
    if wanted.mapping:
        lengths = check_org(salesforce.client(), describe)
    elif not as_before:
        check_package(salesforce.client(), describe)
    prefix, country_codes = _described(describe)
    return environment_binding.bind(
        Binding(
            stripe_account_id=wanted.stripe.account_id,
            livemode=wanted.stripe.livemode,
            org_id=org.id,
            mapping=mapping,
            access=access,
            multi_currency=org.multi_currency,
            currency=org.currency or wanted.business.currency or "",
            country_codes=country_codes,
            invoice_prefix=prefix,
            lengths=orjson.dumps(lengths).decode(),
            verified_at=datetime.now(UTC),
        )
    )


def _access(wanted: Settings) -> str:
    """Fingerprint of everything that decides which account and org answer, and as whom."""
    org = wanted.salesforce
    secrets = (wanted.stripe.api_key, org.consumer_key, org.consumer_secret)
    return fingerprint(
        [secret and secret.get_secret_value() for secret in secrets],
        [wanted.stripe.base_url, org.org_id, org.domain, org.url, org.username, org.audience],
        [org.multi_currency, wanted.business.currency],
    )


def _verify(wanted: Settings) -> OrgFacts:
    identity.check_key_mode(wanted)
    identity.check_account(wanted, stripe.client().account()["id"])
    org = salesforce.client().org()
    identity.check_org(wanted, org)
    identity.check_currency(wanted, org)
    return org


def _described(describe: Describe) -> tuple[str, bool]:
    """How the ids of the org's invoices begin, and whether its Accounts have codes of countries.

    Raises:
        EnvironmentMismatch: the org has no object for invoices, or hides it.
    """
    org = salesforce.client()
    name = org.own_object(record.INVOICE)
    invoices = describe(name)
    if invoices is None:
        raise EnvironmentMismatch(
            f"The Salesforce org has no object {name}, or hides it from the integration user. "
            "Deploy deployments/salesforce and assign its permission set, or correct the field "
            "mapping."
        )
    accounts = describe("Account") or {"fields": []}
    there = {field["name"] for field in accounts["fields"]}
    codes = [org.own_field("Account", code) for code in record.ADDRESS_CODES]
    return str(invoices["keyPrefix"]), all(code in there for code in codes)
