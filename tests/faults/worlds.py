"""A world to try things in: both sandboxes, a ledger, and a clock that all of them share."""

import itertools
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from deployments.local.stack import SALESFORCE_PACKAGE
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from tests.conftest import Sandbox

if TYPE_CHECKING:
    from tests.faults.process_patches import Moment

TIMEOUT_SECONDS = 2.0
"""How long the product waits for an answer here."""

PATIENCE_SECONDS = 30.0
"""How long the ledger may be busy with what is left of the last schedule."""

DAY = 86400.0

ACCOUNT = "acct_1SandboxAcme"
STRIPE, SALESFORCE = "stripe", "salesforce"
SANDBOXES = {
    STRIPE: (),
    SALESFORCE: ("--metadata", str(SALESFORCE_PACKAGE), "--pubsub-port", "0"),
}


class Service:
    """A sandbox in a process of its own."""

    def __init__(self, module: str, *options: str) -> None:
        """Start it on a free port, and wait until it is ready."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, "--port", "0", *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().split()[-1]

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()


@dataclass
class World:
    """What one schedule plays in; renewed for each."""

    folder: Path
    number: int
    ledger_url: str
    ahead: float = 0.0
    life: str = ""
    sandboxes: dict[str, Sandbox] = field(default_factory=dict)
    _services: list[Service] = field(default_factory=list)

    def begin(self) -> None:
        """Start the sandboxes, point the product's settings at them, migrate the ledger."""
        for name, options in SANDBOXES.items():
            service = Service(f"sandbox.{name}", *options)
            self._services.append(service)
            self.sandboxes[name] = Sandbox(service.url)
        values = {
            "STRIPE__API_KEY": "sk_live_sandbox",
            "STRIPE__ACCOUNT_ID": ACCOUNT,
            "STRIPE__LIVEMODE": "true",
            "STRIPE__BASE_URL": self.sandboxes[STRIPE].url,
            "STRIPE__REQUESTS_PER_SECOND": "1000",
            "STRIPE__TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "SALESFORCE__URL": self.sandboxes[SALESFORCE].url,
            "SALESFORCE__DOMAIN": "northwind.my",
            "SALESFORCE__CONSUMER_KEY": CONSUMER_KEY,
            "SALESFORCE__CONSUMER_SECRET": CONSUMER_SECRET,
            "SALESFORCE__ORG_ID": "00DHs0000000001MAA",
            "SALESFORCE__TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
            "SALESFORCE__PUBSUB_URL": self._event_bus(),
            "LEDGER__URL": self.ledger_url,
            "REPORTS": str(self.folder / "reports"),
            "BUSINESS__TIME_ZONE": "Europe/Berlin",
            "REMINDERS__BEFORE_DUE": "[45]",
            "APPROVAL__LIMITS": '{"USD": "100000"}',
            "APPROVAL__FOUR_EYES": "false",
        }
        os.environ.update({f"INVOICING_{name}": value for name, value in values.items()})
        self._migrate()
        self.pass_time(self.number * DAY)

    def _event_bus(self) -> str:
        from tests.faults.listening import KEEPALIVE_SECONDS

        bus = self.sandboxes[SALESFORCE].admin("POST", "pubsub", keepalive=KEEPALIVE_SECONDS)
        return f"http://127.0.0.1:{bus['port']}"

    def end(self) -> None:
        """Stop the sandboxes."""
        for service in self._services:
            service.stop()

    def renew(self) -> None:
        """Forget everything but the clock, which never stands where it stood before."""
        self.sandboxes[STRIPE].admin("POST", "reset")
        self.sandboxes[SALESFORCE].admin("POST", "reset", seed="demo")
        self.clear_faults()
        self._clear_ledger()
        count = next(_COUNTER)
        self.life = f"{self.number}-{count}"
        self.ahead = self.number * DAY + count * 2
        self._set_clocks()

    @property
    def moment(self) -> "Moment":
        """This world, and how late it is there."""
        from tests.faults.process_patches import Moment

        return Moment(self.ahead, self.life)

    def pass_time(self, seconds: float) -> None:
        """Let it be later for both services, and for the product."""
        self.ahead += seconds
        self._set_clocks()

    def _set_clocks(self) -> None:
        from datetime import UTC, datetime, timedelta

        now = (datetime.now(UTC) + timedelta(seconds=self.ahead)).isoformat()
        for sandbox in self.sandboxes.values():
            sandbox.admin("POST", "clock", now=now)

    def order_faults(self, rules: Mapping[str, Sequence[dict[str, Any]]], seed: int) -> None:
        """Have trouble on the wire from now on, by service."""
        for name, some in rules.items():
            self.sandboxes[name].admin("POST", "faults", seed=seed, rules=list(some))

    def faults(self) -> list[dict[str, Any]]:
        """The trouble that is ordered, with how often it struck."""
        return [
            rule
            for sandbox in self.sandboxes.values()
            for rule in sandbox.admin("GET", "faults")["rules"]
        ]

    def clear_faults(self) -> None:
        """Have no trouble on the wire any more."""
        for sandbox in self.sandboxes.values():
            sandbox.admin("DELETE", "faults")

    def _migrate(self) -> None:
        from invoicing.ledger import database

        database.migrate(self.ledger_url)

    def _clear_ledger(self) -> None:
        """Empty all tables in place: processes of the last schedule may have it open still."""
        from sqlmodel import SQLModel

        from invoicing.ledger import models

        tables = list(SQLModel.metadata.tables)
        assert models.Intent.__tablename__ in tables
        if self.ledger_url.startswith("sqlite"):
            file = self.ledger_url.removeprefix("sqlite:///")
            with closing(sqlite3.connect(file, timeout=PATIENCE_SECONDS)) as ledger, ledger:
                for table in tables:
                    ledger.execute(f"DELETE FROM {table}")
            return
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY".encode())


_COUNTER = itertools.count(1)

Deed = Callable[[], Any]
