"""The pages and their buttons, in a real browser where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.common.serve import running
from sandbox.salesforce import records
from sandbox.salesforce.app import application
from sandbox.salesforce.org import Org, open_org

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
ACME = "001Hs0000000001IAA"
FORM = {
    "token": "t1",
    "description": "November",
    "due_date": "2026-12-24",
    "product": ["01tHs0000000001IAA", ""],
    "quantity": ["2.5", "1"],
    "unit_price": ["", ""],
    "text": ["Consulting in November", ""],
}


class PrefectStub:
    """As much of Prefect's REST API as a button uses, busy at first; runs end when told to."""

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.calls = 0
        self.state = {"type": "RUNNING", "name": "Running", "message": None}

    def app(self) -> Starlette:
        """The API."""
        return Starlette(
            routes=[
                Route("/api/deployments/name/{flow}/{name}", self._deployment),
                Route("/api/deployments/{id}/create_flow_run", self._create, methods=["POST"]),
                Route("/api/flow_runs/{id}", self._run),
            ]
        )

    def end(self, kind: str, message: str) -> None:
        """End every run."""
        self.state = {"type": kind.upper(), "name": kind, "message": message}

    async def _deployment(self, request: Request) -> Response:
        self.calls += 1
        if self.calls == 1:
            return Response(status_code=503)
        return JSONResponse({"id": request.path_params["name"]})

    async def _create(self, request: Request) -> Response:
        order = {**await request.json(), "deployment": request.path_params["id"]}
        same = [r for r in self.runs if r["idempotency_key"] == order["idempotency_key"]]
        if not same:
            self.runs.append(order)
        return JSONResponse({"id": str(self.runs.index((same or [order])[0]))}, 201)

    async def _run(self, request: Request) -> Response:
        order = self.runs[int(request.path_params["id"])]
        return JSONResponse({"name": f"{order['deployment']} #1", "state": self.state})


@pytest.fixture
def prefect() -> PrefectStub:
    """A Prefect server of a kind."""
    return PrefectStub()


@pytest.fixture
def org() -> Org:
    """An org whose records the test may change behind the pages' back."""
    return open_org(METADATA)


@pytest.fixture
def pages(prefect: PrefectStub, org: Org) -> Iterator[str]:
    """The sandbox with buttons; yields its URL."""
    with (
        running(lambda _: prefect.app()) as prefect_url,
        running(lambda url: application(org, url, prefect_url=f"{prefect_url}/api")) as url,
    ):
        yield url


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of headless Chromium."""
    opened = browser.new_page()
    opened.set_default_timeout(10_000)
    yield opened
    opened.close()


def draft(org: Org) -> str:
    """A draft on Acme's Account."""
    body = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2026-12-24"}
    invoice = records.create(org, org.sobject("Stripe_Invoice__c"), body)
    line = {"Invoice__c": invoice, "Quantity__c": 2, "Unit_Price__c": 0.0045, "Position__c": 1}
    records.create(org, org.sobject("Stripe_Invoice_Line__c"), line)
    return invoice


def set_status(org: Org, invoice: str, status: str) -> None:
    """What a run would write back."""
    org.store.update(org.sobject("Stripe_Invoice__c"), invoice, {"Status__c": status})


def test_a_person_raises_an_invoice_on_an_account(
    pages: str, prefect: PrefectStub, org: Org, page: Page
) -> None:
    """Choose products, add a line, and read what came of it; the new invoice is listed."""
    page.goto(pages)
    page.get_by_role("link", name="Accounts").first.click()
    page.get_by_role("link", name="Acme Corporation").click()
    page.get_by_role("link", name="Raise Invoice").click()
    page.get_by_label("Description").fill("November services")
    page.get_by_label("Due date").fill("2026-12-24")
    page.get_by_label("Product").select_option(label="Consulting (150.00 USD)")
    page.get_by_label("Quantity").fill("2.5")
    page.get_by_role("button", name="Add line").click()
    page.get_by_label("Product").nth(1).select_option(label="API Requests (0.0045 USD)")
    page.get_by_label("Unit price").nth(1).fill("0.004")
    page.get_by_role("button", name="Raise Invoice").click()
    expect(page.get_by_role("status")).to_contain_text("raise-invoice #1")

    draft(org)
    prefect.end("Completed", "INV-0001 is a draft for Acme Corporation.")
    expect(page.get_by_role("status")).to_contain_text("INV-0001 is a draft")
    expect(page.get_by_role("link", name="INV-0001")).to_be_visible()
    (run,) = prefect.runs
    assert run["deployment"] == "raise-invoice"
    lines = run["parameters"]["lines"]
    assert [(line["quantity"], line.get("unit_price")) for line in lines] == [
        ("2.5", None),
        ("1", "0.004"),
    ]
    assert run["parameters"]["account"] == ACME


def test_send_to_customer_says_when_it_is_done(
    pages: str, prefect: PrefectStub, org: Org, page: Page
) -> None:
    """The button starts the deployment; the record on the page is up to date afterwards."""
    invoice = draft(org)
    page.goto(f"{pages}/{invoice}")
    expect(page.locator("#lines")).to_contain_text("0.0045 USD")
    page.get_by_role("button", name="Send To Customer").click()
    expect(page.get_by_role("status")).to_contain_text("Running")
    set_status(org, invoice, "Open")
    prefect.end("Completed", "INV-0001 is on its way to billing@acme.example.com.")
    expect(page.get_by_role("status")).to_contain_text("on its way")
    expect(page.locator("[data-field=Status__c]")).to_have_text("Open")
    assert prefect.runs[0]["parameters"] == {"invoice": invoice}


