"""What is held of one customer is exported and erased everywhere; what is old is deleted."""

import json
import sqlite3
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
import stripe
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import LogCreate
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import Log, State
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flow_engine import run_flow
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.states import Completed, Crashed, Pending, Suspended
from prefect.types import DateTime

from flows.bulk_raise import bulk_raise
from flows.erase_customer import erase_customer
from flows.export_customer import export_customer
from flows.forget_old_data import forget_old_data
from flows.full_sync import full_sync
from flows.overview import overview
from flows.poll_events import poll_events
from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from flows.void_invoice import void_invoice
from invoicing.connectors import salesforce
from invoicing.domain.salesforce.queries import literal
from invoicing.errors import Busy, NotFound, Rejected
from invoicing.ledger import personal_data
from tasks.personal_data import retention
from tests.conftest import Sandbox
from tests.faults.process_patches import ShiftedDatetime, shift_time
from tests.flows.conftest import Deployed, Org
from tests.leases import acquire
from tests.prefect_worker import eventually

ACME, GLOBEX = "Acme Corporation", "Globex"
TABLE = f"""account,description,terms,product,quantity
{ACME},November services,Net 30,Consulting,3
{GLOBEX},December services,Net 30,Consulting,2
"""


class Office:
    """People who start runs from forms, and whoever looks at what is left of them."""

    def run(self, flow: Flow[..., Any], **parameters: Any) -> UUID:
        """Start a run of a deployment, and execute it to its end, as a worker does."""
        tags = ["machinery" if flow in (full_sync, poll_events) else "people"]
        deployed = cast(RunnerDeployment, flow.to_deployment(name=flow.name, tags=tags))
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(
                cast(UUID, deployed.apply()), parameters=parameters, state=Pending()
            )
            run_flow(flow, run, flow.validate_parameters(parameters), return_type="state")
            log = LogCreate(
                name="run",
                level=20,
                message=str(parameters),
                timestamp=DateTime.now(),
                flow_run_id=run.id,
            )
            client.create_logs([log])
        return run.id

    def run_theirs(self) -> UUID:
        """A run of another project's deployment on the same server, which has ended."""
        theirs = preview_invoice.with_options(name="theirs").to_deployment(name="theirs")
        with get_client(sync_client=True) as client:
            deployed = cast(UUID, cast(RunnerDeployment, theirs).apply())
            run = client.create_flow_run_from_deployment(
                deployed, parameters={"invoice": "INV-0001"}, state=Pending()
            )
            client.set_flow_run_state(run.id, Completed(), force=True)
        return run.id

    def said(self, run: UUID) -> str:
        """What a run's state says."""
        with get_client(sync_client=True) as client:
            return str(cast(State[Any], client.read_flow_run(run).state).message)

    def is_there(self, run: UUID) -> bool:
        """Whether Prefect still knows a run."""
        with get_client(sync_client=True) as client, suppress(ObjectNotFound):
            return bool(client.read_flow_run(run).id)
        return False

    def put(self, run: UUID, state: State[Any]) -> None:
        """Put a run into a state."""
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(run, state, force=True)

    def log(self, run: UUID) -> list[Log]:
        """The lines of a run's log."""
        its = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
        with get_client(sync_client=True) as client:
            return client.read_logs(its)

    def everything(self) -> str:
        """Whatever the API tells of runs, steps, logs and pages, as one text."""
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs()
            logs = [self.log(run.id) for run in runs]
            return repr((runs, client.read_task_runs(), logs, client.read_artifacts()))


@pytest.fixture
def office(deployed: Deployed, tmp_path: Path) -> Iterator[Office]:
    """Results are files in a folder of this test; nothing of other tests is in Prefect."""
    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results"}):
        with get_client(sync_client=True) as client:
            while pages := client.read_artifacts():
                for page in pages:
                    client.delete_artifact(page.id)
            while runs := client.read_flow_runs():
                for run in runs:
                    client.delete_flow_run(run.id)
        yield Office()


@pytest.fixture
def invoiced(office: Office, org: Org) -> str:
    """Acme and Globex were billed by one table; Acme's Account id."""
    office.run(bulk_raise, csv=TABLE)
    office.run(send_invoice, invoice="INV-0001")
    office.run(send_invoice, invoice="INV-0002")
    office.run(poll_events)
    return account(org, ACME)


@pytest.fixture
def paid(office: Office, invoiced: str, org: Org, stripe_sandbox: Sandbox) -> str:
    """Acme has paid, and the night has looked at it; Acme's Account id."""
    org.set("INV-0001", Total__c=1)
    office.run(full_sync)
    page = org.record("INV-0001")["Hosted_Invoice_URL__c"]
    stripe_sandbox.post_form(page, card="4242424242424242")
    office.run(poll_events)
    return invoiced


def account(org: Org, name: str) -> str:
    """An Account's id."""
    [found] = org.query(f"SELECT Id FROM Account WHERE Name = {literal(name)}")
    return str(found["Id"])


