"""Permission sets: they name what is there, and nothing of the package is left out of them.

A deployed field is seen by nobody before a permission set or a profile grants it. Required fields
and master-details cannot be granted; what the org works out can only be read.
Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_permissionset.htm
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Package
from sandbox.salesforce.schema import Field

FOLLOWS = {"Contact": "Account", "Opportunity": "Account"}
"""Standard objects that nobody reads who may not read another one."""

USER_PERMISSIONS = frozenset(["ApiEnabled", "SendCustomNotifications"])
"""What permission sets here grant beside objects and fields; a deploy refuses a name unknown to it.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_profile.htm
"""


def can_be_granted(field: Field) -> bool:
    """Whether a permission set can name a field."""
    return bool(field.granted_as)


def check_permissions(package: Package, org: Org, findings: Findings) -> None:
    """Check each permission set by itself, and all of them together."""
    sets = [c for c in package.own() if c.kind == "PermissionSet"]
    for component in sets:
        for wrong in _mistakes(component, org):
            findings.expect(not wrong, f"{component.path}: {wrong}")
    for wrong in _left_out(sets, package, org) if sets else ():
        findings.expect(not wrong, wrong)


def _mistakes(permissions: Component, org: Org) -> Iterator[str]:
    read: set[str] = set()
    for granted in permissions.root.iterfind("objectPermissions"):
        name = granted.findtext("object") or ""
        yield "" if org.sobject(name) else f"there is no object {name}."
        allowed = {str(e.tag) for e in granted if e.text == "true"}
        read |= {name} if "allowRead" in allowed else set()
        yield from _rights_mistakes(name, allowed)
    for name in sorted(read):
        for master in _masters(org, name):
            there = master in read
            yield (
                "" if there else f"Permission Read {name} depends on permission(s): Read {master}."
            )
    for name in permissions.texts("userPermissions/name"):
        known = name in USER_PERMISSIONS
        yield "" if known else f"the user permission {name} is not known here."
    for granted in permissions.root.iterfind("fieldPermissions"):
        name = granted.findtext("field") or ""
        sobject, _, path = name.partition(".")
        field = org.field(sobject, path) or _part_of(org, sobject, path)
        if field is None:
            yield f"there is no field {name}."
            continue
        yield "" if can_be_granted(field) else f"{name} cannot be granted; it is there for all."
        writes = granted.findtext("editable") == "true"
        yield f"{name} cannot be written." if writes and not field.createable else ""
        yield "" if not writes or granted.findtext("readable") == "true" else f"{name}: read first."
        opened = {sobject, *getattr(org.sobject(sobject), "follows", ())} & read
        yield "" if opened else f"{name} is granted, and {sobject} is not."
    parts = (
        ("flowAccesses/flow", "Flow", "flow"),
        ("tabSettings/tab", "CustomTab", "tab"),
        ("applicationVisibilities/application", "CustomApplication", "app"),
        ("customPermissions/name", "CustomPermission", "custom permission"),
        ("customMetadataTypeAccesses/name", "CustomObject", "custom metadata type"),
    )
    for path, kind, word in parts:
        names = permissions.texts(path)
        for name in names:
            yield "" if org.package.has(kind, name) else f"there is no {word} {name}."
            yield "" if names.count(name) == 1 else f"{name} is granted more than once."
    fields = permissions.texts("fieldPermissions/field")
    for name in sorted(set(fields)):
        yield "" if fields.count(name) == 1 else f"{name} is granted more than once."


def _part_of(org: Org, sobject: str, address: str) -> Field | None:
    """A part of a compound address, which is granted as a whole."""
    of = org.sobject(sobject)
    parts = (field for field in (of.fields.values() if of else ()) if field.granted_as == address)
    return next(parts, None)


def _masters(org: Org, name: str) -> set[str]:
    """The objects that whoever reads another one must be able to read.

    Sources: https://github.com/trailheadapps/apex-recipes/issues/22 for the sentence; the deploy
    logs of public projects for details and their masters.
    """
    sobject = org.sobject(name)
    fields = sobject.fields.values() if sobject else ()
    masters = {target for field in fields if field.master for target in field.to}
    return masters | ({FOLLOWS[name]} if name in FOLLOWS else set())


def _rights_mistakes(name: str, allowed: set[str]) -> Iterator[str]:
    """Rights that others come with."""
    needs = {
        "allowCreate": {"allowRead"},
        "allowEdit": {"allowRead"},
        "allowDelete": {"allowRead", "allowEdit"},
        "viewAllRecords": {"allowRead"},
        "modifyAllRecords": {"allowRead", "allowEdit", "allowDelete", "viewAllRecords"},
    }
    for right in sorted(allowed & needs.keys()):
        missing = ", ".join(sorted(needs[right] - allowed))
        yield f"{name}: {right} needs {missing}." if missing else ""


def _left_out(sets: list[Component], package: Package, org: Org) -> Iterator[str]:
    """Every field can be read with each set that opens its object, and written with one."""
    written: set[str] = set()
    for permissions in sets:
        granted = permissions.root.findall("fieldPermissions")
        fields = {g.findtext("field") or "" for g in granted if g.findtext("readable") == "true"}
        written |= {g.findtext("field") or "" for g in granted if g.findtext("editable") == "true"}
        opened = set(permissions.texts("objectPermissions/object"))
        for component in package.all("CustomField"):
            sobject, _, name = component.name.partition(".")
            field = org.field(sobject, name)
            if field and can_be_granted(field) and sobject in opened:
                there = component.name in fields
                yield "" if there else f"{permissions.path}: {component.name} is missing."
    for component in package.all("CustomField"):
        sobject, _, name = component.name.partition(".")
        field = org.field(sobject, name)
        if field and can_be_granted(field) and field.createable:
            there = component.name in written
            yield "" if there else f"{component.name} can be written with no permission set."
    opened = {
        name
        for permissions in sets
        for path in ("objectPermissions/object", "customMetadataTypeAccesses/name")
        for name in permissions.texts(path)
    }
    for component in package.all("CustomObject"):
        there = component.name in opened
        yield "" if there else f"CustomObject {component.name} is in no permission set."
    for kind, path in (
        ("CustomTab", "tabSettings/tab"),
        ("CustomPermission", "customPermissions/name"),
    ):
        for component in package.all(kind):
            there = any(component.name in permissions.texts(path) for permissions in sets)
            yield "" if there else f"{kind} {component.name} is in no permission set."
    started = {action.text("flowDefinition") for action in package.all("QuickAction")}
    for name in sorted(started):
        there = any(name in permissions.texts("flowAccesses/flow") for permissions in sets)
        yield "" if there else f"the flow {name} is in no permission set."
