"""What stories play with: an Account, its products and its invoices, and the end of all of it."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from prefect.deployments.runner import RunnerDeployment

from invoicing.connectors import salesforce
from invoicing.domain.salesforce.queries import Comparison, Query, all_of, equals, is_in
from invoicing.domain.salesforce.record import INVOICE, LINE
from invoicing.errors import InvoicingError
from invoicing.settings import settings
from tasks.runtime.clock import today
from tests.faults.runner import deployed
from tests.in_process_flow_runs import flows_run_here
from tests.real.stripe_account import ADDRESS, MARK, Account

CUSTOMER = f"{MARK} Customer"
OTHER_CUSTOMER = f"{MARK} Other Customer"
OPPORTUNITY = f"{MARK} Opportunity"
CONSULTING, ONBOARDING, TRAINING = (
    f"{MARK} {name}" for name in ("Consulting", "Onboarding", "Training")
)
PRICES = {CONSULTING: 150, ONBOARDING: 2500, TRAINING: 1800}
DUE_DAYS = 45

OURS = {"Opportunity": "Account.Name", INVOICE: "Account__r.Name"}
"""What is of the Account, and how it leads there."""

FIELDS = (
    *("Id", "Name", "Status__c", "Payment_State__c", "Stripe_Invoice_Id__c", "Total__c"),
    *("Amount_Paid__c", "Amount_Credited__c", "Currency__c", "Sent_At__c", "Is_Overdue__c"),
    *("Reminders_Sent__c", "Replaces__c", "Replaced_By__c", "Previewed_Total__c"),
    *("Action_Requested__c", "Account__c", "Account__r.Stripe_Customer_Id__c"),
)

SETTINGS = {
    "STRIPE__AUTO_ADVANCE": "false",
    "REMINDERS__BEFORE_DUE": f"[{DUE_DAYS}]",
    "REMINDERS__AFTER_DUE": "[]",
    "APPROVAL__LIMITS": "{}",
}
"""What stories need otherwise than a business may have it."""


def settings_of_a_pass(folder: Path) -> Mapping[str, str]:
    """Variables of the environment for a pass: a ledger and reports that nobody keeps."""
    own = {"LEDGER__URL": f"sqlite:///{folder}/ledger.db", "REPORTS": str(folder / "reports")}
    return {f"INVOICING_{name}": value for name, value in (SETTINGS | own).items()}


class NotAsToldError(Exception):
    """A story that did not come out as it is told."""


def expect(what: str, there: Any, wanted: Any) -> None:
    """Make sure that something came out as it is told.

    Raises:
        NotAsToldError: it did not.
    """
    if there != wanted:
        raise NotAsToldError(f"{what}: {there!r} instead of {wanted!r}")


class Stage:
    """Both services, an Account that is billed, and Prefect.

    Args:
        account: The Stripe account, as a customer and a user of its dashboard see it.
    """

    def __init__(self, account: Account) -> None:
        self.account = account
        self.org = salesforce.client()

    def build(self) -> None:
        """Make two Accounts, products with prices, and an Opportunity that was won."""
        described = self.org.describe("Account") or {"fields": []}
        multi = "CurrencyIsoCode" in {field["name"] for field in described["fields"]}
        money = {"CurrencyIsoCode": "USD"} if multi else {}
        [book] = self.org.query(Query("Pricebook2", ["Id"], where=equals("IsStandard", True)))
        customer = {"Name": CUSTOMER, "Invoice_Email__c": ADDRESS}
        won = {
            "Name": OPPORTUNITY,
            "AccountId": "@{customer.id}",
            "StageName": "Closed Won",
            "CloseDate": today().isoformat(),
            "Pricebook2Id": book["Id"],
        }
        other = customer | {"Name": OTHER_CUSTOMER}
        graph = [
            _creating("Account", "customer", customer | money),
            _creating("Account", "other", other | money),
        ]
        for number, (name, price) in enumerate(PRICES.items()):
            product = {"Name": name, "IsActive": True}
            entry = {"Product2Id": f"@{{product{number}.id}}", "Pricebook2Id": book["Id"]}
            entry |= {"UnitPrice": price, "IsActive": True, **money}
            graph.append(_creating("Product2", f"product{number}", product | money))
            graph.append(_creating("PricebookEntry", f"price{number}", entry))
        item = {"OpportunityId": "@{won.id}", "PricebookEntryId": "@{price0.id}"}
        graph.append(_creating("Opportunity", "won", won | money))
        graph.append(
            _creating("OpportunityLineItem", "item", item | {"Quantity": 2, "UnitPrice": 140})
        )
        self.org.write_graph(graph)

    def clean(self) -> list[str]:
        """Remove all of it from both services; what could not be removed, and why."""
        left = []
        for sobject, condition in (
            *((sobject, equals(path, CUSTOMER)) for sobject, path in OURS.items()),
            ("PricebookEntry", is_in("Product2.Name", PRICES)),
            ("Product2", is_in("Name", PRICES)),
            ("Account", is_in("Name", [CUSTOMER, OTHER_CUSTOMER])),
        ):
            try:
                for row in self.org.query(Query(sobject, ["Id"], where=condition)):
                    self.org.delete(sobject, row["Id"])
            except InvoicingError as error:
                left.append(f"{sobject} ({error})")
        return [*left, *self.account.clean()]

    def strangers(self) -> int:
        """How many invoice records the org has, up to ten, that are of other Accounts."""
        others = Comparison("Account__r.Name", "!=", CUSTOMER)
        return len(self.org.query(Query(INVOICE, ["Id"], where=others, limit=10)))

    def run(self, flow: str, **parameters: Any) -> Any:
        """Run a deployed flow to its end, and return its outcome."""
        return deployed()[flow](**parameters)

    def form(self, **changes: Any) -> dict[str, Any]:
        """The form for a draft of two lines over 2,450."""
        return {
            "account": CUSTOMER,
            "description": "November services",
            "due_date": today() + timedelta(days=DUE_DAYS),
            "lines": [
                {"product": CONSULTING, "quantity": "3"},
                {"product": ONBOARDING, "unit_price": "2000"},
            ],
            **changes,
        }

    def draft(self) -> str:
        """Raise a draft and return its name."""
        return str(self.run("raise-invoice", **self.form()).name)

    def sent(self) -> str:
        """Send an invoice and return its name."""
        name = self.draft()
        self.run("send-invoice", invoice=name)
        return name

    def paid(self) -> str:
        """Send an invoice that the customer pays by card, which nobody notices; its name."""
        name = self.sent()
        record = self.record(name)
        card = self.account.card(record["Account__r"]["Stripe_Customer_Id__c"])
        self.account.v1.invoices.pay(record["Stripe_Invoice_Id__c"], {"payment_method": card})
        return name

    def customer_of(self, account: str) -> str | None:
        """The Stripe customer that an Account is billed as."""
        query = Query("Account", ["Stripe_Customer_Id__c"], where=equals("Name", account))
        [found] = self.org.query(query)
        customer: str | None = found["Stripe_Customer_Id__c"]
        return customer

    def record(self, name: str) -> dict[str, Any]:
        """An invoice record by its name."""
        where = all_of(equals("Name", name), equals("Account__r.Name", CUSTOMER))
        [found] = self.org.query(Query(INVOICE, FIELDS, where=where))
        return found

    def records(self) -> list[dict[str, Any]]:
        """All invoice records of the Account."""
        where = equals("Account__r.Name", CUSTOMER)
        return self.org.query(Query(INVOICE, FIELDS, where=where))

    def amounts(self, name: str) -> list[float]:
        """The amounts of an invoice's lines, in their order."""
        found = self.org.query(
            Query(LINE, ["Amount__c"], where=equals("Invoice__r.Name", name), order="Position__c")
        )
        return [float(line["Amount__c"]) for line in found]

    def write(self, name: str, **fields: Any) -> None:
        """Overwrite a record by hand."""
        self.org.update(INVOICE, self.record(name)["Id"], fields)

    def invoice(self, name: str) -> Any:
        """The Stripe invoice of a record."""
        return self.account.v1.invoices.retrieve(self.record(name)["Stripe_Invoice_Id__c"])


@contextmanager
def stage(account: Account, folder: Path) -> Iterator[Stage]:
    """Have a Prefect server with all deployments, and a stage on which nothing is yet.

    Settings and ledger are those of :func:`settings_of_a_pass`, in the environment already.

    Args:
        account: The Stripe account.
        folder: Where the server keeps what it writes.
    """
    with flows_run_here(folder) as api:
        os.environ["PREFECT_API_URL"] = api
        settings.cache_clear()
        built = Stage(account)
        for name, flow in deployed().items():
            cast(RunnerDeployment, flow.to_deployment(name=name)).apply()
        yield built


def _creating(sobject: str, reference: str, body: Mapping[str, Any]) -> dict[str, Any]:
    path = f"sobjects/{sobject}"
    return {"method": "POST", "path": path, "referenceId": reference, "body": body}
