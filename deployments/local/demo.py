"""One invoice's life on this machine, told as it happens, and a morning's work: ``make demo``.

Everything is done the way people and programs do it: runs are triggered through Prefect's
API, the customer reads mail and pays on the hosted page, and mistakes are made by hand on
either side. ``--exit`` ends by itself, with a status that says whether all came out as told.
"""

import argparse
import sys
import time
import uuid
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import requests
import stripe
from pydantic import SecretStr
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table

from deployments.local.child_process import StackError
from deployments.local.stack import (
    SALESFORCE_KEY,
    SALESFORCE_ORG,
    SALESFORCE_SECRET,
    Stack,
    stripe_client,
)
from deployments.local.waiting import POLL_SECONDS, Patience
from invoicing.connectors.prefect import Prefect
from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.record import INVOICE
from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.settings import Salesforce as SalesforceSettings

STATE = Path(".demo")
PATIENCE_SECONDS = 90
"""What anything in the story may take, on a machine that has little else to do."""

TIMEOUT_SECONDS = 600

CARD = "4242424242424242"
NO_ADDRESS = "Vandelay Industries"
"""An Account without an address for invoices."""

SETTINGS = {
    "INVOICING_APPROVAL__LIMITS": '{"USD": "20000"}',
    "INVOICING_APPROVAL__FOUR_EYES": "false",
}
"""Sending more than this has to be approved; it leaves the story's first invoice alone. Whoever
plays with the demo is one person, and may approve what it raised."""

FIELDS = (
    *("Id", "Name", "Account__r.Name", "Status__c", "Payment_State__c", "Sync_State__c"),
    *("Number__c", "Total__c", "Currency__c", "Stripe_Invoice_Id__c", "Stripe_Customer_Id__c"),
    *("Hosted_Invoice_URL__c", "Invoice_PDF__c", "Is_Overdue__c", "Approval_Status__c"),
    *("Sync_Message__c",),
)


class NotAsToldError(Exception):
    """A step of the story did not come out as told."""


