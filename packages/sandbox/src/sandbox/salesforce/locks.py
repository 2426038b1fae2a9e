"""Row locks: what happens when parallel writes meet on a record or on its parent.

The sandbox works one request at a time, so real contention cannot arise by itself. Instead a
write may *hold* its locks for a while after its effect, before it answers, as a slow
transaction would. Others that need the same rows wait, and fail with UNABLE_TO_LOCK_ROW once
they have waited long enough (ten seconds at Salesforce). Two upserts that race to create the
same external id end as they do there: the loser gets DUPLICATE_VALUE.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.store import Store

WAIT_SECONDS = 10.0

T = TypeVar("T")


class Busy(Exception):
    """Somebody else holds a lock."""

    def __init__(self, name: str, until: float) -> None:
        super().__init__(name)
        self.name = name
        self.until = until


@dataclass
class _Attempt:
    """One try of one transaction: what it has locked, and how it takes refusal."""

    patient: bool
    trouble: bool
    lost: set[str]
    taken: set[str] = field(default_factory=set)
    writes: int = 0


class Locks:
    """The locks of writes that have not answered yet.

    ``hold`` and ``wait`` are seconds of real time: how long a write keeps its locks, and how
    long others wait for them. Writes outside ``run`` (seeding, the admin endpoints) lock nothing.
    """

    def __init__(self) -> None:
        self.hold = 0.0
        self.wait = WAIT_SECONDS
        self._held: dict[str, float] = {}
        self._attempt: _Attempt | None = None

    def clear(self) -> None:
        """Release everything and return to the default times."""
        self.hold, self.wait = 0.0, WAIT_SECONDS
        self._held.clear()

    def take(self, record_ids: Iterable[str]) -> None:
        """Lock rows for the transaction under way; called once for every row written.

        Raises:
            SalesforceError: UNABLE_TO_LOCK_ROW, if others keep them too long.
            Busy: Others hold them now.
        """
        attempt = self._attempt
        if attempt is None:
            return
        attempt.writes += 1
        if attempt.trouble and attempt.writes % 2:
            raise _unable("ordered by a fault rule")
        for record_id in record_ids:
            until = self._until(record_id)
            if until is None:
                attempt.taken.add(record_id)
            elif attempt.patient:
                raise Busy(record_id, until)
            else:
                raise _unable(record_id)

    def take_key(self, key: str) -> None:
        """Lock a unique value that is about to come into being.

        Raises:
            SalesforceError: DUPLICATE_VALUE, as for ``await_key``.
            Busy: Somebody else is making it now.
        """
        self.await_key(key)
        if self._attempt is not None:
            self._attempt.taken.add(key)

    def await_key(self, key: str) -> None:
        """Pass where nobody else is about to make this unique value.

        Raises:
            SalesforceError: DUPLICATE_VALUE, if somebody else made it while this one waited.
            Busy: Somebody else is making it now.
        """
        if self._attempt is None:
            return
        if key in self._attempt.lost:
            raise SalesforceError("DUPLICATE_VALUE", f"duplicate value found: {key}", [])
        until = self._until(key)
        if until is not None:
            self._attempt.lost.add(key)
            raise Busy(key, until)

    async def run(
        self, store: Store, work: Callable[[], T], *, hold: float = 0.0, trouble: bool = False
    ) -> T:
        """Do work as one transaction, waiting for locks, and hold its own for a while.

        Args:
            store: Where the transaction happens.
            work: What to do; it is done again from the start after each wait.
            hold: Seconds to hold the locks beyond ``self.hold``.
            trouble: Refuse every other row written, as ordered by a fault rule.
        """
        deadline = time.monotonic() + self.wait
        lost: set[str] = set()
        while True:
            attempt = _Attempt(time.monotonic() < deadline, trouble, lost)
            try:
                result = self._once(store, work, attempt)
                break
            except Busy as busy:
                pause = min(busy.until, deadline) - time.monotonic()
                await asyncio.sleep(max(pause, 0.001))
        await self._keep(attempt.taken, hold)
        return result

    def _once(self, store: Store, work: Callable[[], T], attempt: _Attempt) -> T:
        self._attempt = attempt
        try:
            with store.transaction():
                return work()
        finally:
            self._attempt = None

    async def _keep(self, taken: set[str], hold: float) -> None:
        seconds = hold + (self.hold if taken else 0.0)
        if seconds:
            self._held.update(dict.fromkeys(taken, time.monotonic() + seconds))
            await asyncio.sleep(seconds)

    def _until(self, name: str) -> float | None:
        until = self._held.get(name)
        if until is None:
            return None
        if until <= time.monotonic():
            del self._held[name]
            return None
        return until


def _unable(what: str) -> SalesforceError:
    return SalesforceError(
        "UNABLE_TO_LOCK_ROW",
        f"unable to obtain exclusive access to this record or 1 records: {what}",
        [],
    )
