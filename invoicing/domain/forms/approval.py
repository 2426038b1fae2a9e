"""Approval: whether an invoice may be sent is asked of a person, and what the answer means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, Field

from invoicing.domain.forms.dialogue import (
    Dialogue,
    Question,
    choice,
    form_model,
    question_text,
)
from invoicing.domain.model import markdown
from invoicing.domain.model.amount_due import AmountDue, due_rows
from invoicing.domain.model.invoice import Invoice
from invoicing.domain.model.money import exponent, shown

APPROVE, DECLINE = "Approve", "Decline"
WAITING, APPROVED, DECLINED, EXPIRED = "Waiting", "Approved", "Declined", "Expired"


@dataclass(frozen=True, slots=True)
class Decision:
    """An approver's decision."""

    approved: bool
    by: str
    comment: str = ""

    @property
    def status(self) -> str:
        """As Salesforce's picklist has it."""
        return APPROVED if self.approved else DECLINED


def decide(
    invoice: Invoice, asked: AmountDue, why: str, approvers: Sequence[str]
) -> Dialogue[Decision]:
    """Ask until somebody who may has approved or declined that an invoice is sent.

    Args:
        invoice: What is to be sent.
        asked: What the customer would be asked for.
        why: Why somebody has to decide.
        approvers: Who may decide; empty for anybody who gives a name.
    """
    return decide_on(lambda reason: _text(invoice, asked, why, reason), approvers)


def decide_on(text: Callable[[str], str], approvers: Sequence[str]) -> Dialogue[Decision]:
    """Ask until somebody who may has approved or declined.

    Args:
        text: The question, with the reason why it is asked again, or nothing.
        approvers: Who may decide; empty for anybody who gives a name.
    """
    reason = ""
    while True:
        answer = yield Question(text(reason), _form(approvers))
        verdict, by = str(answer.get("decision", "")), str(answer.get("approver", "")).strip()
        comment = str(answer.get("comment", "")).strip()
        if not by:
            reason = "The approver's name is missing."
        elif approvers and by not in approvers:
            reason = f"{by} may not approve; {', '.join(approvers)} may."
        elif verdict == DECLINE and not comment:
            reason = "Say in the comment why it is declined."
        else:
            return Decision(verdict == APPROVE, by, comment)


def _text(invoice: Invoice, asked: AmountDue, why: str, reason: str) -> str:
    rows: list[tuple[object, ...]] = [
        (
            number,
            line.label,
            shown(line.quantity),
            shown(line.unit_price, exponent(invoice.currency)),
            line.net(invoice.currency),
        )
        for number, line in enumerate(invoice.lines, 1)
    ]
    rows.append(("", "Total before tax", "", "", invoice.total))
    rows += [("", what, "", "", amount) for what, amount in due_rows(asked)]
    return question_text(
        f"May {invoice.name} be sent to {invoice.account.name}?",
        f"{invoice.description} · {invoice.due_words} · to {invoice.email}",
        why,
        markdown.table(markdown.LINE_COLUMNS, rows),
        reason=reason,
    )


def _form(approvers: Sequence[str]) -> type[BaseModel]:
    who = choice(approvers) if approvers else str
    comment = "Kept with the decision; needed for declining."
    return form_model(
        "Approval",
        decision=(choice([APPROVE, DECLINE]), Field(title="Decision")),
        approver=(who, Field(title="Your name", min_length=1)),
        comment=(str, Field("", title="Comment", description=comment)),
    )