def test_a_refusal_is_shown_in_its_own_words(
    pages: str, prefect: PrefectStub, org: Org, page: Page
) -> None:
    """A failed run's message is what the person reads."""
    prefect.end("Failed", "INV-0001 cannot be sent: Acme Corporation has no e-mail.")
    page.goto(f"{pages}/{draft(org)}")
    page.get_by_role("button", name="Sync Invoice").click()
    expect(page.locator(".notice.bad")).to_contain_text("has no e-mail")


def test_a_sent_invoice_is_credited_by_line(
    pages: str, prefect: PrefectStub, org: Org, page: Page
) -> None:
    """The button asks what the flow takes; a draft has no such button."""
    invoice = draft(org)
    page.goto(f"{pages}/{invoice}")
    expect(page.get_by_role("button", name="Send To Customer")).to_be_visible()
    expect(page.get_by_role("link", name="Credit")).to_be_hidden()
    set_status(org, invoice, "Paid")
    page.reload()
    expect(page.get_by_role("link", name="Void")).to_be_hidden()
    page.get_by_role("link", name="Credit").click()
    page.get_by_label("Credit of Line 1").fill("0.01")
    page.get_by_label("goes back as").select_option("refund")
    page.get_by_label("Reason").select_option("order change")
    page.get_by_label("Mail the credit note").uncheck()
    page.get_by_role("button", name="Credit").click()
    expect(page.get_by_role("status")).to_contain_text("credit-invoice #1")
    (run,) = prefect.runs
    assert run["parameters"].pop("request_id")
    assert run["parameters"] == {
        "invoice": invoice,
        "lines": [{"line": 1, "amount": "0.01"}],
        "give_back": "refund",
        "reason": "order change",
        "mail_customer": False,
    }


def test_a_payment_that_is_noted_twice_is_noted_once(
    pages: str, prefect: PrefectStub, org: Org
) -> None:
    """The form carries its own key, which is the request's id as well."""
    invoice = draft(org)
    set_status(org, invoice, "Open")
    url = f"{pages}/lightning/r/Stripe_Invoice__c/{invoice}/record-payment"
    assert "all that remains to be paid" in requests.get(url, timeout=60).text
    for _ in range(2):
        form = {"token": "t1", "amount": "450", "received_on": "", "paid_by": "cheque"}
        requests.post(url, data=form, timeout=60).raise_for_status()
    (run,) = prefect.runs
    assert run["parameters"] == {
        "invoice": invoice,
        "request_id": "t1",
        "amount": "450",
        "paid_by": "cheque",
    }


def test_a_form_sent_twice_raises_one_invoice(pages: str, prefect: PrefectStub) -> None:
    """The form carries its own key; lines without a product are left out."""
    for _ in range(2):
        answer = requests.post(f"{pages}/lightning/r/Account/{ACME}/raise", data=FORM, timeout=60)
        assert answer.url.endswith("/view?run=0")
    (run,) = prefect.runs
    assert run["parameters"]["lines"] == [
        {
            "product": "01tHs0000000001IAA",
            "quantity": "2.5",
            "description": "Consulting in November",
        }
    ]


def test_without_prefect_the_pages_say_what_is_missing(base_url: str, acme: str) -> None:
    """Buttons are disabled, and a form that is sent anyway keeps what was typed."""
    shown = requests.get(f"{base_url}/lightning/r/Account/{acme}/raise", timeout=5).text
    assert "disabled" in shown
    answer = requests.post(f"{base_url}/lightning/r/Account/{acme}/raise", data=FORM, timeout=5)
    assert answer.status_code == 400
    assert "--prefect-url" in answer.text
    assert "Consulting in November" in answer.text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "integration@northwind.example"),
        ("/lightning/o/Account/list", "Vandelay Industries"),
        ("/lightning/o/PricebookEntry/list", "0.0045 USD"),
        (f"/{ACME[:15]}", "Wile Coyote"),
    ],
)
@pytest.mark.usefixtures("sf")
def test_pages_show_the_org(base_url: str, path: str, text: str) -> None:
    """The index, lists, and a record by its bare id."""
    assert text in requests.get(base_url + path, timeout=5).text


@pytest.mark.parametrize("path", ["/nothing", "/lightning/o/Nope/list", "/003Hs0000099999"])
@pytest.mark.usefixtures("sf")
def test_what_is_not_there_is_a_page_that_says_so(base_url: str, path: str) -> None:
    """404, not a stack trace."""
    answer = requests.get(base_url + path, timeout=5)
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_an_invoice_shows_its_timeline(pages: str, org: Org) -> None:
    """A related list, the newest first, with amounts and the run that did it."""
    invoice = draft(org)
    for day, what, amount in ((1, "Raised", None), (2, "Paid 450.00 USD", 450)):
        entry = {
            "Invoice__c": invoice,
            "Key__c": what,
            "What__c": what,
            "Side__c": "Stripe",
            "Happened_At__c": f"2026-12-0{day}T08:30:00.000+0000",
            "Amount__c": amount,
            "Currency__c": "USD",
            "Run_URL__c": "https://prefect.example.com/runs/1",
        }
        records.create(org, org.sobject("Stripe_Invoice_Event__c"), entry)
    text = requests.get(f"{pages}/lightning/r/Stripe_Invoice__c/{invoice}/view", timeout=60).text
    shown = text[text.index('id="timeline"') :]
    assert "2026-12-02 08:30 UTC" in shown
    assert shown.index("Paid 450.00 USD") < shown.index("Raised")
    assert 'href="https://prefect.example.com/runs/1"' in shown
