"""Lightning web components by Salesforce's own tools: its compiler, its linter, its test runner.

The project says in its ``package.json`` which ones, as SFDX projects do; they are installed from
npm into a cache folder. Each source, and each test of a component, is one check.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox.common.npm import installed_of, program
from sandbox.package_check.findings import Findings
from sandbox.package_check.lightning_components import KIND
from sandbox.package_check.source import SOURCE, Component, read_project

COMPILE = Path(__file__).with_name("compile.mjs")
ESLINT = "node_modules/eslint/bin/eslint.js"
JEST = "node_modules/@salesforce/sfdx-lwc-jest/bin/sfdx-lwc-jest"


def run_component_tests(project: Path, findings: Findings) -> str:
    """Compile, lint and test every component of a project; returns why it was not done, if so.

    Args:
        project: The folder with ``sfdx-project.json``.
        findings: Where checks are counted.
    """
    components = [c for package in read_project(project) for c in package.own() if c.kind == KIND]
    if not components:
        return ""
    tools = installed_of(project / "package.json")
    if isinstance(tools, str):
        return tools
    with TemporaryDirectory() as temporary:
        copy = Path(temporary) / "project"
        shutil.copytree(project, copy, ignore=shutil.ignore_patterns("node_modules"))
        (copy / "node_modules").symlink_to(tools / "node_modules")
        folders = [Path(component.path).parent for component in components]
        for wrong in (
            *_compiled(copy, folders),
            *_linted(copy, folders),
            *_tested(copy, components),
        ):
            findings.expect(not wrong, wrong)
    return ""


def _compiled(project: Path, folders: list[Path]) -> Iterator[str]:
    files = [
        str(folder / path.name)
        for folder in folders
        for path in sorted((project / folder).iterdir())
        if path.suffix in SOURCE
    ]
    for line in _node(project, COMPILE, project, *files).splitlines():
        case = json.loads(line)
        yield "" if case["ok"] else f"{case['name']}: {case['error']}"


def _linted(project: Path, folders: list[Path]) -> Iterator[str]:
    for result in json.loads(_node(project, ESLINT, "--format", "json", *folders)):
        where = Path(result["filePath"]).relative_to(project.resolve())
        said = [f"line {one.get('line')}: {one['message']}" for one in result["messages"]]
        yield f"{where}: {' '.join(said)}" if said else ""


def _tested(project: Path, components: list[Component]) -> Iterator[str]:
    written = project / "tested.json"
    said = _node(project, JEST, "--", "--json", f"--outputFile={written}")
    if not written.is_file():
        yield f"the tests of the components did not run: {said[-500:]}"
        return
    result: Any = json.loads(written.read_text(encoding="utf-8"))
    tested: set[str] = set()
    for file in result["testResults"]:
        where = Path(file["name"]).relative_to(project.resolve())
        yield f"{where}: {file['message'][:500]}" if not file["assertionResults"] else ""
        for test in file["assertionResults"]:
            tested.add(where.parent.parent.name)
            failed = test["status"] != "passed"
            why = " ".join(test["failureMessages"])[:500]
            yield f"{where}: {test['fullName']}: {test['status']}. {why}" if failed else ""
    for component in components:
        yield "" if component.name in tested else f"{component.path}: it has no test."


def _node(project: Path, *arguments: str | Path) -> str:
    """What a program prints; its errors where it prints nothing."""
    ran = subprocess.run(  # noqa: S603
        [program("node"), *arguments], cwd=project, capture_output=True, text=True, check=False
    )
    return ran.stdout or ran.stderr
