"""One Prefect server for all flow tests, and both services as their own users see them."""

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any, cast

import pytest
import stripe
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    DeploymentFilterName,
)
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.deployments.runner import RunnerDeployment
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_API_URL
from sqlmodel import delete

from flows.credit_invoice import credit_invoice
from flows.full_sync import full_sync
from flows.raise_invoice import raise_invoice
from flows.record_payment import record_payment
from flows.reject_invoice import reject_invoice
from flows.resend_invoice import resend_invoice
from flows.send_invoice import send_invoice
from flows.sync_invoice import sync_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.salesforce.queries import BuiltQuery, Query, literal
from invoicing.ledger import database
from invoicing.ledger.models import InvoiceLink
from invoicing.settings import settings
from tests.conftest import Sandbox
from tests.faults.process_patches import hurry, keep_frozen
from tests.flows.saved_beginnings import once
from tests.in_process_flow_runs import flows_run_here

NEXT_MONTH = date.today() + timedelta(days=30)


@pytest.fixture(scope="session", autouse=True)
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A real server on a database of its own; no heartbeats, no events: nobody looks at them."""
    with flows_run_here(tmp_path_factory.mktemp("prefect")):
        yield


@pytest.fixture(scope="session", autouse=True)
def hurried() -> None:
    """Steps are tried again soon: there is nobody to be spared here. What is frozen stays so."""
    hurry()
    keep_frozen()


@pytest.fixture(autouse=True)
def world(environment: None) -> None:
    """Every flow test runs against fresh sandboxes and a fresh ledger."""


class Deployed:
    """The deployments on the test server, and the runs that were asked of them."""

    def runs(self, flow: str) -> int:
        """How many runs of a flow's deployment were started through the API."""
        name = DeploymentFilter(name=DeploymentFilterName(any_=[flow]))
        with get_client(sync_client=True) as client:
            return len(client.read_flow_runs(deployment_filter=name))

    def carry_out(self, flow: Flow[..., Any]) -> None:
        """Execute the runs of a flow's deployment that wait, as a worker does."""
        name = DeploymentFilter(name=DeploymentFilterName(any_=[flow.name]))
        with get_client(sync_client=True) as client:
            waiting = client.read_flow_runs(deployment_filter=name)
        ready = [one for one in waiting if one.state and not one.state.is_final()]
        for run in [one for one in ready if one.state and not one.state.is_paused()]:
            run_flow(flow, flow_run=run, parameters=run.parameters, return_type="state")

    def put(self, flow: str, state: State[Any]) -> None:
        """Put the runs of a flow's deployment into a state, as a worker does."""
        name = DeploymentFilter(name=DeploymentFilterName(any_=[flow]))
        with get_client(sync_client=True) as client:
            for run in client.read_flow_runs(deployment_filter=name):
                client.set_flow_run_state(run.id, state, force=True)

    def lose_all(self) -> None:
        """Lose every run and every deployment, and deploy again: a new and empty database."""
        _undeploy()
        _deploy()


@pytest.fixture
def deployed(
    world: None, monkeypatch: pytest.MonkeyPatch, prefect_server: None
) -> Iterator[Deployed]:
    """The deployments that flows start by themselves; nothing executes their runs here."""
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    settings.cache_clear()
    _forget_runs()
    yield Deployed()
    _forget_runs()


STARTED_BY_FLOWS = (
    send_invoice,
    sync_invoice,
    full_sync,
    record_payment,
    credit_invoice,
    reject_invoice,
    resend_invoice,
)


def _deploy() -> None:
    for flow in STARTED_BY_FLOWS:
        cast(RunnerDeployment, flow.to_deployment(name=flow.name)).apply()


def _undeploy() -> None:
    """Delete all deployments with their runs."""
    with get_client(sync_client=True) as client:
        deployments = client.read_deployments()
        _delete_runs_of(client, deployments)
        for deployment in deployments:
            client.delete_deployment(deployment.id)


def _forget_runs() -> None:
    """Delete the runs of all deployments, so that none of an earlier test is found again."""
    with get_client(sync_client=True) as client:
        deployments = client.read_deployments()
        _delete_runs_of(client, deployments)
    if {one.name for one in deployments} != {flow.name for flow in STARTED_BY_FLOWS}:
        _undeploy()
        _deploy()


def _delete_runs_of(client: SyncPrefectClient, deployments: Iterable[DeploymentResponse]) -> None:
    ids = DeploymentFilter(id=DeploymentFilterId(any_=[one.id for one in deployments]))
    while runs := client.read_flow_runs(deployment_filter=ids):
        for run in runs:
            client.delete_flow_run(run.id)


