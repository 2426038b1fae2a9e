"""Settings: which Stripe account, which Salesforce org, which ledger, whose calendar.

Every value comes from the environment (prefix ``INVOICING_``, nesting by ``__``, for
example ``INVOICING_STRIPE__API_KEY``) or from a file: the one that ``INVOICING_ENV_FILE`` names,
else ``.env`` beside the process. So one checkout serves several installations, a file each. A name
that is none of them is refused, lest a misspelt one leave its default in place.
Secrets are ``SecretStr``: they never appear in a log, a repr or a parameter.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from difflib import get_close_matches
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from invoicing.errors import Misconfigured

STRIPE_API_VERSION = "2026-10-28.endive"
SALESFORCE_API_VERSION = "67.0"

PREFIX = "INVOICING_"
FILE = "INVOICING_ENV_FILE"
"""The variable of the environment that says which file holds the others."""

ELSEWHERE = ("INVOICING_AUTOMATIONS_", "INVOICING_NOTIFICATIONS_", "INVOICING_QUEUES_")
"""Groups that are read where they are declared, by :func:`read`."""

LEDGER_DRIVERS = frozenset(["sqlite", "postgresql", "postgresql+psycopg"])
"""Databases that can be the ledger, as SQLAlchemy calls them."""

Item = TypeVar("Item")
Read = TypeVar("Read", bound=BaseSettings)


def _list(value: object) -> object:
    """A list as people write it: with commas, or as JSON."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return _json(value)
    return [part.strip() for part in value.split(",") if part.strip()]


def _table(value: object) -> object:
    """A table as people write it: ``EUR=10000, USD=12000``, or as JSON."""
    if not isinstance(value, str) or value.lstrip().startswith("{"):
        return _json(value)
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(equals for _, equals, _ in pairs):
        raise ValueError("write it like EUR=10000, USD=12000")
    return {name.strip(): said.strip() for name, _, said in pairs}


def _json(value: object) -> object:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("it begins like JSON and is none") from None


Listed = Annotated[list[Item], NoDecode, BeforeValidator(_list)]
Table = Annotated[dict[str, Item], NoDecode, BeforeValidator(_table)]


class Stripe(BaseModel):
    """The Stripe account that bills, and how to reach it."""

    api_key: SecretStr = Field(description="Secret or restricted key of the account.")
    account_id: str = Field(
        pattern=r"^acct_",
        description="The account the key must belong to.",
        examples=["acct_1NvAbCdEfGhIjKlM"],
    )
    livemode: bool = Field(description="Whether the key must be a live key.")
    base_url: str = Field("https://api.stripe.com", description="Where Stripe's API answers.")
    webhook_secrets: Listed[SecretStr] = Field(
        default_factory=list,
        description="Signing secrets of the webhook endpoint; several while one is rolled.",
    )
    timeout_seconds: float = Field(30, gt=0, description="Time limit of one request.")
    auto_advance: bool = Field(
        False,
        description="Let Stripe remind, retry and reconcile by itself after finalization.",
    )
    unarchive_products: bool = Field(
        False,
        description="Unarchive products that an invoice needs; else it is refused.",
    )
    requests_per_second: float = Field(20, gt=0, description="Pace of bulk readers.")
    tax_rates: Table[str] = Field(
        default_factory=dict,
        description="What people call tax rates, and their ids (txr_…) in Stripe.",
    )
    tax_behavior: Literal["exclusive", "inclusive"] = Field(
        "exclusive", description="Whether prices contain the tax that Stripe Tax works out."
    )


