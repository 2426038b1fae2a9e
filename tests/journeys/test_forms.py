"""Every form that people fill in, in Prefect's UI and a real browser.

PICTURES=docs/images keeps a picture of each filled form there.
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from playwright.sync_api import Browser, Locator, Page, expect
from rich.console import Console

from deployments.local.demo import Story, overview_page
from deployments.local.stack import PORTS, Stack
from deployments.local.waiting import slowness
from invoicing.domain.forms.product_options import LISTED_PRODUCT, OTHER_PRODUCT
from tests.journeys import pictures
from tests.prefect_worker import Prefect, eventually

pytestmark = pytest.mark.long

PATIENCE_MILLISECONDS = 60_000
WIDTH, LONGEST_PICTURE = 1100, 1300
ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
TODAY = datetime.now(UTC).date()
DEPLOYMENTS = yaml.safe_load(Path("prefect.yaml").read_text(encoding="utf-8"))["deployments"]
STARTED_BY_SCHEDULES = {
    "handle-events": "",
    "poll-events": "Stripe listed",
    "full-sync": "compared",
    "send-scheduled": "The day of 0 drafts has come",
    "mark-overdue": "became overdue",
    "send-reminders": "Reminders are off",
    "replay-events": "0 events handled again",
    "watch-salesforce": "0 records asked for something",
    "refresh-choices": "forms changed: none",
    "forget-old-data": "Deleted: 0 rows of the ledger",
    "overview": "failed in the last seven days",
}
"""What nobody has to fill in, and what its run says."""

LOOK_ALIKE = frozenset(
    [
        *("delete-draft", "raise-invoice-wizard", "resend-invoice", "sync-invoice"),
        *("void-invoice", "write-off-invoice"),
    ]
)
"""Forms that ask for one thing: preview-invoice's picture stands for all of them."""

FOLDED = "Printed at the end of the invoice."
"""The help text of a field that few fill in."""

BUSINESS = {"invoices": 90, "days": 30}
MANY = """invoice,account,description,product,text,quantity,unit_price
A,Acme Corporation,November services,Consulting,,6,
A,Acme Corporation,,,Travel to Hamburg,1,349.50
B,Globex,Training for the new team,Training Day,,2,
"""


