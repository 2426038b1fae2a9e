"""One API version: the project's, which every file that says one has, and the sandbox is.

An org runs flows and components as they ran in the version that they name, and takes none that is
newer than itself.
Source: https://developer.salesforce.com/docs/atlas.en-us.sfdx_dev.meta/sfdx_dev/sfdx_dev_ws_config.htm
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sandbox.package_check.findings import Findings
from sandbox.package_check.source import Package
from sandbox.salesforce.org import API_VERSION

VERSIONED = frozenset(["Flow", "LightningComponentBundle"])
"""Types whose files say a version of their own."""


def check_api_versions(project: Path, packages: Sequence[Package], findings: Findings) -> None:
    """Hold the versions that a project names to each other.

    Args:
        project: The folder with ``sfdx-project.json``.
        packages: Its package directories.
        findings: Where checks are counted.
    """
    settings = json.loads((project / "sfdx-project.json").read_text(encoding="utf-8"))
    version = settings.get("sourceApiVersion")
    findings.expect(
        version == API_VERSION,
        f"sfdx-project.json: API version {version}; the sandbox is {API_VERSION}.",
    )
    for package in packages:
        for component in package.own():
            if component.kind in VERSIONED:
                said = component.text("apiVersion")
                findings.expect(
                    said == version,
                    f"{component.path}: API version {said or 'none'}, not {version}.",
                )
