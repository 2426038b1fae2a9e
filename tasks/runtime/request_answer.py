"""Tell whoever asked in Salesforce what came of it, on the request's own record."""

from prefect.logging import get_run_logger

from invoicing.connectors import salesforce
from invoicing.domain.salesforce import request_record
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.domain.salesforce.record import INVOICE
from invoicing.domain.salesforce.request_record import ANSWER_NOTIFICATION, REQUEST, RequestState
from invoicing.errors import InvoicingError, NotFound
from invoicing.ledger import request_records
from invoicing.ledger.models import RequestRecord
from tasks.runtime.run_name import run_id, run_url


def answer_own_request(state: RequestState, sentence: str) -> None:
    """Answer the request that this run was started for, if it was started for one.

    What cannot be written now is written by the next ``watch-salesforce``.
    """
    try:
        request = request_records.of_run(run_id())
        if request:
            answer_request(request, state, sentence)
    except InvoicingError as error:
        get_run_logger().warning("Whoever asked is told later: %s", error)


TITLES = {
    RequestState.REFUSED: "{} was refused",
    RequestState.FAILED: "{} failed",
}
"""What is worth a notification: nobody looks at the page any more."""


def answer_request(request: RequestRecord, state: RequestState, sentence: str) -> None:
    """Close a request with what came of it; the same can be asked for again from then on.

    Whoever asked is notified where nothing came of it, once at the most: the request says it too.
    """
    url = run_url(request.run_id) if request.run_id else None
    fields = request_record.answer(state, sentence, url)
    try:
        salesforce.client().update(REQUEST, request.id, fields)
    except NotFound:
        get_run_logger().info("Request %s was deleted; nobody is told.", request.id)
        request_records.answered(request.id)
        return
    request_records.answered(request.id)
    if state in TITLES:
        notify(request, f"{_invoice_name(request)}{TITLES[state].format(request.action)}", sentence)


def _invoice_name(request: RequestRecord) -> str:
    """The invoice that a title begins with; nothing where it is gone, or cannot be asked for."""
    try:
        query = Query(INVOICE, ("Name",), where=equals("Id", request.invoice_id))
        found = salesforce.client().query(query) if request.invoice_id else []
    except InvoicingError:
        return ""
    return f"{found[0]['Name']}: " if found else ""


def notify(request: RequestRecord, title: str, sentence: str) -> None:
    """Notify whoever made a request; it is no reason to fail."""
    target = request.invoice_id or request.id
    try:
        salesforce.client().notify(ANSWER_NOTIFICATION, request.asked_by, title, sentence, target)
    except InvoicingError as error:
        get_run_logger().warning("Whoever asked was not notified: %s", error)
