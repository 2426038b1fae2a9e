"""What our programs write down is readable by their owner only, whatever the shell allows."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployments.local.child_process import Service

ROOT = Path(__file__).parents[2]
OPEN = 0o022
OURS = 0o600


def mode(path: Path) -> int:
    """Who may read and write a file."""
    return path.stat().st_mode & 0o777


def run(environment: dict[str, str], *arguments: str) -> None:
    """Run Python with the umask that most shells have."""
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=ROOT, env=os.environ | environment, umask=OPEN, check=False)


@pytest.mark.parametrize("first", ["ledger", "receiver", "listener"])
def test_a_ledger_is_its_owners(tmp_path: Path, first: str) -> None:
    """From the moment when it is made, whichever program comes first."""
    values = {
        "STRIPE__API_KEY": "sk_test_1",
        "STRIPE__ACCOUNT_ID": "acct_1",
        "STRIPE__LIVEMODE": "false",
        "STRIPE__WEBHOOK_SECRETS": "whsec_1",
        "SALESFORCE__DOMAIN": "acme.my",
        "SALESFORCE__ORG_ID": "00D000000000001",
        "SALESFORCE__CONSUMER_KEY": "key",
        "SALESFORCE__CONSUMER_SECRET": "secret",
        "LEDGER__URL": f"sqlite:///{tmp_path}/ledger.db",
    }
    run({f"INVOICING_{name}": value for name, value in values.items()}, "-m", f"invoicing.{first}")
    assert mode(tmp_path / "ledger.db") == OURS


def test_what_a_run_writes_is_its_owners(tmp_path: Path) -> None:
    """Results and reports: under any worker, a run begins with loading its flow."""
    write = "import sys, flows.send_invoice; open(sys.argv[1], 'w').close()"
    run({}, "-c", write, str(tmp_path / "result"))
    assert mode(tmp_path / "result") == OURS


def test_what_the_local_stack_writes_is_its_owners(tmp_path: Path) -> None:
    """Prefect's own database and logs, too."""
    write = "import sys; open(sys.argv[1], 'w').close()"
    program = [sys.executable, "-c", write, str(tmp_path / "prefect.db")]
    server = Service("server", program, os.environ, tmp_path, tmp_path)
    assert server.until_ended() == 0
    assert (mode(tmp_path / "prefect.db"), mode(server.log)) == (OURS, OURS)
