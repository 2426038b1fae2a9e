"""The Metadata API of an org, for whoever looks after the org: what is on it, and deploying to it.

The integration user may not use it, and need not: the login is an administrator's, the one of
Salesforce's own command line. Source: https://developer.salesforce.com/docs/atlas.en-us.
api_meta.meta/api_meta/meta_intro.htm
"""

import io
import json
import os
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import requests
from more_itertools import map_reduce
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError

from invoicing.errors import (
    EnvironmentMismatch,
    InvoicingError,
    Misconfigured,
    Rejected,
    TransientError,
)
from invoicing.settings import SALESFORCE_API_VERSION

MANIFEST = "package.xml"
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
UNDER_WAY = frozenset(["Pending", "InProgress", "FinalizingDeploy", "Canceling"])
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 1_800
TOKEN, INSTANCE = "SF_ACCESS_TOKEN", "SF_ORG_INSTANCE_URL"
"""As Salesforce's command line reads them, too."""

Component = tuple[str, str]
"""A metadata type and a full name."""


@dataclass(frozen=True)
class Login:
    """A session in an org.

    Attributes:
        url: Where the org answers, as https://acme.my.salesforce.com.
        token: The access token.
    """

    url: str
    token: str


def administrator(org: str | None = None) -> Login:
    """The session of Salesforce's command line, or the one that the environment names.

    Args:
        org: Alias or user name by which the command line knows the org; None: its default org.

    Raises:
        Misconfigured: there is none.
    """
    if org is None and os.environ.get(TOKEN) and os.environ.get(INSTANCE):
        return Login(os.environ[INSTANCE].rstrip("/"), os.environ[TOKEN])
    program = shutil.which("sf")
    if program is None:
        raise Misconfigured(
            "Salesforce's command line (sf) is not here. Install it and log in as an administrator "
            f"(sf org login web --set-default), or give {TOKEN} and {INSTANCE}."
        )
    target = ["--target-org", org] if org else []
    shown = _asked(program, "org", "display", *target)
    token = _asked(program, "org", "auth", "show-access-token", "--no-prompt", *target)
    return Login(str(shown["instanceUrl"]).rstrip("/"), str(token["accessToken"]))


def _asked(program: str, *command: str) -> Mapping[str, Any]:
    ran = subprocess.run(  # noqa: S603  Salesforce's own program
        [program, *command, "--json"], capture_output=True, text=True, check=False
    )
    try:
        answer: Mapping[str, Any] = json.loads(ran.stdout)
    except ValueError:
        answer = {}
    if ran.returncode or "result" not in answer:
        why = str(answer.get("message") or ran.stderr or f"status {ran.returncode}")
        raise Misconfigured(f"sf {' '.join(command)} failed: {' '.join(why.split())}")
    return dict(answer["result"])


@dataclass(frozen=True)
class Problem:
    """What an org has against a component of a deploy: whose, and why in its own words."""

    component: str
    why: str


