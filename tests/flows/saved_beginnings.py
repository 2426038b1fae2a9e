"""What many stories begin with is done once, and put back for each of them."""

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import make_url

from invoicing.ledger import database
from invoicing.settings import settings
from tests.conftest import Sandbox, clients

T = TypeVar("T")

MOST_SECONDS = 60
"""How long ago what is put back was done at most: a story that began long ago is another."""

OWN = ("INVOICING_LEDGER__URL", "INVOICING_REPORTS")
"""Settings that are another for each test."""


class Moment(NamedTuple):
    """A world as it was left, and what whoever left it was told."""

    begun: float
    name: str
    ledger: sqlite3.Connection
    outcome: Any


_kept: dict[object, Moment] = {}


def once(what: str, do: Callable[[], T], *sandboxes: Sandbox) -> T:
    """Do what a story begins with, or go back to when it was done by these settings.

    It is done again where the world or the ledger are not new: the story began before.

    Args:
        what: Names what is done.
        do: Does it in a new world.
        sandboxes: Both services.

    Returns:
        The outcome.
    """
    if not _is_new(*sandboxes):
        return do()
    environment = {k: v for k, v in os.environ.items() if k.startswith(("INVOICING_", "PREFECT_"))}
    key = (what, frozenset((k, v) for k, v in environment.items() if k not in OWN))
    if key not in _kept or time.monotonic() - _kept[key].begun > MOST_SECONDS:
        begun, outcome = time.monotonic(), do()
        name = _kept[key].name if key in _kept else f"begun-{len(_kept)}"
        _kept[key] = Moment(begun, name, _keep(name, sandboxes), outcome)
    moment = _kept[key]
    for sandbox in sandboxes:
        sandbox.admin("POST", f"moments/{moment.name}")
        sandbox.admin("DELETE", "requests")
    database.engine().dispose()
    with closing(_ledger()) as ledger:
        moment.ledger.backup(ledger)
    for client in clients():
        client.cache_clear()
    return cast(T, deepcopy(moment.outcome))


def _is_new(*sandboxes: Sandbox) -> bool:
    """Whether nobody has done anything since the world was made."""
    _, *connected = clients()
    used = any(client.cache_info().currsize for client in connected)
    others = {settings().stripe.base_url, settings().salesforce.url} - {s.url for s in sandboxes}
    return not (used or others) and not any(
        s.changed or s.admin("GET", "requests")["count"] for s in sandboxes
    )


def _keep(name: str, sandboxes: tuple[Sandbox, ...]) -> sqlite3.Connection:
    for sandbox in sandboxes:
        sandbox.admin("PUT", f"moments/{name}")
    kept = sqlite3.connect(":memory:")
    with closing(_ledger()) as ledger:
        ledger.backup(kept)
    return kept


def _ledger() -> sqlite3.Connection:
    connection = sqlite3.connect(str(make_url(settings().ledger.url).database))
    connection.execute("PRAGMA synchronous = OFF")
    return connection