class Desk:
    """A person of the finance department, in front of Prefect's UI."""

    def __init__(self, stack: Stack, page: Page) -> None:
        """Sit down."""
        self.page = page
        self.prefect = Prefect(stack.urls.prefect_api)
        self.story = Story(stack, Console(quiet=True))
        self._ui = f"{stack.urls.prefect}/v2"
        self._form: Locator = page.locator("main")
        self._flow = self._run = ""
        self._asks = True

    def open(self, flow: str) -> None:
        """Open a deployment's form: every field has its label and its help."""
        deployment = self.prefect.call("GET", f"/deployments/name/{flow}/{flow}")
        self.page.goto(f"{self._ui}/deployments/deployment/{deployment['id']}/run")
        self._form, self._flow = self.page.locator("main"), flow
        fields = deployment["parameter_openapi_schema"]["properties"].values()
        self._asks = bool(fields)
        for field in fields:
            expect(self._form.get_by_text(label(field["title"])).first).to_be_visible()
            expect(self._form.get_by_text(field["description"]).first).to_be_visible()
        expect(self._form.get_by_text('type "None"')).to_have_count(0)
        expect(self._form.locator(".cm-editor")).to_have_count(0)  # for writing JSON

    def write(self, field: str, text: str) -> None:
        """Fill in a text; of several such fields, the last."""
        self._form.get_by_role("textbox", name=label(field)).last.fill(text)

    def count(self, field: str, number: int) -> None:
        """Fill in a whole number."""
        self._form.get_by_role("spinbutton", name=label(field)).last.fill(str(number))

    def choose(self, field: str, choice: str) -> None:
        """Choose from a list; of several such fields, the last."""
        self._form.get_by_role("button", name=f"Select {field}", exact=True).last.click()
        self.page.get_by_role("option", name=choice, exact=True).click()

    def search(self, field: str, text: str) -> list[str]:
        """Open a list and look for something in it; returns what is left to choose from."""
        self._form.get_by_role("button", name=f"Select {field}", exact=True).last.click()
        everything = self.page.get_by_role("option").count()
        self.page.get_by_placeholder("Search...").fill(text)
        expect(self.page.get_by_role("option")).not_to_have_count(everything)
        return self.page.get_by_role("option").all_inner_texts()

    def unfold(self, group: str) -> None:
        """Show a group of fields that most people leave alone; until then it is out of sight."""
        expect(self._form.get_by_text(FOLDED)).to_have_count(0)
        self._form.get_by_role("tab", name=group).click()
        expect(self._form.get_by_text(FOLDED)).to_be_visible()

    def write_instead(self, alternative: str, text: str) -> None:
        """Fill in another text than those listed; of several such fields, the last."""
        self._form.get_by_role("tab", name=alternative).last.click()
        panel = self._form.get_by_role("tabpanel", name=alternative).last
        panel.get_by_role("textbox").fill(text)

    def pick(self, field: str, day: date) -> None:
        """Pick a date."""
        self._form.get_by_role("button", name=label(field)).click()
        self.page.get_by_placeholder("yyyy-MM-dd").fill(day.isoformat())
        self.page.keyboard.press("Escape")
        expect(self._form.get_by_role("button", name=label(field))).not_to_have_text("Pick a date")

    def add_item(self, nth: int = 0) -> None:
        """Add an item to a list of the form."""
        self._form.get_by_role("button", name="Add item").nth(nth).click()

    def picture(self, name: str, below: str = "Parameters") -> None:
        """Keep what is to be seen from a heading or field on, if somebody wants it."""
        if not pictures.FOLDER:
            return
        name = f"forms/{name}"
        if self._form.get_by_role("heading", name="Resume Flow Run").count():
            self.page.set_viewport_size({"width": WIDTH, "height": LONGEST_PICTURE})
            pictures.keep(self._form.screenshot(), name)
            return
        if not self._asks:
            return
        self.page.evaluate("scrollTo(0, 0)")
        box = self._form.bounding_box()
        top = self._form.get_by_text(label(below)).last.bounding_box()
        end = self._form.get_by_text("Enforce Parameter Schema").bounding_box()
        assert box
        assert top
        assert end
        high = min(end["y"] - top["y"], LONGEST_PICTURE)
        clip = {"x": box["x"], "y": top["y"] - 10, "width": box["width"], "height": high}
        pictures.keep(self.page.screenshot(full_page=True, clip=clip), name)  # type: ignore[arg-type]

    def start(self) -> str:
        """Submit the form, and return the run."""
        if self._flow not in LOOK_ALIKE:
            self.picture(self._flow)
        with self.page.expect_response(re.compile("/create_flow_run$")) as answer:
            self._form.get_by_role("button", name="Submit").click()
        assert answer.value.ok, answer.value.text()
        self._run = str(answer.value.json()["id"])
        return self._run

    def picture_of_run(self, name: str) -> None:
        """Keep the page of the run that was started last, if somebody wants it."""
        if not pictures.FOLDER:
            return
        self.page.set_viewport_size({"width": 1500, "height": 1000})
        self.page.goto(f"{self._ui}/runs/flow-run/{self._run}")
        self.page.get_by_role("tab", name="Task Runs").click()
        expect(self.page.get_by_text("compare the totals").first).to_be_visible()
        pictures.keep(self._when_still(), f"forms/{name}")
        self.page.set_viewport_size({"width": WIDTH, "height": 800})

    def _when_still(self) -> bytes:
        """What the page looks like once it no longer changes."""
        looks = [b"", self.page.screenshot()]

        def is_still() -> bool:
            looks.append(self.page.screenshot())
            return looks[-1] == looks[-2] == looks[-3]

        eventually(is_still, every=1)
        return looks[-1]

    def submit(self) -> str:
        """Submit the form, and return what the run says at its end."""
        return self.end(self.start())

    def take_turn(self, flow: str) -> str:
        """Submit a form as it comes, again if its run gave way to one that a schedule began."""
        while True:
            self.open(flow)
            state = self._ended(self.start())
            if state["type"] != "CANCELLED":
                return self._good(state)

    def end(self, run: str) -> str:
        """Wait for a run's good end, and return what it says."""
        return self._good(self._ended(run))

    def _ended(self, run: str) -> dict[str, Any]:
        read = partial(self.prefect.call, "GET", f"/flow_runs/{run}")
        eventually(lambda: read()["state_type"] in ENDED)
        return dict(read()["state"])

    def _good(self, state: dict[str, Any]) -> str:
        assert state["type"] == "COMPLETED", state["message"]
        return str(state["message"])

    def follow_the_overview(self, words: str) -> None:
        """Find by the overview what waits; its run's own page begins with how to answer."""
        self.story.run("overview")
        self.page.goto(overview_page(self.story))
        page = self.page.locator("main")
        expect(page.get_by_role("heading", name="Failed in the last seven days")).to_be_visible()
        expect(page.get_by_role("link", name="send-invoice", exact=True)).to_be_visible()
        if pictures.FOLDER:
            clip = {"x": 0, "y": 0, "width": WIDTH, "height": LONGEST_PICTURE}
            image = self.page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
            pictures.keep(image, "forms/overview")
        page.get_by_role("link", name=words).click()
        expect(self.page.get_by_text("Answer by ⋮, Resume: May INV-").first).to_be_visible()

    def open_question(self, run: str, number: int) -> None:
        """Open the dialogue in which a run asks its next question."""
        eventually(lambda: self.prefect.states(run).count("Suspended") == number)
        eventually(partial(self.has_asked, run))
        self.page.goto(f"{self._ui}/runs/flow-run/{run}")
        self.page.get_by_role("button", name="Open menu").first.click()
        self.page.get_by_role("menuitem", name="Resume").click()
        self._form = self.page.get_by_role("dialog", name="Resume Flow Run")
        expect(self._form.get_by_role("heading", level=3)).to_be_visible()

    def answer(self) -> None:
        """Submit the dialogue."""
        with self.page.expect_response(re.compile("/resume$")) as answer:
            self._form.get_by_role("button", name="Resume").click()
        assert answer.value.json()["status"] == "ACCEPT", answer.value.text()

    def record(self, name: str) -> dict[str, Any]:
        """An invoice in Salesforce."""
        return self.story.record(name)

    def has_asked(self, run: str) -> bool:
        """Whether the form of a run's question is there; it follows the run's state."""
        wanted = {"prefix": "suspended", "limit": 200, "exclude_keys": []}
        said = self.prefect.call("POST", f"/flow_runs/{run}/input/filter", wanted)
        state = self.prefect.call("GET", f"/flow_runs/{run}")["state"]
        keys = state["state_details"]["run_input_keyset"]
        return bool(keys) and keys["schema"] in {each["key"] for each in said}