class Salesforce(BaseModel):
    """The Salesforce org, and one of two server-to-server logins for it."""

    org_id: str = Field(
        pattern=r"^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$",
        description="The org that the login must belong to.",
        examples=["00D5g000001AbCdEAK"],
    )
    domain: str = Field(description="My Domain without .salesforce.com, for example acme.my")
    consumer_key: SecretStr = Field(description="Of the connected app, or external client app.")
    consumer_secret: SecretStr | None = Field(None, description="For client credentials.")
    username: str | None = Field(None, description="For JWT bearer: the integration user.")
    private_key_file: Path | None = Field(None, description="For JWT bearer: PEM file.")
    audience: str | None = Field(
        None,
        description="For JWT bearer: the audience: login, test, or My Domain as above. "
        "Unset: test where My Domain is a sandbox's, else login.",
    )
    url: str | None = Field(
        None, description="Where the org answers, when that is not its My Domain (a proxy)."
    )
    pubsub_url: str = Field(
        "https://api.pubsub.salesforce.com:7443",
        description="Where the listener finds Salesforce's Pub/Sub API.",
    )
    namespace: str = Field(
        "",
        pattern=r"^([A-Za-z](_?[A-Za-z0-9])*)?$",
        max_length=15,
        description="Of the Salesforce package, where it was installed with one: there its names "
        "begin with this and two underscores, unless a field mapping says others.",
        examples=["acme"],
    )
    request_channel: str = Field(
        "/data/Invoice_Requests__chn",
        description="The channel of change events on which it hears of requests. Where there is "
        "a namespace, that of the package begins with it by itself.",
    )
    timeout_seconds: float = Field(60, gt=0, description="Time limit of one request.")
    multi_currency: bool | None = Field(
        None,
        description="Whether the org has multi-currency enabled. The org is asked; where this is "
        "set and the org says otherwise, nothing is done.",
    )
    api_usage_limit: float = Field(
        0.8, gt=0, le=1, description="Share of the daily API calls past which bulk work stops."
    )

    @property
    def jwt_audience(self) -> str:
        """Whom a JWT is for, without .salesforce.com.

        Source: Salesforce Help, "OAuth 2.0 JWT Bearer Flow" (aud: login, test, or a site)
        """
        of_sandbox = any(mark in self.domain for mark in ("--", ".sandbox.", ".scratch."))
        return self.audience or ("test" if of_sandbox else "login")

    @property
    def request_stream(self) -> str:
        """What the ledger calls the stream of events on the channel of requests."""
        return f"{self.org_id}:{self.request_channel}"

    @model_validator(mode="after")
    def _channel_of_the_package(self) -> Self:
        if self.namespace and "request_channel" not in self.model_fields_set:
            self.request_channel = f"/data/{self.namespace}__Invoice_Requests__chn"
        return self

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        by_secret = self.consumer_secret is not None
        by_certificate = self.username is not None and self.private_key_file is not None
        if by_secret == by_certificate:
            raise ValueError(
                "give either consumer_secret (client credentials) "
                "or username and private_key_file (JWT bearer)"
            )
        return self


class Ledger(BaseModel):
    """The database that remembers what was intended and what was done."""

    url: str = Field(
        "sqlite:///.invoicing/ledger.db",
        description="SQLAlchemy URL: SQLite or PostgreSQL.",
        examples=["postgresql://db.example.com/invoicing"],
        repr=False,  # it may hold a password
    )
    event_body_days: int = Field(
        90, ge=1, description="Days for which the bodies of processed events are kept."
    )

    @field_validator("url")
    @classmethod
    def _of_a_database_that_serves(cls, url: str) -> str:
        with suppress(ArgumentError, ValueError):
            parsed = make_url(url)
            if parsed.drivername in LEDGER_DRIVERS and not (
                parsed.host and parsed.get_backend_name() == "sqlite"
            ):
                return url
        raise ValueError(
            "write it like sqlite:////var/lib/invoicing/ledger.db or "
            "postgresql://invoicing@host/database; a password stands behind the user and a colon, "
            "with %40 for an @ in it"
        )


def _fit_for_a_path(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z0-9_-]{20,}", token.get_secret_value()):
        raise ValueError("a token is at least 20 letters, digits, '-' or '_'")
    return token


Token = Annotated[SecretStr, AfterValidator(_fit_for_a_path)]
"""The part of a path that nobody can guess."""


class Endpoint(BaseModel):
    """A webhook endpoint that one Stripe account has in one mode."""

    token: Token = Field(description="Its path is /webhooks/stripe/<token>.")
    account_id: str = Field(pattern=r"^acct_")
    livemode: bool
    secrets: Listed[SecretStr] = Field(
        min_length=1, description="Signing secrets; several while one is rolled."
    )


class Receiver(BaseModel):
    """The receiver of Stripe's events."""

    url: str | None = Field(
        None,
        pattern=r"^https?://[^/]+(/.*[^/])?$",
        description="Where Stripe reaches the receiver, without /webhooks/stripe and what follows: "
        "https://invoices.example.com. `make doctor` compares Stripe's webhook endpoint with it.",
        examples=["https://invoices.example.com"],
    )
    token: Token | None = Field(
        None,
        description="Makes /webhooks/stripe/<token> the path of the account of `stripe`, "
        "which else is /webhooks/stripe.",
    )
    endpoints: Listed[Endpoint] = Field(
        default_factory=list, description="More accounts, or the same account's other mode."
    )


