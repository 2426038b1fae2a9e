"""How often bulk readers may call a service.

When the service says 429, the rate falls by a tenth, and it comes back slowly: many 429s one
after the other find the rate that is left when somebody else shares the limit, and a single one,
because turns met on their way, costs little.
"""

import threading
import time

SLOWDOWN_FACTOR = 0.9
"""By this factor the rate falls at a 429."""

TOGETHER_SECONDS = 1.0
"""Calls that were under way together are refused together, which counts as once."""

REST_SECONDS = 0.1
"""Nobody calls for so long after a 429."""

RECOVERY_RATE = 0.05
"""By this share of the full rate it grows again in each second."""


class RateLimiter:
    """Turns to call a service, evenly spaced, for all threads of a process."""

    def __init__(self, rate: float) -> None:
        """Begin at the full rate.

        Args:
            rate: Calls a second when nothing is wrong.
        """
        self.rate = rate
        self._now_rate = rate
        self._next_at = self._grown_at = time.monotonic()
        self._slowed_at = 0.0
        self._lock = threading.Lock()

    @property
    def spacing(self) -> float:
        """Seconds between two calls, at the rate of this moment."""
        return 1 / self._now_rate

    def wait(self) -> None:
        """Wait for a turn."""
        with self._lock:
            now = time.monotonic()
            grown = RECOVERY_RATE * self.rate * (now - self._grown_at)
            self._now_rate = min(self.rate, self._now_rate + grown)
            self._grown_at = now
            # Who is late makes up for one turn, and not for many in a burst.
            turn = max(self._next_at, now - self.spacing)
            self._next_at = turn + self.spacing
        time.sleep(max(0.0, turn - now))

    def slow_down(self) -> None:
        """Slow down all who share this: the service asked for it."""
        with self._lock:
            now = time.monotonic()
            if now < self._slowed_at + TOGETHER_SECONDS:
                return
            self._slowed_at = now
            self._now_rate = max(1.0, self._now_rate * SLOWDOWN_FACTOR)
            self._next_at = max(self._next_at, now + REST_SECONDS)
