"""The four axes of an invoice's state, never squeezed into one field."""

from enum import StrEnum


def vanished_message(stripe_id: str, status: str) -> str:
    """Message where Stripe has no invoice, and the record says that it is no draft."""
    return (
        f"Stripe has no invoice {stripe_id}, but the record says that it is {status}, and Stripe "
        "never deletes such invoices: the id belongs to another account or mode, or was "
        "overwritten. Nothing was changed. Put the record's Stripe Invoice Id right, then sync it."
    )


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


DELETABLE = frozenset({Status.DRAFT, Status.DELETED})
"""Statuses of an invoice that may be gone from Stripe, which deletes drafts only.

Source: https://docs.stripe.com/api/invoices/delete
"""


class PaymentState(StrEnum):
    """Payment state of an invoice."""

    UNPAID = "Unpaid"
    PROCESSING = "Processing"
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
