"""Steps on request records: start what they ask for, once, and see that each is answered."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prefect.logging import get_run_logger

from invoicing.connectors import prefect, salesforce
from invoicing.domain.salesforce import request_record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of, is_in
from invoicing.domain.salesforce.request_record import (
    ACTIONS,
    REQUEST,
    RequestState,
    run_parameters,
)
from invoicing.errors import InvoicingError, NotFound, Rejected, TransientError
from invoicing.ledger import request_records, stream_positions
from invoicing.ledger.models import RequestRecord
from invoicing.settings import settings
from tasks.records.locks import Lock
from tasks.requests.action_field import OVERLAP
from tasks.runtime.request_answer import answer_request
from tasks.runtime.step import step

ONE_REQUEST = Lock("this request")
"""Subjects are the records' ids."""

ENDED = {
    "COMPLETED": (RequestState.DONE, ""),
    "FAILED": (RequestState.FAILED, ""),
    "CANCELLED": (RequestState.REFUSED, "Somebody cancelled it in Prefect. "),
}
"""What a run's last state means for whoever asked. A crashed run is begun again."""


@step("collect the requests")
def collect_request_records() -> int:
    """Write down the requests that are open in Salesforce; returns how many are new.

    Reads by ``SystemModstamp``, with an overlap, as the action fields are read. One that runs is
    new to a ledger that was restored or lost only; its key leads to the run that it has.
    """
    client, name = salesforce.client(), f"request-records:{settings().salesforce.org_id}"
    if not client.has(REQUEST):
        return 0
    since = (stream_positions.cursor(name) or datetime.fromtimestamp(0, UTC) + OVERLAP) - OVERLAP
    waiting = client.query(
        Query(
            REQUEST,
            [*request_record.FIELDS, "SystemModstamp"],
            where=all_of(
                is_in(request_record.STATE, [RequestState.QUEUED, RequestState.RUNNING]),
                Comparison("SystemModstamp", ">=", since),
            ),
            order="SystemModstamp, Id",
        )
    )
    new = request_records.add([_as_read(row) for row in waiting])
    if waiting:
        stream_positions.move_cursor(name, datetime.fromisoformat(waiting[-1]["SystemModstamp"]))
    return new


def _as_read(row: salesforce.Record) -> RequestRecord:
    return RequestRecord(
        id=row["Id"],
        action=row[request_record.ACTION],
        invoice_id=row[request_record.INVOICE],
        open_key=row[request_record.OPEN_KEY],
        parameters=row[request_record.PARAMETERS] or "",
        asked_by=row["CreatedById"],
        asked_at=datetime.fromisoformat(row["CreatedDate"]),
    )


@step("start what is asked for")
def start_requests() -> list[str]:
    """Start the flow of every request that waits; returns the flows.

    Each by itself: one that is refused, or that cannot be started now, holds up no other. A run's
    idempotency key is the request's id, so that starting it twice is the same run.
    """
    waiting = [request for request in request_records.open_requests() if request.run_id is None]
    with ONE_REQUEST.held_if_free([request.id for request in waiting]) as busy:
        free = request_records.unstarted(r.id for r in waiting if r.id not in busy)
        mine = [request for request in waiting if request.id in free]
        asked = [(request, given) for request in mine if (given := _accepted(request)) is not None]
        _show_running([request for request, _ in asked])
        return [
            ACTIONS[request.action].flow for request, given in asked if _is_started(request, given)
        ]


def _accepted(request: RequestRecord) -> dict[str, str] | None:
    """What to run the request's flow with; nothing for one that was refused."""
    try:
        return run_parameters(
            request.id, request.action, request.invoice_id, request.open_key, request.parameters
        )
    except Rejected as error:
        _answer(request, RequestState.REFUSED, str(error))
        return None


def _show_running(requests: Sequence[RequestRecord]) -> None:
    """Let people see that requests are taken up, before a run may say that it is done."""
    ONE_REQUEST.keep(*(request.id for request in requests))
    running = {request_record.STATE: RequestState.RUNNING}
    rows = [{"Id": request.id, **running} for request in requests]
    for row in salesforce.client().update_many(REQUEST, rows):
        get_run_logger().warning("%s is not shown as running: %s", rows[row.index]["Id"], row.error)


def _is_started(request: RequestRecord, given: dict[str, str]) -> bool:
    ONE_REQUEST.keep(request.id)
    key = f"request-{request.id}-{request.asked_at.isoformat()}"
    try:
        run = prefect.client().start(ACTIONS[request.action].flow, given, key)
    except Rejected as error:
        _answer(request, RequestState.REFUSED, str(error))
        return False
    except TransientError as error:
        get_run_logger().warning("%s is started later: %s", request.id, error)
        return False
    request_records.started(request.id, run)
    return True


@step("answer the requests whose runs have ended")
def answer_ended_requests() -> None:
    """Answer the requests whose runs ended without a word: killed, cancelled, or not heard."""
    for request in request_records.open_requests():
        if request.run_id is None:
            continue
        try:
            state = prefect.client().state(request.run_id)
        except NotFound:
            gone = "Prefect no longer knows its run. Look at the invoice, then ask again."
            _answer(request, RequestState.FAILED, gone)
            continue
        if state.type in ENDED:
            outcome, prefix = ENDED[state.type]
            _answer(request, outcome, prefix + state.message)


def _answer(request: RequestRecord, state: RequestState, sentence: str) -> None:
    """Answer a request, or leave it for later."""
    try:
        answer_request(request, state, sentence)
    except InvoicingError as error:
        get_run_logger().warning("Request %s is answered later: %s", request.id, error)
