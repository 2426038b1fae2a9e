"""The sandboxes as processes of their own, for as long as a benchmark needs them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from deployments.local.child_process import port_or_free
from deployments.local.stack import SALESFORCE_PACKAGE

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 3600


@contextmanager
def sandbox(name: str, log: Path) -> Iterator[str]:
    """Run ``sandbox.stripe`` or ``sandbox.salesforce``; yields its URL."""
    url = f"http://127.0.0.1:{port_or_free(0)}"
    with log.open("ab") as said:
        command = [sys.executable, "-m", f"sandbox.{name}", "--port", url.rpartition(":")[2]]
        command += ["--metadata", str(SALESFORCE_PACKAGE)] if name == "salesforce" else []
        process = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        while not _answers(url):
            if process.poll() is not None:
                raise SystemExit(f"The {name} sandbox did not start:\n{log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        httpx.get(f"{url}/_sandbox/clock")
    except httpx.TransportError:
        return False
    return True


def admin(url: str, path: str, **body: Any) -> Any:
    """Post to an admin endpoint and return its JSON."""
    answer = httpx.post(f"{url}/_sandbox/{path}", json=body, timeout=PATIENCE_SECONDS)
    answer.raise_for_status()
    return answer.json()


def measured(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Any:
    """Run a program whose last line is JSON; None if it failed, which is told."""
    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | dict(environment or {}),
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    if ran.returncode or not lines:
        print(f"failed: {(ran.stderr or ran.stdout)[-1500:]}", flush=True)
        return None
    return json.loads(lines[-1])
