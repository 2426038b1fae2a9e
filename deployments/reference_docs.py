"""The pages of `docs/reference`, made from the code and the Salesforce package by ``make docs``."""

import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml
from prefect.utilities.callables import parameter_schema
from sqlmodel import SQLModel

from invoicing import errors
from invoicing.doctor.stripe_checks import PERMISSIONS, new_key_link
from invoicing.ledger import models

ROOT = Path(__file__).parents[1]
PERMISSION_SETS = ROOT / "deployments/salesforce/force-app/main/default/permissionsets"
NAMESPACE = "{http://soap.sforce.com/2006/04/metadata}"

FLOWS = """# Flows and parameters

Written by `make docs` from [prefect.yaml](../../prefect.yaml) and the functions in
[flows](../../flows).
The [forms](../forms.md) show the same to people. Programs give parameters as JSON, by these names;
all may be left out but those whose default says *needed*.
"""
ERRORS = """# Errors

Written by `make docs` from [invoicing/errors.py](../../invoicing/errors.py). A run that fails says
in its state, in words, what is wrong and with which record. What happens next depends on the kind:

| kind | is a | what it means | who acts |
|---|---|---|---|
"""
PERMISSIONS_HEAD = """# Permissions

Written by `make docs` from the checks of `make doctor` and the Salesforce package, and no more than
what is tested.

## The Stripe key

[This page of Stripe's]({link}) makes a restricted key with these; *Account: Read*, *Tax Settings:
Read* and *Webhook Endpoints: Read* are for `make doctor` alone.

"""
LEDGER = """# Ledger tables

Written by `make docs` from [invoicing/ledger/models.py](../../invoicing/ledger/models.py).
They are ours to change: programs read Salesforce and Stripe, not these. Instants are UTC.
"""

NEXT = {
    errors.TransientError: "nobody: the step is tried again, later and later",
    errors.Busy: "nobody: it waits for the other run",
    errors.Throttled: "nobody: calls slow down, then go on",
    errors.Rejected: "whoever started it: change what the message names, start it again",
    errors.NotFound: "whoever started it: correct the name or id",
    errors.WriteRefused: "whoever looks after the org: change the rule or the right that it names",
    errors.Conflict: "a person: compare both sides, decide, sync the invoice",
    errors.Superseded: "nobody: the later attempt goes on",
    errors.EventsMissed: "nobody: a full sync was started",
    errors.EnvironmentMismatch: "whoever runs it: correct key, org or mode in the settings",
    errors.Misconfigured: "whoever runs it: correct the settings; `make doctor` names them",
}
"""What happens next, by the kind of error."""


