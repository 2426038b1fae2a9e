"""What came of bringing one invoice in step, in words and as the result of a flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from invoicing.connectors.salesforce import Record
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.model.status import SyncState
from invoicing.domain.model.wording import label
from invoicing.domain.salesforce import record
from invoicing.errors import InvoicingError, Rejected, TransientError, WriteRefused
from tasks.records.invoices import say_on_record, write_sync_message


@dataclass(frozen=True, slots=True)
class RefreshResult:
    """Outcome of refreshing one invoice."""

    stripe_id: str
    record_id: str | None = None
    name: str = ""
    account: str = ""
    changed: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    created: bool = False
    gone: bool = False
    status: str = ""
    number: str = ""
    total: str = ""
    amount_due: str = ""
    hosted_invoice_url: str = ""
    problem: str = ""
    transient: bool = False
    refused: bool = False
    note: str = ""

    @property
    def sentence(self) -> str:
        """The outcome in one sentence, and what Salesforce made of it in another."""
        return f"{self._outcome} {self.note}".rstrip()

    @property
    def may_pass(self) -> bool:
        """Whether the same may do better another time: the problem is not the invoice's own."""
        return self.transient or self.refused

    @property
    def _outcome(self) -> str:
        who = self.name or self.stripe_id
        if self.problem:
            return f"{who}: {self.problem}"
        if self.gone:
            return (
                f"{who} is neither in Stripe nor in Salesforce: a draft that was deleted, or an "
                "invoice of another account or mode."
            )
        if self.created:
            return f"{who} was made in Salesforce for Stripe's {self.stripe_id}."
        if record.STATUS in self.changed:
            before, after = self.changed[record.STATUS]
            return f"{who} moved from {before} to {after}."
        if self.changed:
            return f"{who} was brought up to date: {', '.join(map(label, self.changed))}."
        return f"{who} was in step already."


def to_outcome(change: RefreshResult) -> InvoiceOutcome:
    """A change as the result of a flow that was about nothing else; a problem is noted on it.

    Raises:
        Rejected: with the problem.
    """
    if change.problem and change.record_id and not change.refused:
        write_sync_message(change.record_id, SyncState.FAILED, change.problem)
    if change.problem:
        raise Rejected(change.sentence)
    return _outcome_of(change, change.sentence)


def outcome_of_act(change: RefreshResult, sentence: str) -> InvoiceOutcome:
    """The result of a flow that has done something in Stripe, which is done whatever came then.

    What its record does not show yet is said; Stripe's events bring it, as soon as Salesforce
    takes it.
    """
    more = change.note
    if change.problem:
        more = f"But the record in Salesforce does not show it yet: {change.problem}"
    if change.problem and change.record_id and not change.may_pass:
        say_on_record(change.record_id, {record.SYNC_MESSAGE: more[: record.MESSAGE_LENGTH]})
    return _outcome_of(change, f"{sentence} {more}".rstrip())


def _outcome_of(change: RefreshResult, sentence: str) -> InvoiceOutcome:
    return InvoiceOutcome(
        sentence=sentence,
        record_id=change.record_id or "",
        name=change.name,
        stripe_id=change.stripe_id,
        number=change.number,
        status=change.status,
        total=change.total,
        amount_due=change.amount_due,
        hosted_invoice_url=change.hosted_invoice_url,
        changes={label(name): f"{was} → {now}" for name, (was, now) in change.changed.items()},
    )


def failure(stripe_id: str, row: Record | None, error: InvoicingError) -> RefreshResult:
    """What came of an invoice whose record could not be brought in step."""
    return RefreshResult(
        stripe_id,
        record_id=row["Id"] if row else None,
        name=row["Name"] if row else "",
        **problem_of(error),
    )


def problem_of(error: InvoicingError | None) -> dict[str, Any]:
    """What an error says of a result, if there was one."""
    return {
        "problem": str(error or ""),
        "transient": isinstance(error, TransientError),
        "refused": isinstance(error, WriteRefused),
    }
