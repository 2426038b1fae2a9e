"""``python -m deployments.org_pages`` against orgs of several shapes, and what people then see."""

import io
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from deployments import metadata_api
from deployments.local.stack import SALESFORCE_KEY, SALESFORCE_PACKAGE, SALESFORCE_SECRET
from deployments.metadata_api import INSTANCE, TOKEN, Login, MetadataApi
from deployments.org_pages.__main__ import main
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import STANDARD_PAGES, open_org
from tests.conftest import Sandbox

pytestmark = pytest.mark.standard

ACME = "001Hs0000000001IAA"
PAGES = (
    "Account-Account Layout",
    "Account-Account %28Sales%29 Layout",
    "Opportunity-Opportunity Layout",
)
Run = Callable[..., str]


@pytest.fixture(scope="module")
def org_process() -> Iterator[Sandbox]:
    """An org with the package, on whose pages nothing of it is."""
    with running(lambda url: application(open_org(SALESFORCE_PACKAGE), url)) as url:
        yield Sandbox(url)


@pytest.fixture
def org(org_process: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Sandbox]:
    """The same, as it was, with an administrator logged in."""
    org_process.admin("DELETE", "metadata")
    org_process.admin("POST", "reset", seed="demo")
    monkeypatch.setenv(TOKEN, login(org_process.url).token)
    monkeypatch.setenv(INSTANCE, f"{org_process.url}/")
    monkeypatch.setattr(metadata_api, "POLL_SECONDS", 0)
    monkeypatch.chdir(tmp_path)
    yield org_process
    org_process.admin("DELETE", "faults")
    org_process.admin("POST", "user")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command, and return what it says; where it fails, why."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["pages", *arguments])
        try:
            main()
        except SystemExit as end:
            return f"{capsys.readouterr().out}{end}"
        return capsys.readouterr().out

    return run


def login(url: str) -> Login:
    """A session of the user who may do everything."""
    form = {
        "grant_type": "client_credentials",
        "client_id": SALESFORCE_KEY,
        "client_secret": SALESFORCE_SECRET,
    }
    answer = requests.post(f"{url}/services/oauth2/token", data=form, timeout=60)
    return Login(url, answer.json()["access_token"])


def shown(org: Sandbox, record: str = ACME) -> str:
    """The page of a record."""
    return requests.get(f"{org.url}/{record}", timeout=60).text


def test_it_shows_what_would_change_and_changes_nothing(org: Sandbox, run: Run) -> None:
    """A sentence and a difference for each page, and which org it is."""
    said = run()
    assert "The org Northwind Traders (sandbox) (00DHs0000000001MAA" in said
    for title in ("Account Layout", "Account (Sales) Layout"):
        assert (
            f"The layout {title} gets the action Raise Invoice, last of its actions, the field "
            "Invoice E-mail, in a section Invoicing and the related list Invoices."
        ) in said
    assert "The layout Opportunity Layout gets the action" in said
    assert "--- Account-Account Layout (org)" in said
    assert "+            <actionName>Account.Raise_Invoice</actionName>" in said
    assert "\n-   " not in said
    assert said.endswith("Nothing was deployed. Say --deploy to do it.\n")
    assert "Raise Invoice" not in shown(org)


def test_people_see_it_once_it_is_deployed(org: Sandbox, run: Run, tmp_path: Path) -> None:
    """Button, list and field; a second time there is nothing to do; and there is a way back."""
    before = files(org)
    said = run("--deploy")
    assert "The org has validated it.\nThe pages as they were are in" in said
    assert said.endswith("It is deployed.\n")
    page = shown(org)
    assert "Raise Invoice" in page
    assert 'id="Invoices__r"' in page
    assert "Invoice E-mail" in page
    deployed = files(org)
    assert deployed != before
    assert "There is nothing to put in." in run("--deploy")
    assert files(org) == deployed
    [kept] = (tmp_path / ".invoicing").glob("pages-before-00DHs0000000001MAA-*.zip")
    assert str(kept.relative_to(tmp_path)) in said
    assert MetadataApi(login(org.url)).deploy(kept.read_bytes(), check_only=False) == []
    assert files(org) == before


def files(org: Sandbox) -> dict[str, bytes]:
    """The pages as the org has them."""
    return MetadataApi(login(org.url)).retrieve([("Layout", name) for name in PAGES])


def test_pages_can_be_chosen(org: Sandbox, run: Run) -> None:
    """By their names; one that is not there is named, with those that are."""
    said = run("Account (Sales) Layout", "--deploy")
    assert "Account (Sales) Layout gets" in said
    assert "The layout Account Layout" not in said
    assert "Raise Invoice" not in shown(org)
    said = run("Sales")
    assert "There is no page Sales. There are: Account-Account (Sales) Layout, Account-Acc" in said


def test_lightning_pages_and_people(org: Sandbox, run: Run) -> None:
    """A page with dynamic actions gets its own; a person's layout has the Account's action."""
    profiles = ["lightning-pages", "person-accounts"]
    org.admin("POST", "reset", seed="demo", profiles=profiles)
    said = run("--deploy")
    assert "The Lightning page Account_Record_Page gets the action" in said
    assert "The Lightning page Opportunity_Record_Page has all of it." in said
    assert "The layout Person Account Layout gets" in said
    page = shown(org)
    assert "Raise Invoice" in page
    assert 'id="Invoices__r"' in page
    org.admin("POST", "reset", seed="demo", profiles=["person-accounts"])
    token = login(org.url).token
    person = requests.post(
        f"{org.url}/services/data/v67.0/sobjects/Account",
        json={"LastName": "Doe", "PersonEmail": "doe@acme.example.com"},
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ).json()["id"]
    page = shown(org, person)
    assert "PersonEmail" in page
    assert "Raise Invoice" in page
    assert "There is nothing to put in." in run()


