"""Every move of Stripe's state machine, from both sides: allowed or refused, both sides agree.

The table is https://docs.stripe.com/invoicing/integration/workflow-transitions, with revisions,
credit notes and payments outside Stripe beside it. Steps are plain calls here: which run they
belong to, and how it is retried, is proved elsewhere.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
import stripe
from prefect.flows import Flow
from prefect.logging import disable_run_logger
from prefect.tasks import Task

from flows.credit_invoice import credit_invoice
from flows.delete_draft import delete_draft
from flows.raise_invoice import raise_invoice
from flows.record_payment import record_payment
from flows.replace_invoice import replace_invoice
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from flows.void_invoice import void_invoice
from flows.write_off_invoice import write_off_invoice
from invoicing.connectors import salesforce
from invoicing.domain.model.money import exponent
from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.errors import InvoicingError, Rejected
from tests.conftest import Sandbox
from tests.flows.conftest import NEXT_MONTH, Org

REFUSED, GONE = "refused", "gone"
STATES = ("draft", "open", "paid", "uncollectible", "void", "deleted")
ACCOUNT = {"draft": "Acme Corporation", "open": "Soylent GmbH", "paid": "Umbrella KK"}
"""Dollars, euros and yen, in turn; other states have dollars."""


def row(*after: str) -> dict[str, str]:
    """One act: what an invoice is after it, by the state that it was in; ``-`` is a refusal."""
    return dict(zip(STATES, (REFUSED if word == "-" else word for word in after), strict=True))


# fmt: off
IN_SALESFORCE = {
    #                  draft    open      paid     uncollectible    void      deleted
    "send":        row("Open",  "-",      "-",     "-",             "-",      "-"),
    "resend":      row("-",     "Open",   "Paid",  "-",             "-",      "-"),
    "pay":         row("-",     "Paid",   "-",     "Paid",          "-",      "-"),
    "pay a part":  row("-",     "Open",   "-",     "Uncollectible", "-",      "-"),
    "void":        row("-",     "Void",   "-",     "Void",          "Void",   "-"),
    "write off":   row("-",     "Uncollectible", "-", "Uncollectible", "-",   "-"),
    "credit":      row("-",     "Paid",   "-",     "Paid",          "-",      "-"),
    "refund":      row("-",     "Open",   "Paid",  "Uncollectible", "-",      "-"),
    "replace":     row("-",     "Void",   "-",     "Void",          "-",      "-"),
    "delete":      row(GONE,    "-",      "-",     "-",             "-",      GONE),
}
IN_STRIPE = {
    "finalize":    row("Open",  "-",      "-",     "-",             "-",      "-"),
    "send":        row("Open",  "Open",   "Paid",  "-",             "-",      "-"),
    "pay":         row("Paid",  "Paid",   "-",     "Paid",          "-",      "-"),
    "pay a part":  row("-",     "Open",   "-",     "Uncollectible", "-",      "-"),
    "void":        row("-",     "Void",   "-",     "Void",          "-",      "-"),
    "write off":   row("-",     "Uncollectible", "-", "-",          "-",      "-"),
    "credit":      row("-",     "Open",   "Paid",  "Uncollectible", "-",      "-"),
    "refund":      row("-",     "-",      "Paid",  "-",             "-",      "-"),
    "delete":      row("Deleted", "-",    "-",     "-",             "-",      "-"),
    "replace":     row("-",     "Void",   "-",     "Void",          "-",      "-"),
}
# fmt: on

acting = ["nobody"]


@pytest.fixture
def plainly(world: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Steps are plain calls; each flow is a run of its own."""
    monkeypatch.setattr(Task, "__call__", lambda task, *args, **more: task.fn(*args, **more))
    instead: dict[str, Callable[..., Any]] = {
        "run_id": lambda: acting[0],
        "this_attempt": lambda: acting[0],
        "name_run": lambda _name: None,
        "publish_timeline": lambda *_: None,
    }
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("flows", "tasks"):
            for word in instead.keys() & vars(module).keys():
                monkeypatch.setattr(module, word, instead[word])
    with disable_run_logger():
        yield