def ledger(folder: Path) -> str:
    """Everything that the ledger says, as one text."""
    with sqlite3.connect(folder / "ledger.db") as database:
        return "\n".join(database.iterdump())


def files(folder: Path) -> str:
    """Everything that files say, as one text."""
    return "".join(f.read_text() for f in sorted(folder.rglob("*")) if f.is_file())


def results(folder: Path) -> bytes:
    """Everything that the files of results hold, those of flows and those of steps."""
    texts = (file.read_text() for file in (folder / "results").rglob("*"))
    found = (json.loads(text)["result"] if text.startswith("{") else text for text in texts)
    return b"".join(b64decode(result) for result in found)


def test_an_export_tells_of_one_customer_and_of_nobody_else(
    paid: str, office: Office, tmp_path: Path
) -> None:
    """Rows, runs, logs, pages and lists; the worker's user reads it, and no page has a copy."""
    named = office.everything().count(ACME)
    said = office.said(office.run(export_customer, account=paid))
    file = tmp_path / "reports" / f"customer-{paid}.json"
    assert str(file) in said
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    told = json.loads(text)
    assert {"event", "timeline", "invoice_link", "drift", "customer"} <= {*told["ledger"]}
    runs = {run["flow"]: run for run in told["runs"]}
    assert {*runs} >= {"bulk-raise", "send-invoice", "poll-events", "full-sync"}
    assert runs["bulk-raise"]["told"]["parameters"]["csv"] == TABLE.splitlines()[1]
    assert "INV-0001" in runs["send-invoice"]["log"][0]
    assert {page["key"] for page in told["pages"]} >= {"bulk-raise", "drift"}
    assert [row[1] for rows in told["drift lists"].values() for row in rows] == ["INV-0001"]
    for other in (GLOBEX, "INV-0002", "December services"):
        assert other not in text
    assert office.everything().count(ACME) == named


def test_a_customer_is_erased_everywhere_and_no_other(
    paid: str, office: Office, org: Org, tmp_path: Path
) -> None:
    """Ledger, runs, logs, pages, results and reports; the second time nothing is left to do."""
    refused = office.run(void_invoice, invoice="INV-0001")
    globex = office.run(preview_invoice, invoice="INV-0002")
    export = office.run(export_customer, account=paid)
    assert ACME in ledger(tmp_path)
    assert ACME.encode() in results(tmp_path)
    done = office.run(erase_customer, account=paid)
    said = office.said(done)
    assert said.startswith("Erased here: ")
    for part in (
        "rows of the ledger",
        " runs, with logs and pages",
        "1 line of drift lists, 1 export, ",
        "Kept: ids",
    ):
        assert part in said
    for place in (ledger(tmp_path), office.everything(), files(tmp_path / "reports")):
        assert ACME not in place
        assert "acme.example.com" not in place
    assert ACME.encode() not in results(tmp_path)
    assert GLOBEX.encode() in results(tmp_path)
    assert not any(office.is_there(run) for run in (refused, export))
    eventually(lambda: not office.log(refused))
    assert office.log(globex)
    assert office.is_there(globex)
    assert "INV-0002" in office.everything()
    assert GLOBEX in ledger(tmp_path)
    assert "nothing, for nothing was left" in office.said(office.run(erase_customer, account=paid))
    assert office.is_there(done)


def test_a_customer_is_found_by_the_name_that_it_had(
    paid: str, office: Office, org: Org, dashboard: stripe.StripeClient
) -> None:
    """Stripe and Salesforce are erased first; what was typed into forms has the former name."""
    typed = [
        office.run(preview_invoice, invoice=name) for name in (ACME, "billing@acme.example.com")
    ]
    globex = office.run(preview_invoice, invoice=GLOBEX)
    gone = {"Name": "Gone 4711", "Invoice_Email__c": None}
    [customer] = org.query(f"SELECT Stripe_Customer_Id__c FROM Account WHERE Id = {literal(paid)}")
    salesforce.client().update("Account", paid, gone)
    dashboard.v1.customers.update(
        customer["Stripe_Customer_Id__c"], {"name": "Gone 4711", "email": "gone@example.com"}
    )
    office.run(poll_events)
    assert office.everything().count(ACME)
    office.run(erase_customer, account=paid)
    assert not any(office.is_there(run) for run in typed)
    assert office.is_there(globex)
    assert ACME not in office.everything()


def test_what_was_erased_is_not_done_again_and_agrees(
    paid: str, office: Office, stripe_sandbox: Sandbox, tmp_path: Path
) -> None:
    """Events that are fetched again bring nothing back, and the night finds no difference."""
    office.run(erase_customer, account=paid)
    mails = stripe_sandbox.admin("GET", "mail")
    poll_events(lookback_hours=720)
    assert full_sync().sentence == "2 invoices compared, 0 differed."
    with pytest.raises(Rejected, match="Paid"):
        send_invoice("INV-0001")
    assert stripe_sandbox.admin("GET", "mail") == mails
    assert ACME not in ledger(tmp_path)


