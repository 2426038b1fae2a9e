"""Many drafts, written many in a call, each once; and what came of each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from more_itertools import chunked, constrained_batches

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import GRAPHS, NODES, GraphError, Record
from invoicing.domain.forms.outcomes import BulkOutcome
from invoicing.domain.model import markdown
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted, first_of
from invoicing.domain.salesforce import record
from invoicing.errors import Rejected
from invoicing.ledger import intents, timeline
from invoicing.ledger.intents import RAISE
from tasks.drafting.bulk_checks import BulkItem
from tasks.drafting.draft_record import draft_nodes, raised_entry, used_before_message
from tasks.records.locks import Lock
from tasks.records.soql_lists import select_in
from tasks.records.timeline import add_entries
from tasks.runtime.artifacts import publish_page, record_page
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step

DRAFT = Lock("these invoices")
"""Subjects are the keys that drafts are written under."""

MAX_REASONS_SHOWN = 5
"""Mistakes that the error itself names; the run's page names all."""


@dataclass(frozen=True, slots=True)
class RaiseResult:
    """The outcome of a requested invoice.

    Attributes:
        requested: The request.
        row: Its record; None where there is none.
        is_new: Whether this run raised it.
        problems: Why there is none.
    """

    requested: BulkItem
    row: Record | None = None
    is_new: bool = False
    problems: tuple[str, ...] = ()


@step("write the drafts")
def write_drafts(requested: Sequence[BulkItem], *, all_or_nothing: bool) -> list[RaiseResult]:
    """Write the drafts that are not there yet, each once for its key.

    What was written and is on no timeline is of a run that was killed; if it was not
    to stand alone, it is taken back.
    """
    keys = [one.key for one in requested if one.key]
    with DRAFT.held(*keys):
        there = _written(keys)
        before = _reported(there)
        wrong = {
            _name(one): one.problems for one in requested if one.problems and one.key not in there
        }
        edited = _edited(requested, there)
        wrong |= edited
        if not (wrong and all_or_nothing):
            new = [one for one in requested if one.draft and one.key not in there]
            asked = {one.key: one.asked for one in new if one.asked}
            intents.claim_anew(RAISE, asked, actor=run_id())
            wrong |= _write(new, together=all_or_nothing)
            there = _written(keys)
        if wrong and all_or_nothing:
            alone = [key for key, row in there.items() if key not in before and _untouched(row)]
            _take_back([there.pop(key) for key in alone], keys)
        add_entries([raised_entry(row["Id"], _total(row)) for row in there.values()])
    return [
        RaiseResult(
            one,
            row=None if one.key in edited else there.get(one.key),
            is_new=one.key not in before,
            problems=wrong.get(_name(one), ()),
        )
        for one in requested
    ]


def _edited(
    requested: Sequence[BulkItem], there: Mapping[str, Record]
) -> dict[str, tuple[str, ...]]:
    """Why invoices that were raised before are none of what is asked for now, by key."""
    asked = {one.key: one.asked for one in requested if one.asked and one.key in there}
    names = {key: there[key]["Name"] for key in intents.claimed_otherwise(RAISE, asked)}
    return {
        one.key: (f"{one.where}: {used_before_message(names[one.key])}",)
        for one in requested
        if one.key in names
    }


def _name(one: BulkItem) -> str:
    return one.key or one.where


def _written(keys: Iterable[str]) -> dict[str, Record]:
    """The records of keys, as far as they are there."""
    fields = (
        *("Id", "Name", record.LOCAL_KEY, record.STATUS, record.STRIPE_ID, record.TOTAL),
        *(record.CURRENCY, "Account__r.Name"),
    )
    found = select_in(record.INVOICE, record.LOCAL_KEY, keys, fields)
    return {row[record.LOCAL_KEY]: row for row in found}


def _total(row: Record) -> Money:
    return Money.of(record.number(row[record.TOTAL] or 0), row[record.CURRENCY])


def _reported(there: Mapping[str, Record]) -> set[str]:
    """The keys of records whose timelines have begun."""
    entries = {raised_entry(row["Id"], _total(row)).key: key for key, row in there.items()}
    return {entries[entry] for entry in timeline.known(entries)}


