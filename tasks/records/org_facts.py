"""Facts of the org that runs go by: its currencies, fields and text lengths, from the ledger."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from invoicing.connectors import salesforce
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.record import OrgCurrency
from invoicing.ledger.models import Binding
from invoicing.settings import settings
from tasks.records.environment_check import known_binding


def org_currency() -> OrgCurrency:
    """The currencies of the org, as it says itself; from the ledger."""
    return _currency(known_binding())


def account_fields() -> tuple[str, ...]:
    """The fields of an Account that this org has, of those that are read."""
    bound = known_binding()
    codes = record.ADDRESS_CODES if bound.country_codes else ()
    return (*record.ACCOUNT_FIELDS, *_currency(bound).fields, *codes)


def invoice_prefix() -> str:
    """How the ids of the org's invoices begin."""
    return known_binding().invoice_prefix


def _currency(bound: Binding) -> OrgCurrency:
    return OrgCurrency(several=bound.multi_currency, own=bound.currency)


def text_lengths(sobject: str) -> Mapping[str, int]:
    """Characters that an org's own fields hold, where that is less than ours; by our names.

    From the ledger, once for each process: as the org described itself when it was checked.
    """
    return _lengths(salesforce.client()).get(sobject, {}) if settings().mapping else {}


@lru_cache(maxsize=1)
def _lengths(_org: salesforce.Salesforce) -> dict[str, dict[str, int]]:
    return dict(orjson.loads(known_binding().lengths or "{}"))
