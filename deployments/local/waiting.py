"""How long to wait for what is under way, on a machine that may have much else to do."""

import os
import time
from collections.abc import Callable
from typing import TypeVar

POLL_SECONDS = 0.05

Answer = TypeVar("Answer")


class Patience:
    """Seconds that pass the slower, the more programs share this machine's processors.

    A fixed limit would take a busy machine for a broken program.
    """

    def __init__(self, seconds: float) -> None:
        """Begin to wait.

        Args:
            seconds: How long, on a machine that has a processor for everybody.
        """
        self._left = seconds
        self._seen = time.monotonic()

    def is_over(self) -> bool:
        """Whether the seconds have passed."""
        now = time.monotonic()
        self._left -= (now - self._seen) / slowness()
        self._seen = now
        return self._left < 0


def slowness() -> float:
    """How many times longer everything takes here, for all that runs beside it; at least 1."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def eventually(read: Callable[[], Answer], seconds: float, every: float = POLL_SECONDS) -> Answer:
    """Ask until the answer is true, and return it.

    Args:
        read: Asks.
        seconds: How long, on a machine that has a processor for everybody.
        every: Seconds between two questions; more where a question costs much.

    Raises:
        TimeoutError: the answer is not true for so long.
    """
    patience = Patience(seconds)
    while not (answer := read()):
        if patience.is_over():
            raise TimeoutError(f"still {answer!r} after {seconds:.0f} s")
        time.sleep(every)
    return answer
