"""Who acts, when, and on which half of the account: handed to every operation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox.common.clock import Clock
from sandbox.stripe import API_VERSION, events
from sandbox.stripe.errors import no_such
from sandbox.stripe.permissions import Key
from sandbox.stripe.store import KINDS, Doc, Space, Store, public

LIVE_KEY, TEST_KEY = (f"sk_{mode}_51" + ("Sandbox" * 14)[:97] for mode in ("live", "test"))
"""Keys as long as real ones; put together, so that no scanner takes them for leaked ones."""


@dataclass
class Account:
    """The one account of the sandbox."""

    id: str = "acct_1SandboxAcme"
    name: str = "Northwind Traders"
    country: str = "US"
    currency: str = "usd"
    email: str = "billing@acme.example"
    keys: dict[str, bool] = field(
        default_factory=lambda: {
            LIVE_KEY: True,
            TEST_KEY: False,
            "sk_live_sandbox": True,
            "sk_test_sandbox": False,
            "sk_test_123": False,
        }
    )
    """API key to livemode. The short ones are for people; the last is what the SDK's tests use."""


class RateLimits(BaseModel):
    """Requests a second: over all, for one operation, for searches."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool = False
    live: int = 100
    test: int = 25
    operation: int = 25
    search: int = 20


class Requirements(BaseModel):
    """What Stripe still wants to know of the account, and why it is disabled, if it is."""

    model_config = ConfigDict(extra="forbid")

    current_deadline: int | None = None
    currently_due: list[str] = []
    disabled_reason: str | None = None
    past_due: list[str] = []


class Settings(BaseModel):
    """What can be switched while the sandbox runs."""

    model_config = ConfigDict(extra="forbid")

    api_version: str = Field(API_VERSION, description="The account's default, for its events.")
    charges_enabled: bool = Field(True, description="Stripe lets the account take payments.")
    default_account_tax_ids: list[str] = Field([], description="The account's own, by default.")
    partial_payments: bool = Field(True, description="Customers may pay a part.")
    requirements: Requirements = Field(default_factory=Requirements)
    search_lag: float = Field(60.0, ge=0, description="Seconds until an object can be found.")
    tax_lacks: list[str] = Field([], description="What Stripe Tax needs, such as `head_office`.")
    rate_limits: RateLimits = Field(default_factory=RateLimits)


@dataclass
class Sandbox:
    """Everything that lives as long as the process."""

    base_url: str
    data: Path | None = None
    account: Account = field(default_factory=Account)
    settings: Settings = field(default_factory=Settings)
    keys: dict[str, Key] = field(default_factory=dict)
    """Those that were made beside the account's own, by their secrets."""
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.store = Store(self.data)

    def context(self, livemode: bool, **request: Any) -> "Context":
        """Return a context for something that happens now."""
        return Context(self, self.store.space(livemode), self.clock.now(), **request)


@dataclass
class Context:
    """One act: an API request, a customer's click, or time passing."""

    sandbox: Sandbox
    space: Space
    now: int
    request_id: str | None = None
    idempotency_key: str | None = None

    @property
    def account(self) -> Account:
        """The account acted on."""
        return self.sandbox.account

    @property
    def api_version(self) -> str:
        """The version in which the account's events are."""
        return self.sandbox.settings.api_version

    @property
    def livemode(self) -> bool:
        """Whether this is the live half."""
        return self.space.livemode

    def require(self, kind: str, object_id: str, param: str | None = None) -> Doc:
        """Return an object that must exist.

        Args:
            kind: What it is.
            object_id: Its id.
            param: The parameter that named it; without one, the path did.

        Raises:
            StripeError: ``resource_missing``.
        """
        doc = self.space.get(kind, object_id)
        if doc is None or doc.get("deleted"):
            noun = KINDS[kind].noun or kind
            other = self.sandbox.store.space(not self.livemode).body(kind, object_id)
            error = no_such(noun, object_id, param or "id", 400 if param else 404)
            if other is not None:
                error.body["message"] += _other_mode(self.livemode)
            raise error
        return doc

    def add(self, kind: str, doc: Doc, event: str | None = None) -> Doc:
        """Store a new object and emit its event, ``<kind>.created`` unless told otherwise."""
        self.space.insert(kind, doc)
        self.emit(event or f"{kind}.created", doc)
        return doc

    def save(self, kind: str, doc: Doc, event: str | None = None) -> Doc:
        """Store a changed object; emit the event with what changed, if anything did."""
        before = self.space.get(kind, doc["id"])
        self.space.update(kind, doc)
        if event and before is not None:
            changes = previous(before, doc)
            if changes:
                self.emit(event, doc, changes)
        return doc

    def emit(self, event_type: str, doc: Doc, changes: Doc | None = None) -> None:
        """Record that something happened."""
        events.record(self, event_type, doc, changes)


def previous(before: Doc, after: Doc) -> Doc:
    """Return the old values of the fields that changed, as events carry them."""
    changes: Doc = {}
    new = public(after)
    for name, old in public(before).items():
        value = new.get(name)
        if value == old:
            continue
        if isinstance(old, dict) and isinstance(value, dict) and old.get("object") != "list":
            changes[name] = previous(old, value) | {key: None for key in value if key not in old}
        else:
            changes[name] = old
    return changes


def _other_mode(livemode: bool) -> str:
    here, there = ("live", "test") if livemode else ("test", "live")
    return (
        f"; a similar object exists in {there} mode, "
        f"but a {here} mode key was used to make this request."
    )
