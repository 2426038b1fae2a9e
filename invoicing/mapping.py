"""The field mapping of the org in the settings.

``python -m invoicing.mapping`` checks it against the org.
"""

import runpy
import tomllib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from pydantic import ValidationError

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.model.wording import nearest
from invoicing.domain.salesforce.field_mapping import OrgMapping, with_namespace
from invoicing.domain.salesforce.org_field_values import OrgFieldReader
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.errors import Misconfigured
from invoicing.settings import settings


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
        raise Misconfigured(all_mistakes(path, _structural(error))) from None


def _structural(error: ValidationError) -> Iterator[str]:
    """Mistakes that pydantic found, in words; unknown words with the nearest known ones."""
    for found in error.errors(include_input=False):
        *where, last = map(str, found["loc"])
        place = ".".join(where) or "the file"
        if found["type"] == "extra_forbidden":
            yield f"{place} knows no {last!r}{nearest(last, _words(where))}"
        else:
            yield f"{'.'.join([*where, last])}: {found['msg']}."


def _words(where: list[str]) -> list[str]:
    """The words that a table of the file knows."""
    schema = OrgMapping.model_json_schema()
    tables = {name.lower(): list(t["properties"]) for name, t in schema["$defs"].items()}
    tables["objects"] = tables["objectmapping"]
    return tables.get(where[0] if where else "", list(schema["properties"]))


def all_mistakes(path: Path | None, wrong: Iterable[str]) -> str:
    """Everything that is wrong with a mapping, or with an org that has none, as one message."""
    what = f"The field mapping {path} does not fit:" if path else "The org lacks what is needed:"
    return "\n".join([what, *(f"- {line}" for line in wrong)])


@lru_cache(maxsize=1)
def org_mapping() -> OrgMapping | None:
    """The names that the settings say the org has, read once per process; None: our own.

    That is what the field mapping says, and the package's namespace.

    Raises:
        Misconfigured: with everything that is wrong with the structure of the file.
    """
    path, namespace = settings().mapping, settings().salesforce.namespace
    mapping = read_mapping(path) if path else None
    return with_namespace(mapping or OrgMapping(), namespace) if namespace else mapping


@lru_cache(maxsize=1)
def org_field_reader() -> OrgFieldReader:
    """Reader of the org's own fields, by the field mapping of the settings."""
    return OrgFieldReader(org_mapping() or OrgMapping())


def schema_fingerprint() -> str:
    """Fingerprint of what this release needs of an org, and of the names that it has there."""
    mapping = org_mapping()
    needed = [(name, *sorted(needed.fields)) for name, needed in OBJECTS.items()]
    return fingerprint(mapping and mapping.model_dump_json(), needed)


if __name__ == "__main__":  # what asks the org reads its mapping here, so it is not imported
    runpy.run_module("invoicing.org_check", run_name="__main__")
