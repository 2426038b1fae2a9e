"""``python -m sandbox.stripe``: run the stand-in for Stripe."""

import argparse
import functools
import sys
from pathlib import Path

from sandbox.common.serve import serve
from sandbox.stripe.app import make_app


def main() -> int:
    """Read the command line and serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.stripe", description=__doc__)
    parser.add_argument("--port", type=int, default=12111, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--fd", type=int, help="an inherited socket to serve instead of a port")
    parser.add_argument("--data", type=Path, help="file to keep the data in; else in memory")
    parser.add_argument("--public-url", help="base of the links in invoices and e-mails")
    options = parser.parse_args()
    return serve(
        functools.partial(make_app, data=options.data),
        "Stripe sandbox",
        options.host,
        options.port,
        options.public_url,
        options.fd,
    )


if __name__ == "__main__":
    sys.exit(main())