@pytest.fixture
def dashboard(stripe_sandbox: Sandbox) -> stripe.StripeClient:
    """Stripe as somebody uses it who knows nothing of Salesforce."""
    url = stripe_sandbox.url
    addresses = {"api": url, "connect": url, "files": url, "meter_events": url}
    return stripe.StripeClient(
        "sk_live_sandbox",
        base_addresses=addresses,  # type: ignore[arg-type]
    )


class Soql(Query):
    """A query that is written out, as anybody may write it in the org's names."""

    def build(self, *_: object, **__: object) -> BuiltQuery:
        """Its text, as it stands."""
        return BuiltQuery(self.sobject)


class Org:
    """Salesforce as somebody uses it who knows nothing of Stripe."""

    def record(self, name: str) -> dict[str, Any]:
        """An invoice record by its name."""
        fields = (
            "Id, Name, Status__c, Payment_State__c, Sync_State__c, Sync_Message__c, Number__c, "
            "Stripe_Invoice_Id__c, Hosted_Invoice_URL__c, Invoice_PDF__c, Total__c, "
            "Amount_Paid__c, Amount_Credited__c, "
            "Amount_Remaining__c, Sent_At__c, Account__r.Stripe_Customer_Id__c, "
            "(SELECT Id, Description__c, Quantity__c, Amount__c FROM Lines__r ORDER BY Position__c)"
        )
        [found] = self.query(f"SELECT {fields} FROM Stripe_Invoice__c WHERE Name = {literal(name)}")
        return found

    def query(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        return salesforce.client().query(Soql(soql, ()))

    def set(self, name: str, **fields: Any) -> None:
        """Overwrite fields of a record by hand."""
        record_id = self.query(f"SELECT Id FROM Stripe_Invoice__c WHERE Name = {literal(name)}")[0][
            "Id"
        ]
        salesforce.client().update("Stripe_Invoice__c", record_id, fields)

    def ask(self, name: str, action: str, parameters: str = "", **instead: Any) -> str:
        """Press a button on an invoice: make its request, as the dialogue does; returns its id."""
        record_id = self.record(name)["Id"]
        body = {
            "Invoice__c": record_id,
            "Action__c": action,
            "Open_Key__c": f"{record_id}:{action}",
            "Parameters__c": parameters,
        }
        node = {
            "method": "POST",
            "path": "sobjects/Stripe_Invoice_Request__c",
            "referenceId": "request",
            "body": body | instead,
        }
        return str(salesforce.client().write_graph([node])["request"]["id"])

    def request(self, request_id: str) -> dict[str, Any]:
        """A request as people see it."""
        fields = "State__c, Outcome__c, Open_Key__c, Run_URL__c, CreatedById, CreatedBy.Name"
        soql = f"SELECT {fields} FROM Stripe_Invoice_Request__c WHERE Id = {literal(request_id)}"
        return self.query(soql)[0]

    def count(self) -> int:
        """How many invoice records there are."""
        return len(self.query("SELECT Id FROM Stripe_Invoice__c"))


def forget_links() -> None:
    """Let the ledger be one that never heard of any invoice, as after it was lost."""
    with database.session() as ledger:
        ledger.execute(delete(InvoiceLink))


@pytest.fixture
def org(world: None) -> Org:
    """The Salesforce org."""
    return Org()


@pytest.fixture
def draft(world: None) -> Callable[..., InvoiceOutcome]:
    """Raise a draft of two lines over 2,450 dollars for Acme, or what is asked for."""

    def raise_one(**changes: Any) -> InvoiceOutcome:
        form: dict[str, Any] = {
            "account": "Acme Corporation",
            "description": "November services",
            "due_date": NEXT_MONTH,
            "lines": [
                LineItem(product="Consulting", quantity=3),
                LineItem(product="Onboarding", unit_price="2000"),
            ],
        }
        outcome: InvoiceOutcome = raise_invoice(**form | changes)
        return outcome

    return raise_one


@pytest.fixture
def sent(
    draft: Callable[..., InvoiceOutcome], stripe_sandbox: Sandbox, salesforce_sandbox: Sandbox
) -> InvoiceOutcome:
    """An invoice that was sent to Acme."""

    def send() -> InvoiceOutcome:
        outcome: InvoiceOutcome = send_invoice(draft().name)
        return outcome

    return once("sent", send, stripe_sandbox, salesforce_sandbox)
