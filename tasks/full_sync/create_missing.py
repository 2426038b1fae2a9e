"""Make the records of many invoices that exist in Stripe only, by few calls on both sides.

A record and its lines are written all or none, as many of them in a call as Salesforce takes.
"""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from more_itertools import constrained_batches, map_reduce

from invoicing.connectors import salesforce, stripe
from invoicing.connectors.salesforce import GRAPHS, NODES, GraphError
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce import record
from invoicing.domain.stripe.projection import Projection
from invoicing.domain.stripe.resources import StripeLine
from invoicing.errors import InvoicingError, TransientError
from invoicing.ledger import drift, links, timeline
from invoicing.ledger.models import InvoiceLink, SyncRun
from tasks.full_sync.paced_pages import read_again
from tasks.records.invoices import synced_fields
from tasks.records.locks import INVOICE
from tasks.records.record_writer import written_fields
from tasks.records.rewritten_values import Written, check_saved
from tasks.records.soql_lists import select_in
from tasks.records.timeline import publish
from tasks.runtime.run_name import this_attempt
from tasks.runtime.step import step
from tasks.sync.deleted_products import deleted_products_of
from tasks.sync.new_record_fields import (
    creation_entry,
    named_record,
    note_created,
    project_all,
    whole_nodes,
)

LANES = 4
"""Calls to Salesforce side by side. All records of an Account are in one lane, because whoever
writes one locks the Account until the call is over."""

CREATE_CHUNK = LANES * (10 * GRAPHS - 25)
"""Records to make: ten calls in each lane, with room for Accounts, which are not divided."""


_LANES = [ThreadPoolExecutor(1) for _ in range(LANES)]
"""All chunks share them, so that none of them rests while another one still writes."""

_lane_of: dict[str, int] = {}
"""By Account: the lane that had least to write in the chunk in which the Account came first."""


@dataclass(frozen=True, slots=True)
class MissingInvoice:
    """An invoice that Salesforce lacks, as Stripe has it now."""

    invoice: Projection
    lines: Sequence[StripeLine]
    account: str


Answered = tuple[Projection, list[dict[str, Any]], dict[str, Any] | GraphError]
"""An invoice, the subrequests that were to write its record, and what came of them."""


@step("create the records that are missing")
def make_records(sync: SyncRun, rows: Sequence[drift.DriftedInvoice]) -> None:
    """Make the records of invoices, and write down the outcome of each.

    Left to the fresh reading, one by one, are those that somebody works on, that have a record
    after all, that take the place of another, and those whose writing failed in passing.

    Args:
        sync: The full sync.
        rows: What is missing, the newest first.

    Raises:
        TransientError: a call had no answer; the outcome of the others is written down.
    """
    ids = [row.subject for row in rows]
    known = links.invoice_links(ids)
    linked = {id_: link.record_id for id_, link in known.items()}
    with INVOICE.held_if_free([*ids, *linked.values()]) as busy:
        free = [row for row in rows if not {row.subject, linked.get(row.subject)} & {*busy}]
        accounts = {row.subject: row.account_id for row in free}
        wholes = read_again(free, stripe.client().whole_page)
        found = [
            MissingInvoice(invoice, whole["lines"]["data"], accounts[whole["id"]])
            for whole, invoice in zip(wholes, project_all(wholes), strict=True)
        ]
        _make(sync, _without_record(found, linked), known)


def _without_record(
    found: Sequence[MissingInvoice], linked: Mapping[str, str]
) -> list[MissingInvoice]:
    """Invoices that have no record, neither one that they name nor one that they were linked to."""
    names = {
        one.invoice.stripe_id: {named_record(one.invoice), linked.get(one.invoice.stripe_id)}
        for one in found
    }
    asked = sorted({name for some in names.values() for name in some if name})
    there = {row["Id"] for row in select_in(record.INVOICE, "Id", asked, ("Id",))}
    return [
        one
        for one in found
        if not one.invoice.replaces and not names[one.invoice.stripe_id] & there
    ]


def _make(sync: SyncRun, found: Sequence[MissingInvoice], known: Mapping[str, InvoiceLink]) -> None:
    """Write records side by side, and note the outcome of each."""
    if not found:
        return
    timeline.propose([creation_entry(one.invoice) for one in found], this_attempt())
    fields = synced_fields(Status.OPEN)
    gone = deleted_products_of(line for one in found for line in one.lines)
    answered: list[Answered] = []
    writing = [
        lane.submit(_write, some, known, fields, gone, answered)
        for lane, some in zip(_LANES, _by_lane(found), strict=True)
    ]
    wait(writing)  # all of them, whatever became of one: the leases are held until then
    made: dict[str, Projection] = {}
    written: dict[str, Written] = {}
    refused: dict[str, InvoicingError] = {}
    for invoice, nodes, answer in answered:
        if not isinstance(answer, GraphError):
            record_id = str(answer["invoice"]["id"])
            made[record_id], written[record_id] = invoice, written_fields(nodes, answer)
        elif not isinstance(answer.error, TransientError):
            refused[invoice.stripe_id] = answer.error
    keys, ids = note_created(made), {one.stripe_id: record_id for record_id, one in made.items()}
    drift.note(sync.id, "record_id", ids)
    drift.note(sync.id, "outcome", dict.fromkeys(ids, "repaired: made in Salesforce."))
    publish(keys)
    refused |= {made[id_].stripe_id: error for id_, error in check_saved(written).errors.items()}
    drift.note(
        sync.id, "outcome", {id_: f"not repaired: {error}" for id_, error in refused.items()}
    )
    for lane in writing:
        lane.result()  # or why a call of it had none


def _by_lane(found: Sequence[MissingInvoice]) -> list[list[MissingInvoice]]:
    lanes: list[list[MissingInvoice]] = [[] for _ in _LANES]
    for account, some in map_reduce(found, lambda one: one.account).items():
        shortest = min(range(LANES), key=lambda lane: len(lanes[lane]))
        lanes[_lane_of.setdefault(account, shortest)] += some
    return lanes


def _write(
    lane: Sequence[MissingInvoice],
    known: Mapping[str, InvoiceLink],
    fields: Mapping[str, Any],
    gone: Collection[str],
    answered: list[Answered],
) -> None:
    """Write records by one call after another, until one has no answer, and add what came of each.

    Raises:
        TransientError: a call had no answer.
    """
    graphs = (
        (
            one.invoice,
            whole_nodes(
                one.invoice, known.get(one.invoice.stripe_id), one.lines, one.account, fields, gone
            ),
        )
        for one in lane
    )
    for some in constrained_batches(
        graphs, NODES, GRAPHS, get_len=lambda graph: len(graph[1]), strict=False
    ):
        answers = salesforce.client().write_graphs([nodes for _, nodes in some])
        answered += [(*graph, answer) for graph, answer in zip(some, answers, strict=True)]
