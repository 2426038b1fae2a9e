"""Send the drafts whose sending date has come."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.model.wording import counted
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.sending.approval import mark_expired
from tasks.sending.scheduled import start_sending


@invoicing_flow("send scheduled drafts")
def send_scheduled() -> Outcome:
    """Start send-invoice for every draft whose sending date is today or has passed.

    The date is the business's. Each draft is started once; one that could not be sent is tried
    again once a day, and its record says why. Drafts that nobody approved in time are reported.
    """
    verify_environment()
    expired = mark_expired()
    due, started = start_sending()
    sentence = f"The day of {counted(due, 'draft')} has come; {counted(started, 'run')} started."
    if expired:
        sentence += f" {counted(expired, 'approval')} expired."
    return Outcome(sentence=sentence)
