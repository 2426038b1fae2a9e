"""Getting in: client credentials, a signed assertion, and sessions that end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceAuthenticationFailed, SalesforceExpiredSession

from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET

USER = "integration@northwind.example"


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    """The private key that the connected app's certificate belongs to."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@pytest.fixture
def certificate(key: rsa.RSAPrivateKey, admin: Any) -> None:
    """Upload the certificate to the app."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "invoices")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    admin("POST", "certificate", data=built.public_bytes(serialization.Encoding.PEM))


def pem(key: rsa.RSAPrivateKey) -> str:
    """A private key as simple-salesforce takes it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def test_a_wrong_secret_is_refused(login: Callable[..., Any]) -> None:
    """The client learns that its credentials are wrong, and no more."""
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid client credentials"):
        login(consumer_secret="guess")
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid_client_id"):
        login(consumer_key="somebody else")


@pytest.mark.usefixtures("certificate", "sf")
def test_an_assertion_signed_by_the_registered_key_opens_a_session(
    login: Callable[..., Any], key: rsa.RSAPrivateKey
) -> None:
    """JWT bearer, as simple-salesforce does it."""
    sf = login(username=USER, privatekey=pem(key), consumer_secret=None, domain="login")
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 8


@pytest.mark.usefixtures("certificate", "sf")
def test_an_assertion_is_refused_for_a_wrong_signature_user_or_hour(
    login: Callable[..., Any], key: rsa.RSAPrivateKey, admin: Any
) -> None:
    """Another key, an unknown user, a clock that runs ahead."""
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    options = {"consumer_secret": None, "domain": "login"}
    with pytest.raises(SalesforceAuthenticationFailed, match="invalid assertion"):
        login(username=USER, privatekey=pem(stranger), **options)
    with (
        pytest.warns(UserWarning, match="self-authorize"),
        pytest.raises(SalesforceAuthenticationFailed, match="hasn't approved"),
    ):
        login(username="nobody@example.com", privatekey=pem(key), **options)
    admin("POST", "clock", json={"advance": 600})
    try:
        with pytest.raises(SalesforceAuthenticationFailed, match="expired"):
            login(username=USER, privatekey=pem(key), **options)
    finally:
        admin("POST", "clock", json={"advance": -600})


def test_a_session_ends_when_unused_for_hours(
    sf: Any, admin: Any, session: requests.Session
) -> None:
    """After two hours of sandbox time 401; a client that can logs in again by itself."""
    bare = Salesforce(
        instance="northwind.my.salesforce.com", session_id=sf.session_id, session=session
    )
    try:
        for _ in range(2):
            admin("POST", "clock", json={"advance": 7_000})
            assert bare.restful("limits")
        admin("POST", "clock", json={"advance": 7_300})
        with pytest.raises(SalesforceExpiredSession, match="INVALID_SESSION_ID"):
            bare.restful("limits")
        assert sf.restful("limits")
    finally:
        admin("POST", "clock", json={"advance": -21_300})


def test_the_token_answer_names_org_and_user(base_url: str) -> None:
    """What binds the settings to one org: the identity URL, and userinfo."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CONSUMER_KEY,
        "client_secret": CONSUMER_SECRET,
    }
    token = requests.post(f"{base_url}/services/oauth2/token", data=form, timeout=5).json()
    assert token["token_type"] == "Bearer"
    assert token["instance_url"] == base_url
    org_id, user_id = token["id"].split("/")[-2:]
    bearer = {"Authorization": f"Bearer {token['access_token']}"}
    info = requests.get(f"{base_url}/services/oauth2/userinfo", headers=bearer, timeout=5).json()
    assert (info["organization_id"], info["user_id"]) == (org_id, user_id)
    data = f"{base_url}/services/data/v67.0/query"
    query = {"q": "SELECT Id, Name FROM Organization"}
    (org,) = requests.get(data, params=query, headers=bearer, timeout=5).json()["records"]
    assert org["Id"] == org_id
