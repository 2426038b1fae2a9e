"""What an image is made of is enough to run it; compose file and units are what they should be."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.test_wheels import ROOT, environment, run, uv

CONTAINERS = ROOT / "deployments/containers"
UNITS = sorted((ROOT / "deployments/systemd").glob("*.service"))

pytestmark = pytest.mark.xdist_group("wheels")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of an image: what the last stage of the Dockerfile copies, and the lock."""
    root = tmp_path_factory.mktemp("image")
    last = (CONTAINERS / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    sources = re.findall(r"^COPY (\S+) (?!/)\S+$", last, re.MULTILINE)
    assert {"flows", "tasks", "invoicing", "deployments", "prefect.yaml"} <= set(sources)
    for name in sources:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copyfile
        copy(source, root / name)
    python = root / "venv/bin/python"
    run(uv(), "venv", "--python", sys.executable, root / "venv", cwd=root)
    lock = ROOT / "requirements.lock"
    run(uv(), "pip", "sync", "--python", python, "--require-hashes", lock, cwd=root)
    worker = ROOT / "packages/warm_worker"
    run(uv(), "pip", "install", "--python", python, "--no-deps", worker, cwd=root)
    return root


@pytest.mark.long
def test_every_flow_can_be_loaded_in_the_image(image: Path) -> None:
    """Without what only development installs: a missing package or module is named here."""
    deployments = yaml.safe_load((image / "prefect.yaml").read_text())["deployments"]
    entrypoints = [deployment["entrypoint"] for deployment in deployments]
    load = "import sys; from prefect.flows import load_flow_from_entrypoint as load"
    run(
        image / "venv/bin/python",
        "-c",
        f"{load}\nfor name in sys.argv[1:]: load(name)",
        *entrypoints,
        cwd=image,
    )


@pytest.mark.long
@pytest.mark.parametrize("service", ["worker", "receiver", "listener", "prefect"])
def test_the_image_has_every_program_of_the_compose_file(image: Path, service: str) -> None:
    """Each is asked for help; one that cannot be imported ends in a traceback."""
    compose = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())
    command = compose["services"][service].get("command") or default_command()
    words = [word for word in command[1:3] if word != "--host"]
    assert "usage" in run(image / "venv/bin" / command[0], *words, "--help", cwd=image).lower()


@pytest.mark.long
def test_deploying_from_the_image_says_what_is_missing(image: Path) -> None:
    """Without settings nothing is deployed, and nobody sees a traceback."""
    program = image / "venv/bin/python"
    without = environment(image)
    command: list[str | Path] = [program, "-m", "deployments"]
    done = subprocess.run(
        command, cwd=image, env=without, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "INVOICING_STRIPE__API_KEY" in done.stderr
    assert "Traceback" not in done.stderr


def default_command() -> list[str]:
    """What the image does unless told otherwise."""
    [told] = re.findall(r"^CMD (\[.*\])$", (CONTAINERS / "Dockerfile").read_text(), re.MULTILINE)
    words: list[str] = yaml.safe_load(told)
    return words


def test_the_compose_files_fit_their_specification() -> None:
    """They fit the specification; what is ours writes to nothing and may do nothing."""
    files = sorted(CONTAINERS.glob("*.yaml"))
    assert [file.name for file in files] == ["compose.yaml", "high-availability.yaml"]
    checker = Path(sys.executable).parent / "check-jsonschema"
    run(checker, "--builtin-schema", "vendor.compose-spec", *files, cwd=ROOT)
    services = yaml.safe_load(files[0].read_text())["services"]
    ours = [service for service in services.values() if "build" in service]
    assert len(ours) == 5
    assert all(service["read_only"] and service["cap_drop"] == ["ALL"] for service in ours)


def test_every_process_has_a_service_and_a_unit() -> None:
    """What documentation says has to run is started by Compose and by systemd, by these words."""
    page = (ROOT / "docs/running.md").read_text(encoding="utf-8")
    rows = page.partition("## Processes")[2].partition("\n## ")[0]
    commands = re.findall(r"^\| [^|]+ \| `([^`]+)` \|", rows, re.MULTILINE)
    assert len(commands) == 4
    services = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())["services"].values()
    started = [" ".join(service.get("command") or default_command()) for service in services]
    units = [re.findall(r"^ExecStart=\S+/(.+)$", u.read_text(), re.MULTILINE)[0] for u in UNITS]
    for command in commands:
        assert any(command in each for each in started), command
        assert any(command in each for each in units), command


def test_units_and_services_find_the_server_and_its_pages() -> None:
    """Prefect's worker would begin a server of its own, unless it is told where there is one."""
    compose = yaml.safe_load((CONTAINERS / "compose.yaml").read_text())["services"]
    told = [compose[name]["environment"] for name in ("deploy", "worker", "receiver", "listener")]
    assert all({"PREFECT_API_URL", "INVOICING_PREFECT_UI_URL"} <= {*each} for each in told)
    units = {unit.name: unit.read_text() for unit in UNITS}
    assert units.keys() >= {"invoicing-deploy.service", "invoicing-doctor.service"}
    without = [name for name, unit in units.items() if "=PREFECT_API_URL=http://" not in unit]
    assert without == ["invoicing-prefect.service"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="a machine without systemd")
def test_the_units_are_understood_by_systemd(tmp_path: Path) -> None:
    """Every word of them; their programs lie where they are installed to, which is not here."""
    for unit in UNITS:
        here = unit.read_text().replace("/opt/invoicing/.venv/bin", os.path.dirname(sys.executable))
        (tmp_path / unit.name).write_text(here.replace("/opt/invoicing", str(ROOT)))
    said = subprocess.run(
        ["systemd-analyze", "verify", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not said.stderr
