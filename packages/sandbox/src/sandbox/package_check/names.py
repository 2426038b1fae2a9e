"""How a package's names and texts may be written, and how long they may be."""

from __future__ import annotations

import re

from sandbox.package_check.findings import Findings
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.schema import METADATA_TYPE

API_NAME = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9])*")
"""Letters, digits and single underscores, none at the end."""

FORMULA_LENGTH = 3_900
"""Characters of a formula. What it compiles to may have 15,000, and only an org counts them.

Source: https://help.salesforce.com/s/articleView?id=000385791&type=1
"""

LONGEST = {
    "CustomField": (
        *(("label", 40), ("inlineHelpText", 510), ("description", 1000)),
        ("formula", FORMULA_LENGTH),
    ),
    "CustomMetadata": (("label", 40), ("description", 1000)),
    "CustomNotificationType": (("masterLabel", 80), ("description", 255)),
    "CustomObject": (("label", 40), ("pluralLabel", 40), ("description", 1000)),
    "CustomApplication": (("label", 40), ("description", 255)),
    "CustomTab": (("description", 1000),),
    "Dashboard": (("title", 80), ("description", 255)),
    "FlexiPage": (("masterLabel", 80), ("description", 255)),
    "Flow": (("label", 255),),
    "Group": (("name", 40),),
    "LightningComponentBundle": (("masterLabel", 80), ("description", 1000)),
    "ListView": (("label", 40),),
    "CompactLayout": (("label", 40),),
    "PermissionSet": (("label", 80), ("description", 255)),
    "PlatformEventChannel": (("label", 40),),
    "QuickAction": (("label", 80), ("description", 255)),
    "Report": (("name", 40), ("description", 255)),
    "ReportType": (("label", 50), ("description", 255)),
    "ValidationRule": (
        *(("errorMessage", 255), ("description", 255)),
        ("errorConditionFormula", FORMULA_LENGTH),
    ),
}
"""By type: the most characters of a text that people read."""

NAME_LENGTH = {
    "Dashboard": 80,
    "DashboardFolder": 80,
    "Flow": 80,
    "FlexiPage": 80,
    "PermissionSet": 80,
    "PlatformEventChannelMember": 80,
    "ReportFolder": 80,
    "ReportType": 50,
}


def check_names(package: Package, findings: Findings) -> None:
    """Check the lengths of names and labels, and that names can be names."""
    for component in package.own():
        for part, most in LONGEST.get(component.kind, ()):
            text = component.text(part)
            findings.expect(
                len(text) <= most,
                f"{component.path}: {part} has {len(text)} characters; {most} fit.",
            )
        name = _own_name(component)
        most = NAME_LENGTH.get(component.kind, 40)
        findings.expect(
            component.kind == "Layout" or (bool(API_NAME.fullmatch(name)) and len(name) <= most),
            f"{component.path}: {name} cannot be a name; at most {most} letters, digits and single "
            "underscores can.",
        )
        said = component.text("fullName") or component.text("customNotifTypeName")
        findings.expect(
            not said or said == component.name.rpartition(".")[2],
            f"{component.path}: it calls itself {said}.",
        )
        for element in _named(component):
            inner = element.findtext("name") or ""
            findings.expect(
                bool(API_NAME.fullmatch(inner)) and len(inner) <= 80,
                f"{component.path}: {inner!r} cannot be a name in a flow.",
            )


def _own_name(component: Component) -> str:
    last = component.name.rpartition("/")[2].rpartition(".")[2]
    return last.removesuffix("__c").removesuffix("__chn").removesuffix(METADATA_TYPE)


def _named(component: Component) -> list[Element]:
    """The elements and resources of a flow, which all have names of the same form."""
    if component.kind != "Flow":
        return []
    unnamed = {"processMetadataValues", "inputParameters", "inputAssignments", "outputAssignments"}
    return [e for e in component.root.iter() if e.find("name") is not None and e.tag not in unnamed]
