"""Settings that cannot be misread: what is missing, wrong or misspelt is named as it is written."""

import json
import os
from pathlib import Path

import pytest

from invoicing.errors import Misconfigured
from invoicing.settings import Settings, read, settings
from tasks.installation.alert_automations import Notifications
from tasks.installation.queues import Limits
from tasks.installation.recovery_automations import Timing

GOOD = {
    "STRIPE__API_KEY": "rk_test_51Secret",
    "STRIPE__ACCOUNT_ID": "acct_1",
    "STRIPE__LIVEMODE": "false",
    "SALESFORCE__ORG_ID": "00D000000000001",
    "SALESFORCE__DOMAIN": "acme.my",
    "SALESFORCE__CONSUMER_KEY": "key",
    "SALESFORCE__CONSUMER_SECRET": "word",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is set, and no file is beside."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("INVOICING_"):
            monkeypatch.delenv(name)


def given(monkeypatch: pytest.MonkeyPatch, **changes: str) -> Settings:
    """The settings of a good environment with some changes."""
    for name, value in {**GOOD, **changes}.items():
        monkeypatch.setenv(f"INVOICING_{name}", value)
    return settings.__wrapped__()


def told(monkeypatch: pytest.MonkeyPatch, **changes: str) -> str:
    """What is said of an environment that is not good."""
    with pytest.raises(Misconfigured) as caught:
        given(monkeypatch, **changes)
    return str(caught.value)


def test_nothing_is_set() -> None:
    """Each variable that is needed is named, and none that is not."""
    with pytest.raises(Misconfigured) as caught:
        settings.__wrapped__()
    needed = ["STRIPE__API_KEY", "STRIPE__ACCOUNT_ID", "STRIPE__LIVEMODE"]
    needed += ["SALESFORCE__ORG_ID", "SALESFORCE__DOMAIN", "SALESFORCE__CONSUMER_KEY"]
    missing = "; ".join(f"INVOICING_{name} is missing" for name in needed)
    assert str(caught.value) == f"The settings are not complete. {missing}"


def test_one_file_has_the_settings_of_all_groups() -> None:
    """Each group finds its own in it, and lets those of the others be."""
    own = {"QUEUES_PEOPLE": "5", "AUTOMATIONS_CRASHED_SECONDS": "60", "NOTIFICATIONS_CRASHES": "7"}
    names = {f"INVOICING_{name}": value for name, value in {**GOOD, **own}.items()}
    names["PREFECT_API_URL"] = "http://127.0.0.1:4201/api"
    Path(".env").write_text("".join(f"{name}={value}\n" for name, value in names.items()))
    assert read(Settings).prefect_api_url == "http://127.0.0.1:4201/api"
    assert read(Limits).people == 5
    assert read(Timing).crashed_seconds == 60
    assert read(Notifications).crashes == 7


def test_one_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its whole name."""
    monkeypatch.delitem(GOOD, "STRIPE__ACCOUNT_ID")
    assert told(monkeypatch).endswith("INVOICING_STRIPE__ACCOUNT_ID is missing")


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("STRIPE__API_KEYS", "STRIPE__API_KEY"),
        ("BUSINESS__TIMEZONE", "BUSINESS__TIME_ZONE"),
        ("BUSINESS_TIME_ZONE", "BUSINESS__TIME_ZONE"),
        ("STRIPE__WEBHOOK_SECRET", "STRIPE__WEBHOOK_SECRETS"),
    ],
)
def test_a_misspelt_name_is_refused(name: str, near: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment, with the nearest that there is."""
    said = told(monkeypatch, **{name: "x"})
    assert said.endswith(f"INVOICING_{name} is no setting; did you mean INVOICING_{near}?")


def test_a_misspelt_name_in_the_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """And so is one in `.env`, whose other values are read."""
    file, zone = Path(".env"), "Asia/Tokyo"
    file.write_text(f"INVOICING_BUSINESS__TIMEZONE={zone}\nOTHER=1\n")
    assert "INVOICING_BUSINESS__TIMEZONE is no setting" in told(monkeypatch)
    file.write_text(f"INVOICING_BUSINESS__TIME_ZONE={zone}\nOTHER=1\n")
    assert given(monkeypatch).business.time_zone == zone


@pytest.mark.parametrize("secrets", ["whsec_1, whsec_2", '["whsec_1", "whsec_2"]'])
def test_a_list_has_commas_or_is_json(secrets: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people write one."""
    read = given(monkeypatch, STRIPE__WEBHOOK_SECRETS=secrets, REMINDERS__AFTER_DUE="1, 7")
    assert [s.get_secret_value() for s in read.stripe.webhook_secrets] == ["whsec_1", "whsec_2"]
    assert read.reminders.after_due == [1, 7]


@pytest.mark.parametrize(
    "limits", ["eur=10000, USD = 12000.50", '{"EUR": 10000, "USD": "12000.50"}']
)
def test_a_table_has_commas_or_is_json(limits: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As people write one."""
    read = given(monkeypatch, APPROVAL__LIMITS=limits)
    assert {name: str(limit) for name, limit in read.approval.limits.items()} == {
        "EUR": "10000",
        "USD": "12000.50",
    }


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BUSINESS__TIME_ZONE", "Berlin", "no time zone 'Berlin'; write it like Europe/Berlin"),
        ("BUSINESS__TIME_ZONE", "Europe/Berlni", "write it like "),
        ("APPROVAL__LIMITS", "10000", "write it like EUR=10000, USD=12000"),
        ("APPROVAL__LIMITS", "{EUR: 1}", "it begins like JSON and is none"),
        ("STRIPE__ACCOUNT_ID", "1", "INVOICING_STRIPE__ACCOUNT_ID has to look like acct_1"),
        ("TABLES__URLS", "files.example.com", "write it like https://files.example.com/"),
        ("TABLES__URLS", "https://me@files.example.com/", "write it like https://"),
        ("REMINDERS__AFTER_DUE", "-1", "days are counted from the due date, without a sign"),
    ],
)
def test_a_wrong_value_is_told_in_words(
    name: str, value: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the variable it stands in, and never with a secret."""
    said = told(monkeypatch, **{name: value})
    assert f"INVOICING_{name}" in said
    assert words in said
    assert "rk_test" not in said


@pytest.mark.parametrize("name", ["STRIPE__BASE_URL", "SALESFORCE__URL"])
@pytest.mark.parametrize("key", [{"STRIPE__LIVEMODE": "true"}, {"STRIPE__API_KEY": "rk_live_51"}])
def test_live_keys_do_not_go_over_plain_http(
    name: str, key: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """To another machine; a sandbox on this one may have them, and test keys may go anywhere."""
    there = {name: "http://proxy.example.com"}
    assert f"INVOICING_{name} begins with http://" in told(monkeypatch, **there, **key)
    given(monkeypatch, **{name: "http://127.0.0.1:8100"}, **key)
    given(monkeypatch, **{name: "https://proxy.example.com"}, **key)
    given(monkeypatch, **there, **{each: GOOD[each] for each in key})


@pytest.mark.parametrize(
    "url",
    [
        *("postgre://u:{}@h/x", "postgresql://u:{}@h:bad/x", "u:{}"),
        *("postgresql+asyncpg://u:{}@h/x", "sqlite://ledger.db", "mysql://u:{}@h/x"),
    ],
)
def test_an_address_of_the_ledger_that_is_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said how to write one, and not what was written: a password may be in it."""
    said = told(monkeypatch, LEDGER__URL=url.format("s3cret"))
    assert "INVOICING_LEDGER__URL: write it like sqlite:////var/lib/invoicing/ledger.db" in said
    assert "s3cret" not in said


def test_no_secret_is_in_what_programs_show_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in their representation, which tracebacks and logs may hold."""
    secret = "s3cret-s3cret-s3cret"
    changes = {
        "STRIPE__API_KEY": secret,
        "STRIPE__WEBHOOK_SECRETS": f"{secret},{secret}2",
        "SALESFORCE__CONSUMER_KEY": secret,
        "SALESFORCE__CONSUMER_SECRET": secret,
        "LEDGER__URL": f"postgresql://invoicing:{secret}@db.example.com/invoicing",
        "RECEIVER__TOKEN": secret,
        "RECEIVER__ENDPOINTS": json.dumps(
            [{"token": secret, "account_id": "acct_2", "livemode": False, "secrets": [secret]}]
        ),
    }
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", f"admin:{secret}")
    assert secret not in repr(given(monkeypatch, **changes))


def test_the_channel_of_requests_has_the_namespace_of_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Unless another channel is said; and what is no namespace is refused."""
    assert given(monkeypatch).salesforce.request_channel == "/data/Invoice_Requests__chn"
    there = given(monkeypatch, SALESFORCE__NAMESPACE="acme").salesforce.request_channel
    assert there == "/data/acme__Invoice_Requests__chn"
    own = given(monkeypatch, SALESFORCE__REQUEST_CHANNEL="/data/Own__chn").salesforce
    assert own.request_channel == "/data/Own__chn"
    assert "INVOICING_SALESFORCE__NAMESPACE" in told(monkeypatch, SALESFORCE__NAMESPACE="acme__")
