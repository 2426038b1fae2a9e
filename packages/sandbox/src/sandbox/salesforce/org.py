"""The org: its schema, its records, its clock, and who is asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.common.clock import Clock
from sandbox.salesforce import computed
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.locks import Locks
from sandbox.salesforce.metadata import load_schema, of_one_currency
from sandbox.salesforce.package import Package
from sandbox.salesforce.permissions import Permissions
from sandbox.salesforce.schema import Schema, SObject
from sandbox.salesforce.store import Store
from sandbox.salesforce.values import stamp

API_VERSION = "67.0"
DATA_PATH = f"/services/data/v{API_VERSION}"

ORGANIZATION_ID = make_id("00D", 1)
USER_ID = make_id("005", 1)
PERSON_ID = make_id("005", 2)
STANDARD_PRICEBOOK_ID = make_id("01s", 1)

_at_a_page: ContextVar[bool] = ContextVar("at_a_page", default=False)


@dataclass
class Org:
    """Everything a request needs to be answered.

    ``currency`` is the org's own one where it has a single currency, and None where it has several.
    Programs are its integration user, whom the package grants everything; people on its pages are
    somebody else, with the permission sets ``person_has``.
    """

    schema: Schema
    store: Store
    clock: Clock = field(default_factory=Clock)
    locks: Locks = field(default_factory=Locks)
    currency: str | None = None
    package: Package = field(default_factory=Package)
    person_has: tuple[str, ...] = ("Invoice_User", "Invoice_Approver")
    _full: Schema = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._full = self.schema

    @property
    def user_id(self) -> str:
        """Who is asking."""
        return PERSON_ID if _at_a_page.get() else USER_ID

    @property
    def custom_permissions(self) -> frozenset[str]:
        """The custom permissions of whoever is asking."""
        return self.package.custom_permissions(self.person_has if _at_a_page.get() else None)

    @contextmanager
    def asked_by_a_person(self) -> Iterator[None]:
        """Whatever is done meanwhile, by this task alone, a person does on the pages."""
        before = _at_a_page.set(True)
        try:
            yield
        finally:
            _at_a_page.reset(before)

    def use_currency(self, currency: str | None) -> None:
        """Make it an org of this one currency, or of several; it is to be empty or seeded anew."""
        self.currency = currency
        self.permit(Permissions())

    def permit(self, permissions: Permissions) -> None:
        """Let the user see and do this much of it, from now on."""
        everything = of_one_currency(self._full) if self.currency else self._full
        restricted = permissions != Permissions()
        self.schema = permissions.seen(everything) if restricted else everything

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
    metadata: Path | None = None,
    data: str = ":memory:",
    clock: Clock | None = None,
    *,
    over: Sequence[Path] = (),
) -> Org:
    """Open an org over a database, making tables and columns the schema adds.

    Args:
        metadata: The SFDX folder whose ``objects/`` it has beside the standard ones, if any.
        data: The SQLite file with its records, or in memory.
        clock: Its clock; the true time unless given.
        over: Further folders, whose flows, actions and pages replace those of the first.

    Raises:
        ValueError: The metadata is not one this sandbox can stand in for.
    """
    store = Store(data)
    schema = load_schema(metadata, store.prefixes())
    if any(field.calculated for field in store.prepare(schema)):
        computed.recalculate(store, schema)
    package = Package([metadata, *over] if metadata else [])
    return Org(schema, store, clock or Clock(), package=package)
