"""The field mapping of the org in the settings: read, checked against the org, shown.

``python -m invoicing.mapping`` checks it by hand; flows check it at start.
"""

import hashlib
import sys
import tomllib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from invoicing.domain.salesforce.custom_fields import Carrier
from invoicing.domain.salesforce.field_mapping import OrgMapping
from invoicing.domain.salesforce.mapping_validation import mistakes, nearest, own_mistakes
from invoicing.errors import InvoicingError, Misconfigured, Refused, WrongWorld
from invoicing.settings import settings

if TYPE_CHECKING:
    from invoicing.connectors.salesforce import Salesforce


def read_mapping(path: Path) -> OrgMapping:
    """A field mapping from its TOML file, as far as the file by itself makes sense.

    Raises:
        Misconfigured: with everything that is wrong with the structure of the file.
    """
    try:
        return OrgMapping.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise Misconfigured(f"INVOICING_MAPPING: {path} cannot be read ({error}).") from None
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured(f"INVOICING_MAPPING: {path} is not TOML: {error}.") from None
    except ValidationError as error:
        raise Misconfigured(_all(path, _structural(error))) from None


def _structural(error: ValidationError) -> list[str]:
    """What pydantic found, in words; unknown words with the nearest known ones."""
    said = []
    for found in error.errors(include_input=False):
        *where, last = map(str, found["loc"])
        place = ".".join(where) or "the file"
        if found["type"] == "extra_forbidden":
            said.append(f"{place} knows no {last!r}{nearest(last, _words(where))}.")
        else:
            said.append(f"{'.'.join([*where, last])}: {found['msg']}.")
    return said


def _words(where: list[str]) -> list[str]:
    """The words that a table of the file knows."""
    schema = OrgMapping.model_json_schema()
    tables = {name.lower(): list(t["properties"]) for name, t in schema["$defs"].items()}
    tables["objects"] = tables["objectmapping"]
    return tables.get(where[0] if where else "", list(schema["properties"]))


def _all(path: Path | None, wrong: list[str]) -> str:
    what = f"The field mapping {path} does not fit:" if path else "The org lacks what is needed:"
    return "\n".join([what, *(f"- {line}" for line in wrong)])


@lru_cache(maxsize=1)
def org_mapping() -> OrgMapping | None:
    """The field mapping of the settings, read once per process; None for our own names.

    Raises:
        Misconfigured: with everything that is wrong with the structure of the file.
    """
    path = settings().mapping
    return read_mapping(path) if path else None


@lru_cache(maxsize=1)
def org_carrier() -> Carrier:
    """What the org's own fields say of invoices, by the field mapping of the settings."""
    return Carrier(org_mapping() or OrgMapping())


def fingerprint() -> str:
    """What tells one field mapping from another; empty for our own names."""
    mapping = org_mapping()
    return hashlib.sha256(mapping.model_dump_json().encode()).hexdigest()[:32] if mapping else ""


def check_org() -> None:
    """Compare what this project needs with what the org says of its objects.

    Costs a login and one call for each object, of which there are about seven.

    Raises:
        Misconfigured: with every mistake, and the nearest name that exists.
    """
    from invoicing.connectors.salesforce import Salesforce

    mapping = org_mapping() or OrgMapping()
    org = Salesforce(settings().salesforce)
    wrong = own_mistakes(mapping) + mistakes(mapping, cache(org.describe), org.object_names)
    wrong += _wrong_in_data(mapping, org)
    if wrong:
        raise Misconfigured(_all(settings().mapping, wrong))


def _wrong_in_data(mapping: OrgMapping, org: "Salesforce") -> Iterator[str]:
    """A price book that is not there, and a condition that is no SOQL."""
    name = mapping.price_book.name
    books = [row["Name"] for row in org.query("SELECT Name FROM Pricebook2")] if name else []
    if name not in books and name:
        guess = nearest(name, books) or "."
        yield f"price_book.name: the org has no price book {name!r}{guess}"
    asked = Carrier(mapping).contact_query("'001000000000000'")
    try:
        if asked:
            org.query(asked)
    except (Refused, WrongWorld) as error:
        yield f"billing_contact: {error}"


def main() -> None:
    """Check the field mapping of the settings against the org, and say what came of it."""
    try:
        check_org()
    except InvoicingError as error:
        sys.exit(str(error))
    sys.stdout.write("The org has everything this project needs, under the names it was given.\n")


if __name__ == "__main__":
    main()
