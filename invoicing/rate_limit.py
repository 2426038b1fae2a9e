"""One budget of calls for all readers of a service, in whichever process they run.

The budget is a line in the ledger: when the next call is free, and at what rate. A process
takes several turns at once and spends them by itself, so that the line is rarely asked. When
the service says 429, the rate falls by a tenth for everybody, and it comes back slowly: many
429s one after the other find the rate that is left when somebody else shares the limit, and a
single one, because turns met on their way, costs little.
"""

import threading
import time
from collections import deque

from invoicing.ledger.database import insert_missing, session
from invoicing.ledger.models import Pace

TAKEN_AT_ONCE_SECONDS = 0.2
"""Turns are taken for so long ahead."""

SLOWER = 0.9
"""By this factor the rate falls at a 429."""

TOGETHER_SECONDS = 1.0
"""Calls that were under way together are refused together, which counts as once."""

REST_SECONDS = 0.1
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
        self.rate = rate
        self._turns: deque[tuple[float, float]] = deque()
        self._free_at = 0.0
        self._slowed_at = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for a turn."""
        with self._lock:
            if not self._turns:
                self._turns.extend(self._reserve())
            turn, spacing = self._turns.popleft()
            turn = max(turn, self._free_at)
            # Who is late makes up for one turn, and not for many in a burst.
            self._free_at = max(turn + spacing, time.time())
        time.sleep(max(0.0, turn - time.time()))

    def slow_down(self) -> None:
        """Slow everybody down: the service asked for it."""
        with self._lock:
            now = time.time()
            if now < self._slowed_at + TOGETHER_SECONDS:
                return
            self._slowed_at = now
            self._free_at = max(self._free_at, now + REST_SECONDS)
            with session() as ledger:
                line = ledger.get_one(Pace, self._name, with_for_update=True)
                line.rate = max(1.0, line.rate * SLOWER)
                line.next_at = max(line.next_at, now + REST_SECONDS)
                ledger.add(line)

    def _reserve(self) -> list[tuple[float, float]]:
        """Turns from the ledger: when each is, and what lies between two."""
        count = max(1, int(self.rate * TAKEN_AT_ONCE_SECONDS))
        with session() as ledger:
            insert_missing(ledger, [Pace(name=self._name, rate=self.rate, next_at=0)])
            line = ledger.get_one(Pace, self._name, with_for_update=True)
            now = time.time()
            first = max(now, line.next_at)
            spacing = 1 / line.rate
            line.next_at = first + count * spacing
            grown = line.rate + RECOVERY * self.rate * (line.next_at - first)
            line.rate = min(self.rate, grown)
            ledger.add(line)
        return [(first + n * spacing, spacing) for n in range(count)]