class Story:
    """The people of the story, and what each of them can do."""

    def __init__(self, stack: Stack, console: Console) -> None:
        """Meet everybody."""
        urls = stack.urls
        self.urls = urls
        self.console = console
        self.prefect = Prefect(urls.prefect_api)
        self.salesforce = Salesforce(
            SalesforceSettings(
                org_id=SALESFORCE_ORG,
                domain="northwind.my",
                consumer_key=SecretStr(SALESFORCE_KEY),
                consumer_secret=SecretStr(SALESFORCE_SECRET),
                url=urls.salesforce,
            )
        )
        self.dashboard = stripe_client(urls)

    def step(self, number: int, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.rule(f"[bold]{number}. {title}", align="left")

    def run(self, flow: str, ends: str = "COMPLETED", **parameters: Any) -> str:
        """Trigger a deployment through Prefect's API, and wait for what it says.

        Prefect cancels a run while its schedule's own has the only slot: then it is started again.

        Args:
            flow: What to start.
            ends: The state that it comes to: COMPLETED or FAILED.
            parameters: What to start it with.
        """
        began, patience = time.monotonic(), Patience(PATIENCE_SECONDS)
        run_id = self.prefect.start(flow, parameters, str(uuid.uuid4()))
        while not (state := self.prefect.state(run_id)).is_final or state.type == "CANCELLED":
            if patience.is_over():
                raise NotAsToldError(f"{flow} is still {state.type}")
            time.sleep(POLL_SECONDS)
            if state.type == "CANCELLED":
                run_id = self.prefect.start(flow, parameters, str(uuid.uuid4()))
        took = time.monotonic() - began
        good = state.type == ends
        said = state.message or state.name
        self.console.print(
            f"  [{'green' if good else 'red'}]▶[/] [bold]{flow}[/] "
            f"[dim]{state.type.capitalize()}, {took:.1f} s[/]\n    {said}",
            highlight=False,
        )
        if not good:
            raise NotAsToldError(f"{flow} ended {state.type}: {said}")
        return said

    def say(self, text: str) -> None:
        """Tell what somebody does."""
        self.console.print(f"  [cyan]•[/] {text}", highlight=False)

    def expect(self, truth: bool, text: str) -> None:
        """Check what must be so."""
        self.console.print(f"  [{'green]✓' if truth else 'red]✗'}[/] {text}", highlight=False)
        if not truth:
            raise NotAsToldError(text)

    def wait_for(
        self, text: str, name: str, status: str, field: str = "Status__c"
    ) -> dict[str, Any]:
        """Wait until Salesforce says so."""
        began, patience = time.monotonic(), Patience(PATIENCE_SECONDS)
        while (record := self.record(name))[field] != status:
            if patience.is_over():
                self.expect(False, f"{text} (Salesforce says {record[field]})")
            time.sleep(POLL_SECONDS)
        self.expect(True, f"{text} [dim]({time.monotonic() - began:.1f} s)[/]")
        return record

    def record(self, name: str) -> dict[str, Any]:
        """An invoice in Salesforce."""
        return self.salesforce.query(Query(INVOICE, FIELDS, where=equals("Name", name)))[0]

    def records(self) -> list[dict[str, Any]]:
        """All invoices in Salesforce."""
        return self.salesforce.query(Query(INVOICE, FIELDS, order="Name"))

    def newest_name(self) -> str:
        """The name of the invoice raised last."""
        return str(self.records()[-1]["Name"])

    def sandbox(self, method: str, path: str, **body: Any) -> Any:
        """Reach behind the Stripe sandbox's scenes."""
        answer = requests.request(
            method,
            f"{self.urls.stripe}/_sandbox/{path}",
            json=body or None,
            timeout=TIMEOUT_SECONDS,
        )
        answer.raise_for_status()
        return answer.json()

    def in_dashboard(self, due_days: int, line: dict[str, Any] | None = None) -> stripe.Invoice:
        """Make an invoice of the story's first customer in Stripe; a draft where it has no line."""
        customer = self.record("INV-0001")["Stripe_Customer_Id__c"]
        new: Any = {"customer": customer, "collection_method": "send_invoice"}
        made = self.dashboard.invoices.create(new | {"days_until_due": due_days})
        if line:
            lines: Any = {"lines": [line]}
            self.dashboard.invoices.add_lines(made.id, lines)
            self.dashboard.invoices.finalize_invoice(made.id)
        return made

    def wait_for_events(self) -> None:
        """Wait until every event so far was delivered and handled."""
        self.sandbox("POST", "deliveries/settle")
        patience = Patience(PATIENCE_SECONDS)
        inbox = f"{self.urls.receiver}/ready"
        while set(requests.get(inbox, timeout=TIMEOUT_SECONDS).json()["inbox"]) - {"done"}:
            if patience.is_over():
                raise NotAsToldError("events are still waiting in the inbox")
            time.sleep(POLL_SECONDS)

    def pay(self, stripe_id: str) -> None:
        """Open the mail, follow its link, pay with a card."""
        [mail] = self.sandbox("GET", f"mail?invoice={stripe_id}")["data"]
        page = mail["hosted_invoice_url"]
        opened = requests.get(page, timeout=TIMEOUT_SECONDS)
        self.expect(opened.ok, f"{mail['to']} opens “{mail['subject']}” and its payment page")
        paid = requests.post(page, data={"card": CARD}, timeout=TIMEOUT_SECONDS)
        self.expect(paid.ok, "and pays with a card")


def tell(story: Story) -> None:
    """The whole story.

    Raises:
        NotAsToldError: as soon as something comes out otherwise.
    """
    first = raise_and_revise(story)
    send_and_pay(story, first)
    miss_the_webhooks(story)
    drift_apart(story)
    leave_some_work(story)


def raise_and_revise(story: Story) -> str:
    """Steps 1 and 2."""
    story.step(1, "Raise an invoice")
    due = (date.today() + timedelta(days=30)).isoformat()
    story.run(
        "raise-invoice",
        account="Acme Corporation",
        description="Platform and onboarding, November",
        due_date=due,
        lines=[
            {"product": "Platform Licence", "quantity": "1"},
            {"product": "Consulting", "quantity": "8", "unit_price": "140.00"},
        ],
    )
    name = story.newest_name()
    story.expect(story.record(name)["Status__c"] == "Draft", f"{name} is a Draft in Salesforce")
    story.expect(not story.dashboard.invoices.list().data, "Stripe knows nothing of it yet")

    story.step(2, "Revise the draft")
    story.run(
        "revise-invoice",
        invoice=name,
        change=[{"line": 2, "quantity": "10"}],
        add=[{"product": "API Requests", "quantity": "25000"}],
    )
    story.expect(
        story.record(name)["Total__c"] == 12000 + 1400 + 112.5, "its total follows its lines"
    )
    return name


def send_and_pay(story: Story, name: str) -> None:
    """Steps 3 and 4."""
    story.step(3, "Send it to the customer")
    story.run("send-invoice", invoice=name)
    record = story.record(name)
    invoice = story.dashboard.invoices.retrieve(record["Stripe_Invoice_Id__c"])
    story.expect(
        (record["Status__c"], invoice.status) == ("Open", "open"), "it is open on both sides"
    )
    story.expect(
        record["Number__c"] == invoice.number
        and page_of(record["Hosted_Invoice_URL__c"]) == page_of(str(invoice.hosted_invoice_url))
        and page_of(record["Invoice_PDF__c"]) == page_of(str(invoice.invoice_pdf)),
        f"Salesforce has its number {invoice.number}, the payment page and the PDF",
    )
    story.expect(
        record["Total__c"] * 100 == invoice.total,
        f"and the same total, {record['Total__c']:,.2f} USD",
    )

    story.step(4, "The customer pays")
    story.pay(invoice.id)
    story.wait_for("Stripe's webhook made it Paid in Salesforce", name, "Paid")


def miss_the_webhooks(story: Story) -> None:
    """Step 5, after which events stay switched off."""
    story.step(5, "Webhooks are down, and a customer pays")
    name = draft(story, "Soylent GmbH", "Training Day", "2", description="Schulung")
    story.run("send-invoice", invoice=name)
    story.wait_for_events()
    story.say("Webhooks are switched off, for good; scheduled polls wait.")
    story.prefect.set_paused("poll-events", paused=True)
    story.sandbox("POST", "webhooks", enabled=False, drop=True)
    story.pay(story.record(name)["Stripe_Invoice_Id__c"])
    story.expect(story.record(name)["Status__c"] == "Open", "Salesforce has not heard of it")
    story.run("poll-events")
    story.wait_for("the poll found the payment", name, "Paid")


def drift_apart(story: Story) -> None:
    """Step 6."""
    story.step(6, "Both sides drift apart, and the nightly sync repairs them")
    overwritten = story.record("INV-0001")
    draft = story.in_dashboard(30)
    story.say("Somebody makes a draft in Stripe's dashboard, and syncs it to Salesforce …")
    story.run("sync-invoice", invoice=draft.id)
    tombstone = story.newest_name()
    story.dashboard.invoices.delete(draft.id)
    story.say(f"… then deletes it in the dashboard: {tombstone} points at nothing.")

    story.salesforce.update("Stripe_Invoice__c", overwritten["Id"], {"Status__c": "Void"})
    story.say("Somebody overwrites INV-0001's status in Salesforce: Paid becomes Void.")

    made = story.in_dashboard(30, {"amount": 49900, "description": "Support, by phone"})
    story.say(f"Somebody bills Acme in Stripe's dashboard only: {made.id}.")

    said = story.run("full-sync")
    story.expect("3 differed: 3 repaired" in said, "the drift report names all three")
    story.expect(story.record("INV-0001")["Status__c"] == "Paid", "INV-0001 is Paid again")
    story.expect(
        story.record(tombstone)["Status__c"] == "Deleted", f"{tombstone} is marked Deleted"
    )
    name = story.newest_name()
    mirrored = story.record(name)
    story.expect(
        (mirrored["Stripe_Invoice_Id__c"], mirrored["Status__c"]) == (made.id, "Open"),
        f"{name} now stands for the dashboard's invoice",
    )
    story.expect("0 differed" in story.run("full-sync"), "a second sync finds nothing")
    story.sandbox("POST", "webhooks", enabled=True)
    story.prefect.set_paused("poll-events", paused=False)


def leave_some_work(story: Story) -> None:
    """Step 7: what a morning brings, to be looked at."""
    story.step(7, "What is left for you: overdue, disputed, failed, waiting for approval")
    overdue = bill_long_ago(story)
    story.run("sync-invoice", invoice=overdue)
    name = story.newest_name()
    story.expect(story.record(name)["Is_Overdue__c"], f"{name} is overdue")

    disputed = draft(story, "Globex", product="Training Day")
    story.run("send-invoice", invoice=disputed)
    paid = story.record(disputed)["Stripe_Invoice_Id__c"]
    story.pay(paid)
    story.wait_for(f"{disputed} is Paid", disputed, "Paid")
    story.wait_for_events()
    story.sandbox("POST", "disputes", invoice=paid)
    story.wait_for("then its cardholder disputes it", disputed, "Disputed", "Payment_State__c")

    failed = draft(story, NO_ADDRESS, product="Consulting")
    said = story.run("send-invoice", ends="FAILED", invoice=failed)
    story.expect(
        story.record(failed)["Sync_Message__c"] == said, f"{failed} says on its page why not"
    )

    waiting = draft(story, "Acme Corporation", product="Platform Licence", quantity="2")
    said = story.run("send-invoice", invoice=waiting)
    story.expect(
        story.record(waiting)["Approval_Status__c"] == "Waiting" and "waits for approval" in said,
        f"{waiting} waits for somebody who presses Approve or Reject on its page",
    )
    story.expect("1 run failed" in story.run("overview"), "the overview shows what failed and why")
    story.wait_for_events()  # Stripe has a draft of what waits for approval


def bill_long_ago(story: Story) -> str:
    """Let somebody have billed a customer in Stripe's dashboard a while ago; returns its id."""
    away = timedelta(days=45).total_seconds()
    story.sandbox("POST", "webhooks", enabled=False, drop=True)
    story.sandbox("POST", "clock", advance=-away)
    made = story.in_dashboard(14, {"amount": 89000, "description": "Support in October"})
    story.sandbox("POST", "clock", advance=away)
    story.sandbox("POST", "webhooks", enabled=True)
    story.say(f"Acme was billed in Stripe's dashboard 45 days ago and has not paid: {made.id}.")
    return made.id


def draft(
    story: Story, account: str, product: str, quantity: str = "1", description: str = ""
) -> str:
    """Raise a draft of one product, due in two weeks; returns its name."""
    story.run(
        "raise-invoice",
        account=account,
        description=description or product,
        due_date=(date.today() + timedelta(days=14)).isoformat(),
        lines=[{"product": product, "quantity": quantity}],
    )
    return story.newest_name()


def closing_table(story: Story) -> Table:
    """Both systems' word on every invoice, side by side.

    Raises:
        NotAsToldError: they do not agree.
    """
    table = Table(
        "Invoice",
        "Account",
        Column("Salesforce", justify="right"),
        Column("Stripe", justify="right"),
        "",
        title="Both systems, side by side",
        title_justify="left",
        box=SIMPLE_HEAD,
        show_edge=False,  # its widest rows just fit into a terminal of 80 columns
        pad_edge=False,
    )
    disagree = []
    for record in story.records():
        ours = f"{record['Status__c']} {record['Total__c'] or 0:,.2f} {record['Currency__c']}"
        try:
            if not record["Stripe_Invoice_Id__c"]:
                table.add_row(record["Name"], record["Account__r"]["Name"], ours, "nothing yet")
                continue
            invoice = story.dashboard.invoices.retrieve(record["Stripe_Invoice_Id__c"])
            total = f"{invoice.total / 100:,.2f} {invoice.currency.upper()}"
            theirs = f"{(invoice.status or '').capitalize()} {total}"
        except stripe.InvalidRequestError:
            theirs = f"Deleted {record['Total__c'] or 0:,.2f} {record['Currency__c']}"
        if ours != theirs:
            disagree.append(record["Name"])
        table.add_row(
            record["Name"],
            record["Account__r"]["Name"],
            ours,
            theirs,
            "[green]✓[/]" if ours == theirs else "[red]✗[/]",
        )
    story.console.print()
    story.console.print(table)
    if disagree:
        raise NotAsToldError(f"the systems disagree on {', '.join(disagree)}")
    return table


def overview_page(story: Story) -> str:
    """The page that says what waits, what failed and why, and what can be started."""
    wanted = {"artifacts": {"key": {"any_": ["overview"]}}}
    api, pages = story.urls.prefect_api, f"{story.urls.prefect}/v2/artifacts"
    found = requests.post(f"{api}/artifacts/filter", json=wanted, timeout=TIMEOUT_SECONDS).json()
    return f"{pages}/artifact/{found[0]['id']}" if found else f"{pages}/key/overview"


def links(story: Story) -> None:
    """Where to look."""
    story.console.print()
    for what, url in (
        ("Prefect: where to begin", overview_page(story)),
        ("Prefect: runs, forms, reports", f"{story.urls.prefect}/v2/"),
        ("Salesforce sandbox: accounts, invoices", story.urls.salesforce),
        ("Stripe sandbox: invoices, payments", story.urls.stripe),
        ("The customers' mailbox", f"{story.urls.stripe}/mail"),
        ("For programs", f"export PREFECT_API_URL={story.urls.prefect_api}"),
    ):
        # in one piece, however narrow the terminal is: it will be copied
        story.console.print(f"{what}: {url}", soft_wrap=True)


def main() -> int:
    """Start everything, tell the story, and stay up to be explored."""
    parser = argparse.ArgumentParser(prog="make demo ARGS=...", description=__doc__)
    parser.add_argument("--exit", action="store_true", help="end when the story has been told")
    parser.add_argument(
        "--worker", choices=["warm", "process"], default="warm", help="what executes the runs"
    )
    arguments = parser.parse_args()
    console = Console(highlight=False)

    def report(name: str, what: str) -> None:
        console.print(f"  [dim]{name}: {what}[/]")

    console.rule("[bold]Invoices between Salesforce and Stripe", align="left")
    try:
        with Stack(
            STATE, worker_type=arguments.worker, pages=True, settings=SETTINGS, report=report
        ) as stack:
            story = Story(stack, console)
            status = attempt(story)
            if not arguments.exit:
                links(story)
                console.print("\n  Everything stays up until you press Ctrl-C.")
                while True:
                    stack.check()
                    time.sleep(1)
            return status
    except StackError as error:
        console.print(f"[red]{error}")
        return 1
    except KeyboardInterrupt:
        console.print("\n  Everything is stopped.")
        return 0


def attempt(story: Story) -> int:
    """Tell the story; 0 when it came out as told."""
    try:
        tell(story)
        closing_table(story)
    except NotAsToldError as error:
        story.console.print(f"\n[bold red]Not as told:[/] {error}")
        return 1
    story.console.print("\n[bold green]It came out as told.[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
