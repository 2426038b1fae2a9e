"""Show people where to begin."""

from invoicing.domain.forms.outcomes import Outcome
from tasks.installation.overview import update_overview
from tasks.installation.run_durations import count_runs
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("overview")
def overview() -> Outcome:
    """Bring the page *overview* up to date: where to begin.

    It shows what waits for an answer and how to answer it, what failed and why, a link to each
    form, and the newest reports. Every five minutes, and by hand. Neither Stripe nor Salesforce
    is asked, so that it is there when they are away. The runs that are over are counted, for the
    receiver's metrics.
    """
    sentence = update_overview()
    count_runs()
    return Outcome(sentence=sentence)
