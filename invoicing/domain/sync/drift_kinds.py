"""Drift: in which ways Salesforce and Stripe can differ about an invoice."""

from enum import StrEnum


class Kind(StrEnum):
    """Kind of drift; the first that applies."""

    CONFLICT = "conflict"
    DUPLICATE = "duplicate"
    STATUS = "status"
    AMOUNT = "amount"
    PAYMENT_STATE = "payment state"
    NUMBER = "number"
    OVERDUE = "overdue"
    DETAILS = "details"
    LINES = "lines"
    FAILED_WRITE = "failed write"
    MISSING_IN_SALESFORCE = "missing in Salesforce"
    UNLINKED_CUSTOMER = "unlinked customer"
    MISSING_IN_STRIPE = "missing in Stripe"
    DELETED = "deleted"


KINDS_FOR_PEOPLE = frozenset([Kind.CONFLICT, Kind.DUPLICATE, Kind.UNLINKED_CUSTOMER])
"""Kinds that a person has to decide; they are listed, and nothing is written."""

BULK_REPAIRABLE_KINDS = frozenset(
    [Kind.STATUS, Kind.AMOUNT, Kind.PAYMENT_STATE, Kind.NUMBER, Kind.OVERDUE, Kind.DETAILS]
)
"""Kinds that can be repaired many at once: both sides exist and are linked."""
