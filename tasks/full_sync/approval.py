"""A full sync that would change a large share of all invoices waits for a person's approval.

A wrong key or mapping must not rewrite an org.
"""

from collections.abc import Mapping, Sequence
from functools import partial

from prefect.logging import get_run_logger
from prefect.runtime import deployment

from invoicing.domain.forms.approval import decide_on
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


def await_approval(sync: SyncRun, only: Sequence[Kind], approve_above: float) -> str | None:
    """Let a full sync that would change much go on only with a person's approval.

    The drift report is published first. A run of a deployment is suspended until there is a
    decision, and then goes on with what it has read; the approval counts for that only.

    Returns:
        The outcome if it was declined; None if the sync may go on.

    Raises:
        Rejected: there is nobody to ask, because this run is of no deployment.
    """
    kinds = {kind: count for kind, count in drift.kinds(sync.id).items() if kind in only}
    changing, total = sum(kinds.values()), max(1, *staging.counts())
    if changing <= max(MAX_UNAPPROVED_CHANGES, approve_above * total):
        return None
    change = (
        f"{changing:,} of {total:,} invoices would be changed, more than the {approve_above:.0%} "
        "that need no approval"
    )
    prompts = Prompts(f"consent-{sync.started_at:%Y%m%d%H%M%S}")
    if not prompts.has_later_answer():
        publish_drift(sync)
    if deployment.id is None:
        share = min(1.0, changing / total + 0.01)
        raise Rejected(
            f"{change}; nothing was written. Look at the drift report; if it is right, run again "
            f"within twelve hours with approve_above = {share:.2f}. What was read is kept."
        )
    question = partial(_question, change, kinds)
    decision = prompts.run(decide_on(question, settings().approval.approvers))
    get_run_logger().info("%s: %s by %s.", change, decision.status.lower(), decision.by)
    if decision.approved:
        return None
    return (
        f"{changing:,} of {total:,} invoices differ, and nothing was written: {decision.by} "
        f"declined it, saying: {decision.comment}"
    )


def _question(change: str, kinds: Mapping[Kind, int], reason: str) -> str:
    rows = [(kind, f"{count:,}") for kind, count in kinds.items()]
    return question_text(
        f"May {sum(kinds.values()):,} invoices be changed in Salesforce?",
        f"{change}. A wrong key or field mapping looks like this; the run's drift report says what "
        "differs.",
        markdown.table(("kind", ">count"), rows),
        reason=reason,
    )