def label(field: str) -> re.Pattern[str]:
    """A field's label; Prefect marks those that may stay empty."""
    return re.compile(rf"^{re.escape(field)}( \(Optional\))?$")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Everything that make demo starts; sending more than 10,000 USD needs Dana's consent."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("INVOICING_APPROVAL__LIMITS", '{"USD": "10000"}')
        patch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
        patch.setenv("INVOICING_APPROVAL__APPROVERS", '["Dana Reyes"]')
        free = dict.fromkeys(PORTS, 0)
        with Stack(tmp_path_factory.mktemp("stack"), ports=free) as running:
            Story(running, Console(quiet=True)).run("refresh-choices")
            yield running


@pytest.fixture
def desk(stack: Stack, browser: Browser) -> Iterator[Desk]:
    """One tab."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 800})
    page.set_default_timeout(PATIENCE_MILLISECONDS * slowness())
    expect.set_options(timeout=PATIENCE_MILLISECONDS * slowness())
    yield Desk(stack, page)
    page.close()


def named(said: str) -> str:
    """The invoice that a run speaks of first."""
    return str(re.findall(r"INV-\d+", said)[0])


def test_from_the_first_draft_to_the_last_word(desk: Desk) -> None:
    """One customer's invoice: raised, revised, previewed, sent, and all that comes after."""
    invoice = raise_with_two_lines(desk)
    revise(desk, invoice)
    assert "would bill Acme Corporation 1,550.00 USD" in only_named(
        desk, "preview-invoice", invoice
    )
    assert "was sent to Acme Corporation" in only_named(desk, "send-invoice", invoice)
    desk.picture_of_run("send-invoice-run")
    assert desk.record(invoice)["Status__c"] == "Open"
    assert "was mailed" in only_named(desk, "resend-invoice", invoice)
    pay_a_part(desk, invoice)
    credit_a_part(desk, invoice)
    assert only_named(desk, "sync-invoice", invoice) == f"{invoice} was in step already."
    assert "is written off" in only_named(desk, "write-off-invoice", invoice)
    assert desk.record(invoice)["Status__c"] == "Uncollectible"
    second = clone(desk, invoice)
    desk.story.run("send-invoice", invoice=second)
    third = replace(desk, second)
    assert "is deleted" in only_named(desk, "delete-draft", third)
    assert "is void" in only_named(desk, "void-invoice", second)
    assert desk.record(second)["Status__c"] == "Void"


