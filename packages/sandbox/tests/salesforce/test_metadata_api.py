"""The Metadata API: what an org is made of is listed, retrieved and deployed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from lxml import etree
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import SalesforceError
from simple_salesforce.messages import CHECK_DEPLOY_STATUS_MSG

from sandbox.common.serve import running
from sandbox.package_check.file_schema import file_schema
from sandbox.package_check.source import Component as Checked
from sandbox.salesforce.app import application
from sandbox.salesforce.deployment import deploy
from sandbox.salesforce.metadata_components import manifest, read_folders, to_files
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import STANDARD_PAGES, Org, open_org
from sandbox.salesforce.seed import seed

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
ACCOUNT_LAYOUT = "layouts/Account-Account Layout.layout"
ACME = "001Hs0000000001IAA"


@pytest.fixture(scope="module")
def org() -> Org:
    """An org without the package."""
    return open_org()


@pytest.fixture(scope="module")
def shared_url(org: Org) -> Iterator[str]:
    """The sandbox over it."""
    with running(lambda url: application(org, url)) as url:
        yield url


@pytest.fixture(scope="module")
def shared_client(shared_url: str, to_sandbox: Callable[[str], requests.Session]) -> Any:
    """The org through simple-salesforce, which reads the WSDL for each client."""
    form = {
        "grant_type": "client_credentials",
        "client_id": CONSUMER_KEY,
        "client_secret": CONSUMER_SECRET,
    }
    answer = requests.post(f"{shared_url}/services/oauth2/token", data=form, timeout=60)
    client = Salesforce(
        session_id=answer.json()["access_token"],
        instance_url=shared_url,
        version="67.0",
        session=to_sandbox(shared_url),
    )
    client.metadata_url = f"{shared_url}/services/Soap/m/67.0/"
    return client


@pytest.fixture
def url(shared_url: str) -> str:
    """The sandbox, as if nothing had been deployed."""
    requests.delete(f"{shared_url}/_sandbox/metadata", timeout=60).raise_for_status()
    reset = {"seed": "demo"}
    requests.post(f"{shared_url}/_sandbox/reset", json=reset, timeout=60).raise_for_status()
    return shared_url


@pytest.fixture
def client(url: str, shared_client: Any) -> Any:
    """An administrator."""
    return shared_client


def retrieved(client: Any, **asked: list[str]) -> dict[str, bytes]:
    """What the org has of some components."""
    process, _ = client.mdapi.retrieve("", unpackaged=asked)
    state, error, _, content = client.mdapi.retrieve_zip(process)
    assert (state, error) == ("Succeeded", None)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], members: list[tuple[str, str]]) -> io.BytesIO:
    """A ZIP file to deploy."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("package.xml", manifest(members, "67.0"))
        for name, text in files.items():
            archive.writestr(name, text)
    return content


def deployed(client: Any, content: io.BytesIO, **options: Any) -> tuple[str, list[dict[str, str]]]:
    """What becomes of a deploy: its state, and the org's problems."""
    process, state = client.mdapi.deploy(content, sandbox=False, **options)
    assert state == "Queued"
    state, _, components, _ = client.mdapi.check_deploy_status(process)
    return state, components["errors"]


def whole_package() -> io.BytesIO:
    """The package as a client would deploy it."""
    components = read_folders([METADATA])
    return packed(to_files(components), [next(c.members) for c in components])


def layout(*changes: tuple[str, str]) -> io.BytesIO:
    """The Account layout with something changed."""
    text = (STANDARD_PAGES / f"every-org/{ACCOUNT_LAYOUT}-meta.xml").read_text()
    for before, after in changes:
        assert before in text
        text = text.replace(before, after, 1)
    return packed({ACCOUNT_LAYOUT: text.encode()}, [("Layout", "Account-Account Layout")])


def page_of(url: str) -> str:
    """Acme's page."""
    return requests.get(f"{url}/{ACME}", timeout=60).text


def test_an_org_lists_its_layouts(client: Any) -> None:
    """By full names as files have them, brackets encoded."""
    api = client.mdapi
    found = api.list_metadata([api.ListMetadataQuery(type="Layout")])
    assert [one.fullName for one in found] == [
        "Account-Account %28Sales%29 Layout",
        "Account-Account Layout",
        "Opportunity-Opportunity Layout",
    ]
    assert {one.namespacePrefix for one in found} == {None}
    assert "Layout" in {one.xmlName for one in api.describe_metadata().metadataObjects}


