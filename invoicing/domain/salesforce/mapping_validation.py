"""Whether a field mapping fits: with our schema, and with what the org says of its objects.

Everything wrong is found at once, each thing a sentence with the nearest name that exists.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from more_itertools import duplicates_everseen

from invoicing.domain.model.wording import nearest
from invoicing.domain.salesforce.default_value_validation import (
    NUMBERS,
    TEXTS,
    default_value_mistakes,
)
from invoicing.domain.salesforce.field_mapping import Names, ObjectMapping, OrgMapping
from invoicing.domain.salesforce.org_field_values import org_field_mistakes
from invoicing.domain.salesforce.record import INVOICE, LINE
from invoicing.domain.salesforce.required_schema import OBJECTS, Field, SObject

Description = Mapping[str, Any]
"""Salesforce's answer to sObject Describe.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/
resources_sobject_describe.htm
"""

Describe = Callable[[str], Description | None]
"""Asks the org for one of its objects, by its own name."""

COMPATIBLE_TYPES: Mapping[str, frozenset[str]] = {
    "text": TEXTS,
    "number": NUMBERS,
    "boolean": frozenset(["boolean"]),
    "date": frozenset(["date"]),
    "datetime": frozenset(["datetime"]),
    "picklist": frozenset(["picklist", "string"]),
    "reference": frozenset(["reference"]),
}
"""The types of Salesforce that will do for each kind of ours."""

RIGHTS = {
    "queryable": "read",
    "createable": "create",
    "updateable": "change",
    "deletable": "delete",
}


def own_mistakes(mapping: OrgMapping) -> list[str]:
    """Mistakes of a mapping whatever the org: unknown names, missing required ones."""
    wrong: list[str] = []
    for ours, asked in mapping.objects.items():
        if ours in OBJECTS:
            wrong += _wrong_left_sides(ours, OBJECTS[ours], asked)
        else:
            wrong.append(f"objects: we have no {ours!r}{nearest(ours, OBJECTS)}")
    return [*wrong, *org_field_mistakes(mapping)]


def _wrong_left_sides(ours: str, schema: SObject, asked: ObjectMapping) -> Iterator[str]:
    if asked.leave_out and not schema.optional:
        yield f"{ours} cannot be left out; map it to an object of the org."
    for name, theirs in asked.all_fields(schema).items():
        field = schema.fields.get(name)
        if field is None:
            yield f"{ours}: we have no field {name!r}{nearest(name, schema.fields)}"
        elif field.needed and not theirs:
            yield f"{ours}.{name} cannot be left out; map it to a field of the org."
    for name in asked.children.keys() - schema.children.keys():
        yield f"{ours}: we read no child relationship {name!r}{nearest(name, schema.children)}"
    if asked.new and ours not in (INVOICE, LINE):
        yield f"{ours}.new: only invoices and their lines are made with values of the org's own."
    for name, words in asked.values.items():
        known = schema.fields[name].values if name in schema.fields else ()
        if not known:
            picklists = [n for n, field in schema.fields.items() if field.values]
            yield f"{ours}: we have no picklist {name!r}{nearest(name, picklists)}"
        for word in [word for word in words if known and word not in known]:
            yield f"{ours}.{name}: we have no value {word!r}{nearest(word, known)}"
    twice = duplicates_everseen(filter(None, asked.fields.values()))
    yield from (f"{ours}: two of our fields are mapped to {name!r}." for name in sorted({*twice}))


def mistakes(
    mapping: OrgMapping, describe: Describe, existing: Callable[[], Iterable[str]] = tuple
) -> list[str]:
    """Everything in which the org is not as the mapping says, or not as we need it.

    Args:
        mapping: What the org is said to be like.
        describe: What the org says of an object by its own name; None: there is none.
        existing: All object names of the org, to name the nearest of.
    """
    wrong = [one for ours in OBJECTS for one in object_mistakes(ours, mapping, describe, existing)]
    return [*wrong, *path_mistakes(mapping, describe)]


def missing_names(
    mapping: OrgMapping, describe: Describe, existing: Callable[[], Iterable[str]] = tuple
) -> Iterator[str]:
    """What the package brings and the org has not: the package is older than this release.

    Whatever else an org may have made otherwise, a value, a field of its own that has to be filled,
    is its own matter until it is in the way; the doctor tells of it.
    """
    names = Names(mapping)
    for ours, schema in OBJECTS.items():
        found = describe(names.sobject(ours)) if names.keeps(ours) else None
        if found is not None:
            there = {field["name"] for field in found["fields"]}
            of = names.of(ours)
            for name, wanted in schema.fields.items():
                target = of.out(name)
                if target and target not in there and not wanted.if_there:
                    yield f"{found['name']}.{target}: there is no such field, or it is hidden."
        elif ours.endswith("__c") or not schema.optional:
            yield from object_mistakes(ours, mapping, describe, existing)


def object_mistakes(
    ours: str,
    mapping: OrgMapping,
    describe: Describe,
    existing: Callable[[], Iterable[str]] = tuple,
) -> list[str]:
    """The same of one of our objects; nothing where the org does without it."""
    names = Names(mapping)
    if not names.keeps(ours):
        return []
    theirs = names.sobject(ours)
    found = describe(theirs)
    if found is None:
        there = list(existing())
        guess = _of_a_namespace(theirs, there) or nearest(theirs, there)
        tip = " Or do without it: leave_out = true." if OBJECTS[ours].optional else ""
        return [f"{ours}: the org has no object {theirs!r}, or hides it{guess}{tip}"]
    return [
        *_object_mistakes(ours, names, found),
        *default_value_mistakes(ours, names, found, partial(_at, describe=describe)),
    ]


def _of_a_namespace(name: str, existing: Iterable[str]) -> str:
    """What to set where a package was installed under a namespace."""
    found = next((one for one in existing if one.endswith(f"__{name}")), None)
    if found is None:
        return ""
    setting = f"INVOICING_SALESFORCE__NAMESPACE={found.removesuffix(f'__{name}')}"
    return f"; it has {found}, of an installed package: set {setting}."


def path_mistakes(mapping: OrgMapping, describe: Describe) -> Iterator[str]:
    """Paths that lead nowhere, and values of the tax field that no tax is named for."""
    invoice = Names(mapping).sobject(INVOICE)
    tax, book = mapping.tax.field, mapping.price_book.account_field
    asked = [
        *(("email", invoice, path) for path in mapping.email),
        *((f"metadata.{name}", invoice, path) for name, path in mapping.metadata.items()),
        *((f"custom_fields.{name}", invoice, path) for name, path in mapping.custom_fields.items()),
        *([("tax.field", invoice, tax)] if tax else []),
        *([("price_book.account_field", "Account", book)] if book else []),
    ]
    for where, sobject, path in asked:
        found = _at(sobject, path, describe)
        if isinstance(found, str):
            yield f"{where}: {found}"
        elif where == "email" and found["type"] not in TEXTS:
            yield f"email: {path} is of type {found['type']}, and an address is needed."
        elif where == "tax.field" and found["type"] == "picklist":
            yield from _tax_mistakes(mapping.tax.rates, found)
        elif where == "price_book.account_field" and "Pricebook2" not in found["referenceTo"]:
            yield f"{where}: {found['name']} is no lookup to a price book."


def _tax_mistakes(rates: Iterable[str], found: Description) -> Iterator[str]:
    offered = [value["value"] for value in found["picklistValues"] if value["active"]]
    for value in rates:
        if value not in offered:
            yield f"tax.rates: {found['name']} offers no value {value!r}{nearest(value, offered)}"
    for value in offered:
        if value not in rates:
            yield f"tax.rates: {found['name']} offers {value!r}, and no tax is named for it."


def _at(sobject: str, path: str, describe: Describe) -> Description | str:
    """The field at the end of a path in the org's names, or why there is none."""
    *steps, last = path.split(".")
    for step in steps:
        found = describe(sobject)
        if found is None:
            return f"the org has no object {sobject!r}, or hides it."
        ways = {f["relationshipName"]: f for f in found["fields"] if f["relationshipName"]}
        if step not in ways:
            return f"{sobject} has no relationship {step!r}{nearest(step, ways)}"
        sobject = ways[step]["referenceTo"][0]
    end = describe(sobject) or {"fields": []}
    fields: dict[str, Description] = {field["name"]: field for field in end["fields"]}
    if last not in fields:
        return f"{sobject} has no field {last!r}, or hides it{nearest(last, fields)}"
    return fields[last]


