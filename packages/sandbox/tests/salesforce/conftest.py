"""A real sandbox over HTTP, reached by the real simple-salesforce."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError
from simple_salesforce.format import format_soql

from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import STANDARD_PAGES, open_org

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"


class ToSandbox(HTTPAdapter):
    """Sends every request to the sandbox, whatever host it was meant for."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._base = urlsplit(base_url)

    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        """Send with scheme and host replaced."""
        parts = urlsplit(request.url)
        request.url = urlunsplit((self._base.scheme, self._base.netloc, *parts[2:]))
        return super().send(request, *args, **kwargs)


class Admin:
    """The sandbox's admin endpoints."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._session = requests.Session()

    def __call__(self, method: str, path: str, **kwargs: Any) -> Any:
        """Call one admin endpoint and return its JSON."""
        answer = self._session.request(method, f"{self._base_url}/_sandbox/{path}", **kwargs)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def base_url() -> Iterator[str]:
    """One sandbox for all tests; each begins with a reset."""
    with running(lambda url: application(open_org(METADATA), url)) as url:
        yield url


def _to_sandbox(base_url: str) -> requests.Session:
    session = requests.Session()
    session.mount("https://", ToSandbox(base_url))
    return session


@pytest.fixture(scope="session")
def to_sandbox() -> Callable[[str], requests.Session]:
    """Make a requests session whose every https call ends at a sandbox."""
    return _to_sandbox


@pytest.fixture(scope="session")
def session(base_url: str) -> requests.Session:
    """A requests session for the sandbox all tests share."""
    return _to_sandbox(base_url)


@pytest.fixture
def admin(base_url: str) -> Admin:
    """The admin endpoints."""
    return Admin(base_url)


@pytest.fixture
def login(session: requests.Session) -> Callable[..., Any]:
    """Log in with client credentials."""

    def log_in(**kwargs: Any) -> Any:
        credentials = {"consumer_key": CONSUMER_KEY, "consumer_secret": CONSUMER_SECRET}
        options = {"domain": "northwind.my", "version": "67.0", "session": session}
        return Salesforce(**{**credentials, **options, **kwargs})

    return log_in


@pytest.fixture
def sf(admin: Admin, login: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The demo org, fresh, through simple-salesforce (which would sleep between Bulk polls)."""
    monkeypatch.setattr("simple_salesforce.bulk2.sleep", lambda _: None)
    admin("POST", "reset", json={"seed": "demo"})
    yield login()
    admin("DELETE", "faults")


@pytest.fixture
def acme(sf: Any) -> str:
    """The id of Acme Corporation."""
    return account_named(sf, "Acme Corporation")


@pytest.fixture(scope="session")
def invoicing_layout() -> bytes:
    """The Account layout with Raise Invoice, the list of invoices, and a field of the package."""
    text = (STANDARD_PAGES / "every-org/layouts/Account-Account Layout.layout-meta.xml").read_text()
    item = (
        "<platformActionListItems><actionName>Account.Raise_Invoice</actionName><actionType>"
        "QuickAction</actionType><sortOrder>99</sortOrder></platformActionListItems>"
    )
    related = "<relatedLists><relatedList>Stripe_Invoice__c.Account__c</relatedList></relatedLists>"
    for before, after in (
        ("    </platformActionList>", f"{item}</platformActionList>"),
        ("    <relatedObjects>", f"{related}<relatedObjects>"),
        ("<field>Fax</field>", "<field>Invoice_Email__c</field>"),
    ):
        assert before in text
        text = text.replace(before, after)
    return text.encode()


@contextmanager
def _refused(code: str, *fields: str) -> Iterator[list[str]]:
    said: list[str] = []
    with pytest.raises(SalesforceError) as caught:
        yield said
    (error,) = cast("list[dict[str, Any]]", caught.value.content)
    assert error["errorCode"] == code, error
    assert error.get("fields", []) == list(fields), error
    said.append(error["message"])


@pytest.fixture
def refused() -> Callable[..., AbstractContextManager[list[str]]]:
    """Expect a refusal with this code, about these fields; yields what it said."""
    return _refused


def account_named(sf: Any, name: str) -> str:
    """The id of an Account."""
    soql = format_soql("SELECT Id FROM Account WHERE Name = {}", name)
    return str(sf.query(soql)["records"][0]["Id"])