def test_nothing_is_erased_while_anything_is_open(
    invoiced: str, office: Office, draft: Callable[..., Any], org: Org, tmp_path: Path
) -> None:
    """An open invoice, a draft, runs that wait or are begun again: each is named, by no name."""
    name = draft().name
    crashed, waits = (office.run(preview_invoice, invoice=name) for _ in range(2))
    office.put(crashed, Crashed())
    office.put(waits, Suspended())
    said = office.said(office.run(erase_customer, account=invoiced))
    stripe_id = org.record("INV-0001")["Stripe_Invoice_Id__c"]
    assert said.startswith(f"Nothing was erased of {invoiced}. {stripe_id} in Stripe is open: ")
    assert "INV-0001 is open: it has to be paid, void or written off." in said
    assert "INV-0003 is a draft: send it, or delete it." in said
    assert f"A run of preview-invoice is not over yet (Suspended): {waits}." in said
    assert f"A run of preview-invoice is not over yet (Crashed): {crashed}." in said
    assert ACME not in said
    assert ACME in ledger(tmp_path)


@pytest.mark.parametrize("subject", ["account", "invoice"])
def test_nothing_is_erased_while_somebody_works_on_it(
    paid: str, org: Org, tmp_path: Path, subject: str
) -> None:
    """A run is at its customer, or at one of its invoices, at this moment."""
    held = {"account": paid, "invoice": org.record("INV-0001")["Id"]}[subject]
    acquire(held, "another run", seconds=3600)
    with pytest.raises(Busy, match="Another run is working on"):
        erase_customer(paid)
    assert ACME in ledger(tmp_path)


def test_nothing_is_erased_while_a_payment_is_disputed(
    paid: str, org: Org, stripe_sandbox: Sandbox, tmp_path: Path
) -> None:
    """The bank decides by what can still be shown of it."""
    stripe_id = org.record("INV-0001")["Stripe_Invoice_Id__c"]
    dispute = stripe_sandbox.admin("POST", "disputes", invoice=stripe_id)
    poll_events()
    with pytest.raises(Rejected, match=f"A payment of {stripe_id} is under dispute"):
        erase_customer(paid)
    assert ACME in ledger(tmp_path)
    stripe_sandbox.admin("POST", "disputes/close", dispute=dispute["id"], status="won")
    poll_events()
    erase_customer(paid)
    assert ACME not in ledger(tmp_path)


def test_an_id_is_asked_for_and_a_name_that_was_typed_goes_with_the_rest(
    paid: str, office: Office
) -> None:
    """A name would stay in the run's parameters; an id that nobody knows is a mistake."""
    typed = office.run(erase_customer, account=ACME)
    assert office.said(typed).startswith("Give the Account's id: it begins with 001")
    with pytest.raises(NotFound, match="There is no Account"):
        erase_customer("001Hs0000XXXXXXAAA")
    office.run(erase_customer, account=paid)
    assert not office.is_there(typed)


def test_a_run_that_dies_before_the_ledger_is_begun_again(
    paid: str, office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect's part was erased, the ledger's was not: by its rows the rest is still found."""

    def die(_: object) -> dict[str, int]:
        raise SystemExit

    with monkeypatch.context() as patched, suppress(SystemExit):
        patched.setattr(personal_data, "erase", die)
        erase_customer(paid)
    assert ACME in ledger(tmp_path)
    assert office.everything().count(ACME) == 0
    late = office.run(preview_invoice, invoice="INV-0001")
    assert "1 run, with logs and pages, " in erase_customer(paid).sentence
    assert ACME not in ledger(tmp_path)
    assert not office.is_there(late)


def test_what_is_old_is_deleted_and_what_goes_on_is_kept(
    paid: str,
    office: Office,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Months later: no run, result, page or report of ours is left but of what waits."""
    monkeypatch.setattr(retention, "datetime", ShiftedDatetime)
    waits, theirs = office.run(send_invoice, invoice="INV-0002"), office.run_theirs()
    office.put(waits, Suspended())
    office.run(overview)
    at_once = forget_old_data().sentence
    assert at_once.startswith("Deleted: 0 rows of the ledger, 0 runs, ")
    assert ACME.encode() in results(tmp_path)
    shift_time(timedelta(days=400).total_seconds())
    try:
        said = forget_old_data().sentence
    finally:
        shift_time(0)
    assert said.startswith("Deleted: ")
    assert said.endswith(" 7 runs, with logs, pages and results, 1 report.")
    assert office.is_there(waits)
    assert office.is_there(theirs)
    assert "key='overview'" in office.everything()  # its address stays
    assert ACME.encode() not in results(tmp_path)
    assert b"INV-0002 is" in results(tmp_path)  # what waits goes on with it
    assert not [*(tmp_path / "reports").iterdir()]
    assert ACME not in ledger(tmp_path)
