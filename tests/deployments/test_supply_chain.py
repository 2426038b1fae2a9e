"""What production installs is written down, and held to allowed licences and known advisories."""

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the project, as CI gives it."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env=alone | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_every_package_of_production_is_in_the_sbom() -> None:
    """With its version, and nothing of development."""
    done = run("make", "sbom")
    assert done.returncode == 0, done.stdout + done.stderr
    bom = json.loads((ROOT / ".cache/sbom.cdx.json").read_text())
    found = {(canonicalize_name(each["name"]), each["version"]) for each in bom["components"]}
    assert (bom["bomFormat"], found) == ("CycloneDX", locked())


def locked() -> set[tuple[str, str]]:
    """Names and versions of the lock of production, those for this machine."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    given = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    return {
        (canonicalize_name(each.name), str(each.specifier).removeprefix("=="))
        for each in given
        if each.marker is None or each.marker.evaluate()
    }


@pytest.mark.parametrize(("licence", "status"), [("AGPL-3.0-only", 1), ("MIT", 0)])
def test_a_licence_that_is_not_allowed_is_refused(
    tmp_path: Path, licence: str, status: int
) -> None:
    """By the list in pyproject.toml."""
    venv.create(tmp_path)
    [packages] = tmp_path.glob("lib/python*/site-packages")
    (packages / "theirs-1.0.dist-info").mkdir()
    (packages / "theirs-1.0.dist-info/METADATA").write_text(
        f"Metadata-Version: 2.4\nName: theirs\nVersion: 1.0\nLicense-Expression: {licence}\n"
    )
    licences = Path(sys.executable).parent / "pip-licenses"
    done = run(str(licences), "--python", str(tmp_path / "bin/python"), "--from", "mixed")
    assert done.returncode == status, done.stderr
    assert (licence in done.stderr) == bool(status)


@pytest.mark.long
def test_what_was_not_looked_at_is_not_good() -> None:
    """Where advisories cannot be had, the check fails; it never says that nothing is known."""
    nowhere = "http://127.0.0.1:9"
    done = run("make", "audit", HTTPS_PROXY=nowhere, https_proxy=nowhere)
    assert done.returncode != 0
    assert "No known vulnerabilities found" not in done.stdout + done.stderr
