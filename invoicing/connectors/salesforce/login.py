"""How an org is reached and logged in at, and the session that processes share."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce as SalesforceClient

from invoicing.connectors.salesforce.errors import SessionEnded, is_transient, translated_errors
from invoicing.domain.model.fingerprint import fingerprint
from invoicing.errors import Misconfigured
from invoicing.ledger.logins import LIFETIME, Logins
from invoicing.settings import Salesforce as SalesforceSettings

SIDE_BY_SIDE = 16
"""Calls of several threads for which connections are kept."""


class Transport(HTTPAdapter):
    """Gives every request a time limit, and finds an org that is not at its own domain.

    The SDK always asks ``https://{domain}.salesforce.com``; behind a proxy, or in front of
    a stand-in, the same requests go to another scheme and host. And it takes whatever the
    login is refused with for wrong credentials, also a service that is away.
    """

    def __init__(self, url: str | None, timeout: float) -> None:
        super().__init__(pool_maxsize=SIDE_BY_SIDE)
        self._target = urlsplit(url) if url else None
        self._timeout = timeout

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send a request, to where the org is."""
        if self._target and request.url:
            parts = urlsplit(request.url)
            moved = parts._replace(scheme=self._target.scheme, netloc=self._target.netloc)
            request.url = urlunsplit(moved)
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        answer = super().send(request, *args, **kwargs)
        if request.path_url.endswith("/oauth2/token") and is_transient(answer.status_code):
            raise requests.exceptions.RetryError(f"login: status {answer.status_code}")
        if not kwargs.get("stream") and answer.status_code == 200 and answer.content == b"[]":
            raise requests.exceptions.InvalidJSONError(
                "a list of nothing answers none of our calls"
            )
        return answer


class Client(SalesforceClient):
    """The SDK's client, whose login is one that processes share.

    The SDK logs in anew where a plain call says that the session has ended; its Bulk handlers, and
    calls that it does not know, do not (simple-salesforce#619), so before those it is renewed.
    """

    def __init__(self, logins: Logins | None, **options: Any) -> None:
        self._logins = logins
        self._opened = 0.0
        self.session_id = ""
        super().__init__(**options)

    def _refresh_session(self) -> None:
        log_in = self._salesforce_login_partial
        if self._logins and log_in:
            login = self._logins.shared(self.session_id, log_in)
            self.session_id, self.sf_instance = login.token, login.host
            self._generate_headers()
        else:
            super()._refresh_session()
        self._opened = time.monotonic()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Have a session that does not end meanwhile; one that ended even so is not used again."""
        if time.monotonic() - self._opened > LIFETIME.total_seconds():
            with translated_errors("log in"):
                self._refresh_session()
        try:
            yield
        except SessionEnded:
            self._opened = -LIFETIME.total_seconds()
            raise


def credentials(org: SalesforceSettings) -> dict[str, Any]:
    """What the SDK logs in with, in its own words."""
    key = {"consumer_key": org.consumer_key.get_secret_value()}
    if org.consumer_secret:
        secret = org.consumer_secret.get_secret_value()
        return {**key, "consumer_secret": secret, "domain": org.domain}
    return {
        **key,
        "username": org.username,
        "privatekey_file": str(org.private_key_file),
        "domain": org.jwt_audience,
        "instance_url": org.domain,
    }


def logins_of(org: SalesforceSettings) -> Logins:
    """Where the login of the settings is shared.

    Raises:
        Misconfigured: the private key cannot be read.
    """
    if org.consumer_secret:
        credential = org.consumer_secret.get_secret_value().encode()
    else:
        try:
            credential = Path(str(org.private_key_file)).read_bytes()
        except OSError as error:
            raise Misconfigured(f"INVOICING_SALESFORCE__PRIVATE_KEY_FILE: {error}.") from None
    key = org.consumer_key.get_secret_value()
    return Logins(fingerprint([org.domain, org.url, key, org.username]), credential)
