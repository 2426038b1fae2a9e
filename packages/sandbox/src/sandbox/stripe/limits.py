"""Rate limits as https://docs.stripe.com/rate-limits states them, off unless switched on."""

import time
from collections import deque

from sandbox.stripe.context import Sandbox
from sandbox.stripe.errors import StripeError


class Limiter:
    """Counts the requests of the last second (of real time) and refuses what is too much."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._recent: dict[tuple[bool, str], deque[float]] = {}

    def check(self, livemode: bool, operation: str) -> None:
        """Let a request pass.

        Raises:
            StripeError: 429, with the header that says which limit was met.
        """
        limits = self._sandbox.settings.rate_limits
        if not limits.enabled:
            return
        most = limits.live if livemode else limits.test
        self._count((livemode, ""), most, "global-rate")
        of_operation = limits.search if operation.endswith("/search") else limits.operation
        self._count((livemode, operation), of_operation, "endpoint-rate")

    def _count(self, key: tuple[bool, str], most: int, reason: str) -> None:
        now = time.monotonic()
        recent = self._recent.setdefault(key, deque())
        while recent and recent[0] <= now - 1:
            recent.popleft()
        if len(recent) >= most:
            raise StripeError(
                "Request rate limit exceeded. Learn more about rate limits here "
                "https://docs.stripe.com/rate-limits.",
                status=429,
                code="rate_limit",
                stored=False,
                headers={"Stripe-Rate-Limited-Reason": reason},
            )
        recent.append(now)
