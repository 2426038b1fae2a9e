"""The org: its schema, its records, its clock, and who is asking."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any

from sandbox.common.clock import Clock
from sandbox.salesforce import computed
from sandbox.salesforce.change_events import Changes, read_channels
from sandbox.salesforce.country_picklists import with_country_picklists
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.locks import Locks
from sandbox.salesforce.metadata import load_schema, of_one_currency, read_notification_types
from sandbox.salesforce.org_rules import OrgRules
from sandbox.salesforce.package import Package
from sandbox.salesforce.permissions import NOTHING, Permissions, read_permission_sets
from sandbox.salesforce.person_accounts import with_person_accounts
from sandbox.salesforce.schema import Schema, SObject
from sandbox.salesforce.store import Store
from sandbox.salesforce.values import stamp
from sandbox.salesforce.withheld import Withheld

PROFILES: Mapping[str, Callable[[Schema], Schema]] = {
    "country-picklists": with_country_picklists,
    "person-accounts": with_person_accounts,
}
"""What orgs have beside their package's metadata, each alone or with others."""

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
    ``permissions`` are those of its package's permission sets, by name; ``user`` has some of them,
    or may do everything. People on its pages are somebody else, who has the permission sets
    ``person_has`` and sees everything.
    ``channels`` are the topics of change events and the objects on each, ``notification_types``
    the labels of custom notifications by their names.
    """

    schema: Schema
    store: Store
    clock: Clock = field(default_factory=Clock)
    locks: Locks = field(default_factory=Locks)
    rules: OrgRules = field(default_factory=OrgRules)
    currency: str | None = None
    package: Package = field(default_factory=Package)
    person_has: tuple[str, ...] = ("Invoice_User", "Invoice_Approver")
    permissions: Mapping[str, Permissions] = field(default_factory=dict)
    user: Permissions | None = None
    withheld: Withheld = field(default_factory=Withheld)
    seen: Schema = field(init=False, repr=False)
    channels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notification_types: Mapping[str, str] = field(default_factory=dict)
    changes: Changes = field(init=False, repr=False)
    _full: Schema = field(init=False, repr=False)
    _visible: Schema = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._full = self.seen = self._visible = self.schema
        self.changes = Changes(self.store, self.clock, self.channels)

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

    def use_currency(self, currency: str | None, profiles: Iterable[str] = ()) -> None:
        """Make it an org of this one currency, or of several; it is to be empty or seeded anew.

        Args:
            currency: Its only one; None for several.
            profiles: What else it is like, of ``PROFILES``.
        """
        self.currency = currency
        schema = of_one_currency(self._full) if currency else self._full
        for name in profiles:
            schema = PROFILES[name](schema)
        self.schema = self.seen = schema
        self.withhold(Withheld())

    def use_permission_sets(self, names: Iterable[str] | None) -> None:
        """Let the user have some permission sets and nothing else, or everything.

        Raises:
            KeyError: There is no such permission set.
        """
        sets = None if names is None else [self.permissions[name] for name in names]
        self.user = None if sets is None else reduce(or_, sets, NOTHING)
        self._look()

    def withhold(self, withheld: Withheld) -> None:
        """Let the user see and do so much less, from now on."""
        self.withheld = withheld
        self._look()

    def _look(self) -> None:
        granted = self.user.as_seen(self.schema) if self.user else self.schema
        self._visible = granted if self.withheld == Withheld() else self.withheld.seen(granted)

    @contextmanager
    def asked_by_the_user(self) -> Iterator[None]:
        """Let ``seen`` be what the user sees, while a request of theirs is answered."""
        self.seen = self._visible
        try:
            yield
        finally:
            self.seen = self.schema

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
    every = schema
    for profile in PROFILES.values():
        every = profile(every)
    if any(field.calculated for field in store.prepare(every)):
        computed.recalculate(store, schema)
    package = Package([metadata, *over] if metadata else [])
    permissions = read_permission_sets(metadata) if metadata else {}
    return Org(
        schema,
        store,
        clock or Clock(),
        package=package,
        permissions=permissions,
        channels=read_channels(metadata, schema),
        notification_types=read_notification_types(metadata),
    )