class Business(BaseModel):
    """The company's own calendar and money."""

    time_zone: str = Field("UTC", description="IANA name; due dates and overdue follow it.")
    currency: str | None = Field(
        None,
        pattern=r"^[A-Z]{3}$",
        description="Of an org of one currency. The org is asked; where this is set and the org "
        "says otherwise, nothing is done.",
        examples=["EUR"],
    )

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError):
            cities = {zone.rpartition("/")[2]: zone for zone in sorted(available_timezones())}
            city = next(iter(get_close_matches(name, cities, 1)), "Berlin")
            raise ValueError(
                f"there is no time zone {name!r}; write it like {cities[city]}"
            ) from None
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The business's time zone."""
        return ZoneInfo(self.time_zone)


class Dialogues(BaseModel):
    """Waiting for people's answers."""

    timeout_seconds: int = Field(
        86_400, ge=1, description="An unanswered question ends its run after so long."
    )


class Approval(BaseModel):
    """Approval of sending."""

    limits: Table[Annotated[Decimal, Field(ge=0)]] = Field(
        default_factory=dict,
        description="Amounts above which sending waits for an approver, by currency, such as "
        "EUR=10000: the total with its tax, or what is due with old debts if that is more. "
        "A currency that is not named has no limit.",
    )
    approvers: Listed[str] = Field(
        default_factory=list,
        description="Who may approve in Prefect's dialogue; empty: whoever gives a name.",
    )
    in_salesforce: bool = Field(
        True,
        description="Where the Salesforce package is deployed, approvers decide there, by the "
        "buttons Approve and Reject; off: in Prefect's dialogue, which cannot prove who answers.",
    )
    four_eyes: bool = Field(
        True,
        description="In Salesforce, nobody approves what they raised or whose lines they wrote; "
        "what a program wrote, two people approve.",
    )

    @field_validator("limits")
    @classmethod
    def _upper_case(cls, limits: dict[str, Decimal]) -> dict[str, Decimal]:
        return {currency.upper(): limit for currency, limit in limits.items()}


class Reminders(BaseModel):
    """Reminders of what customers owe; none, unless days are given."""

    before_due: Listed[int] = Field(
        default_factory=list, description="Days before the due date, for example 3."
    )
    after_due: Listed[int] = Field(
        default_factory=list, description="Days after the due date, for example 1, 7, 14."
    )
    at_most: int = Field(3, ge=1, description="Reminders of one invoice, at the most.")

    @field_validator("before_due", "after_due")
    @classmethod
    def _days(cls, days: list[int]) -> list[int]:
        if any(day < 0 for day in days):
            raise ValueError("days are counted from the due date, without a sign")
        return days

    @property
    def offsets(self) -> list[int]:
        """Days from the due date, negative before it."""
        return sorted({*(-day for day in self.before_due), *self.after_due})


def _address(text: str) -> str:
    if not re.fullmatch(r"https?://[^/@?#\s]+(/[^?#\s]*)?", text):
        raise ValueError("write it like https://files.example.com/invoices/")
    return text


class Tables(BaseModel):
    """Where bulk-raise may read spreadsheets from; nowhere, unless it is said."""

    folders: Listed[Path] = Field(
        default_factory=list, description="Folders on the worker's disk, with all below them."
    )
    urls: Listed[Annotated[str, AfterValidator(_address)]] = Field(
        default_factory=list,
        description="Addresses, with all below them, such as https://files.example.com/invoices/. "
        "Whoever starts the flow makes the worker ask them.",
    )


class Retention(BaseModel):
    """For how long texts that may name somebody are kept; `forget-old-data` deletes them."""

    text_days: int = Field(
        365,
        ge=30,
        description="Days for which the ledger keeps texts of timelines and requests that "
        "Salesforce has too; ids, amounts and instants stay.",
    )
    run_days: int = Field(
        90,
        ge=7,
        description="Days for which Prefect keeps runs that have ended, with their logs, pages "
        "and results.",
    )
    report_days: int = Field(
        90, ge=1, description="Days for which drift reports and exports of customers are kept."
    )


