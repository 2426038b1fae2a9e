"""The login to Salesforce: whom it is for, that all processes share it, and that it is renewed."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from sqlmodel import select

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Salesforce, login
from invoicing.domain.salesforce.queries import Query
from invoicing.errors import EnvironmentMismatch, Misconfigured, Throttled, TransientError
from invoicing.ledger import database
from invoicing.ledger.models import SharedLogin
from invoicing.settings import settings
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from tests.conftest import Sandbox

ACCOUNTS = Query("Account", ["Id"])
INTEGRATION_USER = "integration@northwind.example"
Setting = Callable[..., None]


@pytest.fixture
def setting(environment: None, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Change settings of the org, as for a process that starts now."""

    def change(**values: str | None) -> None:
        for name, value in values.items():
            if value is None:
                monkeypatch.delenv(f"INVOICING_SALESFORCE__{name}")
            else:
                monkeypatch.setenv(f"INVOICING_SALESFORCE__{name}", value)
        settings.cache_clear()
        salesforce.client.cache_clear()

    return change


@pytest.fixture
def by_jwt(setting: Setting, salesforce_sandbox: Sandbox, tmp_path: Path) -> Setting:
    """Settings with a certificate in place of a secret."""
    setting(CONSUMER_SECRET=None, USERNAME=INTEGRATION_USER)
    setting(PRIVATE_KEY_FILE=key_of_app(CONSUMER_KEY, salesforce_sandbox, tmp_path / "key.pem"))
    return setting


def key_of_app(app: str, sandbox: Sandbox, path: Path) -> str:
    """Give an app a certificate; returns where its private key lies."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    certificate = key.public_key().public_bytes(pem, public)
    requests.post(f"{sandbox.url}/_sandbox/certificate?app={app}", certificate, timeout=9)
    form, nothing = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, form, nothing))
    return str(path)


def another_process() -> Salesforce:
    """The org, as a process that has just started reaches it."""
    salesforce.client.cache_clear()
    return salesforce.client()


def logins(sandbox: Sandbox) -> int:
    """How many logins the org has seen in this hour."""
    count: int = sandbox.admin("GET", "logins")["count"]
    return count


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("acme.my", "https://login.salesforce.com"),
        ("acme--uat.sandbox.my", "https://test.salesforce.com"),
        ("acme--uat.my", "https://test.salesforce.com"),
    ],
)
def test_an_org_that_wants_one_audience_gets_it(
    by_jwt: Setting, salesforce_sandbox: Sandbox, domain: str, wanted: str
) -> None:
    """It is where one logs in: another one for sandboxes."""
    salesforce_sandbox.admin("POST", "logins", audience=wanted)
    by_jwt(DOMAIN=domain)
    assert len(another_process().query(ACCOUNTS)) == 8


def test_an_org_that_wants_its_own_domain_as_audience_is_told_so(
    by_jwt: Setting, salesforce_sandbox: Sandbox
) -> None:
    """Then the setting says it; until it does, the refusal names the settings."""
    salesforce_sandbox.admin("POST", "logins", audience="https://acme.my.salesforce.com")
    by_jwt(DOMAIN="acme.my")
    with pytest.raises(EnvironmentMismatch, match=r"audience is invalid.*SALESFORCE__AUDIENCE"):
        another_process()
    by_jwt(AUDIENCE="acme.my")
    assert len(another_process().query(ACCOUNTS)) == 8


def test_a_key_that_is_not_there_is_named(by_jwt: Setting) -> None:
    """No traceback of a file that is missing."""
    by_jwt(PRIVATE_KEY_FILE="/nowhere/key.pem")
    with pytest.raises(Misconfigured, match=r"PRIVATE_KEY_FILE.*/nowhere/key\.pem"):
        another_process()


def test_processes_share_one_login(environment: None, salesforce_sandbox: Sandbox) -> None:
    """However many sends there are in an hour."""
    for _ in range(5):
        assert len(another_process().query(ACCOUNTS)) == 8
    assert logins(salesforce_sandbox) == 1


def test_who_reads_the_ledger_cannot_log_in_by_it(
    setting: Setting, salesforce_sandbox: Sandbox
) -> None:
    """The token is sealed by the credential; with another one, it is nothing."""
    token = another_process()._client.session_id
    with database.session() as ledger:
        [kept] = ledger.exec(select(SharedLogin)).all()
    assert token not in kept.sealed
    assert token.partition("!")[2] not in kept.sealed
    setting(CONSUMER_SECRET="another secret")
    with pytest.raises(EnvironmentMismatch, match="does not accept the login"):
        another_process()


def test_a_session_that_ended_is_opened_once_for_all(
    environment: None, salesforce_sandbox: Sandbox
) -> None:
    """Whoever is told first logs in, and the others take what is there then."""
    mine, others = another_process(), another_process()
    salesforce_sandbox.admin("DELETE", "sessions")
    assert len(mine.query(ACCOUNTS)) == len(others.query(ACCOUNTS)) == 8
    assert logins(salesforce_sandbox) == 2


def test_a_bulk_read_after_a_long_silence_has_a_session(
    environment: None, salesforce_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK's bulk calls do not log in again, so the login is renewed before they begin."""
    org = another_process()
    monkeypatch.setattr(login, "LIFETIME", timedelta(0))
    salesforce_sandbox.admin("DELETE", "sessions")
    assert len(list(org.bulk_query(ACCOUNTS))) == 8
    salesforce_sandbox.admin("DELETE", "sessions")
    assert org.org().id


