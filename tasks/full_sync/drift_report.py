"""The drift report: a page for people on the run, and every difference in a file."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from invoicing.domain.model import csv_cells, markdown
from invoicing.domain.model.dates import written_moment
from invoicing.domain.model.wording import counted
from invoicing.domain.sync.drift_kinds import Kind
from invoicing.ledger import drift, rewritten_values, staging, sync_history
from invoicing.ledger.drift import Difference
from invoicing.ledger.models import SyncRun
from invoicing.settings import settings
from tasks.full_sync.missing_customer_ids import SilentAccount
from tasks.records.rewritten_values import PRODUCT_OF_LINE, field_label
from tasks.runtime.artifacts import publish_page, publish_table, record_page, stripe_page
from tasks.runtime.run_name import run_url
from tasks.runtime.step import step

MAX_ROWS_SHOWN = 500
"""Differences in the table of the run; the file has all."""

SYNCS_SHOWN = 14

ONLY_IN_STRIPE = (Kind.MISSING_IN_SALESFORCE, Kind.UNLINKED_CUSTOMER, Kind.DUPLICATE)

ONLY_IN_SALESFORCE = (Kind.MISSING_IN_STRIPE, Kind.DELETED)

COLUMNS = (
    "kind",
    "name",
    "stripe_invoice",
    "salesforce_record",
    "stripe_says",
    "salesforce_says",
    "outcome",
    "stripe_url",
    "salesforce_url",
    "run_url",
)


@step("publish the drift report")
def publish_drift(sync: SyncRun, silent: Sequence[SilentAccount] = ()) -> str:
    """Attach the report to the run, write the full list; returns how the differences came out."""
    in_stripe, in_salesforce = staging.counts()
    file = _write_list(sync)
    kinds, outcomes = drift.kinds(sync.id), drift.outcomes(sync.id)
    differed = sum(kinds.values())
    page = [
        "# Drift report",
        f"{in_stripe:,} invoices in Stripe, {in_salesforce:,} in Salesforce, "
        f"**{differed:,} differed**. {_told_already(in_salesforce - in_stripe, kinds)}"
        f"{_where_listed(differed, file)}".rstrip(),
        _table("kind", {kind.value: count for kind, count in kinds.items()}),
        _table("outcome", outcomes),
        *_changed_by_org(),
        *_silent_accounts(silent),
        "## Over the nights",
        _trend(),
    ]
    publish_page("drift-report", "\n\n".join(page), "What differed between Salesforce and Stripe.")
    if shown := next(drift.chunks(sync.id, size=MAX_ROWS_SHOWN), None):
        publish_table(
            "drift",
            [
                {
                    "Kind": row.kind,
                    "Invoice": markdown.link(row.name or row.record_id, _salesforce_url(row)),
                    "In Stripe": markdown.link(row.subject, stripe_page("invoices", row.subject)),
                    "Salesforce said": row.salesforce_says,
                    "Stripe says": row.stripe_says,
                    "Outcome": row.outcome,
                    "Repaired by": markdown.link("run", _repaired_by(row)),
                }
                for row in shown
            ],
            f"The first {len(shown):,} differences, and what was done about each.",
        )
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.items())


def _where_listed(differed: int, file: Path) -> str:
    """Where each difference can be read; a file is only for what a page cannot hold."""
    where = "in the table *drift*, under *Artifacts* of this run"
    if not differed:
        return ""
    if differed <= MAX_ROWS_SHOWN:
        return f"Each is {where}."
    return (
        f"The first {MAX_ROWS_SHOWN:,} are {where}; whoever runs the worker finds all of them in "
        f"its reports, in `{file.name}`."
    )


def _told_already(more_here: int, kinds: Mapping[Kind, int]) -> str:
    """Why Salesforce has more of them than Stripe, and they are no difference.

    Args:
        more_here: So many more it has.
        kinds: What differed, by kind.
    """
    only_there = sum(kinds.get(kind, 0) for kind in ONLY_IN_STRIPE)
    only_here = sum(kinds.get(kind, 0) for kind in ONLY_IN_SALESFORCE)
    deleted = more_here + only_there - only_here
    if deleted < 1:
        return ""
    return (
        f"{counted(deleted, 'record')} in Salesforce {'is' if deleted == 1 else 'are'} Deleted, as "
        "the draft in Stripe is: that is no difference. "
    )


def _changed_by_org() -> list[str]:
    """The texts that the org saves otherwise than they are written; they count as no difference."""
    changed = rewritten_values.by_field(but=[PRODUCT_OF_LINE])
    if not changed:
        return []
    rows = (
        (field_label(one.field), f"{one.invoices:,}", one.written, one.saved) for one in changed
    )
    return [
        "## Changed by the org as it saves",
        "A flow or a trigger of the org changes these texts, and is let have its way. Once it no "
        "longer does, Sync Invoice writes an invoice's texts as they are.",
        markdown.table(("field", ">invoices", "written", "saved"), rows),
    ]


def _silent_accounts(silent: Sequence[SilentAccount]) -> list[str]:
    if not silent:
        return []
    rows = ((markdown.link(one.name, record_page(one.id)), one.why) for one in silent)
    return [
        "## Accounts that do not show their Stripe customer",
        "Their invoices are in step. Each full sync tries again; nobody need write it by hand.",
        markdown.table(("Account", "why"), rows),
    ]


def _table(title: str, counts: dict[str, int]) -> str:
    rows = [(name, f"{count:,}") for name, count in counts.items()]
    return markdown.table((title, ">count"), rows) if counts else ""


def _trend() -> str:
    rows = (
        (
            written_moment(run.started_at),
            f"{run.in_stripe:,}",
            f"{run.differed:,}",
            f"{run.differed / max(1, run.in_stripe):.2%}",
        )
        for run in sync_history.last_syncs(SYNCS_SHOWN)
    )
    return markdown.table(("began (UTC)", ">invoices", ">differed", ">share"), rows)


def _write_list(sync: SyncRun) -> Path:
    folder = settings().reports.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"drift-{sync.started_at:%Y%m%d-%H%M%S}-{sync.id[:8]}.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for rows in drift.chunks(sync.id):
            table.writerows(listed(row) for row in rows)
    return path


def listed(row: Difference) -> list[str]:
    """A difference as the file has it, by :data:`COLUMNS`; no spreadsheet works anything out."""
    cells = (
        row.kind,
        row.name or "",
        row.subject,
        row.record_id or "",
        row.stripe_says,
        row.salesforce_says,
        row.outcome,
        stripe_page("invoices", row.subject),
        _salesforce_url(row) or "",
        _repaired_by(row) or "",
    )
    return [csv_cells.inert(cell) for cell in cells]


def _repaired_by(row: Difference) -> str | None:
    """The run that wrote what was wrong: this one, or an attempt of it that was cut short."""
    return run_url() if row.outcome.startswith("repaired") else None


def _salesforce_url(row: Difference) -> str | None:
    return record_page(row.record_id) if row.record_id else None
