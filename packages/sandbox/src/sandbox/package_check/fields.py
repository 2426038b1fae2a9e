"""Fields and objects: what an org asks of a field of each type, and how objects belong together.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/customfield.htm
and customobject.htm of the same guide; Salesforce Help, "Custom Field Types" and "Relationship
Considerations"; for what a deploy refuses beyond these, the deploy logs of public projects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.names import API_NAME
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Package
from sandbox.salesforce.formula import read_formula
from sandbox.salesforce.schema import METADATA_TYPE

NEEDS = {
    "Checkbox": ("defaultValue",),
    "Currency": ("precision", "scale"),
    "LongTextArea": ("length", "visibleLines"),
    "Lookup": ("referenceTo", "relationshipName"),
    "MasterDetail": ("referenceTo", "relationshipName"),
    "Number": ("precision", "scale"),
    "Percent": ("precision", "scale"),
    "Picklist": ("valueSet",),
    "Text": ("length",),
}
"""By type: what a field says."""

REFUSES = {
    "Checkbox": ("length", "required", "unique"),
    "Lookup": ("relationshipOrder", "reparentableMasterDetail", "writeRequiresMasterRead"),
    "LongTextArea": ("externalId", "required", "unique"),
    "MasterDetail": ("deleteConstraint", "required"),
    "Summary": ("length", "precision", "required", "scale"),
    "TextArea": ("length",),
}
"""By type: what no field can say."""

LENGTHS = {"Text": (1, 255), "LongTextArea": (256, 131_072)}
"""By type: the fewest and the most characters that a field can hold."""

DIGITS = 18
"""The most digits of a number."""

MASTERS = 2
"""The most masters that an object can have."""

OF_THE_MASTER = "ControlledByParent"


def check_fields(package: Package, org: Org, findings: Findings) -> None:
    """Check every field and every object that a package directory brings."""
    for component in package.own():
        if component.kind == "CustomField":
            for wrong in (*_field_mistakes(component), *_formula_mistakes(component, org)):
                findings.expect(not wrong, f"{component.path}: {wrong}")
        if component.kind == "CustomObject" and not component.name.endswith(METADATA_TYPE):
            for wrong in _object_mistakes(component, package):
                findings.expect(not wrong, f"{component.path}: {wrong}")
    names = Counter(
        (target, field.text("relationshipName"))
        for field in package.all("CustomField")
        for target in field.texts("referenceTo")
    )
    for (target, name), many in names.items():
        findings.expect(many == 1, f"{name} is the name of {many} relationships to {target}.")


def _field_mistakes(field: Component) -> Iterator[str]:
    kind = field.text("type")
    if not field.text("formula"):
        for part in NEEDS.get(kind, ()):
            yield "" if field.root.find(part) is not None else f"a {kind} says its {part}."
    for part in REFUSES.get(kind, ()):
        yield "" if field.root.find(part) is None else f"a {kind} cannot say {part}."
    if kind in LENGTHS and field.text("length"):
        least, most = LENGTHS[kind]
        fits = least <= int(field.text("length")) <= most
        yield "" if fits else f"a {kind} has {least} to {most} characters."
    if field.text("precision"):
        digits, decimals = int(field.text("precision")), int(field.text("scale") or 0)
        fits = 1 <= digits <= DIGITS and decimals <= digits
        yield "" if fits else f"a number has at most {DIGITS} digits, and no more decimals."
    chosen = [e.text for e in field.root.iterfind(".//valueSetDefinition/value/default")]
    yield "" if chosen.count("true") <= 1 else "several values are its default."
    values = field.texts(".//valueSetDefinition/value/fullName")
    for value, many in Counter(values).items():
        yield "" if many == 1 else f"it has the value {value} {many} times."
    yield from _relationship_mistakes(field)
    yield from _summary_mistakes(field)


def _relationship_mistakes(field: Component) -> Iterator[str]:
    if field.text("type") not in {"Lookup", "MasterDetail"}:
        return
    name = field.text("relationshipName")
    yield "" if API_NAME.fullmatch(name) else f"{name!r} cannot be the name of a relationship."
    constraint = field.text("deleteConstraint") or "SetNull"
    empties = field.text("required") == "true" and constraint == "SetNull"
    yield "a lookup that must be filled cannot be emptied (deleteConstraint)." if empties else ""
    cascades = constraint == "Cascade"
    yield "only Salesforce lets a lookup delete what refers to it." if cascades else ""
    itself = field.text("referenceTo") == field.name.partition(".")[0]
    held = itself and constraint != "SetNull"
    yield "a lookup to its own object holds back no deletion." if held else ""


def _summary_mistakes(field: Component) -> Iterator[str]:
    """Records are counted, fields are summed up."""
    if field.text("type") != "Summary":
        return
    counts, of = field.text("summaryOperation") == "count", field.text("summarizedField")
    yield "" if counts != bool(of) else "a count is of records, everything else of a field."


def _formula_mistakes(field: Component, org: Org) -> Iterator[str]:
    """A formula refers to no long text; a number says how many decimals it has."""
    formula = field.text("formula")
    if not formula:
        return
    if field.text("type") in {"Currency", "Number", "Percent"}:
        for part in ("precision", "scale"):
            yield "" if field.text(part) else f"a formula that is a number says its {part}."
    for part in ("externalId", "required", "unique"):
        yield f"a formula cannot be {part}." if field.text(part) == "true" else ""
    sobject = field.name.partition(".")[0]
    for name in sorted(read_formula(formula).names):
        used = org.field(sobject, name)
        yield f"a formula cannot use {name}, a long text." if used and not used.filterable else ""


def _object_mistakes(component: Component, package: Package) -> Iterator[str]:
    masters = [
        field.name
        for field in package.all("CustomField")
        if field.name.startswith(f"{component.name}.") and field.text("type") == "MasterDetail"
    ]
    yield "" if len(masters) <= MASTERS else f"it has {len(masters)} masters; {MASTERS} it can."
    shared = component.text("sharingModel") == OF_THE_MASTER
    if masters:
        yield "" if shared else f"a detail is shared as its master is: {OF_THE_MASTER}."
    else:
        yield "it has no master that its sharing could follow." if shared else ""
    kind, form = component.text("nameField/type"), component.text("nameField/displayFormat")
    numbered = kind != "AutoNumber" or "{0" in form
    yield "" if numbered else f"{form!r} says nowhere where the number is."
