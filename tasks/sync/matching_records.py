"""The records of some invoices, and what is wrong with the ids that they name."""

from collections.abc import Mapping, Sequence

from invoicing.connectors.salesforce import Record
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import any_of, is_in
from invoicing.ledger import links
from tasks.records.linked_invoice import other_invoice
from tasks.records.record_writer import read_states


def matching_records(
    stripe_ids: Sequence[str], subjects: Mapping[str, str]
) -> dict[str, tuple[Record, str]]:
    """Salesforce's side, by Stripe id: an invoice's record, and what is wrong with their ids.

    The record is the one that the ledger or the invoice itself names; where neither does, or it was
    deleted, the one that has the Stripe id.
    """
    if not stripe_ids:
        return {}
    record_ids = {subjects[i]: i for i in stripe_ids if subjects[i] != i}
    named = any_of(
        is_in(record.STRIPE_ID, stripe_ids), is_in("Id", record_ids) if record_ids else None
    )
    found = read_states(named)
    claiming = {row[record.STRIPE_ID]: row for row in found}
    linked = {record_ids[row["Id"]]: row for row in found if row["Id"] in record_ids}
    own = links.stripe_ids(row["Id"] for row in found)
    return {
        id_: (row, _mistaken_id(id_, row, claiming.get(id_, row), own.get(row["Id"])))
        for id_, row in (claiming | linked).items()
        if id_ in stripe_ids
    }


def _mistaken_id(stripe_id: str, row: Record, claiming: Record, own: str | None) -> str:
    """Why a record's Stripe id, or another's, is a mistake; empty where it is none."""
    if claiming["Id"] != row["Id"]:
        return (
            f"{claiming['Name']} has its Stripe id {stripe_id} in Salesforce. Nothing was written. "
            "Put the field Stripe Invoice Id right on both records, then sync again."
        )
    said = row[record.STRIPE_ID]
    if own and said and own != said:
        return other_invoice(row["Name"], own, said)
    return ""
