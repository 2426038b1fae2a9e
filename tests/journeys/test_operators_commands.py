"""What the pages tell an operator to type does what they say."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import httpx

from deployments.local.stack import Stack
from tests.journeys.org_client import Org

ROOT = Path(__file__).parents[2]
POLLING = "/deployments/name/poll-events/poll-events"


def commands(page: str, heading: str) -> list[str]:
    """The lines of the commands below a heading of a page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [block] = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return str(block).splitlines()


def type_in(stack: Stack, line: str) -> str:
    """Type a line into a shell that knows the installation; what it says, in one line."""
    done = subprocess.run(
        ["bash", "-ec", line],
        cwd=ROOT,
        env=stack.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return " ".join(done.stdout.split())


def test_a_ledger_is_rebuilt(shared_stack: Stack) -> None:
    """Schedules stand still meanwhile, and go on afterwards."""
    pause, migrate, rebuild, resume = commands("running.md", "Backups, and losses")

    def polls() -> bool:
        found = httpx.get(f"{shared_stack.urls.prefect_api}{POLLING}", timeout=60).json()
        return all(each["active"] for each in found["schedules"])

    assert "2026-11-28" in rebuild
    try:
        type_in(shared_stack, pause)
        assert not polls()
        type_in(shared_stack, migrate)
        today = datetime.now(UTC).date().isoformat()
        assert "Found again: " in type_in(shared_stack, rebuild.replace("2026-11-28", today))
    finally:
        type_in(shared_stack, resume)
    assert polls()


def test_a_customer_is_exported_and_erased(shared_stack: Stack) -> None:
    """By the id of its Account; each says what it did."""
    [export] = commands("personal-data.md", "Export what is held of one customer")
    [erase] = commands("personal-data.md", "Erase one customer")
    [customer] = Org(shared_stack).find("SELECT Id FROM Account WHERE Name = 'Wonka Ltd'")
    said = [
        type_in(shared_stack, line.replace("001Hs00003XyZaBIAV", customer["Id"]))
        for line in (export, erase)
    ]
    assert f"What is held here of {customer['Id']} is in " in said[0]
    assert "Erased here: " in said[1]