def test_what_is_retrieved_is_what_was_deployed(client: Any) -> None:
    """Byte for byte; and an object comes with all its parts in one file."""
    assert deployed(client, whole_package()) == ("Succeeded", [])
    files = retrieved(
        client, Layout=["Account-Account Layout"], Flow=["Raise_Invoice"], CustomObject=["Account"]
    )
    assert set(files) == {
        "package.xml",
        ACCOUNT_LAYOUT,
        "flows/Raise_Invoice.flow",
        "objects/Account.object",
    }
    assert (
        files["flows/Raise_Invoice.flow"]
        == (METADATA / "flows/Raise_Invoice.flow-meta.xml").read_bytes()
    )
    assert files["objects/Account.object"].count(b"<fields>") == len(
        list((METADATA / "objects/Account/fields").iterdir())
    )


def test_what_is_not_there_is_said_and_the_rest_retrieved(client: Any) -> None:
    """A name that nothing has is no failure; the manifest is among the files."""
    asked = ["Account-Account Layout", "Account-Gone Layout"]
    process, _ = client.mdapi.retrieve("", unpackaged={"Layout": asked})
    result = client.mdapi.retrieve_retrieve_result(process, "false")

    def said(path: str) -> list[str]:
        # simple-salesforce looks for messages elsewhere than its own WSDL has them
        return [element.text for element in result.iterfind(path, client.mdapi._XML_NAMESPACES)]

    assert said("mt:status") == ["Succeeded"]
    assert said("mt:messages/mt:fileName") == ["package.xml"]
    [problem] = said("mt:messages/mt:problem")
    assert problem == "Entity of type 'Layout' named 'Account-Gone Layout' cannot be found"
    assert said("mt:fileProperties/mt:fullName")[-1] == "package.xml"


def test_a_package_is_deployed_into_an_org_without_it(client: Any, org: Org) -> None:
    """Objects, permission sets, notification types and groups are there at once, and records."""
    assert deployed(client, whole_package(), checkOnly=True) == ("Succeeded", [])
    with pytest.raises(SalesforceError):
        client.query("SELECT Id FROM Stripe_Invoice__c")
    assert deployed(client, whole_package()) == ("Succeeded", [])
    body = {"Account__c": ACME, "Currency__c": "USD"}
    created = client.Stripe_Invoice__c.create(body)
    [found] = client.query("SELECT Status__c, Account__r.Name FROM Stripe_Invoice__c")["records"]
    assert (found["Status__c"], found["Account__r"]["Name"]) == ("Draft", "Acme Corporation")
    assert client.query("SELECT Id FROM CustomNotificationType")["totalSize"] == 2
    assert deployed(client, whole_package()) == ("Succeeded", [])
    assert client.Stripe_Invoice__c.get(created["id"])["Account__c"] == ACME
    assert client.query("SELECT Id FROM CustomNotificationType")["totalSize"] == 2
    assert "Invoice_Integration" in org.permissions
    component = org.package.component("requestProgress")
    assert component is not None
    source = METADATA / "lwc/requestProgress"
    for name in ("requestProgress.html", "requestProgress.js", "requestProgress.css"):
        assert (component / name).read_bytes() == (source / name).read_bytes()


def test_a_page_shows_what_its_layout_has(url: str, client: Any, invoicing_layout: bytes) -> None:
    """Actions, related lists and fields; an action that is on no layout is not there."""
    deployed(client, whole_package())
    assert "Raise Invoice" not in page_of(url)
    content = packed({ACCOUNT_LAYOUT: invoicing_layout}, [("Layout", "Account-Account Layout")])
    assert deployed(client, content, checkOnly=True) == ("Succeeded", [])
    assert "Raise Invoice" not in page_of(url)
    assert deployed(client, content) == ("Succeeded", [])
    shown = page_of(url)
    assert "Raise Invoice" in shown
    assert re.findall(r'id="(Contacts|Opportunities|Invoices__r)"', shown) == [
        *("Contacts", "Opportunities", "Invoices__r")
    ]
    assert "Invoice E-mail" in shown
    assert 'data-field="Fax"' not in shown


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "<actionName>LogACall<",
            "<actionName>FeedItem.RypplePost<",
            "In field: QuickAction - no QuickAction named FeedItem.RypplePost found",
        ),
        (
            "<relatedList>RelatedActivityList<",
            "<relatedList>Stripe_Invoice__c.Account__c<",
            "Cannot find related list:Stripe_Invoice__c.Account__c",
        ),
        (
            "<field>Fax<",
            "<field>Invoice_Email__c<",
            "In field: field - no CustomField named Account.Invoice_Email__c found",
        ),
        (
            "<fields>FULL_NAME</fields>",
            "<fields>Seat__c</fields>",
            "Invalid field:Seat__c in related list:Contact.AccountId",
        ),
        ("</Layout>", "</Layouts>", "Error parsing file: mismatched tag"),
    ],
)
def test_a_refused_component_is_named(client: Any, before: str, after: str, problem: str) -> None:
    """With the file and Salesforce's words, and nothing of the deploy is saved."""
    named = ("<relatedList>RelatedContactList<", "<relatedList>Contact.AccountId<")
    state, [error] = deployed(client, layout((before, after), ("Phone", "Website"), named))
    assert (state, error["file"]) == ("Failed", ACCOUNT_LAYOUT)
    assert problem in error["message"]
    [kept] = [v for n, v in retrieved(client, Layout=["*"]).items() if n == ACCOUNT_LAYOUT]
    assert after.encode() not in kept


