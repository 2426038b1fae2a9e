"""Lightning web components of the package, run as they are on the screens of its flows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect

from sandbox.common import npm
from sandbox.common.serve import running
from sandbox.salesforce import records
from sandbox.salesforce.app import application
from sandbox.salesforce.lightning_components import bundle
from sandbox.salesforce.lightning_components.bundle import NotBuilt, bundle_of
from sandbox.salesforce.namespace import prefixed
from sandbox.salesforce.org import Org, open_org
from sandbox.salesforce.pages import routes

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
PROGRESS = METADATA / "lwc/requestProgress"
ACME = "001Hs0000000001IAA"
INVOICE, REQUEST = "Stripe_Invoice__c", "Stripe_Invoice_Request__c"
PATIENCE_MILLISECONDS = 120_000


@pytest.fixture(params=["", "acme"], ids=["own", "namespace"])
def org(request: pytest.FixtureRequest) -> Org:
    """An org whose records the test may change behind the page's back.

    The package is its own, or was installed under a namespace.
    """
    return open_org(METADATA, namespace=request.param)


@pytest.fixture
def pages(org: Org) -> Iterator[str]:
    """The sandbox; yields its URL."""
    with running(lambda url: application(org, url)) as url:
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of headless Chromium, with errors of what runs on it."""
    opened = browser.new_page()
    opened.set_default_timeout(PATIENCE_MILLISECONDS)
    expect.set_options(timeout=PATIENCE_MILLISECONDS)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def tools() -> None:
    """Compiler and engine, which a bare machine may lack and CI must have."""
    try:
        bundle_of(PROGRESS)
    except NotBuilt as why:
        if "CI" not in os.environ:
            pytest.skip(str(why))
        raise


def sent(org: Org) -> str:
    """An invoice that is in Stripe."""
    values = {"Account__c": ACME, "Currency__c": "USD", "Stripe_Invoice_Id__c": "in_1"}
    return records.create(org, org.sobject(INVOICE), org.own_values(INVOICE, values))


def change(org: Org, name: str, record_id: str, values: dict[str, Any]) -> None:
    """Write on a record, as the integration does."""
    records.update(org, org.sobject(name), record_id, org.own_values(name, values))


def ask(page: Page, url: str) -> None:
    """Press Sync Invoice on the invoice's page, and confirm."""
    page.goto(url)
    page.get_by_role("button", name="Sync Invoice", exact=True).click()
    page.get_by_role("button", name="Sync Invoice", exact=True).click()


def request_of(org: Org) -> str:
    """The id of the only request."""
    [request] = org.store.where(org.sobject(REQUEST), "IsDeleted = 0", [])
    return str(request["Id"])


@pytest.mark.usefixtures("tools")
def test_the_last_screen_says_what_came_of_it(pages: str, org: Org, page: Page) -> None:
    """A request is followed on the page that made it, which is never loaded again."""
    invoice = sent(org)
    ask(page, f"{pages}/{invoice}")
    status = page.get_by_role("status")
    expect(status).to_contain_text("Waiting until it is taken up")
    beneath = page.frame_locator(".beneath").locator("[data-field*=Status__c]").first
    expect(beneath).to_have_text("Draft")
    loaded = page.evaluate("performance.timeOrigin")

    change(org, REQUEST, request_of(org), {"State__c": "Running"})
    expect(status).to_contain_text("It is being done")
    page_of_payment = {"Status__c": "Open", "Hosted_Invoice_URL__c": "https://pay.example/1"}
    change(org, INVOICE, invoice, page_of_payment)
    answer = {"State__c": "Done", "Outcome__c": "INV-0001 was put right.", "Open_Key__c": None}
    change(org, REQUEST, request_of(org), answer)
    expect(status).to_contain_text("Done.")
    expect(status).to_contain_text("INV-0001 was put right.")
    link = page.get_by_role("link", name="Payment page")
    expect(link).to_have_attribute("href", "https://pay.example/1")
    shown = f"[data-field={prefixed('Status__c', org.namespace)}]"
    expect(page.frame_locator(".beneath").locator(shown).first).to_have_text("Open")
    assert page.evaluate("performance.timeOrigin") == loaded

    page.get_by_role("button", name="Finish").click()
    expect(page.locator(shown).first).to_have_text("Open")