def flows_page() -> str:
    """Every deployment with its parameters."""
    deployed = yaml.safe_load((ROOT / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return FLOWS + "".join(_flow(each) for each in sorted(deployed, key=lambda each: each["name"]))


def errors_page() -> str:
    """Every kind of error, and who acts."""
    kinds = sorted(error_kinds(), key=list(NEXT).index)
    rows = (
        f"| `{kind.__name__}` | `{kind.__base__.__name__}` | {_first(kind)} | {NEXT[kind]} |\n"
        for kind in kinds
        if kind.__base__
    )
    last = "\nAnything else is unknown: the run fails, and all that is needed to go on is kept.\n"
    return ERRORS + "".join(rows) + last


def error_kinds() -> list[type[errors.InvoicingError]]:
    """Every kind of error that is raised on purpose, the base of all aside."""
    base = errors.InvoicingError
    defined = {each for each in vars(errors).values() if isinstance(each, type)}  # each by any name
    return [each for each in defined - {base} if issubclass(each, base)]


def permissions_page() -> str:
    """What the Stripe key needs, and what each permission set of the package grants."""
    rows = (f"- {each.label}\n" for each in PERMISSIONS)
    sets = (_permission_set(file) for file in sorted(PERMISSION_SETS.glob("*.xml")))
    return PERMISSIONS_HEAD.format(link=new_key_link()) + "".join(rows) + "".join(sets)


def ledger_page() -> str:
    """Every table with its columns."""
    tables = [each for each in vars(models).values() if _is_table(each)]
    return LEDGER + "".join(_table(each) for each in tables)


PAGES: dict[str, Callable[[], str]] = {
    "docs/reference/flows.md": flows_page,
    "docs/reference/errors.md": errors_page,
    "docs/reference/permissions.md": permissions_page,
    "docs/reference/ledger.md": ledger_page,
}


def _flow(deployment: dict[str, Any]) -> str:
    module, name = deployment["entrypoint"].replace("/", ".").split(".py:")
    schema = parameter_schema(getattr(import_module(module), name).fn).model_dump()
    in_prefect = re.compile(r"\[([^\]]+)\]\(/[^)]*\)")
    told = in_prefect.sub(r"\1", deployment["description"])
    text = f"\n## {deployment['name']}\n\n{told}\n"
    if not schema["properties"]:
        return f"{text}\nIt has no parameters.\n"
    text += _fields(schema, schema)
    for group in _groups(schema, schema, []):
        text += f"\nA **{group}**:\n" + _fields(schema["definitions"][group], schema)
    return text


def _fields(form: dict[str, Any], schema: dict[str, Any]) -> str:
    rows = "\n| parameter | kind | default | what |\n|---|---|---|---|\n"
    for name, field in form["properties"].items():
        needed = name in form.get("required", ())
        default = "needed" if needed else _default(field.get("default"))
        rows += f"| `{name}` | {_kind(field, schema)} | {default} | {_cell(field)} |\n"
    return rows


def _groups(form: dict[str, Any], schema: dict[str, Any], known: list[str]) -> list[str]:
    """The groups of fields that a form refers to, each once, in the form's order."""
    for field in form["properties"].values():
        for part in (field, field.get("items", {}), *_alternatives(field)):
            group = part.get("$ref", "").rpartition("/")[2]
            if group and group not in known and "properties" in schema["definitions"][group]:
                known.append(group)
                _groups(schema["definitions"][group], schema, known)
    return known


def _kind(field: dict[str, Any], schema: dict[str, Any]) -> str:
    held = [part for part in _alternatives(field) if part.get("type") not in ("null", "object")]
    field = held[0] if held else field
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        group = schema["definitions"][name]
        return name if "properties" in group else _kind(group, schema)
    if "enum" in field:
        return " · ".join(f"`{each}`" for each in field["enum"] if each)
    if field.get("type") == "array":
        return f"list of {_kind(field.get('items', {}), schema)}"
    return str(field.get("format") or field.get("type", "any"))


def _alternatives(field: dict[str, Any]) -> list[dict[str, Any]]:
    """What a field may hold, where that is a group or left as usual."""
    return [*field.get("allOf", ()), *field.get("anyOf", ())]


def _default(value: object) -> str:
    if value in (None, "", [], {}) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _cell(field: dict[str, Any]) -> str:
    return " ".join(str(field.get("description", "")).split()).replace("|", "/")


def _first(kind: type) -> str:
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")


def _permission_set(file: Path) -> str:
    root = ElementTree.parse(file).getroot()  # noqa: S314  ours

    def said(element: ElementTree.Element, name: str) -> str:
        return element.findtext(NAMESPACE + name, "")

    text = f"\n## {said(root, 'label')}\n\n{said(root, 'description')}\n"
    text += "\n| object | may | fields that it sees | fields that it changes |\n|---|---|---|---|\n"
    rights = {
        said(each, "object"): ", ".join(
            word
            for word in ("read", "create", "edit", "delete", "viewAllRecords", "modifyAllRecords")
            if said(each, word if word.endswith("Records") else f"allow{word.title()}") == "true"
        )
        for each in root.iterfind(f"{NAMESPACE}objectPermissions")
    }
    seen: dict[str, list[str]] = {}
    changed: dict[str, list[str]] = {}
    for each in root.iterfind(f"{NAMESPACE}fieldPermissions"):
        owner, _, name = said(each, "field").partition(".")
        kind = changed if said(each, "editable") == "true" else seen
        kind.setdefault(owner, []).append(f"`{name}`")
    for name in sorted({*rights, *seen, *changed}):
        cells = (rights.get(name, ""), *(" ".join(d.get(name, ())) for d in (seen, changed)))
        text += f"| `{name}` | {' | '.join(cells)} |\n"
    return text


def _is_table(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, SQLModel) and hasattr(value, "__table__")


def _table(model: type[SQLModel]) -> str:
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    described = inspect.getdoc(model) or ""
    rows = "\n| column | kind | key | what |\n|---|---|---|---|\n"
    for column in table.columns:
        field = model.model_fields[column.name]
        key = "key" if column.primary_key else "" if not column.nullable else "may be empty"
        kind = getattr(column.type, "impl", column.type).__class__.__name__.lower()
        rows += f"| `{column.name}` | {kind} | {key} | {field.description or ''} |\n"
    return f"\n## {table.name}\n\n{described}\n{rows}"


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (ROOT / name).parent.mkdir(exist_ok=True)
        (ROOT / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