def is_loopback(host: str) -> bool:
    """Whether a host, by name or address, is this machine itself."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _is_overheard(url: str) -> bool:
    """Whether others than this machine see what is sent to a URL."""
    parts = urlsplit(url)
    return parts.scheme.lower() != "https" and not is_loopback(parts.hostname or "")


class Settings(BaseSettings):
    """Everything that differs from one installation to the next."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore")

    stripe: Stripe
    salesforce: Salesforce
    ledger: Ledger = Field(default_factory=Ledger)
    receiver: Receiver = Field(default_factory=Receiver)
    business: Business = Field(default_factory=Business)
    reminders: Reminders = Field(default_factory=Reminders)
    dialogues: Dialogues = Field(default_factory=Dialogues)
    approval: Approval = Field(default_factory=Approval)
    tables: Tables = Field(default_factory=Tables)
    retention: Retention = Field(default_factory=Retention)
    mapping: Path | None = Field(
        None,
        description="TOML file with the org's own names for our objects and fields.",
    )
    prefect_api_url: str = Field(
        "http://127.0.0.1:4200/api",
        validation_alias=AliasChoices("prefect_api_url", "PREFECT_API_URL"),
        description="Prefect's REST API; the same variable that Prefect itself reads. Its own "
        "programs, the worker above all, begin a server of their own where it is not set.",
    )
    prefect_api_auth: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("prefect_api_auth", "PREFECT_API_AUTH_STRING"),
        description="user:password of Prefect's REST API, if it has one.",
    )
    reports: Path = Field(
        Path(".invoicing/reports"),
        description="Folder of the full sync's drift lists and of exports of customers.",
    )
    prefect_ui_url: str | None = Field(
        None, description="Where people open the Prefect UI, for links on Salesforce records."
    )

    @model_validator(mode="after")
    def _live_keys_are_not_overheard(self) -> Self:
        live = self.stripe.livemode or "_live_" in self.stripe.api_key.get_secret_value()
        for name, url in (
            ("INVOICING_STRIPE__BASE_URL", self.stripe.base_url),
            ("INVOICING_SALESFORCE__URL", self.salesforce.url),
        ):
            if live and url and _is_overheard(url):
                raise ValueError(
                    f"{name} begins with http://, and Stripe's key is a live one: whoever is on "
                    "the way could read it; write https://"
                )
        return self

    @model_validator(mode="after")
    def _one_side_reminds(self) -> Self:
        if self.stripe.auto_advance and self.reminders.offsets:
            raise ValueError(
                "INVOICING_STRIPE__AUTO_ADVANCE lets Stripe remind customers, and "
                "INVOICING_REMINDERS__… lets us: they would be mailed twice; switch one off"
            )
        return self


def leaves(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """The variables of settings and their fields, in the order of the code."""
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{prefix}{name.upper()}__")
        else:
            alias = field.validation_alias
            named = alias.choices[-1] if isinstance(alias, AliasChoices) else prefix + name.upper()
            yield str(named), field


def file() -> Path:
    """The file that settings are read from, beside the environment; it need not be there."""
    return Path(os.environ.get(FILE, ".env"))


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the settings once per process.

    Raises:
        Misconfigured: naming every variable that is missing, wrong or unknown, and no value.
    """
    return read(Settings)


def read(model: type[Read]) -> Read:
    """Read a group of settings, each variable of which begins with the group's prefix.

    Raises:
        Misconfigured: naming every variable that is missing, wrong or unknown, and no value.
    """
    if FILE in os.environ and not file().is_file():
        raise Misconfigured(f"{FILE} names {file()}, and there is no such file.")
    prefix = str(model.model_config["env_prefix"])
    wrong = list(_unknown(model, prefix))
    try:
        found = model(_env_file=file())
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            wrong += _wrong(model, prefix, each["loc"], each["type"], each["msg"])
    if wrong:
        raise Misconfigured("The settings are not complete. " + "; ".join(wrong))
    return found


def _wrong(
    model: type[BaseModel], prefix: str, place: tuple[int | str, ...], kind: str, message: str
) -> Iterator[str]:
    """What is wrong with a variable, or with each that a section needs."""
    if not place:
        yield message.removeprefix("Value error, ")
        return
    name = prefix + "__".join(map(str, place)).upper()
    fields = dict(leaves(model, prefix))
    examples = fields[name].examples if name in fields else None
    if kind == "string_pattern_mismatch" and examples:
        yield f"{name} has to look like {examples[0]}"
    elif kind == "missing":
        for leaf, field in fields.items():
            if field.is_required() and f"{leaf}__".startswith(f"{name}__"):
                yield f"{leaf} is missing"
    else:
        yield f"{name}: {message.removeprefix('Value error, ')}"


def _unknown(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Variables that look like settings of the group and are none."""
    known = dict(leaves(model, prefix))
    others = tuple(each for each in ELSEWHERE if each != prefix)
    tables = {name for name, field in known.items() if get_origin(field.annotation) is dict}
    sections = {name.rpartition("__")[0] for name in known}
    for name in sorted({*os.environ, *dotenv_values(file())} - {FILE}):
        word = name.upper()
        is_ours = word.startswith(prefix) and not word.startswith(others)
        if is_ours and word not in {*known, *sections} and word.rpartition("__")[0] not in tables:
            [near] = get_close_matches(word, known, 1, cutoff=0)
            yield f"{name} is no setting; did you mean {near}?"
