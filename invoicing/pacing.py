"""One budget of calls for all readers of a service, in whichever process they run.

The budget is a line in the ledger: when the next call is free, and at what rate. A process
takes several turns at once and spends them by itself, so that the line is rarely asked. When
the service says 429, the rate is halved for everybody, and it comes back slowly.
"""

import threading
import time
from collections import deque

from invoicing.ledger.database import insert_missing, session
from invoicing.ledger.models import Pace

TAKEN_AT_ONCE_SECONDS = 0.2
"""Turns are taken for so long ahead."""

REST_SECONDS = 1.0
"""Nobody calls for so long after a 429."""

RECOVERY = 0.05
"""By this share of the full rate it grows again in each second."""


class Budget:
    """Turns to call a service; shared by threads, and through the ledger by processes."""

    def __init__(self, name: str, rate: float) -> None:
        """Name the budget.

        Args:
            name: All who use the same name share it.
            rate: Calls a second when nothing is wrong.
        """
        self._name = name
        self._rate = rate
        self._turns: deque[tuple[float, float]] = deque()
        self._free_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if not self._turns:
                self._turns.extend(self._reserve())
            turn, spacing = self._turns.popleft()
            turn = max(turn, self._free_at)  # who is late does not make up for it in a burst
            self._free_at = max(turn, time.time()) + spacing
        time.sleep(max(0.0, turn - time.time()))

    def slow_down(self) -> None:
        """Halve everybody's rate: the service asked for a slower pace."""
        with self._lock, session() as ledger:
            self._turns.clear()
            line = ledger.get_one(Pace, self._name, with_for_update=True)
            now = time.time()
            if line.next_at > now + REST_SECONDS / 2:
                return  # the calls that were under way together are refused together
            line.rate = max(1.0, line.rate / 2)
            line.next_at = now + REST_SECONDS
            ledger.add(line)

    def _reserve(self) -> list[tuple[float, float]]:
        """Turns from the ledger: when each is, and what lies between two."""
        count = max(1, int(self._rate * TAKEN_AT_ONCE_SECONDS))
        with session() as ledger:
            insert_missing(ledger, [Pace(name=self._name, rate=self._rate, next_at=0)])
            line = ledger.get_one(Pace, self._name, with_for_update=True)
            now = time.time()
            first = max(now, line.next_at)
            spacing = 1 / line.rate
            line.next_at = first + count * spacing
            grown = line.rate + RECOVERY * self._rate * (line.next_at - first)
            line.rate = min(self._rate, grown)
            ledger.add(line)
        return [(first + n * spacing, spacing) for n in range(count)]
