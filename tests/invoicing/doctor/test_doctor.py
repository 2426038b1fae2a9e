"""What is wrong, missing or expired in an installation is named, each thing with its remedy."""

import os
import shutil
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from sqlalchemy import delete

from deployments.local.stack import SALESFORCE_PACKAGE
from invoicing.connectors.stripe import client
from invoicing.doctor.checks import Check, Wrong, as_page, as_text, examine, summary
from invoicing.doctor.stripe_checks import (
    BESIDES,
    NAMED_AT_MOST,
    PERMISSIONS,
    endpoint_url,
    kept_secret,
    new_key_link,
)
from invoicing.domain.salesforce.request_record import REQUEST
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.errors import Misconfigured
from invoicing.ledger import database
from invoicing.ledger.models import Subscription
from invoicing.settings import STRIPE_API_VERSION, settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox
from tests.invoicing.conftest import new_database
from tests.invoicing.doctor.conftest import Doctor
from tests.prefect_worker import eventually

ROOT = Path(__file__).parents[3]
RIGHTS = [permission.name for permission in PERMISSIONS]
ORDINARY = {"enabled_events": ["*"], "api_version": STRIPE_API_VERSION}


def test_nothing_is_wrong(doctor: Doctor) -> None:
    """Each check passes, and says what is so; none of them changes anything."""
    found = doctor.looks()
    assert {name: one.said for name, one in found.items() if one.verdict != "pass"} == {}
    assert {f"object {name}" for name in OBJECTS} <= set(found)
    assert found["country of an Account"].said.startswith("Picklists are")
    assert "mailed" in found["e-mails"].said


def test_a_check_that_falls_ill_is_a_finding() -> None:
    """Whatever a check raises, the others are made, and what waits for it says so."""

    def ill() -> str:
        raise ZeroDivisionError("1 / 0")

    def wrong() -> str:
        raise Wrong("It is |\n not.")

    checks = [
        Check("A", "ill", ill, ""),
        Check("A", "waits", lambda: "", "", after="ill"),
        Check("B", "wrong", wrong, "Put it right."),
        Check("B", "well", lambda: "It is.", ""),
    ]
    findings = examine(checks)
    assert [found.verdict for found in findings] == ["unknown", "unknown", "fail", "pass"]
    assert "ZeroDivisionError: 1 / 0" in findings[0].said
    counts = "1 of 4 checks passed, 1 failed, 2 could not tell"
    assert summary(findings) == f"{counts}: wrong: It is | not."
    assert as_text(findings).splitlines()[-1] == f"{counts}."
    first_row = as_page(findings).splitlines()[6]
    assert first_row == "| fail | B | wrong | It is \\| not. | Put it right. |"


class Administrator:
    """Somebody who may do everything in the org, and does it by its API."""

    def __init__(self, sandbox: Sandbox) -> None:
        """Come in."""
        hired = sandbox.admin("POST", "people", name="Ada Min", permission_sets=None)
        self._url = f"{sandbox.url}/services/data/v67.0"
        self._bearer = {"Authorization": f"Bearer {hired['access_token']}"}

    def _call(self, method: str, path: str, **what: Any) -> requests.Response:
        url = f"{self._url}/{path}"
        answer = requests.request(method, url, headers=self._bearer, timeout=60, **what)
        assert answer.ok, answer.text
        return answer

    def find(self, soql: str) -> list[dict[str, Any]]:
        """The records that a query finds."""
        found: list[dict[str, Any]] = self._call("GET", "query", params={"q": soql}).json()[
            "records"
        ]
        return found

    def create(self, sobject: str, **values: Any) -> None:
        """Make a record."""
        self._call("POST", f"sobjects/{sobject}", json=values)

    def change(self, sobject: str, record_id: str, **values: Any) -> None:
        """Change a record."""
        self._call("PATCH", f"sobjects/{sobject}/{record_id}", json=values)

    def delete(self, sobject: str, record_id: str) -> None:
        """Delete a record."""
        self._call("DELETE", f"sobjects/{sobject}/{record_id}")


# Settings


def test_settings_that_cannot_be_read(doctor: Doctor) -> None:
    """Each variable is named, and whatever needs them waits."""
    doctor.set(STRIPE__API_KEYS="x", BUSINESS__TIME_ZONE="Berlin", SALESFORCE__ORG_ID="northwind")
    [(name, said)] = doctor.fails().items()
    assert name == "settings"
    assert "did you mean INVOICING_STRIPE__API_KEY?" in said
    assert "no time zone 'Berlin'" in said
    assert "INVOICING_SALESFORCE__ORG_ID has to look like 00D" in said
    assert doctor.cannot_tell() == {}