def _object_mistakes(ours: str, names: Names, found: Description) -> Iterator[str]:
    theirs = str(found["name"])
    of = names.of(ours)
    for right in of.schema.rights:
        if not found.get(right):
            yield f"{theirs}: the integration user may not {RIGHTS[right]} its records."
    fields = {field["name"]: field for field in found["fields"]}
    for name, wanted in of.schema.fields.items():
        target = of.out(name)
        if not target or (wanted.if_there and name not in of.fields and name not in fields):
            continue
        where = f"{theirs}.{target} (for our {name})"
        if target in fields:
            words = of.labels.get(name, {})
            yield from _field_mistakes(where, wanted, fields[target], names, words)
        else:
            tip = "" if wanted.needed or name in of.fields else f' Or leave it out: {name} = "".'
            guess = nearest(target, fields)
            yield f"{where}: there is no such field, or it is hidden from us{guess}{tip}"
    yield from _child_mistakes(ours, names, found)
    if "createable" in of.schema.rights:
        yield from _unfilled(ours, names, found)


def _field_mistakes(
    where: str,
    wanted: Field,
    found: Description,
    names: Names,
    labels: Mapping[str, list[str]],
) -> Iterator[str]:
    kind = found["type"]
    if kind not in COMPATIBLE_TYPES[wanted.kind]:
        yield f"{where} is of type {kind}, and a {wanted.kind} is needed."
        return
    if _is_shorter(wanted, found) and not wanted.cut:
        yield f"{where} holds {found['length']} characters, and {wanted.length} are needed."
    if wanted.kind == "number" and found["scale"] < wanted.scale:
        yield f"{where} keeps {found['scale']} decimals, and {wanted.scale} are needed."
    if wanted.to and names.sobject(wanted.to) not in found["referenceTo"]:
        points = ", ".join(found["referenceTo"])
        yield f"{where} points at {points}, and {names.sobject(wanted.to)} is needed."
    if wanted.unique and not (found["unique"] and found["externalId"] and found["caseSensitive"]):
        yield f"{where} must be an external id, unique and case-sensitive; it is not all of these."
    if not (wanted.read_only or found["updateable"] or found["createable"]):
        yield f"{where} cannot be written: it is computed, or read-only for the integration user."
    if kind == "picklist":
        yield from _value_mistakes(where, wanted, found, labels)


