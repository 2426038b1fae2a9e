"""The buttons of an invoice's page: which deployment each starts, and what it asks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.datastructures import FormData

from sandbox.salesforce.store import Row

FINALIZED = frozenset(["Open", "Paid", "Uncollectible", "Void"])
OWED = frozenset(["Open", "Uncollectible"])


@dataclass(frozen=True)
class Field:
    """One field of a button's form, named like the flow's parameter."""

    name: str
    label: str
    kind: Literal["text", "date", "choice", "tick", "lines"] = "text"
    help: str = ""
    choices: tuple[str, ...] = ()
    """The first one is offered."""


@dataclass(frozen=True)
class Button:
    """A button on an invoice's page.

    Attributes:
        name: In the path.
        label: What it says.
        deployment: What it starts.
        shown: In which states of an invoice; empty for all.
        explained: What its form says; without that, there is no form.
        fields: What its form asks.
        request: The flow takes a request id.
    """

    name: str
    label: str
    deployment: str
    shown: frozenset[str] = frozenset()
    explained: str = ""
    fields: tuple[Field, ...] = ()
    request: bool = False

    def is_shown(self, row: Row) -> bool:
        """Whether an invoice's page has it now."""
        return not self.shown or row["Status__c"] in self.shown

    def parameters(self, form: FormData, lines: Sequence[Row]) -> dict[str, Any]:
        """What was filled in, as the flow takes it; empty fields are left out."""
        given: dict[str, Any] = {"request_id": str(form["token"])} if self.request else {}
        for field in self.fields:
            text = str(form.get(field.name, "")).strip()
            if field.kind == "tick":
                given[field.name] = field.name in form
            elif field.kind == "lines":
                given[field.name] = _amounts(form, lines)
            elif text:
                given[field.name] = text
        return {name: value for name, value in given.items() if value != []}


def _amounts(form: FormData, lines: Sequence[Row]) -> list[dict[str, Any]]:
    """What was written beside each line."""
    amounts = {int(line["Position__c"] or 0): str(form.get(line["Id"], "")) for line in lines}
    return [
        {"line": position, "amount": amount.strip()}
        for position, amount in amounts.items()
        if amount.strip()
    ]


BUTTONS = {
    button.name: button
    for button in (
        Button("send", "Send To Customer", "send-invoice"),
        Button("sync", "Sync Invoice", "sync-invoice"),
        Button("resend", "Resend", "resend-invoice", frozenset(["Open", "Paid"]), request=True),
        Button(
            "record-payment",
            "Record Payment",
            "record-payment",
            OWED,
            "Money that came in outside Stripe.",
            (
                Field("amount", "Amount", help="Empty: all that remains to be paid."),
                Field("received_on", "Received on", "date", "Empty: today."),
                Field(
                    "paid_by",
                    "Paid by",
                    "choice",
                    choices=("bank transfer", "cheque", "cash", "other"),
                ),
                Field("reference", "Reference", help="The bank's reference, the cheque's number."),
            ),
            request=True,
        ),
        Button(
            "credit",
            "Credit",
            "credit-invoice",
            FINALIZED - {"Void"},
            "A credit note lowers what remains to be paid; what was paid already is given back.",
            (
                Field("amount", "Amount", help="Tax included. Empty: all, or the lines below."),
                Field("lines", "By line, before tax", "lines"),
                Field(
                    "give_back",
                    "What was paid goes back as",
                    "choice",
                    choices=("nothing", "refund", "customer balance", "out of band"),
                ),
                Field(
                    "reason",
                    "Reason",
                    "choice",
                    choices=(
                        "other",
                        "duplicate",
                        "fraudulent",
                        "order change",
                        "product unsatisfactory",
                    ),
                ),
                Field("memo", "Memo", help="The customer reads it on the credit note."),
                Field("mail_customer", "Mail the credit note to the customer", "tick"),
            ),
            request=True,
        ),
        Button(
            "replace",
            "Replace",
            "replace-invoice",
            OWED,
            "A new draft with the same content. This invoice becomes void when that one is sent.",
            (Field("due_date", "Due date", "date", "Empty: the same as before."),),
            request=True,
        ),
        Button(
            "write-off",
            "Write Off",
            "write-off-invoice",
            frozenset(["Open"]),
            "The money is not expected any more. The invoice can still be paid or replaced.",
        ),
        Button(
            "void",
            "Void",
            "void-invoice",
            OWED,
            "The invoice need not be paid. That is final.",
        ),
    )
}
"""All buttons, in the order in which they stand on the page."""
