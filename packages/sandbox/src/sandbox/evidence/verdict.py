"""What a source came to: its cases, counted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Verdict = dict[str, Any]


def verdict(source: str, cases: Mapping[str, str], *, skipped: int = 0, why: str = "") -> Verdict:
    """Count the cases of a source.

    Args:
        source: Whose cases they are, with the version.
        cases: What was wrong with each, empty where nothing was.
        skipped: How many were not tried.
        why: Why they were not.
    """
    failures = {case: complaint for case, complaint in cases.items() if complaint}
    return {
        "source": source,
        "tried": len(cases),
        "passed": len(cases) - len(failures),
        "failed": len(failures),
        "skipped": skipped,
        "why": why,
        "failures": failures,
    }


def unavailable(source: str, why: str) -> Verdict:
    """The verdict of a source that could not be fetched."""
    return verdict(source, {}, skipped=1, why=why)


def told_by(command: Sequence[str | Path]) -> dict[str, str]:
    """Run a program that prints its cases as JSON lines: ``{"name", "ok", "error"}``."""
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603
    said = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    cases = {case["name"]: "" if case["ok"] else str(case["error"]) for case in said}
    if ran.returncode:
        cases["run to the end"] = ran.stderr[-500:] or f"status {ran.returncode}"
    return cases
