"""One customer: what is held of it is written down for it, or erased.

No step returns what it found, for Prefect would keep that as a result.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from platform import node

from prefect.client.orchestration import SyncPrefectClient, get_client

from invoicing.connectors import stripe
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import counted, first_of
from invoicing.domain.salesforce import record
from invoicing.errors import Rejected
from invoicing.ledger import personal_data
from tasks.personal_data import report_files, run_history
from tasks.personal_data.known_as import KnownAs, known_as
from tasks.personal_data.run_history import History
from tasks.records.locks import ACCOUNT, INVOICE
from tasks.runtime.step import step

BEGINNING = datetime(2011, 1, 1, tzinfo=UTC)
"""Stripe has no invoices from before."""

UNFINISHED = frozenset({Status.DRAFT, Status.OPEN})

MATTERS_SHOWN = 5


@step("write down what is held of {account_id}")
def export(account_id: str) -> str:
    """Write what is held here of a customer into a file; returns where that is."""
    known = known_as(account_id)
    with get_client(sync_client=True) as client:
        history = run_history.find(client, known)
        content = {
            "account": known.account_id,
            "exported": datetime.now(UTC),
            "ledger": personal_data.rows(known.ids),
            **run_history.as_json(client, history, known.mentions),
            "drift lists": report_files.rows(known.mentions),
        }
    return f"{report_files.write_export(known.account_id, content)} on {node()}"


@step("erase {account_id}")
def erase(account_id: str) -> str:
    """Erase a customer wherever it is found here, while no other run works on it.

    The ledger comes last, for by its rows the rest is found: a run that dies in between is begun
    again, and erases what is left.

    Returns:
        How much this attempt has erased, in words.

    Raises:
        Rejected: something of it is not over; nothing was erased.
        Busy: a run works on it at this moment.
    """
    first = known_as(account_id)
    invoices = first.ids - first.customers - {first.account_id}
    with (
        ACCOUNT.held(first.account_id),
        INVOICE.held(*invoices),
        get_client(sync_client=True) as client,
    ):
        return _erase(client, known_as(account_id))


def _erase(client: SyncPrefectClient, known: KnownAs) -> str:
    history = run_history.find(client, known)
    _check_nothing_is_open(known, history)
    run_history.delete(client, history)
    erased = (
        (len(history.runs), "run", ", with logs and pages"),
        (len(history.pages), "page", " of other runs"),
        (run_history.delete_results(known.mentions), "result", " of steps"),
        (report_files.delete_rows(known.mentions), "line", " of drift lists"),
        (report_files.delete_exports(known.account_id), "export", ""),
        (sum(personal_data.erase(known.ids).values()), "row", " of the ledger"),
    )
    told = [f"{counted(number, what)}{where}" for number, what, where in erased if number]
    return ", ".join(told) or "nothing, for nothing was left"


def _check_nothing_is_open(known: KnownAs, history: History) -> None:
    matters = [
        *open_invoices(known),
        *personal_data.open_matters(known.ids),
        *history.unfinished,
    ]
    if matters:
        told = first_of(matters, MATTERS_SHOWN)
        raise Rejected(matters, f"Nothing was erased of {known.account_id}. {told}")


def open_invoices(known: KnownAs) -> Iterator[str]:
    """Invoices that are drafts or not paid yet, on either side, each a sentence."""
    for customer in sorted(known.customers):
        for invoice in stripe.client().invoices_of(customer, BEGINNING):
            status = Status.of_stripe(str(invoice["status"]))
            if status in UNFINISHED:
                yield _sentence(f"{invoice['id']} in Stripe", status)
    for row in known.records:
        if row[record.STATUS] in UNFINISHED and not row["IsDeleted"]:
            yield _sentence(row["Name"], Status(row[record.STATUS]))


def _sentence(name: str, status: Status) -> str:
    if status is Status.DRAFT:
        return f"{name} is a draft: send it, or delete it."
    return f"{name} is open: it has to be paid, void or written off."
