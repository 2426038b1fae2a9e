"""Pages of Stripe's list of invoices, asked for within the budget that all readers share."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from math import ceil
from typing import TypeVar

from more_itertools import chunked

from invoicing.domain.stripe.resources import StripeInvoice
from invoicing.errors import Throttled, TransientError
from invoicing.ledger.drift import DriftedInvoice
from invoicing.rate_limit import RateLimiter
from invoicing.settings import settings

T = TypeVar("T")
F = TypeVar("F", bound=StripeInvoice)

FEWEST_READERS, MOST_READERS = 16, 48
ANSWER_SECONDS = 0.48
"""Pages are read side by side, so many that answers of 480 ms do not slow the rate down."""

ROWS_PER_READER = 500
"""Invoices whose pages one reader reads again, one page after another."""

MAX_PAGE_ATTEMPTS = 5


@lru_cache(maxsize=1)
def budget() -> RateLimiter:
    """The turns of all bulk readers of this process."""
    return RateLimiter(settings().stripe.requests_per_second)


def readers() -> int:
    """Number of threads that read pages side by side."""
    wanted = ceil(settings().stripe.requests_per_second * ANSWER_SECONDS)
    return min(MOST_READERS, max(FEWEST_READERS, wanted))


def read_page(budget: RateLimiter, ask: Callable[[], T]) -> T:
    """Ask Stripe for a page when it is its turn, and a few times if that fails in passing."""
    attempts = 0
    while True:
        budget.wait()
        attempts += 1
        try:
            return ask()
        except TransientError as error:
            if isinstance(error, Throttled):
                budget.slow_down()
            if attempts == MAX_PAGE_ATTEMPTS:
                raise


def read_again(
    rows: Sequence[DriftedInvoice], page: Callable[[int, str | None], Sequence[F]]
) -> list[F]:
    """Read invoices from the pages of Stripe's list that they stand on; some may be gone.

    Args:
        rows: The invoices, the newest first.
        page: Reads the newest invoices before a Unix second, or after an invoice.
    """
    parts = chunked(rows, ROWS_PER_READER)
    with ThreadPoolExecutor(readers()) as pool:
        return [found for part in pool.map(partial(_jump, page), parts) for found in part]


def _jump(
    page: Callable[[int, str | None], Sequence[F]],
    rows: Sequence[DriftedInvoice],
) -> list[F]:
    """Page from one wanted invoice to the next; what lies between pages is passed over."""
    wanted = {row.subject: row.created for row in rows}
    found: list[F] = []
    until, after = rows[0].created + 1, None
    while wanted:
        invoices = read_page(budget(), partial(page, until, after))
        if not invoices:
            break
        found += [invoice for invoice in invoices if invoice["id"] in wanted]
        last = invoices[-1]
        seen = {invoice["id"] for invoice in invoices}
        # Deleted meanwhile: what lies before the end of the page and is not on it.
        wanted = {
            id_: created
            for id_, created in wanted.items()
            if id_ not in seen and created <= last["created"]
        }
        newest = max(wanted.values(), default=0)
        until, after = (until, last["id"]) if newest == last["created"] else (newest + 1, None)
    return found
