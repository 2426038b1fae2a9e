"""The org: its schema, its records, its clock, and who is asking."""

from __future__ import annotations

import shutil
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
from sandbox.salesforce.namespace import installed, prefixed
from sandbox.salesforce.org_rules import OrgRules
from sandbox.salesforce.package import Package
from sandbox.salesforce.permissions import NOTHING, Permissions, read_permission_sets
from sandbox.salesforce.person_accounts import with_person_accounts
from sandbox.salesforce.schema import Schema, SObject
from sandbox.salesforce.schema_loader import (
    load_schema,
    of_one_currency,
    read_groups,
    read_notification_types,
)
from sandbox.salesforce.store import Store
from sandbox.salesforce.values import stamp
from sandbox.salesforce.withheld_access import Withheld

PROFILES: Mapping[str, Callable[[Schema], Schema]] = {
    "country-picklists": with_country_picklists,
    "person-accounts": with_person_accounts,
    "lightning-pages": lambda schema: schema,
    "predefined-actions": lambda schema: schema,
}
"""What orgs have beside their package's metadata, each alone or with others.

A profile may have pages of its own, in a folder of its name below ``standard_pages``.
"""

STANDARD_PAGES = Path(__file__).with_name("standard_pages")
"""The pages of standard objects, as an org has them before anything is deployed to it."""

API_VERSION = "67.0"
DATA_PATH = f"/services/data/v{API_VERSION}"

ORGANIZATION_ID = make_id("00D", 1)
USER_ID = make_id("005", 1)
PERSON_ID = make_id("005", 2)
STANDARD_PRICEBOOK_ID = make_id("01s", 1)


@dataclass(frozen=True)
class Person:
    """Somebody who is not the integration user.

    Attributes:
        id: The user.
        sets: The permission sets that they have. None: an administrator, whose profile allows
            everything and has no custom permission, for these come with permission sets.
        groups: The public groups that they are in.
    """

    id: str
    sets: tuple[str, ...] | None
    groups: tuple[str, ...] = ()


AT_A_PAGE = Person(PERSON_ID, ("Invoice_User", "Invoice_Approver"), ("Invoice_Approvers",))
"""Whoever clicks on the pages without having logged in as somebody else."""

_person: ContextVar[Person | None] = ContextVar("person", default=None)


