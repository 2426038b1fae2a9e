"""The field mapping of the settings, checked against the org: by hand, and as runs start."""

import sys
from collections.abc import Iterator
from functools import cache

from more_itertools import always_iterable

from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.model.record_ids import looks_like_id
from invoicing.domain.model.wording import caseless, nearest
from invoicing.domain.salesforce.field_mapping import AUTOMATIC, Names, OrgMapping
from invoicing.domain.salesforce.mapping_validation import (
    Describe,
    missing_names,
    mistakes,
    own_mistakes,
    shorter_texts,
)
from invoicing.domain.salesforce.org_field_values import OrgFieldReader
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.record import APPROVAL_KEY, INVOICE, LINE
from invoicing.domain.salesforce.request_record import REQUEST
from invoicing.errors import EnvironmentMismatch, InvoicingError, Misconfigured, Rejected
from invoicing.mapping import all_mistakes, org_mapping
from invoicing.settings import settings


def has_approvals(org: Salesforce) -> bool:
    """Whether an org has what approvers decide by: requests, and what is asked on the record."""
    return org.has(REQUEST) and org.keeps(INVOICE, APPROVAL_KEY)


def check_org(org: Salesforce, describe: Describe) -> dict[str, dict[str, int]]:
    """Compare what this project needs with what the org says of its objects.

    Args:
        org: The org.
        describe: Its describe, of which about seven objects are asked for.

    Returns:
        Characters that the org's fields hold, where longer texts are cut: by our object and field.

    Raises:
        Misconfigured: with every mistake, and the nearest name that exists.
    """
    mapping = org_mapping() or OrgMapping()
    wrong = [
        *own_mistakes(mapping),
        *mistakes(mapping, describe, org.object_names),
        *data_mistakes(mapping, org, describe),
    ]
    if wrong:
        raise Misconfigured(all_mistakes(settings().mapping, wrong))
    return shorter_texts(mapping, describe)


def check_package(org: Salesforce, describe: Describe) -> None:
    """Refuse an org whose package is older than this release, before anything is written.

    Raises:
        Misconfigured: with every object and field that the org lacks.
    """
    wrong = list(missing_names(org_mapping() or OrgMapping(), describe, org.object_names))
    if wrong:
        raise Misconfigured(all_mistakes(None, wrong))


def data_mistakes(mapping: OrgMapping, org: Salesforce, describe: Describe) -> Iterator[str]:
    """Records and tax rates that are not there, and a condition that is no SOQL."""
    name = mapping.price_book.name
    books = [row["Name"] for row in org.query(Query("Pricebook2", ["Name"]))] if name else []
    if name not in books and name:
        yield f"price_book.name: the org has no price book {name!r}{nearest(name, books)}"
    asked = OrgFieldReader(mapping).contact_query("001000000000000")
    try:
        if asked:
            org.query(asked)
    except (Rejected, EnvironmentMismatch) as error:
        yield f"billing_contact: {error}"
    yield from _rate_mistakes(mapping)
    for ours in (INVOICE, LINE):
        yield from _record_mistakes(ours, Names(mapping), org, describe)


def _rate_mistakes(mapping: OrgMapping) -> Iterator[str]:
    """Names of taxes that the settings do not know."""
    known = settings().stripe.tax_rates
    for value, said in mapping.tax.rates.items():
        for rate in always_iterable(said) if said != AUTOMATIC else []:
            if not rate.startswith("txr_") and caseless(rate) not in map(caseless, known):
                yield (
                    f"tax.rates: {value!r} is taxed by {rate!r}, which is neither a name in "
                    f"INVOICING_STRIPE__TAX_RATES nor an id (txr_…){nearest(rate, known)}"
                )


def _record_mistakes(ours: str, names: Names, org: Salesforce, describe: Describe) -> Iterator[str]:
    """Ids that new records are to point at, of records that the org does not have."""
    new = names.of(ours).mapping.new
    ids = {name: value for name, value in new.items() if looks_like_id(str(value))}
    found = describe(names.sobject(ours)) if ids else None
    if not found:
        return
    for field in found["fields"]:
        value, targets = str(ids.get(field["name"], "")), field["referenceTo"]
        if value and targets and not any(_is_there(org, one, value) for one in targets):
            yield (
                f"{found['name']}.{field['name']} of new records: there is no "
                f"{' or '.join(targets)} with the id {value!r}, or it is hidden from us."
            )


def _is_there(org: Salesforce, sobject: str, record_id: str) -> bool:
    """Whether a record exists, or nobody can tell."""
    try:
        return bool(org.query(Query(sobject, ["Id"], where=equals("Id", record_id))))
    except (Rejected, EnvironmentMismatch):
        return True


def main() -> None:
    """Check the field mapping of the settings against the org, and report the outcome."""
    try:
        org = Salesforce(settings().salesforce, org_mapping())
        shorter = check_org(org, cache(org.describe))
    except InvoicingError as error:
        sys.exit(str(error))
    sys.stdout.write("The org has everything this project needs, under the names it was given.\n")
    for sobject, fields in shorter.items():
        for name, length in fields.items():
            sys.stdout.write(f"{sobject}.{name} gets the first {length} characters of a text.\n")


if __name__ == "__main__":
    main()
