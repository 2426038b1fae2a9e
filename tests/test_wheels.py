"""The distributions work from their wheels, in an environment that has nothing of this checkout."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from deployments.no_wheel import REASON
from tests.prefect_server import prefect_server

ROOT = Path(__file__).parents[1]
PACKAGES = ("sandbox", "warm_worker")

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("wheels")]


def uv() -> str:
    """The uv that `make install` uses."""
    kept = ROOT / ".cache/uv/bin/uv"
    return str(kept) if kept.exists() else "uv"


def run(*command: str | Path, cwd: Path, api: str = "") -> str:
    """Run a program, without anything of this environment, and return what it says."""
    variables = environment(cwd) | {"PREFECT_API_URL": api}
    done = subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def environment(home: Path) -> dict[str, str]:
    """This environment, with a Prefect home of its own, and no path to modules."""
    without = {"PYTHONPATH", "VIRTUAL_ENV"}
    kept = {name: value for name, value in os.environ.items() if name not in without}
    return kept | {"PREFECT_HOME": str(home / "prefect")}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each distribution, built from a copy without what earlier builds left."""
    built = {}
    for name in PACKAGES:
        out = tmp_path_factory.mktemp(name)
        copy = out / "source"
        tracked = subprocess.check_output(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", f"packages/{name}"],
            cwd=ROOT,
            text=True,
        )
        for file in tracked.splitlines():
            if (ROOT / file).exists():
                target = copy / Path(file).relative_to(f"packages/{name}")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((ROOT / file).read_bytes())
        options = ["--wheel", "--offline", "--no-build-isolation", "--python", sys.executable]
        run(uv(), "build", *options, "--out-dir", out, copy, cwd=out)
        [built[name]] = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each distribution the programs of an environment with it and what it declares."""
    environments = {}
    for name in PACKAGES:
        home = tmp_path_factory.mktemp(f"{name}_environment")
        run(uv(), "venv", "--python", sys.executable, home / "venv", cwd=home)
        locks = ("requirements.lock", "requirements-dev.lock")
        versions = [option for lock in locks for option in ("--constraints", ROOT / lock)]
        python = home / "venv/bin/python"
        run(uv(), "pip", "install", "--python", python, *versions, wheels[name], cwd=home)
        environments[name] = python.parent
    return environments


@contextmanager
def serving(program: Path, home: Path) -> Iterator[str]:
    """Run a sandbox on a free port as long as the block lasts; yields its URL."""
    command = [str(program), "--port", "0"]
    with subprocess.Popen(
        command, cwd=home, env=environment(home), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            assert "ready on" in ready
            yield ready.split()[-1]
        finally:
            process.terminate()


def test_the_stripe_sandbox_starts_alone(installed: dict[str, Path], tmp_path: Path) -> None:
    """Somebody without the product makes a customer and an invoice, and looks at the pages."""
    with serving(installed["sandbox"] / "stripe-sandbox", tmp_path) as url:
        key = ("sk_test_123", "")
        customer = requests.post(
            f"{url}/v1/customers", {"email": "ap@acme.example.com"}, auth=key, timeout=60
        ).json()
        order = {
            "customer": customer["id"],
            "collection_method": "send_invoice",
            "days_until_due": 30,
        }
        invoice = requests.post(f"{url}/v1/invoices", order, auth=key, timeout=60).json()
        assert invoice["status"] == "draft", invoice
        for page in ("", "dashboard", "mail"):
            assert requests.get(f"{url}/{page}", timeout=60).ok


def test_the_salesforce_sandbox_starts_alone(installed: dict[str, Path], tmp_path: Path) -> None:
    """Somebody without the product logs in, asks for the Accounts, and looks at the pages."""
    with serving(installed["sandbox"] / "salesforce-sandbox", tmp_path) as url:
        form = {
            "grant_type": "client_credentials",
            "client_id": "3MVG9sandboxConsumerKey",
            "client_secret": "sandbox-consumer-secret",
        }
        login = requests.post(f"{url}/services/oauth2/token", form, timeout=60).json()
        found = requests.get(
            f"{url}/services/data/v67.0/query",
            {"q": "SELECT Id, Name FROM Account ORDER BY Name"},
            headers={"Authorization": f"Bearer {login['access_token']}"},
            timeout=60,
        ).json()
        assert "Globex" in {record["Name"] for record in found["records"]}
        account = found["records"][0]["Id"]
        for page in ("", f"lightning/r/Account/{account}/view"):
            answer = requests.get(f"{url}/{page}", timeout=60)
            assert answer.ok, answer.text
        assert "Address Information" in answer.text, "the pages of every org are not in the wheel"


def test_prefect_finds_the_warm_worker(installed: dict[str, Path], tmp_path: Path) -> None:
    """Where the wheel is installed, Prefect knows the type, and a worker of it starts."""
    prefect = installed["warm_worker"] / "prefect"
    with prefect_server(tmp_path, {}) as api:
        run(prefect, "work-pool", "create", "pool", "--type", "warm", cwd=tmp_path, api=api)
        worker = ("worker", "start", "--pool", "pool", "--type", "warm", "--run-once")
        told = run(prefect, *worker, cwd=tmp_path, api=api)
    assert "started!" in told


@pytest.mark.parametrize("kind", ["--wheel", "--sdist"])
def test_the_product_is_refused_in_words(kind: str, tmp_path: Path) -> None:
    """It is a checkout or an image, and no wheel that lacks the half of it is left somewhere."""
    done = subprocess.run(
        [uv(), "build", kind, "--out-dir", tmp_path, "--python", sys.executable, ROOT],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert REASON in done.stderr
    assert "Traceback" not in done.stderr
    assert not [*tmp_path.glob("*.whl"), *tmp_path.glob("*.tar.gz")]
