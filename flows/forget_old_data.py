"""Delete what is old."""

from invoicing.domain.forms.outcomes import Outcome
from tasks.personal_data.retention import delete_old_reports, delete_old_runs, forget_texts
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("forget old data")
def forget_old_data() -> Outcome:
    """Delete texts, runs and reports whose time is over.

    Each night, and by hand. The settings say for how long each is kept. What is not over yet is
    kept, however old it is; so are ids, amounts and moments. Neither Stripe nor Salesforce is
    asked.
    """
    deleted = [forget_texts(), delete_old_runs(), delete_old_reports()]
    return Outcome(sentence=f"Deleted: {', '.join(deleted)}.")
