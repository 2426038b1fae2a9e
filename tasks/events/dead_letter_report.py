"""The page of dead letters: events that are not retried by themselves."""

from collections.abc import Sequence

from invoicing.domain.model import markdown
from invoicing.domain.model.dates import written_moment
from invoicing.domain.model.wording import counted
from invoicing.ledger import inbox, stream_positions
from invoicing.ledger.models import Event
from invoicing.settings import settings
from tasks.runtime.announcements import DEAD_LETTERS, announce
from tasks.runtime.artifacts import publish_page, stripe_page

ARTIFACT_KEY = "dead-letters"
MAX_ROWS_SHOWN = 500
"""Rows of the page; more than anybody reads."""

NEXT_STEPS = """Put right what a reason names, then start
**replay-events**: its form begins with all dead letters chosen, and takes the ids of some.
From a command line:

```
prefect deployment run replay-events/replay-events --param event_ids='["{example}"]'
```"""


def publish_dead_letters() -> int:
    """Bring the list up to date, and announce what is new on it; returns how many there are."""
    account = settings().stripe.account_id
    changed, died = inbox.dead_letters_changed_at(account), inbox.last_dead_at(account)
    before = stream_positions.cursor(_cursor(account))
    dead = inbox.dead_letters(account)
    publish_page(ARTIFACT_KEY, dead_letter_page(dead), "Events that are not retried by themselves.")
    if died and (before is None or died > before):
        announce(DEAD_LETTERS, f"{counted(len(dead), 'event')} could not be processed.")
    if changed:
        stream_positions.move_cursor(_cursor(account), changed)
    return len(dead)


def publish_new_dead_letters() -> None:
    """Bring the list up to date if an event has died since it was written, or was closed."""
    account = settings().stripe.account_id
    newest, published = (
        inbox.dead_letters_changed_at(account),
        stream_positions.cursor(_cursor(account)),
    )
    if newest and (published is None or newest > published):
        publish_dead_letters()


def dead_letter_page(dead: Sequence[Event]) -> str:
    """Page of the events that could not be processed, with reasons and next steps, newest first."""
    if not dead:
        return "# Dead letters\n\nThere are none: every event was processed or will be retried."
    columns = ("event", "type", "invoice", "happened (UTC)", ">tries", "reason")
    rows = markdown.table(columns, map(_row, dead[:MAX_ROWS_SHOWN]))
    more = (
        f"\n\n… and {len(dead) - MAX_ROWS_SHOWN:,} older ones."
        if len(dead) > MAX_ROWS_SHOWN
        else ""
    )
    return (
        f"# Dead letters\n\n{counted(len(dead), 'event')} could not be processed. "
        f"{NEXT_STEPS.format(example=dead[0].event_id)}\n\n"
        f"{rows}{more}"
    )


def _row(event: Event) -> tuple[object, ...]:
    return (
        markdown.link(event.event_id, stripe_page("events", event.event_id)),
        event.type,
        markdown.link(event.invoice_id, stripe_page("invoices", event.invoice_id or "")),
        written_moment(event.occurred_at),
        max(event.failures, event.attempts),
        event.reason or "",
    )


def _cursor(account: str) -> str:
    return f"{ARTIFACT_KEY}:{account}"