def test_what_a_manifest_names_has_to_be_there(client: Any) -> None:
    """And a file without a manifest is no deploy."""
    content = packed({}, [("Layout", "Account-Other Layout")])
    state, [error] = deployed(client, content)
    assert state == "Failed"
    assert "'Account-Other Layout' of type Layout was named in package.xml" in error["message"]
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("layouts/some.layout", "<Layout/>")
    assert deployed(client, empty) == ("Failed", [])


def test_only_who_may_modify_metadata_may_deploy(url: str, client: Any) -> None:
    """The integration user may not: the package's permission sets do not say so."""
    deployed(client, whole_package())
    order = {"permission_sets": ["Invoice_Integration"]}
    requests.post(f"{url}/_sandbox/user", json=order, timeout=60).raise_for_status()
    with pytest.raises(SalesforceError, match="ModifyMetadata"):
        deployed(client, whole_package())
    nobody = CHECK_DEPLOY_STATUS_MSG.format(
        client="", sessionId="00D!none", asyncProcessId="", includeDetails=""
    )
    answer = requests.post(f"{url}/services/Soap/m/67.0", data=nobody, timeout=60)
    assert answer.status_code == 500
    assert "INVALID_SESSION_ID" in answer.text


def test_a_deploy_takes_its_time_where_that_is_asked_for(url: str, client: Any) -> None:
    """It says InProgress, and nothing more, until it is over."""
    requests.post(f"{url}/_sandbox/metadata", json={"pending_polls": 1}, timeout=60)
    process, _ = client.mdapi.deploy(layout(), sandbox=False)
    states = [client.mdapi.check_deploy_status(process)[0] for _ in range(2)]
    assert states == ["InProgress", "Succeeded"]


def test_what_was_deployed_is_there_after_a_restart(tmp_path: Path) -> None:
    """Beside the records, in an org that keeps them."""
    data = str(tmp_path / "org.db")
    org = open_org(data=data)
    seed(org)
    assert deploy(org, whole_package().getvalue(), check_only=False).succeeded
    org.store.close()
    org = open_org(data=data)
    assert "Stripe_Invoice__c" in org.schema.objects
    org.store.close()


@pytest.mark.parametrize(
    "path", sorted(STANDARD_PAGES.rglob("*.xml")), ids=lambda path: path.name.partition(".")[0]
)
def test_the_standard_pages_are_metadata(path: Path) -> None:
    """Every page that an org has at first is valid against the Metadata API's schema."""
    root = etree.parse(path).getroot()
    for element in root.iter():
        element.tag = etree.QName(element).localname
    checked = Checked(root.tag, path.stem, str(path), root, path.parent)
    assert file_schema().mistakes(checked) == []


@pytest.mark.parametrize("profile", ["lightning-pages", "person-accounts", "predefined-actions"])
def test_pages_of_orgs_of_other_shapes(url: str, client: Any, profile: str) -> None:
    """A Lightning page with lists of its own; a person's layout; an Account layout of old."""
    reset = {"seed": "demo", "profiles": [profile]}
    requests.post(f"{url}/_sandbox/reset", json=reset, timeout=60).raise_for_status()
    shown = page_of(url)
    assert re.search(r'id="Contacts"', shown)
    assert ">Edit</a>" in shown
    if profile == "person-accounts":
        person = client.Account.create({"LastName": "Doe", "PersonEmail": "d@x.example"})
        shown = requests.get(f"{url}/{person['id']}", timeout=60).text
        assert "PersonEmail" in shown
        assert 'id="Contacts"' not in shown
