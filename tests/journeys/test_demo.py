"""A newcomer's first command."""

import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from tests.prefect_worker import eventually

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "deployments.local.demo"]


def left_behind() -> list[str]:
    """Programs of this folder's demo that still run."""
    home = {"PREFECT_HOME": str(ROOT / ".demo/prefect")}
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if home.items() <= process.environ().items():
                found.append(" ".join(process.cmdline()))
    return found


def test_the_whole_story_comes_out_as_told() -> None:
    """Raised, revised, sent, paid, found by polling, repaired by the sync; then all is quiet."""
    before = left_behind()
    told = subprocess.run([*DEMO, "--exit"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    assert "It came out as told." in told.stdout
    assert "✗" not in told.stdout
    assert "Traceback" not in told.stderr
    assert left_behind() == before


def test_ctrl_c_leaves_nothing_behind() -> None:
    """Stopped in the middle of starting, everything is gone again."""
    before = left_behind()
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a background shell
    demo = subprocess.Popen(DEMO, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, ignored)
    assert demo.stdout is not None
    while "ready" not in demo.stdout.readline():
        assert demo.poll() is None
    demo.send_signal(signal.SIGINT)
    demo.communicate()
    eventually(lambda: left_behind() == before)
