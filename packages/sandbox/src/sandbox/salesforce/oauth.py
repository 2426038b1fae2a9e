"""Getting in: client credentials, JWT bearer, and the sessions they open."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from sandbox.salesforce.errors import OAuthError, invalid_session
from sandbox.salesforce.org import ORGANIZATION_ID, USER_ID, Org

CONSUMER_KEY = "3MVG9sandboxConsumerKey"
CONSUMER_SECRET = "sandbox-consumer-secret"  # noqa: S105  a stand-in's, known to all
SESSION_SECONDS = 2 * 3_600
HOUR = 3_600
LOGINS_IN_AN_HOUR = 3_600
"""Of one user. Source: https://help.salesforce.com/s/articleView?id=000381578"""

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_CLOCK_SKEW = 5


class Sessions:
    """Access tokens and when they end; every use keeps one alive longer."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._ends: dict[str, float] = {}
        self._whose: dict[str, str] = {}
        self.seconds: float = SESSION_SECONDS

    def open(self, user_id: str = USER_ID) -> str:
        """A new access token of a user."""
        token = f"{ORGANIZATION_ID[:15]}!{secrets.token_urlsafe(72)}"
        self._ends[token] = self._org.clock.time() + self.seconds
        self._whose[token] = user_id
        return token

    def whose(self, token: str) -> str:
        """The user whose session it is."""
        return self._whose[token]

    def check(self, authorization: str | None) -> str:
        """The token of an Authorization header, if its session is alive.

        Raises:
            SalesforceError: INVALID_SESSION_ID.
        """
        scheme, _, token = (authorization or "").partition(" ")
        now = self._org.clock.time()
        if scheme not in {"Bearer", "OAuth"} or self._ends.get(token, 0) <= now:
            raise invalid_session()
        self._ends[token] = now + self.seconds
        return token

    def end(self, token: str) -> bool:
        """End one session; whether there was one."""
        return self._ends.pop(token, None) is not None

    def end_all(self) -> None:
        """End every session, as an administrator may."""
        self._ends.clear()


class Authority:
    """The token endpoint's judgement.

    Args:
        org: Whose users and clock count.
        base_url: The org's own URL, an accepted audience.
        certificate: PEM file of the certificate or public key that signs JWT assertions.
    """

    def __init__(self, org: Org, base_url: str, certificate: Path | None = None) -> None:
        self._org = org
        self.base_url = base_url
        self.audience: str | None = None
        self.hourly = LOGINS_IN_AN_HOUR
        self._granted: deque[float] = deque()
        self.secrets = {CONSUMER_KEY: CONSUMER_SECRET}
        self._keys: dict[str, RSAPublicKey] = {}
        if certificate is not None:
            self.register(certificate.read_bytes())

    def register(self, pem: bytes, app: str = CONSUMER_KEY) -> None:
        """Trust a certificate or a bare public key, the only one of an app.

        Args:
            pem: Certificate or key.
            app: The app's consumer key.

        Raises:
            ValueError: The PEM holds no RSA key.
        """
        if b"CERTIFICATE" in pem:
            key: Any = load_pem_x509_certificate(pem).public_key()
        else:
            key = load_pem_public_key(pem)
        if not isinstance(key, RSAPublicKey):
            raise ValueError("an RSA certificate or public key is needed")
        self._keys[app] = key

    def grant(self, form: Mapping[str, str], authorization: str | None) -> None:
        """Judge one token request.

        Raises:
            OAuthError: It is refused.
        """
        match form.get("grant_type"):
            case "client_credentials":
                self._client_credentials(form, authorization)
            case grant if grant == JWT_BEARER:
                self._assertion(form.get("assertion", ""))
            case _:
                raise OAuthError("unsupported_grant_type", "grant type not supported")
        self._count()

    @property
    def count(self) -> int:
        """Logins within the last hour of sandbox time."""
        while self._granted and self._granted[0] <= self._org.clock.time() - HOUR:
            self._granted.popleft()
        return len(self._granted)

    def _count(self) -> None:
        """Count a login; past the hour's, the token endpoint refuses as in n8n-io/n8n#32325."""
        if self.count >= self.hourly:
            raise OAuthError("invalid_grant", "login rate exceeded")
        self._granted.append(self._org.clock.time())

    def clear(self) -> None:
        """Begin to count anew, with every official audience, the usual limit and credentials."""
        self._granted.clear()
        self.secrets = {CONSUMER_KEY: CONSUMER_SECRET}
        self.audience, self.hourly = None, LOGINS_IN_AN_HOUR

    def _client_credentials(self, form: Mapping[str, str], authorization: str | None) -> None:
        client, secret = form.get("client_id", ""), form.get("client_secret", "")
        if authorization and authorization.startswith("Basic "):
            client, secret = _basic(authorization.removeprefix("Basic "))
        if client not in self.secrets:
            raise OAuthError("invalid_client_id", "client identifier invalid")
        if not secrets.compare_digest(secret.encode(), self.secrets[client].encode()):
            raise OAuthError("invalid_client", "invalid client credentials")

    def _assertion(self, assertion: str) -> None:
        try:
            app = jwt.decode(assertion, options={"verify_signature": False})["iss"]
            if app not in self.secrets:
                raise OAuthError("invalid_client_id", "client identifier invalid")
            if app not in self._keys:
                raise OAuthError("invalid_client", "no certificate is registered for this app")
            claims = jwt.decode(
                assertion,
                self._keys[app],
                algorithms=["RS256"],
                options={"verify_exp": False, "verify_aud": False, "verify_iat": False},
            )
            expires = int(claims["exp"])
        except (jwt.InvalidTokenError, KeyError, ValueError):
            raise OAuthError("invalid_grant", "invalid assertion") from None
        if not self._is_audience(claims.get("aud")):
            raise OAuthError("invalid_grant", "audience is invalid")
        if expires <= self._org.clock.time() - _CLOCK_SKEW:
            raise OAuthError("invalid_grant", "expired authorization code")
        user = self._org.store.find(self._org.sobject("User"), "Username", claims.get("sub"))
        if user is None or not user["IsActive"] or user["Id"] != USER_ID:
            raise OAuthError("invalid_grant", "user hasn't approved this consumer")

    def _is_audience(self, audience: object) -> bool:
        if not isinstance(audience, str):
            return False
        if self.audience is not None:
            return audience == self.audience
        official = audience.startswith("https://") and audience.endswith(".salesforce.com")
        return official or audience.rstrip("/") == self.base_url


def _basic(encoded: str) -> tuple[str, str]:
    try:
        client, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client, secret
