"""Stripe's own command line against the sandbox.

Installs the official CLI from the npm registry, lets it trigger events about invoices, each of
which is a story of several API calls, and reads each event back.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx

from sandbox.common.npm import installed
from sandbox.common.serve import running
from sandbox.evidence.verdict import Verdict, unavailable, verdict
from sandbox.stripe.app import make_app

VERSION = "1.52.0"
SOURCE = f"stripe CLI {VERSION}"
BINARY = Path("node_modules", "@stripe", "cli-linux-x64", "bin", "stripe")
KEY = "sk_test_sandbox"

EVENTS = (
    "invoice.created",
    "invoice.updated",
    "invoice.finalized",
    "invoice.sent",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "invoice.voided",
    "invoice.marked_uncollectible",
    "invoice.deleted",
    "invoiceitem.created",
    "credit_note.created",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "product.created",
    "price.created",
    "coupon.created",
    "tax_rate.created",
)


def report() -> Verdict:
    """Trigger every event and count those that came about."""
    folder = installed("@stripe/cli", VERSION)
    if isinstance(folder, str):
        return unavailable(SOURCE, folder)
    binary = folder / BINARY
    if not binary.is_file():
        return unavailable(SOURCE, "the CLI has no binary for this machine")
    with running(make_app) as url:
        return verdict(SOURCE, {event: _tried(binary, url, event) for event in EVENTS})


def _tried(binary: Path, url: str, event: str) -> str:
    """Trigger an event and return what went wrong, if anything."""
    # The CLI looks for newer versions of itself; the proxy that is not there keeps it local.
    environment = os.environ | {
        "STRIPE_API_KEY": KEY,
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "HTTPS_PROXY": "http://127.0.0.1:9",
    }
    ran = subprocess.run(  # noqa: S603
        [binary, "trigger", event, "--api-base", url],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    if ran.returncode or "Trigger succeeded" not in ran.stdout + ran.stderr:
        return (ran.stdout + ran.stderr)[-300:]
    answer = httpx.get(f"{url}/v1/events", params={"type": event}, auth=(KEY, ""))
    return "" if answer.json()["data"] else "the event is not listed"
