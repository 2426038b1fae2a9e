"""A full sync that would change a large share of all invoices waits for a person's approval.

A wrong key or mapping must not rewrite an org.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prefect.logging import get_run_logger
from prefect.runtime import deployment

from invoicing.domain.forms.approval import Decision, decide_on
from invoicing.domain.forms.dialogue import question_text
from invoicing.domain.model import markdown
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.errors import Rejected
from invoicing.ledger import drift, staging
from invoicing.ledger.models import SyncRun
from invoicing.settings import settings
from tasks.full_sync.drift_report import publish_drift
from tasks.runtime.prompts import Prompts

MAX_UNAPPROVED_CHANGES = 50
"""So few changes are never a wrong key or mapping at work."""


@dataclass(frozen=True, slots=True)
class _LargeChange:
    """More than may be changed without asking."""

    kinds: dict[Kind, int]
    total: int
    allowed: float

    @property
    def changing(self) -> int:
        return sum(self.kinds.values())

    @property
    def words(self) -> str:
        return (
            f"{self.changing:,} of {self.total:,} invoices would be changed, more than the "
            f"{self.allowed:.0%} that need no approval"
        )


def await_approval(sync: SyncRun, only: Sequence[Kind], approve_above: float) -> str | None:
    """Let a full sync that would change much go on only with a person's approval.

    The drift report is published first. A run of a deployment is suspended until there is a
    decision, and then goes on with what it has read; the approval counts for that only.

    Returns:
        The outcome if it was declined; None if the sync may go on.

    Raises:
        Rejected: there is nobody to ask, because this run is of no deployment.
    """
    change = _large_change(sync, only, approve_above)
    if change is None:
        return None
    prompts = Prompts(f"consent-{sync.started_at:%Y%m%d%H%M%S}")
    if not prompts.has_later_answer():
        publish_drift(sync)
    if deployment.id is None:
        raise Rejected(_next_steps(change))
    decision = prompts.run(decide_on(partial(_question, change), settings().approval.approvers))
    get_run_logger().info("%s: %s by %s.", change.words, decision.status.lower(), decision.by)
    return None if decision.approved else _declined(change, decision)


def _large_change(sync: SyncRun, only: Sequence[Kind], approve_above: float) -> _LargeChange | None:
    """The change, if it is too large to be made without approval."""
    kinds = {kind: count for kind, count in drift.kinds(sync.id).items() if kind in only}
    change = _LargeChange(kinds, max(1, *staging.counts()), approve_above)
    few = (
        change.changing <= MAX_UNAPPROVED_CHANGES or change.changing <= approve_above * change.total
    )
    return None if few else change


def _next_steps(change: _LargeChange) -> str:
    share = min(1.0, change.changing / change.total + 0.01)
    return (
        f"{change.words}; nothing was written. Look at the drift report; if it is right, run "
        f"again within twelve hours with approve_above = {share:.2f}. What was read is kept."
    )


def _question(change: _LargeChange, reason: str) -> str:
    rows = [(kind, f"{count:,}") for kind, count in change.kinds.items()]
    return question_text(
        f"May {change.changing:,} invoices be changed in Salesforce?",
        f"{change.words}. A wrong key or field mapping looks like this; the run's drift report "
        "says what differs.",
        markdown.table(("kind", ">count"), rows),
        reason=reason,
    )


def _declined(change: _LargeChange, decision: Decision) -> str:
    return (
        f"{change.changing:,} of {change.total:,} invoices differ, and nothing was written: "
        f"{decision.by} declined it, saying: {decision.comment}"
    )
