"""Which invoices a run is about to send, or waits with for somebody's decision."""

from invoicing.connectors import prefect, salesforce
from invoicing.domain.model.record_ids import short
from invoicing.domain.salesforce import record
from invoicing.ledger.intents import SEND


def being_sent() -> set[str]:
    """What the runs of send-invoice that have not ended call their invoices."""
    return {_word(run.get("invoice")) for run in prefect.client().unfinished(SEND)}


def names(row: salesforce.Record) -> set[str]:
    """What a run may call the invoice of a record, which has its name and Stripe id with it."""
    known = (row["Id"], short(row["Id"]), row["Name"], row[record.STRIPE_ID])
    return {_word(name) for name in known if name}


def _word(name: object) -> str:
    """A name as it is compared: Salesforce finds records by their names in either case."""
    return str(name or "").strip().casefold()