def run(flow: Flow[..., Any], *args: Any, **more: Any) -> Any:
    """Run a flow; returns its outcome, or raises what it ended with."""
    acting[0] = str(uuid4())
    parameters = flow.validate_parameters(
        {**dict(zip(flow.parameters.properties, args, strict=False)), **more}
    )
    ended = flow.fn(**parameters).data
    if isinstance(ended, Exception):
        raise ended
    return ended


class Both:
    """Somebody who works in Salesforce, and somebody who works in Stripe's dashboard."""

    def __init__(self, org: Org, dashboard: stripe.StripeClient, sandbox: Sandbox) -> None:
        """Take both."""
        self.org, self.v1, self.sandbox = org, dashboard.v1, sandbox

    # How an invoice comes to its state

    def raised(self, account: str) -> str:
        """A draft in Salesforce; its name."""
        lines = [
            {"product": "Consulting", "quantity": "3", "unit_price": "333.5"},
            {"product": "Onboarding", "quantity": "1", "unit_price": "2000"},
        ]
        form = {"description": "November", "due_date": NEXT_MONTH, "lines": lines}
        return str(run(raise_invoice, account, **form).name)

    def drafted(self, account: str) -> str:
        """A draft in Stripe, made in the dashboard for a known customer; its name."""
        [found] = self.org.query(
            "SELECT Id, CurrencyIsoCode, Stripe_Customer_Id__c FROM Account "
            f"WHERE Name = '{account}'"
        )
        customer = found["Stripe_Customer_Id__c"]
        if customer is None:
            customer = self.v1.customers.create({"name": account, "email": "pay@example.com"}).id
            salesforce.client().update("Account", found["Id"], {"Stripe_Customer_Id__c": customer})
        made = self.v1.invoices.create(
            {
                "customer": customer,
                "currency": found["CurrencyIsoCode"].lower(),
                "collection_method": "send_invoice",
                "days_until_due": 30,
                "auto_advance": False,
            }
        )
        self.v1.invoices.add_lines(
            made.id, {"lines": [{"amount": 200001, "description": "Workshop"}]}
        )
        return str(run(sync_invoice, made.id).name)

    def begin(self, state: str, *, in_stripe: bool) -> str:
        """An invoice in a state, which both sides know; its name."""
        account = ACCOUNT.get(state, "Acme Corporation")
        if state == "draft":
            return self.drafted(account) if in_stripe else self.raised(account)
        if state == "deleted":
            name = self.drafted(account)
            self.v1.invoices.delete(self.stripe_id(name))
        else:
            name = self.raised(account)
            run(send_invoice, name)
            if state == "paid":
                page = str(self.v1.invoices.retrieve(self.stripe_id(name)).hosted_invoice_url)
                self.sandbox.post_form(page, card="4242424242424242")
            elif state == "void":
                self.v1.invoices.void_invoice(self.stripe_id(name))
            elif state == "uncollectible":
                self.v1.invoices.mark_uncollectible(self.stripe_id(name))
        run(sync_invoice, name)
        return name

    def status(self, name: str) -> str:
        """What a record says; a record may be gone."""
        found = self.org.query(f"SELECT Status__c FROM Stripe_Invoice__c WHERE Name = '{name}'")
        return str(found[0]["Status__c"]) if found else GONE

    def stripe_id(self, name: str) -> str:
        """The Stripe invoice of a record."""
        return str(self.org.record(name)["Stripe_Invoice_Id__c"])

    def part(self, name: str) -> tuple[int, str, Decimal]:
        """An odd part of an invoice: minor units, currency, and the same in major units."""
        stripe_id = self.org.record(name)["Stripe_Invoice_Id__c"]
        try:
            invoice = self.v1.invoices.retrieve(stripe_id or "in_none")
        except stripe.InvalidRequestError:
            return 101, "usd", Decimal("1.01")
        minor = 101 if invoice.total > 101 else invoice.total
        return minor, invoice.currency, Decimal(minor).scaleb(-exponent(invoice.currency))

    # What is done in Salesforce

    def act_in_salesforce(self, act: str, name: str) -> None:
        """Do it as a user of Salesforce."""
        amount = str(self.part(name)[2])
        match act:
            case "send":
                run(send_invoice, name)
            case "resend":
                run(resend_invoice, name)
            case "pay":
                run(record_payment, name, reference="Statement 11")
            case "pay a part":
                yesterday = date.today() - timedelta(days=1)
                run(record_payment, name, amount, received_on=yesterday, paid_by="cheque")
            case "void":
                run(void_invoice, name)
            case "write off":
                run(write_off_invoice, name)
            case "credit":
                run(credit_invoice, name, memo="Called off")
            case "refund":
                run(credit_invoice, name, amount, give_back="refund", reason="order change")
            case "replace":
                run(send_invoice, run(replace_invoice, name).name)
            case "delete":
                run(delete_draft, name)

    # What is done in Stripe

    def act_in_stripe(self, act: str, name: str) -> None:
        """Do it as a user of the dashboard, and let Salesforce hear of it."""
        at, invoices = self.stripe_id(name), self.v1.invoices
        minor, currency, _ = self.part(name)
        touched = [at]
        match act:
            case "finalize":
                invoices.finalize_invoice(at, {"auto_advance": False})
            case "send":
                invoices.send_invoice(at)
            case "pay":
                invoices.pay(at, {"paid_out_of_band": True})
            case "pay a part":
                now = int(datetime.now().timestamp())
                reported = self.v1.payment_records.report_payment(
                    {
                        "amount_requested": {"currency": currency, "value": minor},
                        "initiated_at": now,
                        "outcome": "guaranteed",
                        "guaranteed": {"guaranteed_at": now},
                        "payment_method_details": {"type": "custom"},
                    }
                )
                invoices.attach_payment(at, {"payment_record": reported.id})
            case "void":
                invoices.void_invoice(at)
            case "write off":
                invoices.mark_uncollectible(at)
            case "credit":
                paid = invoices.retrieve(at).status == "paid"
                note: Any = {"invoice": at, "amount": minor}
                self.v1.credit_notes.create(note | ({"credit_amount": minor} if paid else {}))
            case "refund":
                self._refund(at, minor)
            case "delete":
                invoices.delete(at)
            case "replace":
                revised = invoices.create(
                    {"from_invoice": {"action": "revision", "invoice": at}, "auto_advance": False}
                )
                invoices.finalize_invoice(revised.id, {"auto_advance": False})
                touched.append(revised.id)
        for stripe_id in touched:
            run(sync_invoice, stripe_id)

    def _refund(self, at: str, minor: int) -> None:
        found = self.v1.invoice_payments.list({"invoice": at, "status": "paid"}).data
        intents = [str(paid.payment.payment_intent) for paid in found]
        self.v1.refunds.create({"payment_intent": (intents or ["pi_none"])[0], "amount": minor})

    # What both say then

    def disagreements(self, name: str) -> list[str]:
        """Where a record does not say what Stripe says of its invoice."""
        fields = ", ".join(["Status__c", "Sync_State__c", "Stripe_Invoice_Id__c", *SAYS])
        [record] = self.org.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = '{name}'")
        if record["Stripe_Invoice_Id__c"] is None:
            return [] if record["Status__c"] == "Draft" else [f"{record['Status__c']} in no Stripe"]
        try:
            invoice = self.v1.invoices.retrieve(record["Stripe_Invoice_Id__c"]).to_dict()
        except stripe.InvalidRequestError:
            return [] if record["Status__c"] == "Deleted" else ["gone from Stripe"]
        wrong = []
        if record["Status__c"].lower() != invoice["status"]:
            wrong.append(f"{record['Status__c']}, but {invoice['status']}")
        if invoice["status"] != "draft":
            if record["Sync_State__c"] != "Clean":
                wrong.append(f"sync state {record['Sync_State__c']}")
            wrong += [
                f"{field}: {record[field]!r}, but {says(invoice)!r}"
                for field, says in SAYS.items()
                if not same(record[field], says(invoice))
            ]
        return wrong

    def links(self) -> set[tuple[str, str]]:
        """Which Stripe invoice replaces which, as both records say."""
        new = self.org.query(
            "SELECT Stripe_Invoice_Id__c, Replaces__r.Stripe_Invoice_Id__c FROM Stripe_Invoice__c "
            "WHERE Replaces__c != null"
        )
        old = self.org.query(
            "SELECT Stripe_Invoice_Id__c, Replaced_By__r.Stripe_Invoice_Id__c "
            "FROM Stripe_Invoice__c WHERE Replaced_By__c != null"
        )
        forward = {
            (r["Replaces__r"]["Stripe_Invoice_Id__c"], r["Stripe_Invoice_Id__c"]) for r in new
        }
        backward = {
            (r["Stripe_Invoice_Id__c"], r["Replaced_By__r"]["Stripe_Invoice_Id__c"]) for r in old
        }
        assert forward == backward
        return forward

    def revisions(self) -> set[tuple[str, str]]:
        """Which Stripe invoice replaces which, as Stripe says."""
        return {
            (str(invoice.from_invoice.invoice), invoice.id)
            for invoice in self.v1.invoices.list({"limit": 100}).auto_paging_iter()
            if invoice.from_invoice
        }