class MetadataApi:
    """An org's metadata.

    Args:
        login: Whose session it is, and where.
    """

    def __init__(self, login: Login) -> None:
        self._client = Salesforce(
            session_id=login.token, instance_url=login.url, version=SALESFORCE_API_VERSION
        )
        # The library takes every org to be reached by https, at the port that is usual.
        self._client.base_url = f"{login.url}/services/data/v{SALESFORCE_API_VERSION}/"
        self._client.metadata_url = f"{login.url}/services/Soap/m/{SALESFORCE_API_VERSION}/"

    def organization(self) -> Mapping[str, Any]:
        """The org: Id, Name, IsSandbox and OrganizationType.

        Raises:
            InvoicingError: it does not answer, or the session is none.
        """
        with _translated_errors():
            asked = "SELECT Id, Name, IsSandbox, OrganizationType FROM Organization"
            [found] = self._client.query(asked)["records"]
        return dict(found)

    def retrieve(self, components: Iterable[Component]) -> dict[str, bytes]:
        """The files of components, by their paths in a deploy; those that are not there are not.

        Args:
            components: The name ``*`` stands for all of a type.

        Raises:
            InvoicingError: the org does not answer, or refuses.
        """
        asked = {kind: [*map(escape, names)] for kind, names in _by_kind(components).items()}
        with _translated_errors():
            api = self._client.mdapi
            process = _begun(api.retrieve("", single_package=True, unpackaged=asked))
            state, why, _ = _ended("retrieve", process, api.check_retrieve_status)
            if state != "Succeeded":
                raise Rejected(f"Salesforce did not retrieve the pages: {why or state}")
            _, _, _, content = api.retrieve_zip(process)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist() if name != MANIFEST}

    def deploy(self, content: bytes, *, check_only: bool) -> list[Problem]:
        """Deploy a ZIP file, all or nothing, and return what the org has against it.

        Args:
            content: The file, as :func:`packed` makes it.
            check_only: Whether it is a validation, which saves nothing.

        Raises:
            InvoicingError: the org does not answer, or refuses the deploy as such.
        """
        with _translated_errors():
            api = self._client.mdapi
            options = {"checkOnly": str(check_only).lower(), "ignoreWarnings": "true"}
            process = _begun(api.deploy(io.BytesIO(content), sandbox=False, **options))
            state, detail, components, tests = _ended("deploy", process, api.check_deploy_status)
        found = [
            Problem(str(error["file"] or error["type"]), str(error["message"]))
            for error in (components or {}).get("errors", ())
        ]
        found += [
            Problem(f"{error['class']}.{error['method']}", str(error["message"]))
            for error in (tests or {}).get("errors", ())
        ]
        if state == "Succeeded" or found:
            return found
        where = f"Setup, Deployment Status shows the deploy {process}."
        raise Rejected(f"Salesforce ended the deploy as {state}. {detail or where}")


def packed(files: Mapping[str, bytes], components: Iterable[Component]) -> bytes:
    """A ZIP file to deploy.

    Args:
        files: What is in it, by path.
        components: What is to be deployed of it.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, manifest(components))
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def manifest(components: Iterable[Component]) -> str:
    """A ``package.xml``."""
    types = ""
    for kind, names in _by_kind(sorted(components)).items():
        members = "".join(f"        <members>{escape(name)}</members>\n" for name in names)
        types += f"    <types>\n{members}        <name>{kind}</name>\n    </types>\n"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Package xmlns="{NAMESPACE}">\n{types}'
        f"    <version>{SALESFORCE_API_VERSION}</version>\n</Package>\n"
    )


def _by_kind(components: Iterable[Component]) -> dict[str, list[str]]:
    return map_reduce(components, itemgetter(0), itemgetter(1))


def _begun(answer: tuple[str | None, str | None]) -> str:
    """The id of what the org has begun to do.

    Raises:
        TransientError: it names none.
    """
    process, _ = answer
    if process is None:
        raise TransientError("Salesforce's answer was unreadable.")
    return process


def _ended(what: str, process: str, status: Callable[[str], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The status of what the org does, once that has ended; it is asked each second.

    Raises:
        TransientError: it has not ended within half an hour.
    """
    ends = time.monotonic() + PATIENCE_SECONDS
    while (answer := status(process))[0] in UNDER_WAY:
        if time.monotonic() >= ends:
            raise TransientError(
                f"Salesforce has not ended the {what} {process} within half an hour."
            )
        time.sleep(POLL_SECONDS)
    return answer


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Say in words what went wrong, as the product's other errors do."""
    try:
        yield
    except SalesforceError as error:
        raise _translated(str(error.content), error.status) from error
    except requests.exceptions.RequestException as error:
        raise TransientError("Salesforce did not answer.") from error
    except (ElementTree.ParseError, zipfile.BadZipFile) as error:
        raise TransientError("Salesforce's answer was unreadable.") from error


def _translated(said: str, status: int) -> InvoicingError:
    """The error of an answer that refuses: SOAP says all of them with the status 500."""
    fault = re.search(r"<faultstring>(.*?)</faultstring>", said, re.DOTALL)
    if fault is None and status >= 500:
        return TransientError(f"Salesforce is away for the moment (status {status}).")
    why = fault[1] if fault else said
    if "INVALID_SESSION_ID" in why:
        return EnvironmentMismatch(
            "The session has ended, or is none of this org's: log in again "
            "(sf org login web --set-default)."
        )
    if "INSUFFICIENT_ACCESS" in why:
        return EnvironmentMismatch(
            "This user may not change pages: log in as an administrator, or as somebody with "
            "Customize Application and Modify Metadata Through Metadata API Functions."
        )
    return Rejected(f"Salesforce refused: {why}")
