"""Steps on the action fields of invoice records: read them, take each request up once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from prefect.logging import get_run_logger

from invoicing.connectors import prefect, salesforce
from invoicing.domain.model.status import SyncState
from invoicing.domain.model.wording import counted
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Comparison, Query, all_of
from invoicing.domain.salesforce.request_record import ACTIONS
from invoicing.errors import InvoicingError, NotFound, Rejected, Superseded
from invoicing.ledger import action_field_requests, stream_positions
from invoicing.ledger.models import Request
from invoicing.settings import settings
from tasks.records.invoices import write_sync_message
from tasks.records.locks import Lock
from tasks.runtime.step import FEW_RETRIES, step

FLOW_BY_ACTION: Mapping[str, str] = {
    name: action.flow for name, action in ACTIONS.items() if not action.decides and name != "Credit"
}
"""Flows by the value of the action field. A payment is the whole of what remains; for
a part or a reference, and for credits, start the flow with its form."""

WATCH = Lock("the action fields")
"""The subject is an org."""

OVERLAP = timedelta(minutes=5)
"""Records that are committed late carry an earlier SystemModstamp."""


@step("collect the requested actions")
def collect_requests() -> int:
    """Write down every request that an action field makes; returns how many records ask.

    Reads by ``SystemModstamp``, which is indexed and cannot be set by hand, with an overlap.
    """
    name = _subject()
    since = (stream_positions.cursor(name) or datetime.fromtimestamp(0, UTC) + OVERLAP) - OVERLAP
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
        action_field_requests.add({row["Id"]: row[record.ACTION] for row in asking}, stamps)
        stream_positions.move_cursor(name, max(stamps.values()))
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


@dataclass(frozen=True, slots=True)
class TakenUp:
    """What became of the requests that waited.

    Attributes:
        started: The flows that were started.
        problems: Why others were not, each a sentence.
    """

    started: Sequence[str]
    problems: Sequence[str] = ()

    def __add__(self, other: Self) -> Self:
        return type(self)([*self.started, *other.started], [*self.problems, *other.problems])

    @property
    def sentence(self) -> str:
        """Both, in words."""
        names = f": {', '.join(self.started)}" if self.started else ""
        said = f"{counted(len(self.started), 'run')} started{names}."
        if self.problems:
            said += f" {len(self.problems)} could not be started: {'; '.join(self.problems)}"
        return said


def take_up_requests() -> TakenUp:
    """Clear and start every request that waits, each by itself.

    Raises:
        InvoicingError: one could not be started for a reason that passes, after all others were.
    """
    started, problems = [], []
    passing: InvoicingError | None = None
    for request in action_field_requests.unfinished():
        try:
            started.append(take_up(request))
        except Superseded:
            raise
        except Rejected as error:
            problems.append(f"{request.action} for {request.record_id}: {error}")
        except InvoicingError as error:
            passing = error
    for problem in problems:
        get_run_logger().warning(problem)
    if passing:
        raise passing
    return TakenUp(started, problems)


@step("start {request.action} for {request.record_id}", retries=FEW_RETRIES)
def take_up(request: Request) -> str:
    """Clear the record's field, then start the flow, each once; returns the flow's name.

    The field is cleared first: what the flow writes to the record must not look like
    somebody asking again. The run's idempotency key makes starting it twice the same.

    Raises:
        Rejected: the record was deleted, or the org does not let its field be cleared now.
    """
    number = request.id or 0
    flow = FLOW_BY_ACTION.get(request.action)
    if not request.cleared:
        WATCH.require(_subject())
        try:
            salesforce.client().update(record.INVOICE, request.record_id, {record.ACTION: None})
        except NotFound as error:
            action_field_requests.mark(number, ended=str(error))
            raise Rejected(f"nothing is done, the record was deleted meanwhile. {error}") from error
        action_field_requests.mark(number, cleared=True)
    if flow is None:
        unknown = f"{request.action!r} is none of the actions: {', '.join(FLOW_BY_ACTION)}."
        action_field_requests.mark(number, ended=unknown)
        write_sync_message(request.record_id, SyncState.FAILED, unknown)
        raise Rejected(unknown)
    key = f"request-{request.record_id}-{number}-{request.asked_at.isoformat()}"
    run = prefect.client().start(flow, {"invoice": request.record_id}, key)
    action_field_requests.mark(number, run_id=run)
    get_run_logger().info("%s asked for %s.", request.record_id, flow)
    return flow
