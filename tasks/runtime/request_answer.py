"""Tell whoever asked in Salesforce what came of it, on the request's own record."""

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.salesforce import request_record
from invoicing.domain.salesforce.request_record import REQUEST, RequestState
from invoicing.errors import InvoicingError, NotFound
from invoicing.ledger import request_records
from tasks.runtime.run_page import run_id, run_url


def answer_own_request(state: RequestState, sentence: str) -> None:
    """Answer the request that this run was started for, if it was started for one.

    What cannot be written now is written by the next ``watch-salesforce``.
    """
    try:
        request = request_records.of_run(run_id())
        if request:
            answer_request(request.id, state, sentence, request.run_id)
    except InvoicingError as error:
        get_run_logger().warning("Whoever asked is told later: %s", error)


def answer_request(
    request_id: str, state: RequestState, sentence: str, run: str | None = None
) -> None:
    """Close a request with what came of it; the same can be asked for again from then on."""
    fields = request_record.answer(state, sentence, run_url(run) if run else None)
    try:
        salesforce.client().update(REQUEST, request_id, fields)
    except NotFound:
        get_run_logger().info("Request %s was deleted; nobody is told.", request_id)
    request_records.answered(request_id)
