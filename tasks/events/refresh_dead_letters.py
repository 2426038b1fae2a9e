"""Once more a night: the invoices that dead letters are about."""

from more_itertools import chunked
from prefect.logging import get_run_logger

from invoicing.errors import TransientError
from invoicing.ledger import inbox
from invoicing.settings import settings
from tasks.events.dead_letter_report import publish_new_dead_letters
from tasks.runtime.step import step
from tasks.sync.refresh import refresh

AT_A_TIME = 500


@step("look at the invoices of dead letters again")
def retry_dead_letters() -> None:
    """Refresh what dead letters are about, payments too; those that succeed are closed by it."""
    dead = inbox.dead_letters(settings().stripe.account_id)
    for some in chunked(sorted({e.invoice_id for e in dead if e.invoice_id}), AT_A_TIME):
        try:
            changes = refresh(some, reread_payments=some)
        except TransientError as error:
            get_run_logger().warning("Dead letters are left as they are: %s", error)
            continue
        for change in changes:
            if change.problem:
                get_run_logger().warning(change.sentence)
    publish_new_dead_letters()
