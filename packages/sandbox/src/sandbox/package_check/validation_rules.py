"""Validation rules: whom they let through and where they speak is there, and an org can read them.

That formulas can be read here, and that the fields in them are there, is found when objects are
read. Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/
meta_validationformulas.htm; Salesforce Help, platform.customize_functions_ischanged and
platform.tips_for_using_picklist_formula_fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Package
from sandbox.salesforce.formula import read_formula

OF_PICKLISTS = frozenset(["CASE", "ISCHANGED", "ISPICKVAL", "PRIORVALUE", "TEXT"])
"""Functions that take a picklist; nothing else does."""

CHOSEN = re.compile(
    r"""ISPICKVAL\(\s*(?:PRIORVALUE\(\s*)?([\w.]+)[\s)]*,\s*["']([^"']*)["']\s*\)"""
)
"""A question whether a picklist has a value, which is a text."""

OF_THE_RECORD = frozenset(["ISCHANGED", "PRIORVALUE"])
"""Functions that take a field of the record itself."""


def check_validation_rules(package: Package, org: Org, findings: Findings) -> None:
    """Check each validation rule that a package directory brings."""
    for component in package.own():
        if component.kind == "ValidationRule":
            for wrong in _mistakes(component, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")


def _mistakes(rule: Component, org: Org) -> Iterator[str]:
    sobject = rule.name.partition(".")[0]
    beside = rule.text("errorDisplayField")
    there = not beside or org.field(sobject, beside) is not None
    yield "" if there else f"{sobject} has no field {beside}."
    for name, value in CHOSEN.findall(rule.text("errorConditionFormula")):
        asked = org.field(sobject, name)
        offered = not value or asked is None or value in asked.values
        yield "" if offered else f"{name} has no value {value}."
    for name, function in sorted(read_formula(rule.text("errorConditionFormula")).uses):
        kind, _, rest = name.partition(".")
        if kind == "$Permission":
            there = org.package.has("CustomPermission", rest)
            yield "" if there else f"there is no custom permission {rest}."
        field = org.field(sobject, name)
        if field is not None and field.type == "picklist":
            taken = function in OF_PICKLISTS
            yield "" if taken else f"{name} is a picklist, and compared as a text."
        if function in OF_THE_RECORD:
            yield f"{function} takes no field of another record, as {name} is." if rest else ""
