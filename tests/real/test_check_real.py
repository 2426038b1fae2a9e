"""What is held to the real services works here, against the sandboxes, and leaves nothing."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from deployments.metadata_api import INSTANCE, TOKEN
from invoicing.connectors import salesforce
from invoicing.domain.salesforce.queries import Comparison, Query, equals
from invoicing.errors import Misconfigured, Rejected
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org
from tests.conftest import ROOT, Sandbox
from tests.faults.runner import deployed
from tests.real import needs, run
from tests.real.experiment import EXPERIMENTS, RECORDINGS, Observed, observe, record, replay
from tests.real.stage import OURS
from tests.real.stories import STORIES
from tests.real.stripe_account import MARK, Account, connect

ACME = "001Hs0000000001IAA"
RECORDED = sorted(RECORDINGS.glob("*.json"))


@pytest.fixture
def account(stripe_sandbox: Sandbox) -> Iterator[Account]:
    """The sandbox's account in test mode, at the true time again afterwards."""
    yield connect(run.sandbox(stripe_sandbox.url))
    stripe_sandbox.admin("POST", "reset")


def left_in(account: Account) -> dict[str, Any]:
    """What there is in an account that could be deleted, or paid."""
    v1 = account.v1

    def every(service: Any) -> list[Any]:
        return list(service.list({"limit": 100}).auto_paging_iter())

    return {
        "customers": [customer.id for customer in every(v1.customers)],
        "invoices": [i.id for i in every(v1.invoices) if i.status in ("draft", "open")],
        "products": [product.id for product in every(v1.products) if product.active],
        "coupons": [coupon.id for coupon in every(v1.coupons)],
    }


NOTHING: dict[str, list[str]] = {"customers": [], "invoices": [], "products": [], "coupons": []}


def check_real(cwd: Path, *args: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run what ``make check-real`` runs, with these settings only."""
    ours = ("INVOICING_", "SF_")
    kept = {n: v for n, v in os.environ.items() if not n.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", "tests.real", *args],
        cwd=cwd,
        env=kept | variables | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def settings_here(environment: None) -> dict[str, str]:
    """The settings that lead to the sandboxes, in test mode."""
    there = {n: v for n, v in os.environ.items() if n.startswith("INVOICING_")}
    url = there["INVOICING_SALESFORCE__URL"]
    return (
        there
        | administrator_of(url)
        | {
            "INVOICING_STRIPE__API_KEY": "sk_test_123",
            "INVOICING_STRIPE__LIVEMODE": "false",
        }
    )


def administrator_of(url: str) -> dict[str, str]:
    """The session that deploys the package."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CONSUMER_KEY,
        "client_secret": CONSUMER_SECRET,
    }
    answer = requests.post(f"{url}/services/oauth2/token", data=form, timeout=60)
    return {TOKEN: answer.json()["access_token"], INSTANCE: url}


def test_the_package_is_deployed_to_an_org_without_it(tmp_path: Path) -> None:
    """Validated first, one directory after the other, and put onto the org's pages; and again."""
    with running(lambda url: application(open_org(), url)) as url:
        for _ in range(2):
            ran = check_real(tmp_path, "package", "--yes", **administrator_of(url))
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert re.findall(r"^✓ package: (.*)$", ran.stdout, re.MULTILINE) == [
                *("force-app validated", "force-app deployed"),
                *("multi-currency validated", "multi-currency deployed"),
                *("extras validated", "extras deployed", "Raise Invoice on the pages"),
            ]
        assert "Raise Invoice" in requests.get(f"{url}/{ACME}", timeout=60).text