def amount(*names: str) -> Callable[[Mapping[str, Any]], Decimal]:
    """A sum of an invoice's amounts, in major units."""

    def says(invoice: Mapping[str, Any]) -> Decimal:
        minor = sum(invoice.get(name) or 0 for name in names)
        return Decimal(minor).scaleb(-exponent(invoice["currency"]))

    return says


def moment(name: str) -> Callable[[Mapping[str, Any]], int | None]:
    """When an invoice moved, as Unix time."""
    return lambda invoice: invoice["status_transitions"][name]


def due(invoice: Mapping[str, Any]) -> str:
    """The business day on which it is due."""
    return datetime.fromtimestamp(invoice["due_date"], ZoneInfo("Europe/Berlin")).date().isoformat()


SAYS: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "Number__c": lambda invoice: invoice["number"],
    "Hosted_Invoice_URL__c": lambda invoice: invoice["hosted_invoice_url"],
    "Invoice_PDF__c": lambda invoice: invoice["invoice_pdf"],
    "Due_Date__c": due,
    "Subtotal__c": amount("subtotal"),
    "Total__c": amount("total"),
    "Amount_Due__c": amount("amount_due"),
    "Amount_Paid__c": amount("amount_paid"),
    "Amount_Remaining__c": amount("amount_remaining"),
    "Amount_Credited__c": amount(
        "pre_payment_credit_notes_amount", "post_payment_credit_notes_amount"
    ),
    "Finalized_At__c": moment("finalized_at"),
    "Paid_At__c": moment("paid_at"),
    "Voided_At__c": moment("voided_at"),
    "Uncollectible_At__c": moment("marked_uncollectible_at"),
}
"""What each field of a record must say of a finalized invoice."""


