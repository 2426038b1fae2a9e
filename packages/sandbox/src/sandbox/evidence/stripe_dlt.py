"""The REST source of dlt reads the sandbox.

Installs dlt from PyPI into a cache folder, lets it pull a generated data set into DuckDB, and
compares its counts with the sandbox's own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.common.serve import running
from sandbox.evidence.mirror_comparison import KEY, compared, counted, generate
from sandbox.evidence.pypi import python_packages
from sandbox.evidence.verdict import Verdict, unavailable
from sandbox.stripe.app import make_app

VERSION = "1.31.0"
SOURCE = f"dlt {VERSION} rest_api"
CHECKS = Path(__file__).with_name("stripe_dlt_pull.py")


def report() -> Verdict:
    """Run the mirror and compare what it counted."""
    packages = python_packages("dlt", VERSION, extra="duckdb")
    if isinstance(packages, str):
        return unavailable(SOURCE, packages)
    with running(make_app) as url, tempfile.TemporaryDirectory() as folder:
        generate(url)
        environment = os.environ | {
            "PYTHONPATH": str(packages),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "DLT_DATA_DIR": folder,
        }
        ran = subprocess.run(  # noqa: S603
            [sys.executable, CHECKS, url, KEY, folder],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env=environment,
            cwd=folder,
        )
        expected = counted(url)
    return compared(SOURCE, expected, ran)