def test_secrets_that_others_may_read(doctor: Doctor, tmp_path: Path) -> None:
    """The file of settings is its owner's alone; one that is named has to be there."""
    file = tmp_path / "live.env"
    file.touch()
    file.chmod(0o644)
    doctor.set(ENV_FILE=str(file))
    assert list(doctor.fails("Settings")) == ["file of settings"]
    file.chmod(0o600)
    assert doctor.fails("Settings") == {}
    file.unlink()
    assert "there is no such file" in doctor.fails("Settings")["settings"]


# Stripe


def key(doctor: Doctor, stripe_sandbox: Sandbox, **order: Any) -> None:
    """Let the settings have a key that was made for them."""
    stripe_sandbox.admin("POST", "keys", key="rk_live_ours", **order)
    doctor.set(STRIPE__API_KEY="rk_live_ours")


@pytest.mark.parametrize("name", RIGHTS)
def test_a_restricted_key_lacks_a_permission(
    doctor: Doctor, stripe_sandbox: Sandbox, name: str
) -> None:
    """It is named, no other is, and asking changed nothing."""
    given = [each for each in (*RIGHTS, *BESIDES) if each != name]
    key(doctor, stripe_sandbox, permissions=given)
    stripe_sandbox.admin("DELETE", "requests")
    [(check, said)] = doctor.fails("Stripe").items()
    assert check == f"permission {name}"
    assert f"rak_{name}" in said
    asked = stripe_sandbox.admin("GET", "requests")["requests"]
    written = [one for one in asked if one["method"] == "POST" and one["path"].startswith("/v1/")]
    assert written
    assert [one for one in written if one["status"] == 200] == []