@pytest.mark.long
def test_all_of_it(
    settings_here: dict[str, str],
    account: Account,
    salesforce_sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    """Every story and every experiment comes out as believed, and both services are clean."""
    before = set(RECORDINGS.glob("*"))
    ran = check_real(tmp_path, "--yes", **settings_here)
    salesforce_sandbox.admin("DELETE", "metadata")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "This will be created." in ran.stdout
    good = set(re.findall(r"^✓ ([\w-]+)", ran.stdout, re.MULTILINE))
    assert {"package", *STORIES, *EXPERIMENTS} <= good
    assert len(list(account.v1.invoices.list({"limit": 100}).auto_paging_iter())) > len(STORIES)
    assert left_in(account) == NOTHING
    org = salesforce.client()
    for sobject in (*OURS, "Account", "Product2", "PricebookEntry"):
        mine = () if sobject.endswith("__c") else Comparison("Name", "LIKE", f"{MARK}%")
        assert org.query(Query(sobject, ["Id"], where=mine or None)) == [], sobject
    assert set(RECORDINGS.glob("*")) == before


def test_without_keys_it_says_what_it_needs(tmp_path: Path) -> None:
    """Each variable by its name, and that the experiments need fewer."""
    ran = check_real(tmp_path, PATH=str(tmp_path))
    assert ran.returncode == 2
    for field in ("STRIPE__API_KEY", "STRIPE__ACCOUNT_ID", "SALESFORCE__ORG_ID"):
        assert f"INVOICING_{field}" in ran.stdout
    assert "ARGS=experiments" in ran.stdout


def test_nothing_is_written_before_somebody_agrees(
    settings_here: dict[str, str],
    stripe_sandbox: Sandbox,
    salesforce_sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    """It says what it would create, and ends; all that it has written is its login."""
    sandboxes = (stripe_sandbox, salesforce_sandbox)
    for sandbox in sandboxes:
        sandbox.admin("DELETE", "requests")
    ran = check_real(tmp_path, **settings_here)
    assert ran.returncode == 2
    assert "This will be created." in ran.stdout
    assert "Nothing was begun" in ran.stdout
    logs = [sandbox.admin("GET", "requests")["requests"] for sandbox in sandboxes]
    assert all(logs)
    written = {each["path"] for log in logs for each in log if each["method"] != "GET"}
    assert written <= {"/services/oauth2/token"}


@pytest.mark.parametrize(
    ("key", "livemode"), [("sk_live_1", "false"), ("rk_live_1", "false"), ("sk_test_1", "true")]
)
def test_no_live_key_is_taken(
    environment: None, monkeypatch: pytest.MonkeyPatch, key: str, livemode: str
) -> None:
    """Not even asked whose it is, unless it leads to this machine."""
    assert needs.services(org=False).stripe.livemode
    monkeypatch.setenv("INVOICING_STRIPE__API_KEY", key)
    monkeypatch.setenv("INVOICING_STRIPE__LIVEMODE", livemode)
    monkeypatch.setenv("INVOICING_STRIPE__BASE_URL", "https://api.stripe.com")
    with pytest.raises(Rejected, match="live key"):
        needs.services(org=False)


def test_an_org_that_has_invoices_is_left_alone(
    environment: None, salesforce_sandbox: Sandbox
) -> None:
    """Flows that look at all invoices would change them."""
    assert needs.services(org=True).org
    org = salesforce.client()
    [acme] = org.query(Query("Account", ["Id"], where=equals("Name", "Acme Corporation")))
    body = {"Account__c": acme["Id"], "Currency__c": "USD", "Status__c": "Draft"}
    path = "sobjects/Stripe_Invoice__c"
    org.write_graph([{"method": "POST", "path": path, "referenceId": "one", "body": body}])
    with pytest.raises(Rejected, match="invoices of other Accounts"):
        needs.services(org=True)


def test_settings_that_are_missing_are_named(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With Stripe's alone experiments can be made, and stories cannot."""
    with monkeypatch.context() as without:
        without.delenv("INVOICING_SALESFORCE__ORG_ID")
        assert needs.services(org=False).org is None
        with pytest.raises(Misconfigured, match="INVOICING_SALESFORCE__ORG_ID is missing"):
            needs.services(org=True)


def test_what_was_recorded_is_replayed(account: Account, tmp_path: Path) -> None:
    """The same answers are the same; one that was otherwise is named, with both sides."""
    observed, left = observe("negative_total", account)
    assert left == []
    path = record(tmp_path, "negative_total", observed)
    assert replay(path, account) == []
    observed["finalized"]["ending_balance"] = 1_000
    observed["voided"] = "accepted"
    found = replay(record(tmp_path, "negative_total", observed), account)
    assert [(each.what, each.sandbox, each.stripe) for each in found] == [
        ("finalized, ending_balance", "-1000", "1000"),
        ("voided", "null", '"accepted"'),
    ]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_sandbox_answers_as_stripe_did(account: Account, path: Path) -> None:
    """What Stripe itself has answered to an experiment, the sandbox answers too."""
    assert replay(path, account) == []


@pytest.mark.parametrize(
    "private",
    [
        {"customer": "cus_NffrFeUfNV2Hib"},
        {"seen": ["pay@globex.example"]},
        {"key": "sk_test_" + "1"},
        {"page": "https://invoice.stripe.com/i/1"},
        {"created": 1_790_000_000},
        {"in_1MtHbELkdIwHu7ixl4OzzPMv": "paid"},
    ],
)
def test_no_secret_is_recorded(tmp_path: Path, private: Observed) -> None:
    """Ids, addresses, keys, pages and moments stay out; nothing is written then."""
    with pytest.raises(ValueError, match="would record"):
        record(tmp_path, "empty_draft", private)
    assert list(tmp_path.iterdir()) == []


def test_an_experiment_that_breaks_is_cleaned_up(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drafts, open invoices, products and customers are gone, whatever went wrong."""

    def breaks(account: Account) -> Observed:
        customer = account.customer()
        account.draft(customer, 10_000)
        account.open(customer, 10_000)
        account.product()
        raise ZeroDivisionError

    monkeypatch.setitem(EXPERIMENTS, "breaks", breaks)
    with pytest.raises(ZeroDivisionError):
        observe("breaks", account)
    assert left_in(account) == NOTHING


def test_what_a_killed_run_left_is_found(account: Account) -> None:
    """The next one removes it, and nothing of anybody else."""
    other = account.v1.customers.create({"email": "pay@globex.example"}).id
    account.open(account.customer(), 10_000)
    assert account.clean() == []
    assert left_in(account) == NOTHING | {"customers": [other]}


def test_a_refusal_ends_an_experiment_as_an_observation(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where Stripe refuses what all the rest needs, that is what is observed."""
    monkeypatch.setitem(EXPERIMENTS, "one", lambda account: account.draft("cus_none"))
    observed, _ = observe("one", account)
    assert observed == {"stopped": "refused: invalid_request_error resource_missing customer"}


def test_what_differs_is_shown(
    account: Account,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Belief, the sandbox's answer and Stripe's stand side by side, and the run has failed."""

    def customers(account: Account) -> Observed:
        """Nobody is a customer yet."""
        return {"customers": len(account.v1.customers.list().data)}

    monkeypatch.setitem(EXPERIMENTS, "customers", customers)
    services = needs.Services(run.sandbox(stripe_sandbox.url), None)
    assert run.make_experiments(services, account, ["customers", "empty_draft"])
    account.v1.customers.create({"email": "pay@globex.example"})
    capsys.readouterr()
    assert not run.make_experiments(services, account, ["customers", "empty_draft"])
    said = capsys.readouterr().out
    assert "≠ customers: Nobody is a customer yet." in said
    assert "✓ empty_draft" in said
    assert re.search(r"│ customers +│ customers +│ 0 +│ 1 +│", said)


def test_every_flow_has_a_story() -> None:
    """What is deployed is tried."""
    assert set(STORIES) == set(deployed())


def test_every_experiment_is_on_the_page() -> None:
    """By its name, beside what is believed; and no other is named there."""
    page = (ROOT / "docs/unproved.md").read_text(encoding="utf-8")
    rows = [line.rpartition(" | ")[2] for line in page.splitlines() if line.startswith("| ")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert named == set(EXPERIMENTS)
    assert not [name for name, trial in EXPERIMENTS.items() if not trial.__doc__]