@pytest.mark.usefixtures("tools")
def test_a_second_click_follows_what_the_first_asked_for(pages: str, org: Org, page: Page) -> None:
    """It says that it is asked for already, and then what comes of that; it makes no request."""
    invoice = sent(org)
    ask(page, f"{pages}/{invoice}")
    expect(page.get_by_role("status")).to_contain_text("Waiting until it is taken up")
    ask(page, f"{pages}/{invoice}")
    expect(page.get_by_text("so it is not asked for again")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("Waiting until it is taken up")
    answer = {"State__c": "Done", "Outcome__c": "INV-0001 was put right.", "Open_Key__c": None}
    change(org, REQUEST, request_of(org), answer)
    expect(page.get_by_role("status")).to_contain_text("INV-0001 was put right.")


@pytest.mark.usefixtures("tools")
def test_what_stands_in_the_way_is_said_there(pages: str, org: Org, page: Page) -> None:
    """A refusal is read where it was asked for, and who looks no more is asked no more."""
    ask(page, f"{pages}/{sent(org)}")
    expect(page.get_by_role("status")).to_contain_text("Waiting until it is taken up")
    answer = {"State__c": "Refused", "Outcome__c": "Acme has no address.", "Open_Key__c": None}
    change(org, REQUEST, request_of(org), answer)
    expect(page.get_by_role("status")).to_contain_text("Acme has no address.")
    expect(page.get_by_role("status")).to_contain_text("Something is to be changed first.")


def test_without_node_the_page_says_so_and_leads_to_the_request(
    pages: str, org: Org, page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing imitates the component: what cannot be shown is said, and the dialogue ends well."""
    monkeypatch.setattr(npm, "CACHE", tmp_path)
    monkeypatch.setattr(bundle, "CACHE", tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    invoice = sent(org)
    ask(page, f"{pages}/{invoice}")
    notice = page.get_by_text("The component requestProgress cannot be shown here")
    expect(notice).to_contain_text("node and npm are not installed")
    link = page.get_by_role("link", name="The record that it is about")
    expect(link).to_have_attribute("href", f"/{request_of(org)}")
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", name="INV-0001")).to_be_visible()


def test_while_it_is_being_built_the_page_says_so(
    pages: str, org: Org, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time that takes half a minute, in which nobody is left before an empty place."""
    is_over = threading.Event()

    def build(_component: Path) -> bytes:
        is_over.wait()
        raise NotBuilt("npm has nothing")

    monkeypatch.setattr(routes, "bundle_of", build)
    try:
        ask(page, f"{pages}/{sent(org)}")
        waits = page.get_by_text("The component requestProgress is being built")
        expect(waits).to_be_visible()
    finally:
        is_over.set()
    expect(waits).to_have_count(0)


def test_a_component_reads_what_whoever_looks_may_see(pages: str, org: Org) -> None:
    """Fields that are asked for and not there, or granted to nobody on the page, are refused."""
    url = f"{pages}/lightning/ui-api/records/{sent(org)}"
    invoice, status = (prefixed(name, org.namespace) for name in (INVOICE, "Status__c"))
    asked = {"fields": f"{invoice}.Name,{invoice}.{status}"}
    read = requests.get(url, asked, timeout=60).json()
    assert read["fields"]["Name"] == {"displayValue": None, "value": "INV-0001"}
    assert read["fields"][status]["value"] == "Draft"
    refused = requests.get(url, {"fields": f"{invoice}.Nothing__c"}, timeout=60)
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "INVALID_FIELD")
    gone = requests.get(f"{url[:-18]}a00Hs0000000999IAA", asked, timeout=60)
    assert (gone.status_code, gone.json()[0]["errorCode"]) == (404, "NOT_FOUND")


SOURCE = """import { LightningElement } from 'lwc';
export default class Broken extends LightningElement {}
"""


@pytest.mark.standard
@pytest.mark.usefixtures("tools")
def test_a_component_that_does_not_compile_is_not_shown(tmp_path: Path) -> None:
    """What the compiler says is what whoever looks is told; so is a module that is not there."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "broken.html").write_text("<template><p lwc:if={a></p></template>", encoding="utf-8")
    (folder / "broken.js").write_text(SOURCE, encoding="utf-8")
    with pytest.raises(NotBuilt, match="LWC1"):
        bundle_of(folder)
    (folder / "broken.html").write_text("<template></template>", encoding="utf-8")
    (folder / "broken.js").write_text(f"import 'lightning/empApi';\n{SOURCE}", encoding="utf-8")
    with pytest.raises(NotBuilt, match="lightning/empApi is not there in the sandbox"):
        bundle_of(folder)
