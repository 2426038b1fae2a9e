"""Validation rules: whom they let through and where they speak is there.

That formulas can be read, and that the fields in them are there, is found when objects are read.
Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_validationformulas.htm
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.names import Org
from sandbox.package_check.source import Component, Package
from sandbox.salesforce.formula import read_formula


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
    for name in sorted(read_formula(rule.text("errorConditionFormula")).names):
        kind, _, permission = name.partition(".")
        if kind == "$Permission":
            there = org.package.has("CustomPermission", permission)
            yield "" if there else f"there is no custom permission {permission}."
