"""All checks of a project, one package directory after the other."""

from __future__ import annotations

from pathlib import Path

from sandbox.package_check.api_versions import check_api_versions
from sandbox.package_check.custom_metadata import check_custom_metadata
from sandbox.package_check.event_channels import check_event_channels
from sandbox.package_check.fields import check_fields
from sandbox.package_check.file_schema import check_files
from sandbox.package_check.findings import Findings
from sandbox.package_check.flows import check_flows
from sandbox.package_check.lightning_components import check_components
from sandbox.package_check.names import check_names
from sandbox.package_check.org import Org
from sandbox.package_check.pages import check_pages
from sandbox.package_check.permissions import check_permissions
from sandbox.package_check.reports import check_reports
from sandbox.package_check.source import Package, read_project
from sandbox.package_check.validation_rules import check_validation_rules
from sandbox.salesforce.schema_loader import load_schema, of_one_currency


def check_project(project: Path) -> Findings:
    """Check every package directory of a project.

    The first must work in an org of one currency, where records do not say theirs; those after it
    may ask for more.

    Args:
        project: The folder with ``sfdx-project.json``.
    """
    findings = Findings()
    packages = read_project(project)
    check_api_versions(project, packages, findings)
    for package in packages:
        check_files(package, findings)
        check_names(package, findings)
        _check_references(package, packages[0], findings)
    return findings


def _check_references(package: Package, core: Package, findings: Findings) -> None:
    try:
        schema = load_schema(core.folder / "main/default")
    except ValueError as error:
        findings.expect(False, f"{package.folder.name}: {error}.")
        return
    findings.expect(True, "")
    org = Org(of_one_currency(schema) if package is core else schema, package)
    check_fields(package, org, findings)
    check_flows(package, org, findings)
    check_components(package, org, findings)
    check_pages(package, org, findings)
    check_permissions(package, org, findings)
    check_validation_rules(package, org, findings)
    check_event_channels(package, org, findings)
    check_custom_metadata(package, org, findings)
    check_reports(package, org, findings)
