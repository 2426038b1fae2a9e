"""The jsforce library against the Salesforce sandbox.

Installs it from the npm registry into a cache folder, and lets it run its cases.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from sandbox.common.npm import installed, program
from sandbox.common.serve import running
from sandbox.evidence.jwt_certificate import certificate
from sandbox.evidence.verdict import Verdict, told_by, unavailable, verdict
from sandbox.salesforce.app import application
from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET
from sandbox.salesforce.org import open_org

VERSION = "3.10.16"
SOURCE = f"jsforce {VERSION}"
CHECKS = Path(__file__).with_name("jsforce_checks.mjs")
METADATA = Path("deployments/salesforce/force-app/main/default")
"""Objects of a package, from the root of the checkout."""


def report() -> Verdict:
    """Run all cases and count them."""
    if not METADATA.is_dir():
        return unavailable(SOURCE, f"{METADATA} is not here")
    modules = installed("jsforce", VERSION)
    if isinstance(modules, str):
        return unavailable(SOURCE, modules)
    with TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        org = open_org(METADATA)
        with running(lambda url: application(org, url, certificate=trusted)) as url:
            app = (CONSUMER_KEY, CONSUMER_SECRET, trusted.with_name("key.pem"))
            return verdict(SOURCE, told_by([program("node"), CHECKS, modules, url, *app]))