def _write(requested: Sequence[BulkItem], *, together: bool) -> dict[str, tuple[str, ...]]:
    """Write drafts, as many in a call as Salesforce takes; returns what it refused, and why.

    Args:
        requested: All with drafts.
        together: Those of one call are written all or none, and the first refusal is the last
            call.
    """
    refused: dict[str, tuple[str, ...]] = {}
    for batch in constrained_batches(
        requested,
        NODES,
        None if together else GRAPHS,
        get_len=lambda one: 1 + len(one.draft.content.lines if one.draft else ()),
        strict=False,
    ):
        named = {f"draft{number}": one for number, one in enumerate(batch)}
        graphs = [draft_nodes(one.draft, name) for name, one in named.items() if one.draft]
        if together:
            graphs = [[node for graph in graphs for node in graph]]
        for number, answer in enumerate(salesforce.client().write_graphs(graphs)):
            if not isinstance(answer, GraphError):
                continue
            if not isinstance(answer.error, Rejected):
                raise answer.error
            name = answer.reference.partition("_")[0] or f"draft{number}"
            one = named.get(name, batch[0])
            refused[_name(one)] = (f"{one.where}: {answer.error}",)
        if together and refused:
            break
    return refused


def _untouched(row: Record) -> bool:
    """Whether nobody has gone on with a draft."""
    return row[record.STATUS] == Status.DRAFT and not row[record.STRIPE_ID]


def _take_back(rows: Sequence[Record], keys: Sequence[str]) -> None:
    """Delete drafts that were not to stand alone, while the keys' leases are still ours."""
    for some in chunked(rows, NODES):
        DRAFT.keep(*keys)
        salesforce.client().write_graph(
            [
                record.subrequest("DELETE", f"{record.INVOICE}/{row['Id']}", f"back{number}")
                for number, row in enumerate(some)
            ]
        )


@step("publish the outcome of each row")
def publish_rows(results: Sequence[RaiseResult]) -> None:
    """Attach a table to the run: the outcome of each invoice that was asked for."""
    columns = ("Asked for in", "Invoice", "Account", ">Total", "Outcome")
    publish_page(
        "bulk-raise",
        markdown.table(columns, map(_row_of, results)),
        f"The outcome of {counted(len(results), 'invoice')} asked for.",
    )


def _row_of(one: RaiseResult) -> tuple[str, ...]:
    if one.row is None:
        return (one.requested.where, "", "", "", " ".join(one.problems) or "Not raised.")
    link = markdown.link(one.row["Name"], record_page(one.row["Id"]))
    ending = "Raised." if one.is_new else f"Was raised before; it is {one.row[record.STATUS]}."
    account = (one.row.get("Account__r") or {}).get("Name", "")
    return (one.requested.where, link, account, str(_total(one.row)), ending)


def outcome(results: Sequence[RaiseResult]) -> BulkOutcome:
    """The outcome of a bulk raise.

    Raises:
        Rejected: nothing was raised, and why.
    """
    there = [one.row for one in results if one.row]
    new = [one.row for one in results if one.row and one.is_new]
    before, not_raised = len(there) - len(new), len(results) - len(there)
    reasons = [reason for one in results if one.row is None for reason in one.problems]
    if reasons and not there:
        told = first_of(reasons, MAX_REASONS_SHOWN, ", all on the page bulk-raise of this run")
        raise Rejected(reasons, f"None of {counted(len(results), 'invoice')} was raised. {told}")
    sentence = f"{counted(len(new), 'draft')} raised over {_sums(new)}."
    if before:
        sentence += f" {counted(before, 'invoice')} had been raised before."
    if not_raised:
        sentence += (
            f" {counted(not_raised, 'invoice')} not raised; "
            "the page bulk-raise of this run says why."
        )
    return BulkOutcome(
        sentence=sentence,
        raised=len(new),
        there_before=before,
        not_raised=not_raised,
        names=[row["Name"] for row in there],
        reasons=reasons,
    )


def _sums(rows: Sequence[Record]) -> str:
    sums: dict[str, Money] = {}
    for amount in map(_total, rows):
        sums[amount.currency] = sums.get(amount.currency, Money(amount.currency, 0)) + amount
    return ", ".join(map(str, sums.values())) or "nothing"
