"""What holds across files: names, and locks; which file may import which is for `make lint`."""

import re
from importlib import import_module
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_flow_file_and_deployment_have_the_same_name() -> None:
    """Whoever reads prefect.yaml knows what the project does, and where it is."""
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    files = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert {entry["name"].replace("-", "_") for entry in deployments} == files
    for entry in deployments:
        word = entry["name"].replace("-", "_")
        assert entry["entrypoint"] == f"flows/{word}.py:{word}"
        assert getattr(import_module(f"flows.{word}"), word).name == entry["name"]
        assert entry["description"]


def test_flows_and_steps_are_made_in_one_place() -> None:
    """Nobody has to say again how they are named, retried and kept."""
    for folder in ("flows", "tasks"):
        for file in (ROOT / folder).rglob("*.py"):
            made = re.findall(r"^@(?:flow|task)\b", file.read_text(), re.MULTILINE)
            assert not made, file


def test_no_registry_address_is_committed() -> None:
    """Locks hold names, versions and hashes only."""
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()
    assert not [lock for room in ROOT.glob("[!.]*") for lock in room.glob("**/uv.lock")]
    assert not (ROOT / "uv.lock").exists()
