"""Several installations beside each other from one checkout: each has a file, and a server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local.stack import POOL, ROOT
from invoicing.settings import FILE
from tests.invoicing.test_settings import GOOD
from tests.prefect_worker import Prefect

pytestmark = pytest.mark.long

READ = (
    "import json, os; from invoicing.settings import settings; s = settings(); "
    "print(json.dumps([s.stripe.account_id, s.business.time_zone, os.environ['PREFECT_API_URL']]))"
)


def written(folder: Path, name: str, prefect: str, **changes: str) -> Path:
    """The file of an installation."""
    lines = [f"INVOICING_{key}={value}" for key, value in (GOOD | changes).items()]
    file = folder / name
    file.write_text("\n".join([*lines, f"PREFECT_API_URL={prefect}"]), encoding="utf-8")
    file.chmod(0o600)
    return file


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the checkout, as a shell that knows of no installation does."""
    others = ("INVOICING_", "PREFECT_API_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_program_belongs_to_one(tmp_path: Path) -> None:
    """Whatever the shell has of another installation does not reach it."""
    test = written(tmp_path, "test.env", "http://127.0.0.1:4201/api")
    live = written(
        tmp_path,
        "live.env",
        "http://127.0.0.1:4202/api",
        STRIPE__ACCOUNT_ID="acct_2",
        BUSINESS__TIME_ZONE="Asia/Tokyo",
    )
    other = {
        FILE: str(test),
        "INVOICING_STRIPE__ACCOUNT_ID": "acct_3",
        "PREFECT_API_URL": "http://127.0.0.1:4203/api",
    }
    for file, account, zone, port in (
        (test, "acct_1", "UTC", 4201),
        (live, "acct_2", "Asia/Tokyo", 4202),
    ):
        told = run("deployments.run_with_env", str(file), "python", "-c", READ, **other)
        expected = [account, zone, f"http://127.0.0.1:{port}/api"]
        assert json.loads(told.stdout) == expected, told.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is said in one sentence, by whichever program was to read it."""
    missing = str(tmp_path / "live.env")
    for told in (
        run("deployments.run_with_env", missing, "python"),
        run("invoicing.ledger", **{FILE: missing}),
    ):
        assert told.returncode == 1
        assert missing in told.stderr
        assert "Traceback" not in told.stderr


def test_a_file_that_prefect_reads_besides_is_in_the_way(tmp_path: Path) -> None:
    """It may be another installation's, with a password or a home that is not in this one's."""
    file = written(tmp_path, "live.env", "http://127.0.0.1:4202/api")
    started = [sys.executable, "-m", "deployments.run_with_env", str(file), "prefect", "version"]

    def run_here() -> subprocess.CompletedProcess[str]:
        path = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(
            started, cwd=tmp_path, env=path, capture_output=True, text=True, check=False
        )

    assert run_here().returncode == 0
    (tmp_path / ".env").write_text("PREFECT_API_AUTH_STRING=test:password")
    refused = run_here()
    assert refused.returncode == 1
    assert refused.stderr.startswith("Prefect would read .env here as well as")
    (tmp_path / ".env").unlink()
    (tmp_path / ".env").symlink_to(file)
    assert run_here().returncode == 0


def test_one_server_works_for_one_installation(prefect: Prefect, tmp_path: Path) -> None:
    """Deploying a second one to it is refused before anything is written."""
    first = written(tmp_path, "test.env", prefect.url)
    claim = "from tasks.installation.prefect_server import claim; claim()"
    claimed = run("deployments.run_with_env", str(first), "python", "-c", claim)
    assert claimed.returncode == 0, claimed.stderr

    ledger = tmp_path / "live.db"
    changes = {"LEDGER__URL": f"sqlite:///{ledger}", "SALESFORCE__ORG_ID": "00D000000000009"}
    second = written(tmp_path, "live.env", prefect.url, **changes)
    refused = run("deployments", **{FILE: str(second)})
    assert refused.returncode == 1
    assert "works for another installation: Stripe account acct_1 in test mode" in refused.stderr
    assert not ledger.exists()


def test_schedules_are_in_the_zone_of_the_settings(prefect: Prefect, tmp_path: Path) -> None:
    """Whoever deploys by hand gets it too; with wrong settings nothing is deployed."""
    pools = prefect.call("POST", "/work_pools/filter", {})
    if POOL not in [pool["name"] for pool in pools]:
        prefect.call("POST", "/work_pools/", {"name": POOL, "type": "process"})
    zone = "Pacific/Auckland"
    file = written(tmp_path, "here.env", prefect.url, BUSINESS__TIME_ZONE=zone)
    command = ("prefect", "--no-prompt", "deploy", "--name", "send-reminders")
    deployed = run("deployments.run_with_env", str(file), *command)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    path = "/deployments/name/send-reminders/send-reminders"
    [schedule] = prefect.call("GET", path)["schedules"]
    assert schedule["schedule"]["timezone"] == zone

    written(tmp_path, "here.env", prefect.url, BUSINESS__TIMEZONE=zone)
    refused = run("deployments.run_with_env", str(file), *command)
    assert refused.returncode != 0
    told = refused.stdout + refused.stderr
    assert "did you mean INVOICING_BUSINESS__TIME_ZONE?" in told
    assert "Traceback" not in told
    [schedule] = prefect.call("GET", path)["schedules"]
    assert schedule["schedule"]["timezone"] == zone