@pytest.mark.parametrize("call", [lambda org: list(org.bulk_query(ACCOUNTS)), Salesforce.org])
def test_a_session_that_was_ended_early_is_not_used_again(
    environment: None, salesforce_sandbox: Sandbox, call: Callable[[Salesforce], object]
) -> None:
    """An administrator may end it at any moment: the step is tried again, and that one works."""
    org = another_process()
    salesforce_sandbox.admin("DELETE", "sessions")
    with pytest.raises(TransientError):
        call(org)
    assert call(org)


def test_the_limit_of_logins_passes(environment: None, salesforce_sandbox: Sandbox) -> None:
    """It is no reason to look at the settings."""
    salesforce_sandbox.admin("POST", "logins", hourly=0)
    with pytest.raises(Throttled, match="logins of this hour are used up"):
        another_process()
    salesforce_sandbox.admin("POST", "logins")
    assert len(another_process().query(ACCOUNTS)) == 8


def test_key_and_secret_are_rotated_while_both_sets_are_in_force(
    setting: Setting, salesforce_sandbox: Sandbox
) -> None:
    """Processes with either work side by side on one ledger, and each set has its own login."""
    old = {"CONSUMER_KEY": CONSUMER_KEY, "CONSUMER_SECRET": CONSUMER_SECRET}
    new = {"CONSUMER_KEY": "3MVG9staged", "CONSUMER_SECRET": "a new secret"}
    both = {one["CONSUMER_KEY"]: one["CONSUMER_SECRET"] for one in (old, new)}
    salesforce_sandbox.admin("POST", "credentials", secrets=both)
    for credentials in (old, new, old, new):
        setting(**credentials)
        assert len(another_process().query(ACCOUNTS)) == 8
    assert logins(salesforce_sandbox) == 2
    rest = {new["CONSUMER_KEY"]: new["CONSUMER_SECRET"]}
    salesforce_sandbox.admin("POST", "credentials", secrets=rest)
    salesforce_sandbox.admin("DELETE", "sessions")
    assert len(another_process().query(ACCOUNTS)) == 8
    setting(**old)
    with pytest.raises(EnvironmentMismatch, match="does not accept the login"):
        another_process().query(ACCOUNTS)


def test_a_key_pair_is_rotated_by_a_second_app(
    by_jwt: Setting, salesforce_sandbox: Sandbox, tmp_path: Path
) -> None:
    """An app has one certificate: processes with either app work side by side, then one is gone."""
    old = {"CONSUMER_KEY": CONSUMER_KEY, "PRIVATE_KEY_FILE": str(tmp_path / "key.pem")}
    path = key_of_app("3MVG9second", salesforce_sandbox, tmp_path / "second.pem")
    new = {"CONSUMER_KEY": "3MVG9second", "PRIVATE_KEY_FILE": path}
    both = {one["CONSUMER_KEY"]: "unused" for one in (old, new)}
    salesforce_sandbox.admin("POST", "credentials", secrets=both)
    for app in (old, new, old, new):
        by_jwt(**app)
        assert len(another_process().query(ACCOUNTS)) == 8
    assert logins(salesforce_sandbox) == 2
    salesforce_sandbox.admin("POST", "credentials", secrets={"3MVG9second": "unused"})
    salesforce_sandbox.admin("DELETE", "sessions")
    assert len(another_process().query(ACCOUNTS)) == 8
    by_jwt(**old)
    with pytest.raises(EnvironmentMismatch, match="does not accept the login"):
        another_process().query(ACCOUNTS)


@pytest.mark.parametrize(
    "call", [Salesforce.org, lambda org: list(org.bulk_query(ACCOUNTS))], ids=["org", "bulk"]
)
def test_the_limit_of_logins_passes_where_a_session_has_ended(
    environment: None, salesforce_sandbox: Sandbox, call: Callable[[Salesforce], object]
) -> None:
    """Also before calls that the SDK does not log in for by itself."""
    org = another_process()
    salesforce_sandbox.admin("DELETE", "sessions")
    with pytest.raises(TransientError):
        call(org)
    salesforce_sandbox.admin("POST", "logins", hourly=0)
    with pytest.raises(Throttled, match="logins of this hour are used up"):
        call(org)
    salesforce_sandbox.admin("POST", "logins")
    assert call(org)