def only_named(desk: Desk, flow: str, invoice: str) -> str:
    """A form that asks for nothing but the invoice."""
    desk.open(flow)
    desk.write("Invoice", invoice)
    return desk.submit()


def raise_with_two_lines(desk: Desk) -> str:
    """A product at the book's price, and a line of text."""
    desk.open("raise-invoice")
    desk.write("Account", "Acme Corporation")
    desk.write("Description", "November services")
    desk.add_item()
    desk.choose(LISTED_PRODUCT, "Consulting")
    desk.write("Quantity", "6")
    desk.add_item()
    desk.write("Text on the invoice", "Travel to Hamburg")
    desk.write("Unit price", "349.50")
    desk.unfold("More options")
    desk.choose("Payment terms", "Net 30")
    desk.write("PO number", "PO-4711")
    desk.picture("raise-invoice-options", below="Options")
    said = desk.submit()
    assert "is a draft for Acme Corporation: 2 lines, 1,249.50 USD" in said
    return named(said)


def revise(desk: Desk, invoice: str) -> None:
    """Another quantity, another line, another line's end, and a date instead of the terms."""
    desk.open("revise-invoice")
    desk.write("Invoice", invoice)
    desk.pick("Due date", TODAY + timedelta(days=45))
    desk.add_item()
    desk.count("Line", 1)
    desk.write("New quantity", "8")
    desk.add_item(nth=1)
    desk.write_instead(OTHER_PRODUCT, "CONSULT-H")
    desk.write("Unit price", "0.50")
    assert "now has 3 lines, 1,550.00 USD" in desk.submit()
    assert desk.record(invoice)["Total__c"] == 1550


def pay_a_part(desk: Desk, invoice: str) -> None:
    """A bank transfer came in."""
    desk.open("record-payment")
    desk.write("Invoice", invoice)
    desk.write("Amount", "1000.00")
    desk.pick("Received on", TODAY)
    desk.choose("Paid by", "cheque")
    desk.write("Reference", "Cheque 001842")
    assert "1,000.00 USD by cheque was noted" in desk.submit()


def credit_a_part(desk: Desk, invoice: str) -> None:
    """One hour was too much."""
    desk.open("credit-invoice")
    desk.write("Invoice", invoice)
    desk.add_item()
    desk.count("Line", 1)
    desk.write("Quantity", "1")
    desk.choose("Reason", "order change")
    desk.write("Memo", "Seven hours, not eight")
    assert "150.00 USD" in desk.submit()


def clone(desk: Desk, invoice: str) -> str:
    """The same again next month."""
    desk.open("clone-invoice")
    desk.write("Invoice", invoice)
    desk.choose("Payment terms", "Net 60")
    said = desk.submit()
    assert f"is a draft like {invoice}" in said
    return named(said)


def replace(desk: Desk, invoice: str) -> str:
    """A mistake was found after sending."""
    desk.open("replace-invoice")
    desk.write("Invoice", invoice)
    desk.pick("Due date", TODAY + timedelta(days=30))
    said = desk.submit()
    assert f"is a draft in place of {invoice}" in said
    return named(said)


