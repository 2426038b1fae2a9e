"""Outcomes of flow runs, for people and for programs."""

from typing import Self

from pydantic import BaseModel, Field

from invoicing.domain.model.invoice import Invoice


class Outcome(BaseModel):
    """Outcome of a flow run, in one sentence and in figures."""

    sentence: str = Field(description="What happened, for people.")


class InvoiceOutcome(Outcome):
    """Outcome of a flow run about one invoice."""

    record_id: str = Field("", description="The Salesforce record.")
    name: str = Field("", description="The record's name, such as INV-0042.")
    stripe_id: str = ""
    number: str = Field("", description="The number that the customer sees.")
    status: str = ""
    total: str = Field("", description="Amount and currency.")
    amount_due: str = Field("", description="What the customer is asked for.")
    hosted_invoice_url: str = ""
    changes: dict[str, str] = Field(
        default_factory=dict, description="What moved: field, from and to."
    )

    @classmethod
    def of_draft(cls, draft: Invoice, sentence: str, **changes: str) -> Self:
        """Outcome of a run that has written a draft."""
        return cls(
            sentence=sentence,
            record_id=draft.record_id,
            name=draft.name,
            status=draft.status,
            total=str(draft.total),
            changes=changes,
        )


class LinkOutcome(Outcome):
    """The outcome of linking Accounts and Stripe customers."""

    linked: int = 0
    not_linked: int = 0
    customers: list[str] = Field(
        default_factory=list, description="Stripe's ids in the order asked; empty: not linked."
    )
    reasons: list[str] = Field(default_factory=list, description="Why the others were not linked.")


class BulkOutcome(Outcome):
    """The outcome of many invoices that were asked for at once."""

    raised: int = 0
    there_before: int = Field(0, description="Raised by an earlier run.")
    not_raised: int = 0
    names: list[str] = Field(default_factory=list, description="The records, in the order asked.")
    reasons: list[str] = Field(default_factory=list, description="Why the others were not raised.")
