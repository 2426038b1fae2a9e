"""Custom metadata: its types have the fields that records fill in, and none that nobody needs.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_custommetadata.htm
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Package
from sandbox.salesforce.schema import METADATA_TYPE

NEVER_SAID = ("deploymentStatus", "nameField", "sharingModel")
"""What an object says and a type of custom metadata cannot (deploy logs of public projects)."""


def check_custom_metadata(package: Package, org: Org, findings: Findings) -> None:
    """Check each record and each field of a type that a package directory brings."""
    for component in package.own():
        if component.kind == "CustomMetadata":
            for wrong in _record_mistakes(component, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")
        if component.kind == "CustomObject" and component.name.endswith(METADATA_TYPE):
            for part in NEVER_SAID:
                findings.expect(
                    component.root.find(part) is None,
                    f"{component.path}: a custom metadata type cannot say {part}.",
                )
        of, _, name = component.name.partition(".")
        if component.kind == "CustomField" and of.endswith(METADATA_TYPE):
            told = _is_read(of, name, package) or _is_said(of, name, package)
            findings.expect(told, f"{component.path}: no flow reads it, and no record has it.")


def _record_mistakes(record: Component, org: Org) -> Iterator[str]:
    kind = record.name.partition(".")[0] + METADATA_TYPE
    yield "" if org.sobject(kind) else f"there is no custom metadata type {kind}."
    for given in record.root.iterfind("values"):
        name, value = given.findtext("field") or "", given.findtext("value") or ""
        field = org.field(kind, name)
        yield "" if field else f"{kind} has no field {name}."
        fits = field is None or not field.length or len(value) <= field.length
        yield "" if fits else f"{name} has {len(value)} characters, more than fit."


def _is_said(sobject: str, field: str, package: Package) -> bool:
    """Whether the package's own records say it, to programs outside."""
    return any(
        f"{record.name.partition('.')[0]}{METADATA_TYPE}" == sobject
        and given.findtext("field") == field
        and given.findtext("value")
        for record in package.own()
        if record.kind == "CustomMetadata"
        for given in record.root.iterfind("values")
    )


def _is_read(sobject: str, field: str, package: Package) -> bool:
    return any(
        node.findtext("object") == sobject and field in [e.text for e in node.iter("queriedFields")]
        for flow in package.all("Flow")
        for node in flow.root.iterfind("recordLookups")
    )
