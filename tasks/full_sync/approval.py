"""A full sync that would change a large share of all invoices waits for a person's consent.

A wrong key or mapping must not rewrite an org.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from prefect.logging import get_run_logger
from prefect.runtime import deployment

from invoicing.domain.forms.approval import Decision, decide_on
from invoicing.domain.forms.wizard import asked
from invoicing.domain.sync.drift import Kind
from invoicing.errors import Rejected
from invoicing.ledger import drift, staging
from invoicing.ledger.models import SyncRun
from invoicing.settings import settings
from tasks.full_sync.drift_report import publish_drift
from tasks.runtime.prompts import Prompts

A_FEW = 50
"""So few changes are never a wrong key or mapping at work."""


@dataclass(frozen=True, slots=True)
class _Much:
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


def await_consent(sync: SyncRun, only: Sequence[Kind], approve_above: float) -> str | None:
    """Let a full sync that would change much go on only with a person's consent.

    The drift report is published first. A run of a deployment is suspended until there is a
    decision, and then goes on with what it has read; the consent counts for that only.

    Returns:
        What came of it if it was declined; None if the sync may go on.

    Raises:
        Rejected: there is nobody to ask, because this run is of no deployment.
    """
    much = _much(sync, only, approve_above)
    if much is None:
        return None
    prompts = Prompts(f"consent-{sync.started_at:%Y%m%d%H%M%S}")
    if not prompts.has_later_answer():
        publish_drift(sync)
    if deployment.id is None:
        raise Rejected(_how_to_go_on(much))
    decision = prompts.run(decide_on(partial(_question, much), settings().approval.approvers))
    get_run_logger().info("%s: %s by %s.", much.words, decision.status.lower(), decision.by)
    return None if decision.approved else _declined(much, decision)


def _much(sync: SyncRun, only: Sequence[Kind], approve_above: float) -> _Much | None:
    """What would be changed, if it is too much to change it unasked."""
    kinds = {kind: count for kind, count in drift.kinds(sync.id).items() if kind in only}
    much = _Much(kinds, max(1, *staging.counts()), approve_above)
    few = much.changing <= A_FEW or much.changing <= approve_above * much.total
    return None if few else much


def _how_to_go_on(much: _Much) -> str:
    share = min(1.0, much.changing / much.total + 0.01)
    return (
        f"{much.words}; nothing was written. Look at the drift report; if it is right, run "
        f"again within twelve hours with approve_above = {share:.2f}. What was read is kept."
    )


def _question(much: _Much, reason: str) -> str:
    rows = [f"| {kind} | {count:,} |" for kind, count in much.kinds.items()]
    return asked(
        f"May {much.changing:,} invoices be changed in Salesforce?",
        f"{much.words}. A wrong key or field mapping looks like this; the run's drift report "
        "says what differs.",
        "\n".join(["| kind | count |", "|---|---:|", *rows]),
        reason=reason,
    )


def _declined(much: _Much, decision: Decision) -> str:
    return (
        f"{much.changing:,} of {much.total:,} invoices differ, and nothing was written: "
        f"{decision.by} declined it, saying: {decision.comment}"
    )
