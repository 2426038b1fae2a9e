"""Mark what became overdue, and what no longer is."""

from invoicing.domain.forms.outcomes import Outcome
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.sync.overdue import find_wrong_overdue_marks, mark_all


@invoicing_flow("mark overdue invoices")
def mark_overdue() -> Outcome:
    """Mark open invoices as overdue when their due date has passed in the business's time zone.

    Each day a little after midnight. What is marked already costs nothing.
    """
    verify_environment()
    return Outcome(sentence=mark_all(find_wrong_overdue_marks()))
