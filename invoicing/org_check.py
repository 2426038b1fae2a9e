"""The field mapping of the settings, checked against the org: by hand, and as runs start."""

import sys
from collections.abc import Iterator
from functools import cache

from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.model.wording import nearest
from invoicing.domain.salesforce.field_mapping import OrgMapping
from invoicing.domain.salesforce.mapping_validation import (
    Describe,
    missing_names,
    mistakes,
    own_mistakes,
    shorter_texts,
)
from invoicing.domain.salesforce.org_fields import OrgFieldReader
from invoicing.domain.salesforce.queries import Query
from invoicing.errors import EnvironmentMismatch, InvoicingError, Misconfigured, Rejected
from invoicing.mapping import all_mistakes, org_mapping
from invoicing.settings import settings


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
    wrong = own_mistakes(mapping) + mistakes(mapping, describe, org.object_names)
    wrong += data_mistakes(mapping, org)
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


def data_mistakes(mapping: OrgMapping, org: Salesforce) -> Iterator[str]:
    """A price book that is not there, and a condition that is no SOQL."""
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
