"""Somebody at work on Salesforce's pages, in a real browser."""

import os
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect
from rich.console import Console
from stripe import Invoice

from deployments.local.demo import Story
from deployments.local.stack import Stack
from deployments.local.waiting import slowness
from invoicing.domain.salesforce.queries import Query, all_of, equals
from tests.journeys import pictures
from tests.journeys.org_client import Org, typed_day
from tests.prefect_worker import eventually

PATIENCE_MILLISECONDS = 60_000
WIDTH, HIGHEST_PICTURE, MARGIN = 1280, 1000, 16
"""Of pictures, in pixels."""

LOOK_SECONDS = 0.4
"""Between two looks at a page, each of which costs a browser's work."""

LAST_SCREEN = re.compile("^(Finish|Close|Done)$")
"""The button that ends a dialogue, whatever came of it."""

ANSWERED = re.compile("Done|Refused|Failed|It waits for approval")
"""What the last screen says once a request is over."""

REQUEST = "Stripe_Invoice_Request__c"
Item = tuple[str, str, str]
"""A product, how many, and at which price; the price book's where it is empty."""


class Clerk:
    """What people do on the pages, and what they find there, in Stripe and in the mailbox."""

    def __init__(self, page: Page, stack: Stack, session: str = "") -> None:
        """Sit down in front of a tab, and log in with a session of Salesforce's API.

        Args:
            page: The tab.
            stack: What runs behind it.
            session: Without one it is Dana, who raises, sends and approves.
        """
        self.page = page
        self.urls = stack.urls
        self.story = Story(stack, Console(quiet=True))
        self._org = Org(stack, session)
        if session:
            page.goto(f"{self.urls.salesforce}/secur/frontdoor.jsp?sid={session}")
        page.set_default_timeout(PATIENCE_MILLISECONDS * slowness())
        expect.set_options(timeout=PATIENCE_MILLISECONDS * slowness())

    def picture(self, name: str) -> None:
        """Keep a picture of what the page shows, where pictures are asked for."""
        if not pictures.FOLDER:
            return
        shown = self.page.get_by_role("main").bounding_box()
        assert shown
        high = min(shown["y"] + shown["height"] + MARGIN, HIGHEST_PICTURE)
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": high}
        image = self.page.screenshot(full_page=True, clip=clip)  # type: ignore[arg-type]
        pictures.keep(image, f"salesforce/{name}")

    def no_picture(self, name: str) -> None:
        """Pass by what was pictured before."""

    # -- raising

    def raise_invoice(
        self, account: str, *items: Item, description: str = "", pictured: bool = False
    ) -> str:
        """From the list of Accounts to the draft's own page; its name."""
        page = self.page
        page.goto(f"{self.urls.salesforce}/lightning/o/Account/list")
        page.get_by_role("link", name=account, exact=True).click()
        picture = self.picture if pictured else self.no_picture
        picture("raise-1-account")
        page.get_by_role("button", name="Raise Invoice").click()
        page.get_by_label("Description").fill(description or items[0][0])
        page.get_by_label("Due Date").fill(typed_day(30))
        picture("raise-2-details")
        self.next()
        for number, (product, quantity, price) in enumerate(items, 1):
            show = picture if number == 1 else self.no_picture
            page.get_by_label("Product").fill(product[:5])
            expect(page.get_by_role("option")).to_have_count(1)
            show("raise-3-product")
            page.get_by_role("option", name=product).click()
            self.next()
            page.get_by_label("Quantity").fill(quantity)
            if price:
                page.get_by_label("Unit Price").fill(price)
            if number < len(items):
                page.get_by_label("Create more items").check()
            show("raise-4-price")
            self.next()
        picture("raise-5-summary")
        self.next()
        link = page.get_by_role("link", name="open the invoice")
        draft = link.get_attribute("href")
        picture("raise-6-raised")
        self.finish()
        expect(page.get_by_role("heading", name=account)).to_be_visible()
        page.goto(f"{self.urls.salesforce}{draft}")
        return page.get_by_role("heading", level=1).inner_text()

    def draft(self, product: str, quantity: int, price: float, account: str = "Globex") -> str:
        """Raise an invoice without the dialogue, and open its page; its name."""
        invoice = self._org.draft(account, product, quantity, price)
        self.page.goto(f"{self.urls.salesforce}/{invoice}")
        return self.page.get_by_role("heading", level=1).inner_text()

    def next(self) -> None:
        """Go on to the next screen of a dialogue."""
        self.page.get_by_role("button", name="Next").click()

    def finish(self) -> None:
        """End a dialogue."""
        self.page.get_by_role("button", name=LAST_SCREEN).click()

    # -- an invoice's page

    def open(self, name: str) -> None:
        """Open an invoice's page."""
        self.page.goto(f"{self.urls.salesforce}/{self.record(name)['Id']}")

    def offered(self) -> list[str]:
        """What can be pressed on the page, in its order."""
        self.unfold()
        buttons = self.page.locator(".actions").get_by_role("button").all_inner_texts()
        links = self.page.locator(".actions").get_by_role("link").all_inner_texts()
        return [label for label in [*buttons, *links] if label.isascii()]

    def unfold(self) -> None:
        """Show the actions that have no room on the page."""
        more = self.page.get_by_label("Show more actions")
        if more.is_visible():
            more.click()

    def begin(self, action: str) -> None:
        """Open the dialogue of an action."""
        button = self.page.get_by_role("button", name=action, exact=True)
        if not button.is_visible():
            self.unfold()
        button.click()

    def ask(self, action: str, picture: str = "", **fields: str) -> str:
        """Press an action on an invoice's page, confirm it, and wait for the answer.

        Args:
            action: What the button says.
            picture: Begins the names of two pictures: of the question, and of what came of it.
            fields: What the dialogue asks for beside, by label; a blank is written `_`.

        Returns:
            The request's state and outcome in a sentence, as the page shows them.
        """
        self.begin(action)
        for label, text in fields.items():
            self.fill(label.replace("_", " "), text)
        if picture:
            self.picture(f"{picture}-asks")
        told = self.confirm(action)
        said = self.answer(action)
        assert said.partition(": ")[2] in told or not told
        if picture:
            self.picture(f"{picture}-done")
        return said

    def edit(self, picture: str = "", **fields: str) -> None:
        """Change fields of a record where it stands, by label; a blank is written `_`."""
        self.page.get_by_role("link", name="Edit").click()
        for label, text in fields.items():
            self.fill(label.replace("_", " "), text)
        if picture:
            self.picture(picture)
        self.page.get_by_role("button", name="Save").click()
        expect(self.page.get_by_role("link", name="Edit")).to_be_visible()

    def fill(self, label: str, text: str) -> None:
        """Fill in a field, or choose from its list."""
        field = self.page.get_by_label(label).first
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(label=text)
        else:
            field.fill(text)

    def confirm(self, action: str, picture: str = "") -> str:
        """Confirm a dialogue, read what came of it on its last screen, and close that.

        Nobody reloads the page meanwhile, and nothing but the listener takes the request up.

        Returns:
            What the package's own component says; nothing where this machine cannot build it.
        """
        self.page.get_by_role("button", name=action, exact=True).click()
        expect(self.page.get_by_role("button", name=LAST_SCREEN)).to_be_visible()
        loaded = self.page.evaluate("performance.timeOrigin")
        answered = self.page.get_by_role("status").filter(has_text=ANSWERED)
        unbuilt = self.page.get_by_text("cannot be shown here").filter(visible=True)
        expect(answered.or_(unbuilt).first).to_be_visible()
        assert "CI" not in os.environ or not unbuilt.is_visible()
        told = " ".join(answered.inner_text().split()) if answered.is_visible() else ""
        assert self.page.evaluate("performance.timeOrigin") == loaded
        if picture:
            self.picture(picture)
        self.finish()
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()
        return told

    def answer(self, action: str) -> str:
        """Wait until what was asked for last is answered, and look at the page again."""
        invoice = self.page.get_by_role("heading", level=1).inner_text()
        request = eventually(lambda: self._answered(invoice, action), every=LOOK_SECONDS)
        assert request
        self.page.reload()
        said = " ".join(str(request["Outcome__c"]).split())
        listed = self.page.locator("#Requests__r").first
        expect(listed).to_contain_text(request["State__c"])
        expect(listed).to_contain_text(said[:60])
        return f"{request['State__c']}: {said}"

    def _answered(self, invoice: str, action: str) -> dict[str, Any] | None:
        """The request made last on an invoice, once it is over."""
        last = self.requests(invoice, action)[-1]
        return last if last["State__c"] not in {"Queued", "Running"} else None

    def requests(self, invoice: str, action: str) -> list[dict[str, Any]]:
        """The requests for an action on an invoice, as Salesforce has them."""
        asked = equals("Action__c", ACTIONS.get(action, action))
        where = all_of(equals("Invoice__r.Name", invoice), asked)
        fields = ("Id", "State__c", "Outcome__c")
        query = Query(REQUEST, fields, where=where, order="CreatedDate, Id")
        return self.story.salesforce.query(query)

    def shown(self, field: str) -> Locator:
        """A field of the record on its page."""
        return self.page.locator(f"[data-field={field}]").first

    def sees(self, field: str, text: str) -> None:
        """Look again until the record says so: an event is on its way."""

        def says() -> bool:
            self.page.reload()
            return text in self.shown(field).inner_text()

        eventually(says, every=LOOK_SECONDS)

    def until_gone(self, record: str) -> None:
        """Wait until there is nothing at a record's address."""

        def is_gone() -> bool:
            answer = self.page.goto(record)
            return answer is not None and answer.status == 404

        eventually(is_gone, every=LOOK_SECONDS)

    # -- what is so

    def record(self, name: str) -> dict[str, Any]:
        """An invoice in Salesforce."""
        return self.story.record(name)

    def in_stripe(self, name: str) -> Invoice:
        """The same invoice in Stripe."""
        return self.story.dashboard.invoices.retrieve(self.record(name)["Stripe_Invoice_Id__c"])

    def mails(self, name: str) -> int:
        """How many e-mails went out for an invoice."""
        stripe_id = self.record(name)["Stripe_Invoice_Id__c"]
        return len(self.story.sandbox("GET", f"mail?invoice={stripe_id}")["data"])


ACTIONS = {
    "Send To Customer": "Send",
    "Sync Invoice": "Sync",
    "Preview Total": "Preview",
    "Delete Draft": "Delete",
    "Clone Invoice": "Clone",
}
"""What a request calls an action, where its button says more."""