def test_a_restricted_key_has_what_it_needs(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """And nothing more; documentation links to Stripe's page that makes such a key."""
    key(doctor, stripe_sandbox, permissions=[*RIGHTS, *BESIDES])
    assert doctor.fails("Stripe") == {}
    assert new_key_link() in (ROOT / "docs/running.md").read_text(encoding="utf-8")


def test_a_key_that_may_not_see_endpoints(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Invoices do not need that, so it is no mistake; the doctor cannot tell."""
    key(doctor, stripe_sandbox, permissions=[*RIGHTS, "connected_account_read"])
    assert doctor.fails("Stripe") == {}
    assert "rak_webhook_read" in doctor.cannot_tell("Stripe")["webhook endpoint"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ({"expired": True}, "says that the API key has expired"),
        ({"permissions": []}, "may not read the account"),
    ],
)
def test_a_key_that_opens_nothing(
    doctor: Doctor, stripe_sandbox: Sandbox, order: dict[str, Any], said: str
) -> None:
    """It has expired, or may not even read its own account: what needs it waits."""
    key(doctor, stripe_sandbox, **order)
    [(check, told)] = doctor.fails("Stripe").items()
    assert check == "Stripe key"
    assert said in told


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"STRIPE__API_KEY": "sk_live_of_nobody"}, "Stripe key"),
        ({"STRIPE__API_KEY": "sk_test_sandbox"}, "mode of the Stripe key"),
        ({"STRIPE__ACCOUNT_ID": "acct_another"}, "account of the Stripe key"),
        ({"STRIPE__WEBHOOK_SECRETS": ""}, "webhook secret"),
        ({"STRIPE__WEBHOOK_SECRETS": "secret"}, "webhook secret"),
        ({"RECEIVER__TOKEN": "of-another-endpoint-1"}, "webhook endpoint"),
    ],
)
def test_settings_that_stripe_contradicts(
    doctor: Doctor, wrong: dict[str, str], check: str
) -> None:
    """Key, mode, account, secret and URL are held to what Stripe says."""
    doctor.set(**wrong)
    assert check in doctor.fails("Stripe")


def test_test_mode_mails_nothing(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """It is said, and no mistake; neither is an account that cannot be paid yet."""
    stripe_sandbox.admin("POST", "settings", charges_enabled=False)
    assert doctor.fails("Stripe") == {"payments": "Stripe does not let the account take payments."}
    doctor.set(STRIPE__API_KEY="sk_test_sandbox", STRIPE__LIVEMODE="false")
    found = doctor.looks("Stripe")
    assert (found["payments"].verdict, found["e-mails"].verdict) == ("pass", "pass")
    assert found["e-mails"].said == "Test mode: Stripe mails nothing to anybody."


@pytest.mark.parametrize(
    ("asks", "said"),
    [
        ({}, ""),
        (
            {"currently_due": ["company.tax_id"], "current_deadline": 1_800_000_000},
            "Stripe asks for company.tax_id until 2027-01-15, or disables the account.",
        ),
        (
            {"past_due": ["company.tax_id"], "disabled_reason": "requirements.past_due"},
            "The account is disabled (requirements.past_due). Stripe asks for company.tax_id.",
        ),
        ({"disabled_reason": "under_review"}, "The account is disabled (under_review)."),
        (
            {"currently_due": [f"persons.{number}" for number in range(NAMED_AT_MOST + 2)]},
            "Stripe asks for persons.0, persons.1, persons.2, persons.3, persons.4 and 2 more.",
        ),
    ],
)
def test_what_stripe_asks_of_the_account(
    doctor: Doctor, stripe_sandbox: Sandbox, asks: dict[str, Any], said: str
) -> None:
    """It is told before the account is disabled, and why it was; test mode goes on without."""
    stripe_sandbox.admin("POST", "settings", requirements=asks)
    assert doctor.fails("Stripe") == ({"requirements of the account": said} if said else {})
    doctor.set(STRIPE__API_KEY="sk_test_sandbox", STRIPE__LIVEMODE="false")
    found = doctor.looks("Stripe")["requirements of the account"]
    assert found.verdict == "pass"
    assert found.said == (
        f"{said} Test mode does not mind." if said else "Stripe asks for nothing."
    )


def test_an_account_that_is_disabled(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Why it may take no payments stands where that is said."""
    asks = {"disabled_reason": "rejected.fraud"}
    stripe_sandbox.admin("POST", "settings", charges_enabled=False, requirements=asks)
    assert "payments (rejected.fraud)." in doctor.fails("Stripe")["payments"]


def test_stripe_tax_that_nobody_set_up(
    doctor: Doctor, stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox, tmp_path: Path
) -> None:
    """No matter, until an invoice or the field mapping asks for it."""
    assert doctor.looks("Stripe")["Stripe Tax"].said == "Stripe Tax has what it needs."
    stripe_sandbox.admin("POST", "settings", tax_lacks=["head_office"])
    found = doctor.looks("Stripe")["Stripe Tax"]
    assert found.verdict == "pass"
    assert found.said == "Stripe Tax lacks head_office, and no invoice asks for it."
    org = Administrator(salesforce_sandbox)
    [account, *_] = org.find("SELECT Id FROM Account")
    taxed = {"Account__c": account["Id"], "Currency__c": "USD", "Automatic_Tax__c": True}
    org.create("Stripe_Invoice__c", **taxed)
    said = doctor.fails("Stripe")["Stripe Tax"]
    assert said.startswith("Stripe Tax lacks head_office, and invoices such as INV-0001 ask for it")
    salesforce_sandbox.admin("POST", "faults", rules=[{"kind": "refuse", "path": "*"}])
    assert doctor.cannot_tell("Stripe").keys() == {"Stripe Tax"}
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[tax]\nfield = "Account__r.Type"\nrates = { Customer = "automatic" }\n')
    doctor.set(MAPPING=str(mapping))
    assert "the field mapping asks for it" in doctor.fails("Stripe")["Stripe Tax"]


def test_a_key_that_may_not_see_stripe_tax(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Invoices do not need that, so it is no mistake; the doctor cannot tell."""
    rights = [*RIGHTS, *BESIDES]
    key(doctor, stripe_sandbox, permissions=[each for each in rights if "tax_settings" not in each])
    assert doctor.fails("Stripe") == {}
    assert "rak_tax_settings_read" in doctor.cannot_tell("Stripe")["Stripe Tax"]


def test_a_neighbour_of_the_endpoint(doctor: Doctor) -> None:
    """What was left of another version goes on sending to the same URL, until it is deleted."""
    params: Any = ORDINARY | {"url": endpoint_url(settings()), "api_version": "2024-06-20"}
    old = client()._v1.webhook_endpoints.create(params)
    [(check, said)] = doctor.fails("Stripe").items()
    assert check == "webhook endpoints besides"
    assert f"{old.id} of version 2024-06-20" in said
    client()._v1.webhook_endpoints.update(old.id, {"disabled": True})
    assert doctor.fails("Stripe") == {}


def test_a_secret_that_nobody_took_over(doctor: Doctor, tmp_path: Path) -> None:
    """The file that it was written to is remembered, and told of until it is deleted."""
    (tmp_path / "ours.env").touch(0o600)
    doctor.set(ENV_FILE=str(tmp_path / "ours.env"))
    kept = kept_secret(settings())
    kept.write_text("INVOICING_STRIPE__WEBHOOK_SECRETS=whsec_new\n", encoding="utf-8")
    found = doctor.looks("Stripe")["webhook secret"]
    assert found.verdict == "fail"
    assert "do not have the secret of the endpoint that was made here" in found.said
    assert str(kept) in found.remedy
    assert "whsec_new" not in found.said + found.remedy
    doctor.set(STRIPE__WEBHOOK_SECRETS="whsec_test,whsec_new")
    found = doctor.looks("Stripe")["webhook secret"]
    assert (found.verdict, f"Delete {kept}" in found.said) == ("pass", True)


@pytest.mark.parametrize(
    ("endpoint", "disabled", "check"),
    [
        (None, False, "webhook endpoint"),
        (ORDINARY, True, "webhook endpoint"),
        (ORDINARY | {"api_version": "2024-06-20"}, False, "webhook API version"),
        (ORDINARY | {"enabled_events": ["invoice.paid"]}, False, "webhook event types"),
        (ORDINARY, False, ""),
    ],
)
def test_the_endpoint_in_stripe(
    doctor: Doctor, endpoint: dict[str, Any] | None, disabled: bool, check: str
) -> None:
    """Missing, disabled, of another version, or deaf to some of the types; or right."""
    sdk = client()._v1
    sdk.webhook_endpoints.delete(client().webhook_endpoints()[0]["id"])
    if endpoint:
        params: Any = endpoint | {"url": endpoint_url(settings())}
        made = sdk.webhook_endpoints.create(params)
        sdk.webhook_endpoints.update(made.id, {"disabled": disabled})
    failed = doctor.fails("Stripe")
    assert "".join(failed) == check
    assert all(said.count(",") < NAMED_AT_MOST for said in failed.values())


def test_events_that_are_not_delivered(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Stripe keeps what its endpoint would not take; the doctor sees that it does."""
    stripe_sandbox.admin("POST", "webhooks", enabled=False)
    stripe_sandbox.admin("POST", "clock", advance=-3_600)
    customer = client().create_customer({"email": "a@b.example"}, "deaf")
    client().update_customer(customer["id"], {"name": "Acme"})
    assert list(doctor.fails("Stripe")) == ["webhook deliveries"]
    stripe_sandbox.admin("POST", "clock", advance=60)
    client()._v1.products.create({"name": "Of a type that the endpoint is not sent"})
    assert list(doctor.fails("Stripe")) == ["webhook deliveries"]


def test_deliveries_that_go_well_again(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Nobody is alarmed until tomorrow by what was mended since."""
    stripe_sandbox.admin("POST", "webhooks", enabled=False)
    stripe_sandbox.admin("POST", "clock", advance=-3_600)
    customer = client().create_customer({"email": "a@b.example"}, "deaf")
    client().update_customer(customer["id"], {"name": "Acme"})
    stripe_sandbox.admin("POST", "clock", advance=60)
    endpoints = client()._v1.webhook_endpoints
    [ours] = endpoints.list().data
    endpoints.update(ours.id, {"disabled": True})  # Stripe has nothing left to deliver
    client().update_customer(customer["id"], {"name": "Acme Inc"})
    endpoints.update(ours.id, {"disabled": False})
    found = doctor.looks("Stripe")["webhook deliveries"]
    assert found.verdict == "pass"
    assert "later ones were" in found.said


def test_a_secret_of_another_endpoint(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """It looks like one, and the receiver refuses what Stripe signs: that is seen by what waits."""
    stripe_sandbox.admin("POST", "clock", advance=-3_600)
    assert doctor.fails("Stripe") == {}
    customer = client().create_customer({"email": "a@b.example"}, "elsewhere")
    client().update_customer(customer["id"], {"name": "Acme"})
    receiver = os.environ["INVOICING_RECEIVER__URL"]
    refused = 'invoicing_events_refused_total{reason="signature"}'
    eventually(lambda: refused in requests.get(f"{receiver}/metrics", timeout=60).text)
    found = doctor.looks("Stripe")
    assert found["webhook secret"].verdict == "pass"
    assert found["webhook deliveries"].verdict == "fail"
    assert "the secret is another's" in found["webhook deliveries"].remedy


def test_stripe_is_away(doctor: Doctor, stripe_sandbox: Sandbox) -> None:
    """Nobody knows then whether the key is good."""
    stripe_sandbox.admin("POST", "faults", rules=[{"kind": "refuse", "path": "/v1/*"}])
    assert doctor.fails("Stripe") == {}
    assert list(doctor.cannot_tell("Stripe")) == ["Stripe key"]


# The receiver


@contextmanager
def tls_server(bundle: Path, lives: timedelta) -> Iterator[str]:
    """Whatever is in front of the receiver, with a certificate of its own; its URL."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=9)).not_valid_after(now + lives)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    bundle.write_bytes(plain + made.sign(key, SHA256()).public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_no_receiver(doctor: Doctor) -> None:
    """Nothing answers; something else does; there is none, and events come by polling."""
    doctor.set(RECEIVER__URL="http://127.0.0.1:1")
    assert "Nothing answers" in doctor.fails("Receiver")["receiver"]
    doctor.set(RECEIVER__URL=os.environ["INVOICING_STRIPE__BASE_URL"])
    assert "is not the receiver" in doctor.fails("Receiver")["receiver"]


def test_a_certificate_that_has_expired(doctor: Doctor, tmp_path: Path) -> None:
    """Something answers, and neither we nor Stripe trust it."""
    with tls_server(tmp_path / "proxy.pem", timedelta(days=-1)) as url:
        doctor.set(RECEIVER__URL=url)
        found = doctor.looks("Receiver")["receiver"]
    assert (found.verdict, "certificate" in found.said) == ("fail", True)
    assert "Nothing answers" not in found.said
    assert found.remedy.startswith("Renew the certificate")


def test_a_receiver_that_cannot_write(doctor: Doctor, tmp_path: Path) -> None:
    """It answers, and its ledger is not of this release."""
    doctor.set(LEDGER__URL=f"sqlite:///{tmp_path}/empty.db")
    assert set(doctor.fails("Receiver")) == {"ledger", "receiver's ledger"}


def test_a_receiver_that_nobody_names(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is reached has to be said; it may be that there is none."""
    monkeypatch.delenv("INVOICING_RECEIVER__URL")
    told = doctor.cannot_tell("Receiver", "Stripe")
    assert set(told) == {"receiver", "webhook endpoint"}
    assert all("INVOICING_RECEIVER__URL is not set" in said for said in told.values())


# Salesforce


@pytest.mark.parametrize(
    ("wrong", "check", "said"),
    [
        ({"SALESFORCE__CONSUMER_SECRET": "expired"}, "Salesforce login", "invalid client"),
        ({"SALESFORCE__CONSUMER_KEY": "another"}, "Salesforce login", "invalid"),
        ({"SALESFORCE__ORG_ID": "00D000000000009"}, "Salesforce org", "belongs to org"),
        ({"SALESFORCE__MULTI_CURRENCY": "false"}, "currency", "several currencies"),
        ({"SALESFORCE__URL": "http://127.0.0.1:1"}, "", ""),
    ],
)
def test_settings_that_salesforce_contradicts(
    doctor: Doctor, wrong: dict[str, str], check: str, said: str
) -> None:
    """Login, org and currency are held to what the org says; one that is away says nothing."""
    doctor.set(**wrong)
    failed = doctor.fails("Salesforce")
    assert "".join(failed) == check
    assert said in failed.get(check, "")


@pytest.mark.parametrize(
    ("taken", "check", "said"),
    [
        (
            {"denied": {"Stripe_Invoice__c": ["updateable", "deletable"]}},
            "object Stripe_Invoice__c",
            "may not change its records. Stripe_Invoice__c: the integration user may not delete",
        ),
        (
            {"hidden": ["Account.Stripe_Customer_Id__c"]},
            "object Account",
            "Account.Stripe_Customer_Id__c",
        ),
        (
            {"read_only": ["Stripe_Invoice_Line__c.Quantity__c"]},
            "object Stripe_Invoice_Line__c",
            "cannot be written",
        ),
        ({"hidden": ["PricebookEntry"]}, "object PricebookEntry", "or hides it"),
        (
            {"hidden": ["Mirror_Stripe"]},
            "permission to mirror Stripe",
            "refuses what it writes of invoices that were sent",
        ),
    ],
)
def test_the_user_may_not(
    doctor: Doctor, salesforce_sandbox: Sandbox, taken: dict[str, Any], check: str, said: str
) -> None:
    """Object by object: what it does not see, may not write, create or delete."""
    salesforce_sandbox.admin("POST", "permissions", **taken)
    failed = doctor.fails("Salesforce")
    assert list(failed) == [check]
    assert said in failed[check]


def test_a_package_that_was_never_deployed(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """Everything that is missing is told object by object, and not field by field for ever."""
    hidden = [f"Stripe_Invoice__c.{name}" for name in OBJECTS["Stripe_Invoice__c"].fields]
    salesforce_sandbox.admin("POST", "permissions", hidden=["Stripe_Invoice_Event__c", *hidden])
    failed = doctor.fails("Salesforce")
    assert "… and " in failed["object Stripe_Invoice__c"]
    assert "hides it" in failed["object Stripe_Invoice_Event__c"]


@pytest.mark.parametrize(
    ("setting", "said", "remedy"),
    [
        (
            None,
            "does not know in which currency it bills; the org's currency is EUR",
            "Currency EUR",
        ),
        (
            {"Currency__c": None},
            "does not know in which currency it bills",
            "Default have the Curr",
        ),
        (
            {"Currency__c": "USD"},
            "bills in USD; the org's currency is EUR",
            "Custom Metadata Types",
        ),
        ({"Currency__c": "EUR"}, "", ""),
    ],
)
def test_dialogues_that_bill_in_another_currency(
    doctor: Doctor,
    salesforce_sandbox: Sandbox,
    setting: dict[str, Any] | None,
    said: str,
    remedy: str,
) -> None:
    """What they know of it is held to the org, and the doctor says what to write where."""
    salesforce_sandbox.admin("POST", "reset", seed="demo", currency="EUR")
    if setting is not None:
        salesforce_sandbox.admin(
            "POST", "custom-metadata", name="Invoicing_Setting.Default", values=setting
        )
    found = doctor.looks("Salesforce")["currency of the dialogues"]
    assert found.verdict == ("fail" if said else "pass")
    assert said in found.said
    assert remedy in found.remedy


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (None, "does not say its version, and 1 is needed"),
        ("0", "is version 0, and 1 is needed"),
        ("1", ""),
        ("2", ""),
    ],
)
def test_a_package_of_another_release(
    doctor: Doctor, salesforce_sandbox: Sandbox, version: str | None, said: str
) -> None:
    """One that is older than what the worker needs is named, though no field is missing."""
    named = {"name": "Invoicing_Setting.Package", "values": {"Version__c": version}}
    salesforce_sandbox.admin("POST", "custom-metadata", **named)
    failed = doctor.fails("Salesforce")
    assert list(failed) == (["package version"] if said else [])
    assert said in failed.get("package version", "")


def test_a_package_from_before_there_were_versions(
    doctor: Doctor, salesforce_sandbox: Sandbox
) -> None:
    """Its custom metadata has no field for one; a user without the type does not see it either."""
    salesforce_sandbox.admin("POST", "permissions", hidden=["Invoicing_Setting__mdt.Version__c"])
    assert "does not say its version" in doctor.fails("Salesforce")["package version"]
    salesforce_sandbox.admin("POST", "permissions", hidden=["Invoicing_Setting__mdt"])
    assert "may not read it" in doctor.fails("Salesforce")["package version"]


def test_custom_permissions_that_nobody_tells(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """An org that does not answer the question is no org without the permission."""
    salesforce_sandbox.admin("POST", "permissions", hidden=["UserSetupEntityAccess"])
    assert doctor.fails("Salesforce") == {}
    assert "permission to mirror Stripe" in doctor.cannot_tell("Salesforce")


def test_dialogues_of_a_package_with_a_namespace(doctor: Doctor) -> None:
    """Their setting and its field have the prefix as everything else that the package brings."""
    with running(
        lambda url: application(open_org(SALESFORCE_PACKAGE, namespace="acme"), url)
    ) as url:
        org = Sandbox(url)
        doctor.set(SALESFORCE__URL=url, SALESFORCE__NAMESPACE="acme")
        org.admin("POST", "reset", seed="demo", currency="EUR")
        said = doctor.fails("Salesforce")["currency of the dialogues"]
        assert "does not know in which currency it bills" in said
        record, wanted = "Invoicing_Setting.Default", {"acme__Currency__c": "EUR"}
        org.admin("POST", "custom-metadata", name=record, values=wanted)
        found = doctor.looks("Salesforce")
        for name in ("currency of the dialogues", "package version", "permission to mirror Stripe"):
            assert found[name].verdict == "pass"


def test_dialogues_of_which_the_user_knows_nothing(
    doctor: Doctor, salesforce_sandbox: Sandbox
) -> None:
    """A former package, or a permission set that does not name the type."""
    salesforce_sandbox.admin("POST", "permissions", hidden=["Invoicing_Setting__mdt"])
    failed = doctor.fails("Salesforce")
    assert set(failed) == {"currency of the dialogues", "package version"}
    assert "may not read it" in failed["currency of the dialogues"]


@pytest.mark.parametrize(
    ("hidden", "check", "said"),
    [
        ("SendCustomNotifications", "permission to notify", "may not send notifications"),
        ("Invoice_Request", "notification types", "no notification type Invoice_Request."),
        ("Invoice_Approvers", "approvers", "no public group Invoice_Approvers"),
    ],
)
def test_people_whom_nobody_could_notify(
    doctor: Doctor, salesforce_sandbox: Sandbox, hidden: str, check: str, said: str
) -> None:
    """The user may not, or the org lacks what people are told by."""
    if hidden == "SendCustomNotifications":
        salesforce_sandbox.admin("POST", "permissions", hidden=[hidden])
    else:
        org = Administrator(salesforce_sandbox)
        kind = "Group" if hidden == "Invoice_Approvers" else "CustomNotificationType"
        [found] = org.find(f"SELECT Id FROM {kind} WHERE DeveloperName = '{hidden}'")
        org.change(kind, found["Id"], DeveloperName="Renamed")
    failed = doctor.fails("Salesforce")
    assert list(failed) == [check]
    assert said in failed[check]


def test_approvers_whom_nobody_named(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """Where a limit asks for approval, somebody has to be told; one who has left does not count."""
    doctor.set(APPROVAL__LIMITS="USD=10000")
    told = doctor.looks("Salesforce")["approvers"]
    assert (told.verdict, told.said) == (
        "pass",
        "What waits for approval is told to 1 active user.",
    )
    org = Administrator(salesforce_sandbox)
    [member] = org.find("SELECT Id, GroupId, UserOrGroupId FROM GroupMember")
    org.change("User", member["UserOrGroupId"], IsActive=False)
    assert "no active user in the public group" in doctor.fails("Salesforce")["approvers"]
    org.delete("GroupMember", member["Id"])
    assert "nobody in the public group" in doctor.fails("Salesforce")["approvers"]
    doctor.set(APPROVAL__LIMITS="")
    found = doctor.looks("Salesforce")["approvers"]
    assert (found.verdict, "no limit of" in found.said) == ("pass", True)
    doctor.set(APPROVAL__LIMITS="USD=10000", APPROVAL__IN_SALESFORCE="false")
    found = doctor.looks("Salesforce")["approvers"]
    assert (found.verdict, "asked in Prefect" in found.said) == ("pass", True)


def test_members_of_a_group_are_groups(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """Who is in a group within the group is not asked: somebody may be."""
    doctor.set(APPROVAL__LIMITS="USD=10000")
    org = Administrator(salesforce_sandbox)
    [member] = org.find("SELECT Id, GroupId FROM GroupMember")
    org.delete("GroupMember", member["Id"])
    org.create("GroupMember", GroupId=member["GroupId"], UserOrGroupId=member["GroupId"])
    found = doctor.looks("Salesforce")["approvers"]
    assert (found.verdict, "told to 1 group" in found.said) == ("pass", True)


def test_an_org_that_tells_nothing_of_permissions_and_groups(
    doctor: Doctor, salesforce_sandbox: Sandbox
) -> None:
    """An org that does not answer is none without the permission, or without approvers."""
    hidden = ["UserPermissionAccess", "GroupMember"]
    salesforce_sandbox.admin("POST", "permissions", hidden=hidden)
    assert doctor.fails("Salesforce") == {}
    assert doctor.cannot_tell("Salesforce").keys() == {"permission to notify", "approvers"}


def test_countries_of_accounts(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """Codes where people pick them from lists; a user who sees no address is told of."""
    salesforce_sandbox.admin("POST", "reset", seed="demo", profiles=["country-picklists"])
    found = doctor.looks("Salesforce")["country of an Account"]
    assert (found.verdict, "Picklists are on" in found.said) == ("pass", True)
    hidden = ["Account.BillingCountry", "Account.BillingCountryCode"]
    salesforce_sandbox.admin("POST", "permissions", hidden=hidden)
    failed = doctor.fails("Salesforce")
    assert "does not see the billing address" in failed["country of an Account"]


def test_a_day_of_many_calls(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """Past the share at which bulk work stops, the doctor says so; else how much is used."""
    assert "% of the day's calls are used." in doctor.looks("Salesforce")["API calls"].said
    salesforce_sandbox.admin("POST", "limits", allowance=1)
    assert "bulk work stops at 80%" in doctor.fails("Salesforce")["API calls"]


def test_a_mapping_that_leads_nowhere(doctor: Doctor, tmp_path: Path) -> None:
    """Paths of the field mapping are followed in the org."""
    file = tmp_path / "mapping.toml"
    file.write_text('email = ["Account__r.Owner.Emial"]\n', encoding="utf-8")
    doctor.set(MAPPING=str(file))
    failed = doctor.fails("Salesforce")
    assert list(failed) == ["field mapping"]
    assert "Emial" in failed["field mapping"]


def test_an_org_with_objects_of_its_own(
    doctor: Doctor, salesforce_sandbox: Sandbox, tmp_path: Path
) -> None:
    """It needs neither the package's version nor its custom permission."""
    file = tmp_path / "mapping.toml"
    file.write_text('[objects.Stripe_Invoice__c]\nname = "Bill__c"\n', encoding="utf-8")
    doctor.set(MAPPING=str(file))
    hidden = ["Invoicing_Setting__mdt", "Mirror_Stripe"]
    salesforce_sandbox.admin("POST", "permissions", hidden=hidden)
    failed = doctor.fails("Salesforce")
    assert "no object 'Bill__c'" in failed["object Stripe_Invoice__c"]
    assert not {"package version", "permission to mirror Stripe"} & set(failed)


# The listener


def listened(**ago: float) -> None:
    """Let a listener have heard something so long ago."""
    with database.session() as ledger:
        heard = datetime.now(UTC) - timedelta(**ago)
        name = settings().salesforce.request_stream
        ledger.merge(Subscription(name=name, replay_id="00", moved_at=heard))


def test_nobody_listens(doctor: Doctor) -> None:
    """Nobody ever has, which is slow and no mistake; or somebody has, and hears nothing now."""
    listened(minutes=1)
    found = doctor.looks("Ledger", "Listener")["listener"]
    assert (found.verdict, found.said) == (
        "pass",
        "It heard something 1 minute ago; it is missed after 10.",
    )
    listened(minutes=11)
    assert "nothing for 11 minutes" in doctor.fails("Ledger", "Listener")["listener"]
    listened(days=4)
    assert (
        "nothing for 4 days. Salesforce keeps events for three"
        in (doctor.fails("Ledger", "Listener")["listener"])
    )
    with database.session() as ledger:
        ledger.execute(delete(Subscription))
    assert doctor.fails("Ledger", "Listener") == {}
    found = doctor.looks("Ledger", "Listener")["listener"]
    assert (found.verdict, "No listener has heard anything yet" in found.said) == ("unknown", True)
    assert "heard of within 5 minutes" in found.remedy


def test_a_channel_that_nobody_can_listen_to(doctor: Doctor, salesforce_sandbox: Sandbox) -> None:
    """It was not deployed, or is not for our user; an event bus that is away says nothing."""
    groups = ("Ledger", "Salesforce", "Listener")
    salesforce_sandbox.admin("POST", "permissions", hidden=[REQUEST])
    assert "may not subscribe" in doctor.fails(*groups)["event channel"]
    salesforce_sandbox.admin("POST", "permissions")
    doctor.set(SALESFORCE__REQUEST_CHANNEL="/data/Other__chn")
    assert "no channel /data/Other__chn" in doctor.fails(*groups)["event channel"]
    doctor.set(SALESFORCE__PUBSUB_URL="http://127.0.0.1:1")
    assert doctor.fails(*groups) == {}
    assert "event bus broke" in doctor.cannot_tell(*groups)["event channel"]


# The ledger


def test_no_ledger(doctor: Doctor, tmp_path: Path) -> None:
    """It is away, its folder cannot be made, or nobody has migrated it; Salesforce waits for it."""
    (tmp_path / "file").touch()
    for url, said, remedy in (
        ("postgresql://127.0.0.1:1/nowhere", "did not answer", "Start the database"),
        (f"sqlite:///{tmp_path}/file/ledger.db", "folder is not there", "correct that address"),
        (f"sqlite:///{tmp_path}/empty.db", "python -m invoicing.ledger", "`make deploy`"),
    ):
        doctor.set(LEDGER__URL=url)
        found = doctor.looks("Ledger", "Salesforce")
        assert (found["ledger"].verdict, found["Salesforce login"].waits) == ("fail", True)
        assert said in found["ledger"].said
        assert remedy in found["ledger"].remedy


@pytest.mark.parametrize("url", ["postgres://db/ledger", "mysql://db/ledger", "ledger.db"])
def test_a_ledger_of_another_kind(doctor: Doctor, url: str) -> None:
    """An address that no ledger has is a mistake of the settings."""
    doctor.set(LEDGER__URL=url)
    said = doctor.fails("Ledger")["settings"]
    assert "INVOICING_LEDGER__URL: write it like sqlite:////" in said


@pytest.mark.parametrize(
    ("revision", "todo"), [("0001", "migrate it"), ("9999", "a newer one migrated it")]
)
def test_a_ledger_of_another_release(
    doctor: Doctor, tmp_path: Path, revision: str, todo: str
) -> None:
    """An older one is to be migrated; a newer one belongs to a newer release."""
    other = shutil.copy(tmp_path / "ledger.db", tmp_path / "other.db")
    with sqlite3.connect(other) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = ?", [revision])
    doctor.set(LEDGER__URL=f"sqlite:///{other}")
    [(check, said)] = doctor.fails("Ledger").items()
    assert check == "ledger"
    assert f"at revision {revision}" in said
    assert todo in said
    if revision > str(database.HEAD):
        with pytest.raises(Misconfigured, match=todo):
            database.migrate()


def test_a_ledger_of_one_file_that_takes_no_writes(doctor: Doctor, tmp_path: Path) -> None:
    """SQLite's file was opened to be read."""
    doctor.set(LEDGER__URL=f"sqlite:///file:{tmp_path}/ledger.db?mode=ro&uri=true")
    failed = doctor.fails("Ledger")
    assert list(failed) == ["ledger's writes"]
    assert "readonly" in failed["ledger's writes"]


def test_a_ledger_on_postgresql(doctor: Doctor, postgres: str, tmp_path: Path) -> None:
    """One that takes writes is right; one that takes none is not."""
    url = new_database(postgres, tmp_path.name)
    doctor.set(LEDGER__URL=url)
    assert doctor.fails("Ledger") == {}
    doctor.set(LEDGER__URL=f"{url}&options=-c%20default_transaction_read_only%3Don")
    failed = doctor.fails("Ledger")
    assert list(failed) == ["ledger's writes"]
    assert "read-only" in failed["ledger's writes"]


def test_a_clock_that_is_wrong(doctor: Doctor, postgres: str, tmp_path: Path) -> None:
    """Leases are judged by time: the ledger's has to be ours."""
    url = new_database(postgres, tmp_path.name)
    with psycopg.connect(url, autocommit=True) as database:
        database.execute("CREATE SCHEMA early")
        database.execute(
            "CREATE FUNCTION early.now() RETURNS timestamptz LANGUAGE sql "
            "AS $$ SELECT pg_catalog.now() + interval '5 minutes' $$"
        )
    doctor.set(LEDGER__URL=f"{url}&options=-c%20search_path%3Dearly,pg_catalog,public")
    failed = doctor.fails("Ledger")
    assert list(failed) == ["ledger's clock"]
    assert "ahead of ours" in failed["ledger's clock"]
