"""Sandbox time: the wall clock plus an offset that tests and people can move."""

import time
from collections.abc import Callable
from datetime import UTC, datetime


class Clock:
    """Time as the sandbox sees it. It runs with the wall clock and can be moved."""

    def __init__(self) -> None:
        self._offset = 0.0
        self._listeners: list[Callable[[], None]] = []

    def time(self) -> float:
        """Return seconds since the epoch, in sandbox time."""
        return time.time() + self._offset

    def now(self) -> int:
        """Return whole seconds since the epoch, in sandbox time."""
        return int(self.time())

    def instant(self) -> datetime:
        """Return the sandbox time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.time(), UTC)

    def advance(self, seconds: float) -> None:
        """Move the clock by a number of seconds."""
        self._offset += seconds
        for listener in self._listeners:
            listener()

    def set(self, instant: datetime) -> None:
        """Make it this instant now. A datetime without a zone is UTC."""
        aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        self.advance(aware.timestamp() - self.time())

    def reset(self) -> None:
        """Go back to the wall clock."""
        self.advance(-self._offset)

    def on_move(self, listener: Callable[[], None]) -> None:
        """Call a listener whenever the clock is moved, so that sleepers can look again."""
        self._listeners.append(listener)