def test_products_are_looked_for_in_a_list(desk: Desk) -> None:
    """What Salesforce sells, searched by a part of its name; a program is refused nothing."""
    desk.open("raise-invoice")
    desk.add_item()
    assert desk.search(LISTED_PRODUCT, "GATE") == ["Edge Gateway"]
    desk.picture("choices", below="Lines")


def test_many_are_raised_in_the_browser(desk: Desk) -> None:
    """A table is pasted with its line breaks."""
    desk.open("bulk-raise")
    desk.write("Csv", MANY)
    desk.unfold("More options")
    desk.choose("Payment terms", "Net 30")
    said = desk.submit()
    assert said == "2 drafts raised over 4,849.50 USD."


def test_the_wizard_is_answered_in_the_browser(desk: Desk) -> None:
    """Question after question, up to the draft."""
    desk.open("raise-invoice-wizard")
    desk.write("Account", "Globex")
    run = desk.start()
    desk.open_question(run, 1)
    desk.write("Description", "Training for the new team")
    desk.picture("wizard-1-header")
    desk.answer()
    desk.open_question(run, 2)
    desk.choose("Product", "Training Day (1,800.00 USD)")
    desk.picture("wizard-2-product")
    desk.answer()
    desk.open_question(run, 3)
    desk.write("Quantity", "2")
    desk.choose("Create more items?", "No")
    desk.picture("wizard-3-price")
    desk.answer()
    desk.open_question(run, 4)
    desk.choose("What next?", "Raise this invoice")
    desk.picture("wizard-4-summary")
    desk.answer()
    said = desk.end(run)
    assert "is a draft for Globex: 1 line, 3,600.00 USD" in said
    assert desk.record(named(said))["Status__c"] == "Draft"


def test_a_large_invoice_is_approved_in_the_browser(desk: Desk) -> None:
    """Sending waits for the approver, and goes on at once."""
    lines = [{"product": "Platform Licence"}]
    request: dict[str, Any] = {"account": "Acme Corporation", "description": "Platform 2027"}
    terms = {"payment_terms": "Net 30"}
    invoice = named(desk.story.run("raise-invoice", lines=lines, options=terms, **request))
    desk.open("send-invoice")
    desk.write("Invoice", invoice)
    run = desk.start()
    eventually(partial(desk.has_asked, run))
    desk.follow_the_overview("May INV-")
    desk.open_question(run, 1)
    desk.choose("Decision", "Approve")
    desk.choose("Your name", "Dana Reyes")
    desk.picture("approval")
    desk.answer()
    assert "was sent to Acme Corporation" in desk.end(run)
    assert desk.record(invoice)["Status__c"] == "Open"


@pytest.mark.parametrize("flow", [each["name"] for each in DEPLOYMENTS])
def test_every_form_opens(desk: Desk, flow: str) -> None:
    """Labels and help are there, and what nobody has to fill in can be submitted at once."""
    desk.open(flow)
    if flow in STARTED_BY_SCHEDULES:
        assert STARTED_BY_SCHEDULES[flow] in desk.take_turn(flow)


def test_a_sync_that_would_change_much_asks_in_the_browser(desk: Desk) -> None:
    """Salesforce is behind on every invoice: somebody looks at the numbers, and declines."""
    urls = desk.story.urls
    drifted = BUSINESS | {"accounts": 5, "drift": 1}
    requests.post(f"{urls.salesforce}/_sandbox/generate", json=drifted, timeout=60)
    desk.story.sandbox("POST", "generate", business=True, customers=5, **BUSINESS)
    desk.open("full-sync")
    run = desk.start()
    desk.open_question(run, 1)
    desk.choose("Decision", "Decline")
    desk.choose("Your name", "Dana Reyes")
    desk.write("Comment", "Looks like the wrong key; I ask first.")
    desk.picture("consent")
    desk.answer()
    said = desk.end(run)
    assert "nothing was written: Dana Reyes declined it, saying: Looks like" in said
