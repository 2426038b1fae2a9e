"""An installation is brought up to date by one command."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local.stack import POOL, ROOT
from tests.invoicing.test_settings import GOOD
from tests.prefect_worker import Prefect


def deploy(
    prefect: Prefect, state: Path, api: str = "", **settings: str
) -> subprocess.CompletedProcess[str]:
    """Run the command with some settings."""
    given = {**GOOD, "LEDGER__URL": f"sqlite:///{state}/ledger.db", **settings}
    kept = {name: value for name, value in os.environ.items() if "INVOICING_" not in name}
    environment = {f"INVOICING_{name}": value for name, value in given.items()}
    return subprocess.run(
        [sys.executable, "-m", "deployments"],
        cwd=ROOT,
        env=kept | environment | {"PREFECT_API_URL": api or prefect.url},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
def test_settings_decide_when_runs_begin(prefect: Prefect, tmp_path: Path) -> None:
    """Theirs is the business's time zone; a pool is made once; a second time changes nothing."""
    for _ in range(2):
        done = deploy(prefect, tmp_path, BUSINESS__TIME_ZONE="Africa/Cairo")
        assert done.returncode == 0, done.stdout + done.stderr
    assert prefect.call("GET", f"/work_pools/{POOL}")["type"] == "warm"
    nightly = prefect.call("GET", "/deployments/name/full-sync/full-sync")["schedules"]
    assert [each["schedule"]["timezone"] for each in nightly] == ["Africa/Cairo"]
    asked = {"deployments": {"name": {"any_": ["refresh-choices"]}}}
    runs = prefect.call("POST", "/flow_runs/filter", asked)
    assert sum(not run["auto_scheduled"] for run in runs) == 2


def test_what_is_in_the_way_is_one_sentence(prefect: Prefect, tmp_path: Path) -> None:
    """A wrong setting, a ledger that is away, no Prefect: no traceback, and nothing is deployed."""
    wrong = deploy(prefect, tmp_path, BUSINESS__TIMEZONE="Africa/Cairo")
    away = deploy(prefect, tmp_path, LEDGER__URL="postgresql://127.0.0.1:1/nowhere")
    nobody = deploy(prefect, tmp_path, api="http://127.0.0.1:1/api")
    for refused, words in (
        (wrong, "did you mean INVOICING_BUSINESS__TIME_ZONE?"),
        (away, "ledger"),
        (nobody, "Prefect did not answer at http://127.0.0.1:1/api"),
    ):
        assert refused.returncode == 1
        assert words in refused.stderr
        assert "Traceback" not in refused.stderr