@dataclass
class Org:
    """Everything a request needs to be answered.

    ``currency`` is the org's own one where it has a single currency, and None where it has several.
    ``permissions`` are those of its package's permission sets, by name; ``user`` has some of them,
    or may do everything. People on its pages are somebody else, and see everything; so are those
    in ``people``, who call the API with sessions of their own and see what they were granted.
    ``folders`` hold its metadata in source format, ``deployed`` what was deployed since, if
    anything; ``profiles`` say what else it is like, ``namespace`` is that of the package, where it
    was installed with one. ``channels`` are the topics of change events and the objects on each,
    ``notification_types`` and ``groups`` the labels of custom notifications and of public groups by
    their names.
    """

    store: Store
    clock: Clock = field(default_factory=Clock)
    folders: tuple[Path, ...] = ()
    deployed: Path | None = None
    locks: Locks = field(default_factory=Locks)
    rules: OrgRules = field(default_factory=OrgRules)
    currency: str | None = None
    namespace: str = ""
    package: Package = field(default_factory=Package)
    people: dict[str, Person] = field(default_factory=dict)
    permissions: Mapping[str, Permissions] = field(default_factory=dict)
    user: Permissions | None = None
    user_has: tuple[str, ...] | None = None
    withheld: Withheld = field(default_factory=Withheld)
    profiles: tuple[str, ...] = ()
    schema: Schema = field(init=False, repr=False)
    seen: Schema = field(init=False, repr=False)
    channels: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notification_types: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    changes: Changes = field(init=False, repr=False)
    _full: Schema = field(init=False, repr=False)
    _visible: Schema = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.changes = Changes(self.store, self.clock, {})
        self.read_metadata()

    @property
    def metadata_folders(self) -> list[Path]:
        """Where its metadata is; what is in a later folder replaces what is in another."""
        pages = [STANDARD_PAGES / name for name in ("every-org", *self.profiles)]
        return [*pages, *self.folders, *([self.deployed] if self.deployed else ())]

    def read_metadata(self) -> None:
        """Be what the metadata says from now on; records stay.

        Raises:
            ValueError: The metadata is not one this sandbox can stand in for.
        """
        folders = self.metadata_folders
        schema = load_schema(None, self.store.prefixes(), over=folders)
        channels = read_channels(folders, schema)
        every = schema
        for profile in PROFILES.values():
            every = profile(every)
        if any(field.calculated for field in self.store.prepare(every)):
            computed.recalculate(self.store, schema)
        self._full, self.channels = schema, channels
        self.changes.use_channels(channels)
        self.permissions = read_permission_sets(folders)
        self.notification_types = read_notification_types(folders)
        self.groups = read_groups(folders)
        self._take_shape()

    def forget_deployed(self) -> None:
        """Have the metadata that it was opened with."""
        if self.deployed:
            shutil.rmtree(self.deployed, ignore_errors=True)
        self.read_metadata()

    def _take_shape(self) -> None:
        """Let currency and profiles say what there is of the metadata."""
        schema = of_one_currency(self._full) if self.currency else self._full
        for name in self.profiles:
            schema = PROFILES[name](schema)
        self.schema = self.seen = schema
        self.package = Package(self.metadata_folders)
        self._look()

    @property
    def user_id(self) -> str:
        """Who is asking."""
        person = _person.get()
        return person.id if person else USER_ID

    @property
    def recipients(self) -> frozenset[str]:
        """Whoever is asking, and the public groups that they are in, by their ids."""
        person, table = _person.get(), self.sobject("Group")
        groups = person.groups if person else ()
        rows = [r for name in groups for r in self.store.where(table, "DeveloperName = ?", [name])]
        return frozenset([self.user_id, *(str(row["Id"]) for row in rows)])

    @property
    def custom_permissions(self) -> frozenset[str]:
        """The custom permissions of whoever is asking."""
        administrator = _person.get() is not None and self._sets is None
        granted = self.package.custom_permissions(() if administrator else self._sets)
        return granted if _person.get() else granted - self.withheld.hidden

    def has_permission(self, name: str) -> bool:
        """Whether whoever is asking has a user permission, such as ``SendCustomNotifications``."""
        person = _person.get()
        granted = self._rights(person) if person else self.user
        has_it = granted is None or name in granted.system
        return has_it and (person is not None or name not in self.withheld.hidden)

    def may_start(self, flow: str) -> bool:
        """Whether whoever is asking may start a flow.

        Raises:
            Unsupported: The flow uses what cannot be run here.
        """
        return self.package.may_start(flow, self._sets)

    def may(self, sobject: SObject, right: str) -> bool:
        """Whether whoever is asking may do something with the records of an object.

        People may do with standard objects whatever their profile allows, which is not known here.

        Args:
            sobject: The object.
            right: What, as permission sets say it: ``allowEdit``.
        """
        if self._sets is None or (_person.get() and not sobject.custom):
            return True
        return self._granted(self.permissions.keys() & self._sets).may(sobject, right)

    def on_pages(self, sobject: SObject) -> SObject | None:
        """An object as pages show it to whoever is asking; None: not at all."""
        if self._sets is None:
            return sobject
        own = self._granted(self.permissions.keys() & self._sets)
        return own.on_pages(sobject, self._granted(self.permissions))

    @property
    def _sets(self) -> tuple[str, ...] | None:
        """The permission sets of whoever is asking; None for one who may do everything."""
        person = _person.get()
        return person.sets if person else self.user_has

    @contextmanager
    def asked_by(self, person: Person | None) -> Iterator[None]:
        """Whatever is done meanwhile, by this task alone, a person does; None: the user."""
        before = _person.set(person)
        try:
            yield
        finally:
            _person.reset(before)

    def use_currency(self, currency: str | None, profiles: Iterable[str] = ()) -> None:
        """Make it an org of this one currency, or of several; it is to be empty or seeded anew.

        Args:
            currency: Its only one; None for several.
            profiles: What else it is like, of ``PROFILES``.
        """
        self.currency, self.profiles = currency, tuple(profiles)
        self._take_shape()
        self.withhold(Withheld())

    def use_permission_sets(self, names: Sequence[str] | None) -> None:
        """Let the user have some permission sets and nothing else, or everything.

        Raises:
            KeyError: There is no such permission set.
        """
        self.user = None if names is None else self._granted(names)
        self.user_has = None if names is None else tuple(names)
        self._look()

    def _granted(self, names: Iterable[str]) -> Permissions:
        return reduce(or_, [self.permissions[name] for name in names], NOTHING)

    def may_modify_metadata(self, person: Person | None) -> bool:
        """Whether somebody, or the user, may use the Metadata API."""
        granted = self._rights(person) if person else self.user
        return granted is None or "ModifyMetadata" in granted.system

    def hire(self, user_id: str, names: Iterable[str] | None, groups: Iterable[str] = ()) -> None:
        """Let a user call the API who has some permission sets and nothing else.

        Args:
            user_id: Who.
            names: The permission sets; None: it is an administrator.
            groups: The public groups that they are in.

        Raises:
            KeyError: There is no such permission set, or no such group.
        """
        person = Person(user_id, None if names is None else tuple(names), tuple(groups))
        self._rights(person)
        for name in person.groups:
            _ = self.groups[name]
        self.people[user_id] = person

    def _rights(self, person: Person) -> Permissions | None:
        return None if person.sets is None else self._granted(person.sets)

    def _seen_by(self, person: Person) -> Schema:
        granted = self._rights(person)
        return granted.as_seen(self.schema) if granted else self.schema

    def withhold(self, withheld: Withheld) -> None:
        """Let the user see and do so much less, from now on."""
        self.withheld = withheld
        self._look()

    def _look(self) -> None:
        granted = self.user.as_seen(self.schema) if self.user else self.schema
        self._visible = granted if self.withheld == Withheld() else self.withheld.seen(granted)

    @contextmanager
    def asked_by_the_user(self) -> Iterator[None]:
        """Let ``seen`` be what whoever asks sees, while a request of theirs is answered."""
        person = _person.get()
        self.seen = self._seen_by(person) if person else self._visible
        try:
            yield
        finally:
            self.seen = self.schema

    def own_values(self, sobject: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """Those of a record's values that the object has fields for, under this org's names."""
        fields = self.sobject(sobject).fields
        own = {prefixed(name, self.namespace): value for name, value in values.items()}
        return {name: value for name, value in own.items() if name in fields}

    def sobject(self, name: str) -> SObject:
        """The object of this name, the package's also by the name inside of it.

        Raises:
            KeyError: There is none.
        """
        return self.schema.objects[prefixed(name, self.namespace)]

    def now(self) -> str:
        """The present moment as records carry it."""
        return stamp(self.clock.instant())


def open_org(
    metadata: Path | None = None,
    data: str = ":memory:",
    *,
    over: Sequence[Path] = (),
    namespace: str = "",
) -> Org:
    """Open an org over a database, making tables and columns the schema adds.

    Args:
        metadata: The SFDX folder whose ``objects/`` it has beside the standard ones, if any.
        data: The SQLite file with its records, or in memory.
        over: Further folders, whose components replace those of the first.
        namespace: Of the package that the folders are the source of; none, if it is empty.

    Raises:
        ValueError: The metadata is not one this sandbox can stand in for.
    """
    folders = tuple([metadata, *over] if metadata else over)
    if namespace:
        folders = tuple(installed(folder, namespace) for folder in folders)
    deployed = None if data == ":memory:" else Path(f"{data}.metadata")
    return Org(Store(data), Clock(), folders, deployed, namespace=namespace)
