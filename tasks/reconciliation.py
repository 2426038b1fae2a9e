"""Steps of the full sync: stage both sides, find what differs, repair it, report it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import salesforce, stripe
from invoicing.domain import record
from invoicing.domain.money import to_minor
from invoicing.domain.projection import project
from invoicing.errors import Passing
from invoicing.ledger import staging
from invoicing.ledger.models import DriftRow, StagedSalesforce, StagedStripe
from invoicing.settings import settings
from tasks.policy import STEP
from tasks.projection import Change, refresh
from tasks.report import publish_page, publish_table, run_id
from tasks.salesforce import today

WINDOW = timedelta(days=30)
CHUNK = 500
STAGED_FIELDS = (
    "Id",
    "Name",
    "Currency__c",
    record.STRIPE_ID,
    record.STATUS,
    "Number__c",
    "Total__c",
    "Amount_Paid__c",
    "Amount_Remaining__c",
    "Payment_State__c",
    "Is_Overdue__c",
    record.SYNC_STATE,
)


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of creation times in Stripe, Unix seconds, end excluded."""

    start: int
    end: int

    def __str__(self) -> str:
        return f"{datetime.fromtimestamp(self.start, UTC):%Y-%m-%d %H:%M}"


@task(task_run_name="plan the reading", **STEP)
def plan_windows(dry_run: bool) -> list[Window]:
    """Cut the account's whole life into windows; the same ones when a run is resumed."""
    began = staging.begin(run_id(), dry_run=dry_run)
    end = int(began.started_at.timestamp()) + 1
    start = int(stripe.client().account()["created"])
    step = int(WINDOW.total_seconds())
    return [Window(at, min(at + step, end)) for at in range(start, end, step)]


@task(task_run_name="read Stripe from {window}", **STEP)
def stage_stripe(window: Window) -> int:
    """Stage the invoices that were created in a window; returns how many."""
    name = f"stripe {window.start}"
    if staging.is_staged(run_id(), name):
        return 0
    rows: list[StagedStripe] = []
    after, more = None, True
    while more:
        page, more = stripe.client().invoice_page((window.start, window.end), after)
        rows += [_staged(invoice) for invoice in page]
        after = page[-1]["id"] if page else None
    staging.stage(run_id(), name, rows)
    return len(rows)


def _staged(invoice: stripe.Object) -> StagedStripe:
    projection = project(invoice, today=today(), zone=settings().business.zone)
    return StagedStripe(
        run_id=run_id(),
        stripe_id=projection.stripe_id,
        record_id=projection.record_id,
        customer_id=projection.customer_id,
        status=projection.status,
        number=projection.number,
        currency=projection.currency,
        total=invoice["total"],
        amount_paid=invoice["amount_paid"],
        amount_remaining=invoice["amount_remaining"],
        payment_state=projection.payment_state,
        overdue=projection.overdue,
    )


@task(task_run_name="read Salesforce", **STEP)
def stage_salesforce() -> int:
    """Stage all invoice records that have a Stripe invoice; returns how many."""
    if staging.is_staged(run_id(), "salesforce"):
        return 0
    soql = (
        f"SELECT {', '.join(STAGED_FIELDS)} FROM {record.INVOICE} "  # noqa: S608
        f"WHERE {record.STRIPE_ID} != null"
    )
    rows = [
        StagedSalesforce(
            run_id=run_id(),
            record_id=row["Id"],
            stripe_id=row[record.STRIPE_ID],
            name=row["Name"],
            status=row[record.STATUS],
            number=row["Number__c"] or None,
            total=_minor(row, "Total__c"),
            amount_paid=_minor(row, "Amount_Paid__c"),
            amount_remaining=_minor(row, "Amount_Remaining__c"),
            payment_state=row["Payment_State__c"] or None,
            overdue=row["Is_Overdue__c"] == "true",
            sync_state=row[record.SYNC_STATE] or None,
        )
        for page in salesforce.client().bulk_query(soql)
        for row in page
    ]
    staging.stage(run_id(), "salesforce", rows)
    return len(rows)


def _minor(row: salesforce.Record, name: str) -> int | None:
    return to_minor(Decimal(row[name]), row["Currency__c"]) if row[name] else None


@task(task_run_name="compare both sides", **STEP)
def find_drift() -> list[DriftRow]:
    """Every invoice on which the two systems differ."""
    drift = staging.find_drift(run_id())
    stripe_count, salesforce_count = staging.counts(run_id())
    get_run_logger().info(
        "%s invoices in Stripe, %s in Salesforce, %s differ.",
        f"{stripe_count:,}",
        f"{salesforce_count:,}",
        f"{len(drift):,}",
    )
    return drift


def repair(drift: Sequence[DriftRow]) -> None:
    """Bring every differing invoice in step, each from a fresh reading of Stripe."""
    for start in range(0, len(drift), CHUNK):
        repair_some(drift[start : start + CHUNK])


@task(task_run_name="repair a chunk", **STEP)
def repair_some(drift: Sequence[DriftRow]) -> None:
    """Repair some drift, and write down what came of each."""
    ids = [row.subject for row in drift]
    try:
        changes = refresh(ids)
    except Passing as error:
        changes = [Change(id_, problem=str(error), passing=True) for id_ in ids]
    staging.settle(run_id(), {change.stripe_id: _outcome(change) for change in changes})


def _outcome(change: Change) -> str:
    if change.problem:
        return f"not repaired: {change.problem}"
    repaired = change.created or change.moved
    return f"repaired: {change.sentence}" if repaired else "was settled meanwhile"


@task(task_run_name="publish the drift report", **STEP)
def publish_drift() -> Counter[str]:
    """Attach the drift report to the run; returns how many rows came out in which way."""
    drift = staging.drift_of(run_id())
    in_stripe, in_salesforce = staging.counts(run_id())
    outcomes = Counter(row.outcome.partition(":")[0] for row in drift)
    lines = [
        "# Drift report",
        f"{in_stripe:,} invoices in Stripe, {in_salesforce:,} in Salesforce, "
        f"**{len(drift):,} differed**.",
        "| kind | count |\n|---|---|",
    ]
    kinds = Counter(row.kind for row in drift)
    table = "\n".join(f"| {kind} | {count:,} |" for kind, count in kinds.most_common())
    page = "\n\n".join(lines) + "\n" + table
    publish_page("drift-report", page, "What differed between Salesforce and Stripe.")
    if drift:
        publish_table(
            "drift",
            [
                {
                    "Kind": row.kind,
                    "Stripe invoice": row.stripe_id,
                    "Salesforce record": row.record_id,
                    "Salesforce said": row.salesforce_says,
                    "Stripe says": row.stripe_says,
                    "Outcome": row.outcome,
                }
                for row in drift
            ],
            "Every difference, and what was done about it.",
        )
    return outcomes


def close_sync() -> None:
    """Clear the staged rows of this run; the drift stays."""
    staging.finish(run_id())
