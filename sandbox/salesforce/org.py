"""The org: its schema, its records, its clock, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sandbox.common.clock import Clock
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.locks import Locks
from sandbox.salesforce.metadata import load_schema
from sandbox.salesforce.schema import Schema, SObject
from sandbox.salesforce.store import Store
from sandbox.salesforce.values import stamp

API_VERSION = "67.0"
DATA_PATH = f"/services/data/v{API_VERSION}"

ORGANIZATION_ID = make_id("00D", 1)
USER_ID = make_id("005", 1)
STANDARD_PRICEBOOK_ID = make_id("01s", 1)


@dataclass
class Org:
    """Everything a request needs to be answered."""

    schema: Schema
    store: Store
    clock: Clock = field(default_factory=Clock)
    user_id: str = USER_ID
    locks: Locks = field(default_factory=Locks)

    def sobject(self, name: str) -> SObject:
        """The object of this name.

        Raises:
            KeyError: There is none.
        """
        return self.schema.objects[name]

    def now(self) -> str:
        """The present moment as records carry it."""
        return stamp(self.clock.instant())


def open_org(metadata: Path, data: str = ":memory:", clock: Clock | None = None) -> Org:
    """Open an org over a database, making tables and columns the schema adds.

    Raises:
        ValueError: The metadata is not one this sandbox can stand in for.
    """
    store = Store(data)
    schema = load_schema(metadata, store.prefixes())
    store.prepare(schema)
    return Org(schema, store, clock or Clock())
