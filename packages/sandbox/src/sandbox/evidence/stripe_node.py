"""Stripe's SDK for Node against the sandbox.

Installs it from the npm registry and lets it tell the story of an invoice.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.common.npm import installed, program
from sandbox.common.serve import running
from sandbox.evidence.verdict import Verdict, told_by, unavailable, verdict
from sandbox.stripe.app import make_app

VERSION = "23.1.0"
SOURCE = f"stripe-node {VERSION}"
CHECKS = Path(__file__).with_name("stripe_node_checks.mjs")


def report() -> Verdict:
    """Run all cases and count them."""
    folder = installed("stripe", VERSION)
    if isinstance(folder, str):
        return unavailable(SOURCE, folder)
    with running(make_app) as url:
        return verdict(SOURCE, told_by([program("node"), CHECKS, folder, url, "sk_live_sandbox"]))