def _is_shorter(wanted: Field, found: Description) -> bool:
    is_text = wanted.kind == "text" and found["type"] != "picklist"
    return bool(is_text and found["length"] < wanted.length)


def shorter_texts(mapping: OrgMapping, describe: Describe) -> dict[str, dict[str, int]]:
    """Characters that the org's fields hold, where a longer text of ours is cut; by our names."""
    names = Names(mapping)
    shorter: dict[str, dict[str, int]] = {}
    for ours, schema in OBJECTS.items():
        found = describe(names.sobject(ours)) if names.keeps(ours) else None
        fields = {field["name"]: field for field in found["fields"]} if found else {}
        there = {
            name: fields[target]["length"]
            for name, wanted in schema.fields.items()
            if wanted.cut
            and (target := names.of(ours).out(name)) in fields
            and _is_shorter(wanted, fields[target])
        }
        if there:
            shorter[ours] = there
    return shorter


def _value_mistakes(
    where: str, wanted: Field, found: Description, labels: Mapping[str, list[str]]
) -> Iterator[str]:
    offered = [value["value"] for value in found["picklistValues"] if value["active"]]
    said = {value: labels.get(value, [value]) for value in wanted.values}
    every = [(word, value) for value, words in said.items() for word in dict.fromkeys(words)]
    for word in dict.fromkeys(duplicates_everseen(word for word, _ in every)):
        meant = " and ".join(repr(value) for one, value in every if one == word)
        yield f"{where} has {word!r} for our {meant}; a word of the org means one of ours."
    for value, words in said.items():
        for word in words:
            if word not in offered:
                yield f"{where} offers no value {word!r} for our {value!r}{nearest(word, offered)}"
    known = {word for word, _ in every}
    if wanted.needed and wanted.values:
        for word in [word for word in offered if word not in known]:
            yield f"{where} offers {word!r}, which is none of ours; say which of ours it means."


def _child_mistakes(ours: str, names: Names, found: Description) -> Iterator[str]:
    for relation, (child, field) in OBJECTS[ours].children.items():
        theirs = names.of(ours).mapping.children.get(relation, relation)
        by_field = names.path(child, field)
        of_child = {
            known["relationshipName"]: known["field"]
            for known in found["childRelationships"]
            if known["childSObject"] == names.sobject(child) and known["relationshipName"]
        }
        if of_child.get(theirs) != by_field:
            right = [name for name, through in of_child.items() if through == by_field]
            tip = f"; it is called {right[0]!r}." if right else nearest(theirs, of_child)
            yield f"{found['name']} has no child relationship {theirs!r} (for our {relation}){tip}"


def _unfilled(ours: str, names: Names, found: Description) -> Iterator[str]:
    """Fields the org demands on new records, and nothing fills."""
    of = names.of(ours)
    filled = {of.out(name) for name in of.schema.fields} | of.mapping.new.keys()
    for field in found["fields"]:
        demanded = field["createable"] and not field["nillable"] and not field["defaultedOnCreate"]
        if demanded and field["name"] not in filled and field["type"] != "boolean":
            yield (
                f"{found['name']}.{field['name']} is required by the org, and nothing here fills "
                f"it; give it a default value, or a value in [objects.{ours}.new]."
            )
