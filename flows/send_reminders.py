"""Remind customers of open invoices, as the business planned it."""

from invoicing.domain.forms.outcomes import Outcome
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.sending.reminders import plan_reminders, publish_reminders, remind_all


@invoicing_flow("send reminders")
def send_reminders() -> Outcome:
    """Have Stripe mail the reminders that are due today: days before and after the due date.

    Off until the settings name days. Each planned reminder is sent once, whatever happens to
    the run; none is sent of an invoice that is paid, void or disputed by then, or that was
    reminded of often enough. What a day of outage left out is sent within three days.
    """
    verify_environment()
    results = remind_all(plan_reminders())
    return Outcome(sentence=publish_reminders(results))
