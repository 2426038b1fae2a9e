"""The org's API allowance: calls in the last 24 hours, counted by the minute."""

from __future__ import annotations

from collections import deque
from typing import Any

from sandbox.common.clock import Clock
from sandbox.salesforce.errors import SalesforceError

DAY = 86_400
DEFAULT_ALLOWANCE = 100_000


class Usage:
    """Counts API calls; refuses them past the allowance where that is switched on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.allowance = DEFAULT_ALLOWANCE
        self.enforced = False
        self._minutes: deque[list[int]] = deque()
        self._count = 0

    @property
    def count(self) -> int:
        """Calls in the last 24 hours of sandbox time."""
        while self._minutes and self._minutes[0][0] <= self._clock.now() - DAY:
            self._count -= self._minutes.popleft()[1]
        return self._count

    def spend(self) -> None:
        """Count one call.

        Raises:
            SalesforceError: REQUEST_LIMIT_EXCEEDED, where enforced.
        """
        if self.enforced and self.count >= self.allowance:
            raise SalesforceError(
                "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403
            )
        minute = self._clock.now() // 60 * 60
        if not self._minutes or self._minutes[-1][0] != minute:
            self._minutes.append([minute, 0])
        self._minutes[-1][1] += 1
        self._count += 1

    def clear(self) -> None:
        """Start counting from zero, with the default allowance, not enforced."""
        self._minutes.clear()
        self._count = 0
        self.allowance, self.enforced = DEFAULT_ALLOWANCE, False

    def header(self) -> str:
        """The value of ``Sforce-Limit-Info``."""
        return f"api-usage={self.count}/{self.allowance}"

    def as_limits(self) -> dict[str, Any]:
        """The answer of the limits resource."""

        def limit(most: int, used: int = 0) -> dict[str, int]:
            return {"Max": most, "Remaining": max(most - used, 0)}

        return {
            "DailyApiRequests": limit(self.allowance, self.count),
            "DailyBulkApiBatches": limit(15_000),
            "DailyBulkV2QueryJobs": limit(10_000),
            "DailyBulkV2QueryFileStorageMB": limit(976_562),
            "DataStorageMB": limit(10_240),
            "FileStorageMB": limit(10_240),
            "HourlyAsyncReportRuns": limit(1_200),
            "SingleEmail": limit(5_000),
        }
