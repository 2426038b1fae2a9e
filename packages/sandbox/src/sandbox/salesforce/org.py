"""The org: its schema, its records, its clock, and who is asking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.common.clock import Clock
from sandbox.salesforce import computed
from sandbox.salesforce.change_events import Changes, read_channels
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.locks import Locks
from sandbox.salesforce.metadata import load_schema, of_one_currency, read_notification_types
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
    """Everything a request needs to be answered.

    ``currency`` is the org's own one where it has a single currency, and None where it has several;
    ``channels`` are the topics of change events and the objects on each, ``notification_types``
    the labels of custom notifications by their names.
    """

    schema: Schema
    store: Store
    clock: Clock = field(default_factory=Clock)
    user_id: str = USER_ID
    locks: Locks = field(default_factory=Locks)
    currency: str | None = None
    channels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notification_types: Mapping[str, str] = field(default_factory=dict)
    changes: Changes = field(init=False, repr=False)
    _full: Schema = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._full = self.schema
        self.changes = Changes(self.store, self.clock, self.channels)

    def use_currency(self, currency: str | None) -> None:
        """Make it an org of this one currency, or of several; it is to be empty or seeded anew."""
        self.currency = currency
        self.schema = of_one_currency(self._full) if currency else self._full

    def own_values(self, sobject: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a record's values that the object has fields for in this org."""
        fields = self.sobject(sobject).fields
        return {name: value for name, value in values.items() if name in fields}

    def sobject(self, name: str) -> SObject:
        """The object of this name.

        Raises:
            KeyError: There is none.
        """
        return self.schema.objects[name]

    def now(self) -> str:
        """The present moment as records carry it."""
        return stamp(self.clock.instant())


def open_org(
    metadata: Path | None = None, data: str = ":memory:", clock: Clock | None = None
) -> Org:
    """Open an org over a database, making tables and columns the schema adds.

    Args:
        metadata: The SFDX folder whose ``objects/`` it has beside the standard ones, if any.
        data: The SQLite file with its records, or in memory.
        clock: Its clock; the true time unless given.

    Raises:
        ValueError: The metadata is not one this sandbox can stand in for.
    """
    store = Store(data)
    schema = load_schema(metadata, store.prefixes())
    if any(field.calculated for field in store.prepare(schema)):
        computed.recalculate(store, schema)
    channels = read_channels(metadata, schema)
    types = read_notification_types(metadata)
    return Org(schema, store, clock or Clock(), channels=channels, notification_types=types)
