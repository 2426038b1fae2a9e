"""Steps on the action fields of invoice records: read them, take each request up once."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from prefect import task
from prefect.logging import get_run_logger

from invoicing.connectors import prefect, salesforce
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of
from invoicing.domain.salesforce.request_record import ACTIONS
from invoicing.errors import InvoicingError, NotFound, Superseded
from invoicing.ledger import inbox, salesforce_requests
from invoicing.ledger.models import Request
from invoicing.settings import settings
from tasks.records.locks import Lock
from tasks.runtime.retries import STEP

FLOW_BY_ACTION: Mapping[str, str] = {name: action.flow for name, action in ACTIONS.items()}
"""Flows by the value of the action field. A payment is the whole of what remains; for
a part or a reference, and for credits, start the flow with its form."""

WATCH = Lock("the action fields")
"""The subject is an org."""

OVERLAP = timedelta(minutes=5)
"""Records that are committed late carry an earlier SystemModstamp."""


@task(task_run_name="collect the requested actions", **STEP)
def collect_requests() -> int:
    """Write down every request that an action field makes; returns how many records ask.

    Reads by ``SystemModstamp``, which is indexed and cannot be set by hand, with an overlap.
    """
    name = _subject()
    since = (inbox.cursor(name) or datetime.fromtimestamp(0, UTC) + OVERLAP) - OVERLAP
    asking = salesforce.client().query(
        Query(
            record.INVOICE,
            ["Id", record.ACTION, "SystemModstamp"],
            where=all_of(
                Comparison(record.ACTION, "!=", None), Comparison("SystemModstamp", ">=", since)
            ),
            order="SystemModstamp, Id",
        )
    )
    if asking:
        stamps = {row["Id"]: datetime.fromisoformat(row["SystemModstamp"]) for row in asking}
        WATCH.require(name)
        salesforce_requests.add({row["Id"]: row[record.ACTION] for row in asking}, stamps)
        inbox.move_cursor(name, max(stamps.values()))
    return len(asking)


@contextmanager
def lock_action_fields() -> Iterator[bool]:
    """Lock the action fields: what two runs see at once is one request.

    Yields:
        Whether this run may look at them; if not, another one does.
    """
    with WATCH.held_if_free([_subject()]) as busy:
        yield not busy


def _subject() -> str:
    return f"requests:{settings().salesforce.org_id}"


def take_up_requests() -> list[str]:
    """Clear and start every request that waits; returns the flows that were started.

    Each by itself: one that cannot be taken up holds up no other.

    Raises:
        InvoicingError: why the first such could not be, after all others.
    """
    started: list[str] = []
    errors: list[InvoicingError] = []
    for request in salesforce_requests.unfinished():
        try:
            started += take_up(request)
        except Superseded:
            raise
        except InvoicingError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return started


GONE = "gone"
"""In place of a run, where the record was deleted."""


@task(task_run_name="start {request.action} for {request.record_id}", **STEP)
def take_up(request: Request) -> list[str]:
    """Clear the record's field, then start the flow, each once; returns the flow's name.

    The field is cleared first: what the flow writes to the record must not look like
    somebody asking again. The run's idempotency key makes starting it twice the same.
    Nothing is started for a record that was deleted.
    """
    number = request.id or 0
    if not request.cleared:
        WATCH.require(_subject())
        try:
            salesforce.client().update(record.INVOICE, request.record_id, {record.ACTION: None})
        except NotFound:
            salesforce_requests.mark(number, cleared=True, run_id=GONE)
            get_run_logger().info("%s was deleted; nothing is started.", request.record_id)
            return []
        salesforce_requests.mark(number, cleared=True)
    flow = FLOW_BY_ACTION[request.action]
    key = f"request-{request.record_id}-{number}-{request.asked_at.isoformat()}"
    server = prefect.client()
    run = server.start(flow, {"invoice": request.record_id}, key)
    salesforce_requests.mark(number, run_id=run)
    get_run_logger().info("%s asked for %s.", request.record_id, flow)
    return [flow]
