"""The four axes of an invoice's state, never squeezed into one field."""

from enum import StrEnum


class Status(StrEnum):
    """Stripe's status of an invoice, and the tombstone of a deleted draft.

    Values are Salesforce's picklist labels.
    """

    DRAFT = "Draft"
    OPEN = "Open"
    PAID = "Paid"
    UNCOLLECTIBLE = "Uncollectible"
    VOID = "Void"
    DELETED = "Deleted"

    @classmethod
    def of_stripe(cls, status: str) -> "Status":
        """Read Stripe's lower-case status; raises ValueError for one that Stripe lacks."""
        return cls(status.capitalize())


class PaymentState(StrEnum):
    """Where the money of an invoice stands."""

    UNPAID = "Unpaid"
    PARTLY_PAID = "Partly Paid"
    PAID = "Paid"
    OVERPAID = "Overpaid"
    PARTLY_REFUNDED = "Partly Refunded"
    REFUNDED = "Refunded"
    DISPUTED = "Disputed"


class SyncState(StrEnum):
    """Whether the Salesforce record and Stripe agree."""

    CLEAN = "Clean"
    PENDING = "Pending"
    FAILED = "Failed"
    CONFLICT = "Conflict"
