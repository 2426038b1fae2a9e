"""A request: what somebody asked for on an invoice in Salesforce, and what came of it.

The record is written by the package's buttons. Whoever asked is who created it, which the platform
says; users can neither change nor delete it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from invoicing.domain.model.wording import counted
from invoicing.errors import Rejected

REQUEST = "Stripe_Invoice_Request__c"

ACTION = "Action__c"
INVOICE = "Invoice__c"
OPEN_KEY = "Open_Key__c"
OUTCOME = "Outcome__c"
PARAMETERS = "Parameters__c"
RUN_URL = "Run_URL__c"
STATE = "State__c"
FIELDS = ("Id", ACTION, INVOICE, OPEN_KEY, PARAMETERS, "CreatedById", "CreatedDate")
"""What is read of a request that waits."""

OUTCOME_LENGTH = 4000

ANSWER_NOTIFICATION = "Invoice_Request"
"""The type of notification by which whoever asked is told that nothing came of it."""

APPROVAL_NOTIFICATION, APPROVERS = "Invoice_Approval", "Invoice_Approvers"
"""How those who approve are told, and the public group that they are in. Who has a permission only
View Setup may ask, which our user does without. Source: Object Reference,
"PermissionSetAssignment"."""


class RequestState(StrEnum):
    """State of a request; refused is what a person has to change something about."""

    QUEUED = "Queued"
    RUNNING = "Running"
    DONE = "Done"
    REFUSED = "Refused"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Action:
    """What can be asked for.

    Attributes:
        flow: The flow that does it.
        parameters: Those of the flow that a request can give.
        once: The flow does the same request once, and takes its id.
        decides: An approver's decision. The flow reads it from the request itself, which alone says
            who made it; nothing else that people or programs can write is a request for it.
    """

    flow: str
    parameters: tuple[str, ...] = ()
    once: bool = False
    decides: bool = False


APPROVE, REJECT = "Approve", "Reject"

ACTIONS: Mapping[str, Action] = {
    "Send": Action("send-invoice", ("small_amount_is_meant",)),
    "Sync": Action("sync-invoice"),
    "Preview": Action("preview-invoice"),
    "Resend": Action("resend-invoice", once=True),
    "Void": Action("void-invoice"),
    "Write Off": Action("write-off-invoice"),
    "Record Payment": Action(
        "record-payment", ("amount", "received_on", "paid_by", "reference"), once=True
    ),
    "Credit": Action(
        "credit-invoice", ("amount", "lines", "give_back", "reason", "memo"), once=True
    ),
    "Replace": Action("replace-invoice", once=True),
    "Clone": Action("clone-invoice", once=True),
    "Delete": Action("delete-draft"),
    APPROVE: Action("send-invoice", ("approval_key", "comment"), once=True, decides=True),
    REJECT: Action("reject-invoice", ("approval_key", "comment"), once=True, decides=True),
}
"""By the value of the action field on requests; an invoice asks for no decision and no credit."""


TICKED = frozenset({"small_amount_is_meant"})
"""The parameters that are a tick."""


def run_parameters(
    request_id: str, action: str, invoice_id: str | None, key: str | None, given: str
) -> dict[str, Any]:
    """What the flow of a request is to be run with.

    Args:
        request_id: The request's record id.
        action: What is asked for.
        invoice_id: The invoice's record id; None once it was deleted.
        key: What the request has as the key that keeps it the only open one.
        given: Parameters as text: on each line a name, a colon, a value. Empty values are left out.
            Lines of an invoice stand behind each other, as in ``1; 2 quantity 3; 4 amount 50.00``.

    Raises:
        Rejected: with every reason.
    """
    if action not in ACTIONS:
        raise Rejected(f"Nothing is known here that is called {action}.")
    if not invoice_id:
        raise Rejected("The invoice was deleted before this was taken up.")
    if key != open_key(invoice_id, action):
        raise Rejected(
            f"This request lacks its Open Key, which keeps {action} from being asked for twice. "
            f"Press the button on the invoice instead."
        )
    asked = ACTIONS[action]
    read, wrong = _read(given)
    unknown = [name for name in read if name not in asked.parameters]
    if unknown:
        takes = ", ".join(asked.parameters) or "no parameters"
        wrong.append(f"{action} does not take {', '.join(unknown)}; it takes {takes}.")
    lines: dict[str, Any] = {}
    if "lines" in read and "lines" in asked.parameters:
        lines["lines"] = [_line(part, wrong) for part in read["lines"].split(";") if part.strip()]
    ticked = {name: _ticked(name, read[name], wrong) for name in TICKED & read.keys()}
    if wrong:
        raise Rejected(wrong)
    own = {"request_id": request_id} if asked.once else {}
    return {"invoice": invoice_id} | own | ({} if asked.decides else read | lines | ticked)


def read_parameters(given: str) -> dict[str, str]:
    """The parameters of a request that was accepted."""
    return _read(given)[0]


def _read(given: str) -> tuple[dict[str, str], list[str]]:
    """The parameters of a text that are not empty, and what is wrong with its other lines."""
    pairs = [line.partition(":") for line in given.splitlines() if line.strip()]
    strange = [name.strip() for name, colon, _ in pairs if not colon]
    wrong = f"{counted(len(strange), 'parameter')} without a value: {', '.join(strange)}. "
    wrong += "Write a name, a colon and a value on each line."
    values = {name.strip(): value.strip() for name, colon, value in pairs if colon}
    return {name: value for name, value in values.items() if value}, [wrong] if strange else []


def _line(text: str, wrong: list[str]) -> dict[str, Any]:
    """One line that is credited; adds to what is wrong."""
    match text.split():
        case [line] if line.isdecimal():
            return {"line": int(line)}
        case [line, ("quantity" | "amount") as what, number] if line.isdecimal():
            return {"line": int(line), what: number}
    wrong.append(
        f"A line is written as 1, as 1 quantity 3, or as 1 amount 50.00, not as {text.strip()}."
    )
    return {}


def _ticked(name: str, text: str, wrong: list[str]) -> bool:
    """Whether something is meant; adds to what is wrong."""
    if text not in {"true", "false"}:
        wrong.append(f"{name} is written as true or false, not as {text}.")
    return text == "true"


def open_key(invoice_id: str, action: str) -> str:
    """What an open request has in its unique field, so that there is one for each action."""
    return f"{invoice_id}:{action}"


def answer(state: RequestState, sentence: str, run_url: str | None) -> dict[str, Any]:
    """The fields of a request that is closed; the same may be asked for again then."""
    said = {STATE: state, OUTCOME: sentence[:OUTCOME_LENGTH], OPEN_KEY: None}
    return said | ({RUN_URL: run_url} if run_url and len(run_url) <= 255 else {})
