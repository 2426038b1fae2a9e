"""Comparing what a mirror has stored with the sandbox's own lists."""

from __future__ import annotations

import json
from collections.abc import Mapping
from subprocess import CompletedProcess
from typing import Any

import httpx

from sandbox.evidence.verdict import Verdict, verdict

KEY = "sk_live_sandbox"
ORDER = {"seed": 3, "customers": 120, "invoices": 1_500, "currencies": ["usd"]}


def generate(url: str) -> None:
    """Fill a sandbox with the data set to be mirrored."""
    httpx.post(f"{url}/_sandbox/generate", json=ORDER, timeout=60).raise_for_status()


def counted(url: str) -> dict[str, int]:
    """Count by reading every page of the sandbox's own lists."""
    invoices = _all(url, "invoices")
    return {
        "customers": len(_all(url, "customers")),
        "invoices": len(invoices),
        "total": sum(invoice["total"] for invoice in invoices),
        "paid": sum(invoice["status"] == "paid" for invoice in invoices),
    }


def _all(url: str, resource: str) -> list[Any]:
    found: list[Any] = []
    while True:
        after = {"starting_after": found[-1]["id"]} if found else {}
        answer = httpx.get(f"{url}/v1/{resource}", params={"limit": 100} | after, auth=(KEY, ""))
        page = answer.json()
        found += page["data"]
        if not page["has_more"]:
            return found


def compared(source: str, expected: Mapping[str, int], ran: CompletedProcess[str]) -> Verdict:
    """Say how many of the counts are right that a mirror printed, as JSON, in its last line."""
    lines = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    failed = "" if lines and not ran.returncode else (ran.stderr or ran.stdout)[-500:]
    stored = {} if failed else json.loads(lines[-1])
    cases = {
        name: ""
        if int(stored.get(name, -1)) == value
        else failed or f"{stored.get(name)} instead of {value}"
        for name, value in expected.items()
    }
    return verdict(source, cases)
