"""The house: data flows down, and each outside library has one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "flows": {"sandbox", "deployments"},
    "tasks": {"flows", "sandbox", "deployments", "stripe", "simple_salesforce", "sqlmodel"},
    "invoicing": {"flows", "tasks", "sandbox", "deployments", "prefect"},
    "invoicing/domain": {
        *{"invoicing.connectors", "invoicing.ledger", "invoicing.receiver", "invoicing.settings"},
        *{"sqlmodel", "requests", "starlette", "stripe", "simple_salesforce"},
    },
    "sandbox": {"flows", "tasks", "invoicing", "deployments"},
}
ONE_DOOR = {
    "stripe": "invoicing/connectors/stripe.py",
    "simple_salesforce": "invoicing/connectors/salesforce.py",
}


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, by full name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def imports_in_functions(path: Path) -> Iterator[str]:
    """The modules that functions of a file import."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for inner in ast.walk(node):
                if isinstance(inner, ast.ImportFrom):
                    yield inner.module or ""
                elif isinstance(inner, ast.Import):
                    yield from (alias.name for alias in inner.names)


def is_in(module: str, package: str) -> bool:
    """Whether a module is a package or below it."""
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_lower_floor_never_imports_a_higher_one(room: str) -> None:
    """Flows → tasks → invoicing, and the sandbox apart."""
    upwards = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in (ROOT / room).rglob("*.py")
        for module in imports(path)
        if any(is_in(module, forbidden) for forbidden in FORBIDDEN[room])
    ]
    assert upwards == []


@pytest.mark.parametrize("library", ONE_DOOR)
def test_each_sdk_has_one_door(library: str) -> None:
    """Exactly one file of the product imports each SDK."""
    doors = [
        str(path.relative_to(ROOT))
        for room in ("flows", "tasks", "invoicing")
        for path in (ROOT / room).rglob("*.py")
        if any(is_in(module, library) for module in imports(path))
    ]
    assert doors == [ONE_DOOR[library]]


def test_no_circle_hides_in_a_function() -> None:
    """Connectors and the field mapping import at the top of the file, where it can be seen."""
    hidden = {
        str(path.relative_to(ROOT)): modules
        for pattern in ("connectors/*.py", "mapping*.py")
        for path in (ROOT / "invoicing").glob(pattern)
        if (modules := list(imports_in_functions(path)))
    }
    assert hidden == {}


def test_flow_file_and_deployment_have_the_same_name() -> None:
    """Whoever reads prefect.yaml knows what the project does, and where it is."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    files = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert {entry["name"].replace("-", "_") for entry in deployments} == files
    for entry in deployments:
        word = entry["name"].replace("-", "_")
        assert entry["entrypoint"] == f"flows/{word}.py:{word}"
        assert f'name="{entry["name"]}"' in (ROOT / f"flows/{word}.py").read_text()
        assert entry["description"]


def test_no_registry_address_is_committed() -> None:
    """Locks hold names, versions and hashes only."""
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert not list(ROOT.glob("**/uv.lock"))
