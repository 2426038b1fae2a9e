"""``python -m sandbox.salesforce``: serve the stand-in org."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.common.serve import serve
from sandbox.salesforce.app import application
from sandbox.salesforce.org import PROFILES, open_org


def main() -> int:
    """Read the command line and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.salesforce", description=__doc__)
    parser.add_argument("--port", type=int, default=8101, help="0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--fd", type=int, help="an inherited socket to serve instead of a port")
    parser.add_argument("--data", default=":memory:", help="SQLite file to keep records in")
    parser.add_argument(
        "--metadata",
        type=Path,
        action="append",
        default=[],
        help="SFDX folder of a package, with objects/; what further ones bring replaces its own",
    )
    parser.add_argument("--seed", choices=("demo", "empty"), default="demo")
    parser.add_argument("--currency", help="make it an org of this one currency")
    parser.add_argument(
        "--profile", choices=tuple(PROFILES), action="append", default=[], help="what it is like"
    )
    parser.add_argument("--namespace", default="", help="of the package, once it is installed")
    parser.add_argument("--certificate", type=Path, help="PEM that signs JWT assertions")
    parser.add_argument("--pubsub-port", type=int, help="where to serve the Pub/Sub API as well")
    options = parser.parse_args()
    org = open_org(
        next(iter(options.metadata), None),
        options.data,
        over=options.metadata[1:],
        namespace=options.namespace,
    )
    org.use_currency(options.currency, options.profile)
    try:
        return serve(
            lambda url: application(
                org,
                url,
                first=options.seed,
                certificate=options.certificate,
                pubsub_port=options.pubsub_port,
            ),
            "Salesforce sandbox",
            options.host,
            options.port,
            fd=options.fd,
        )
    finally:
        org.store.close()


if __name__ == "__main__":
    sys.exit(main())
