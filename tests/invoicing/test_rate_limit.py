"""Turns to call a service are shared by all threads, and grow rare when it asks for that."""

import time
from concurrent.futures import ThreadPoolExecutor

from invoicing.rate_limit import RateLimiter


def test_threads_share_a_budget() -> None:
    """Two together do not call more often than one may alone."""
    budget, began = RateLimiter(50), time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: budget.wait(), range(20)))
    assert time.monotonic() - began > 18 / 50


def test_a_budget_shrinks_when_the_service_asks() -> None:
    """Once for calls that were refused together, and with a rest before the next call."""
    budget, began = RateLimiter(1000), time.monotonic()
    budget.slow_down()
    budget.slow_down()
    assert budget.spacing == 1 / 900
    budget.wait()
    assert time.monotonic() - began > 0.09


def test_a_budget_recovers() -> None:
    """Calls that are not refused bring the rate back."""
    budget = RateLimiter(100)
    budget.slow_down()
    slowed = budget.spacing
    for _ in range(5):
        budget.wait()
    assert budget.spacing < slowed
