"""Run a program that ends with its parent: `python parent_watch.py <parent's pid> program …`.

Whatever happens to the parent, SIGKILL included, the program gets SIGTERM. It also gets back
the usual SIGINT, which background jobs of a shell inherit as ignored.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1  # prctl(2)
POLL_SECONDS = 0.5


def main() -> None:
    """Become the program where the kernel can watch the parent, else watch it from beside."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if not sys.platform.startswith("linux"):
        sys.exit(watch(parent, program))
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == parent:  # it may have died before it was watched
        os.execvp(program[0], program)  # noqa: S606


def watch(parent: int, program: list[str]) -> int:
    """Run the program as a child and end it when this process is adopted by another."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the program, in the same group, gets it too
    child = subprocess.Popen(program, close_fds=False)  # noqa: S603
    while child.poll() is None and os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    child.terminate()
    return child.wait()


if __name__ == "__main__":
    main()