def same(said: Any, wanted: Any) -> bool:
    """Whether a field says it: amounts exactly, moments to the second, links to the same page."""
    if isinstance(wanted, Decimal):
        return Decimal(str(said or 0)) == wanted
    if isinstance(wanted, int):
        return said is not None and datetime.fromisoformat(said).timestamp() == wanted
    if isinstance(wanted, str) and said:
        return page_of(said) == page_of(wanted)
    return bool(said == wanted)


@pytest.fixture
def both(plainly: None, org: Org, dashboard: stripe.StripeClient, stripe_sandbox: Sandbox) -> Both:
    """Both sides."""
    return Both(org, dashboard, stripe_sandbox)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("side", [pytest.param("Salesforce", marks=pytest.mark.long), "Stripe"])
def test_after_every_move_both_sides_agree(both: Both, side: str, state: str) -> None:
    """Each act on an invoice of its own, and all of them are looked at in the end."""
    table = IN_SALESFORCE if side == "Salesforce" else IN_STRIPE
    act = both.act_in_salesforce if side == "Salesforce" else both.act_in_stripe
    started = {what: both.begin(state, in_stripe=side == "Stripe") for what in table}
    came_of_it = {}
    for what, name in started.items():
        before = both.status(name)
        try:
            act(what, name)
        except (Rejected, stripe.InvalidRequestError):
            assert both.status(name) == before
            came_of_it[what] = REFUSED
        except InvoicingError as error:
            came_of_it[what] = repr(error)
        else:
            came_of_it[what] = both.status(name)
    assert came_of_it == {what: after[state] for what, after in table.items()}
    records = [record["Name"] for record in both.org.query("SELECT Name FROM Stripe_Invoice__c")]
    wrong = {name: found for name in records if (found := both.disagreements(name))}
    assert wrong == {}
    assert both.links() == both.revisions()
