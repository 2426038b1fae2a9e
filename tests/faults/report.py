"""What a playing of many schedules came to: one JSON line, and the table in the documentation."""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.faults.schedules import Verdict

PAGE = Path(__file__).parents[2] / "docs/exactly-once.md"
BEGIN, END = "<!-- the table begins -->", "<!-- the table ends -->"


def summary(verdicts: Sequence[Verdict], seconds: float) -> dict[str, Any]:
    """The figures of all schedules together."""
    faults: Counter[str] = Counter()
    for verdict in verdicts:
        faults.update(verdict.faults)
    return {
        "schedules": len(verdicts),
        "faults": dict(sorted(faults.items())),
        "kill_points": sum(verdict.kills for verdict in verdicts),
        "stalls": sum(verdict.stalls for verdict in verdicts),
        "violations": sum(len(verdict.violations) for verdict in verdicts),
        "violated": [verdict.schedule.name for verdict in verdicts if verdict.violations],
        "seconds": round(seconds, 1),
    }


def write(figures: dict[str, Any], verdicts: Sequence[Verdict], run: argparse.Namespace) -> None:
    """Put the figures of this run into the documentation's table for its database."""
    text = PAGE.read_text()
    begin, end = (mark.replace("table", f"{run.database} table") for mark in (BEGIN, END))
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    PAGE.write_text(f"{before}{begin}\n{_table(figures, verdicts, run)}\n{end}{after}")


def _table(figures: dict[str, Any], verdicts: Sequence[Verdict], run: argparse.Namespace) -> str:
    flows = Counter(verdict.schedule.flow for verdict in verdicts)
    kinds = Counter(verdict.schedule.name.partition(":")[0] for verdict in verdicts)
    rows = [
        ("schedules", figures["schedules"]),
        *((f"… {_SORTS[kind]}", count) for kind, count in sorted(kinds.items())),
        *((f"… of {flow}", count) for flow, count in sorted(flows.items())),
        *((f"fault: {kind}", count) for kind, count in figures["faults"].items()),
        ("processes killed", figures["kill_points"]),
        ("processes frozen, and their runs taken up", figures["stalls"]),
        ("**violations**", figures["violations"]),
        ("seconds", round(figures["seconds"])),
    ]
    lines = [f"| {run.database}, seed {run.seed} | |", "|---|---:|"]
    return "\n".join([*lines, *(f"| {what} | {count:,} |" for what, count in rows)])


_SORTS = {
    "fault": "with one fault, every call by every kind",
    "kill": "with one kill, every point",
    "expired": "with one kill after each effect in Stripe, and 25 hours",
    "stall": "with one freeze, every point outside of transactions",
    "away": "with a service or the ledger away for minutes",
    "random": "with several, at random",
}