def test_predefined_actions_are_left_to_a_person(org: Sandbox, run: Run) -> None:
    """It says what to click, and puts in what it can."""
    org.admin("POST", "reset", seed="demo", profiles=["predefined-actions"])
    said = run("--deploy")
    assert "The layout Account Layout gets the field Invoice E-mail" in said
    assert "  By hand: Its actions are Salesforce's predefined ones" in said
    page = shown(org)
    assert 'id="Invoices__r"' in page
    assert "Raise Invoice" not in page
    assert "By hand: " in run("--deploy")


def test_what_the_org_refuses_is_said_and_nothing_is_deployed(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A layout may name what the org no longer has, and then no deploy of it succeeds."""
    name = "layouts/Account-Account Layout.layout-meta.xml"
    text = (STANDARD_PAGES / "every-org" / name).read_text()
    stale = tmp_path / "stale" / name
    stale.parent.mkdir(parents=True)
    stale.write_text(text.replace("FeedItem.TextPost", "FeedItem.RypplePost"))
    org = open_org(SALESFORCE_PACKAGE, over=[tmp_path / "stale"])
    monkeypatch.chdir(tmp_path)
    with running(lambda url: application(org, url)) as url:
        monkeypatch.setenv(TOKEN, login(url).token)
        monkeypatch.setenv(INSTANCE, url)
        said = run("--deploy")
        assert (
            "Nothing was changed. The org refuses it.\n  The layout Account Layout: In field: "
            "QuickAction - no QuickAction named FeedItem.RypplePost found"
        ) in said
        assert "Raise Invoice" not in shown(Sandbox(url))
    assert not (tmp_path / ".invoicing").exists()


def test_an_org_without_the_package_says_what_is_missing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package comes first."""
    with running(lambda url: application(open_org(), url)) as url:
        monkeypatch.setenv(TOKEN, login(url).token)
        monkeypatch.setenv(INSTANCE, url)
        said = run("--deploy")
    assert "The layout Opportunity Layout: In field: QuickAction - no QuickAction named" in said
    assert said.endswith("The package comes first: deploy deployments/salesforce to the org.")


def test_the_integration_user_may_not(org: Sandbox, run: Run) -> None:
    """It needs no right for this, and is told whose login to take."""
    org.admin("POST", "user", permission_sets=["Invoice_Integration"])
    said = run("--deploy")
    assert said.endswith(
        "Nothing was changed. This user may not change pages: log in as an administrator, or as "
        "somebody with Customize Application and Modify Metadata Through Metadata API Functions."
    )


def test_a_session_that_has_ended_is_said_so(org: Sandbox, run: Run) -> None:
    """With the command that begins a new one."""
    org.admin("DELETE", "sessions")
    assert "log in again (sf org login web --set-default)" in run()


def test_it_waits_for_the_org_and_may_be_run_again_after_a_lost_answer(
    org: Sandbox, run: Run
) -> None:
    """Whatever was deployed is seen."""
    org.admin("POST", "metadata", pending_polls=2)
    assert "It is deployed." in run("--deploy")
    org.admin("POST", "metadata", pending_polls=0)
    org.admin("DELETE", "metadata")
    retrieve, validation, deploy = 0, 3, 5  # which call it is
    for calls in (retrieve, validation, deploy):
        lost = {"kind": "lost", "path": "/services/Soap/m/*", "after": calls, "count": 1}
        org.admin("POST", "faults", seed=1, rules=[lost])
        assert run("--deploy").endswith("Run this again: it sees what is there.")
    org.admin("DELETE", "faults")
    assert "There is nothing to put in." in run("--deploy")


def test_without_a_login_it_says_how_to_have_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run: Run
) -> None:
    """Salesforce's command line is missing, or knows no org."""
    monkeypatch.delenv(TOKEN, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Salesforce's command line (sf) is not here. Install it" in run()


SF = """#!/bin/sh
case "$*" in
"org display --target-org dev --json")
  said='{"status": 0, "result": {"accessToken": "[REDACTED]", "instanceUrl": "URL"}}';;
"org auth show-access-token --no-prompt --target-org dev --json")
  said='{"status": 0, "result": {"accessToken": "TOKEN"}}';;
*)
  said='{"status": 1, "message": "Parsing \\n\\tNo authorization information found for prod."}'
esac
printf %s "$said"
"""
"""What version 2.150.6 of the command line answers, in short."""


def test_the_login_is_the_one_of_the_command_line(
    org: Sandbox, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of the org that is named; one that it does not know is said so in its words."""
    program = tmp_path / "sf"
    program.write_text(SF.replace("URL", org.url).replace("TOKEN", login(org.url).token))
    program.chmod(0o755)
    monkeypatch.delenv(TOKEN)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert "The org Northwind Traders (sandbox)" in run("--target-org", "dev")
    assert "No authorization information found for prod." in run("--target-org", "prod")


def test_what_is_deployed_is_what_is_packed(org: Sandbox) -> None:
    """A manifest that names each component, and a file for each."""
    content = metadata_api.packed({"layouts/R%26D.layout": b"<Layout/>"}, [("Layout", "R&D")])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["package.xml", "layouts/R%26D.layout"]
        assert b"<members>R&amp;D</members>" in archive.read("package.xml")


@pytest.mark.parametrize("kind", ["refuse", "reset", "malformed"])
def test_an_org_that_is_away_for_a_moment(org: Sandbox, run: Run, kind: str) -> None:
    """Is told apart from one that refuses: the same may be run again."""
    rule = {"kind": kind, "path": "/services/Soap/m/*"}
    org.admin("POST", "faults", seed=1, rules=[rule])
    assert run("--deploy").endswith("Run this again: it sees what is there.")
