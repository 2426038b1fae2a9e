"""Hold beliefs and flows to the real Stripe and Salesforce: ``make check-real``.

It says what it needs and what it will create, asks, deploys the package, plays one pass of every
flow, makes the experiments of docs/unproved.md, says what came out otherwise than in the sandbox,
and removes what it has made, but for the package. Ends with 0 if all came out as believed, 1 if
not, 2 if nothing was begun.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")

from invoicing.errors import InvoicingError
from invoicing.ledger import database
from tests.real import needs
from tests.real.experiment import EXPERIMENTS
from tests.real.run import deploy_package, make_experiments, play_stories
from tests.real.stage import settings_of_a_pass, stage
from tests.real.stories import STORIES
from tests.real.stripe_account import connect

PARTS = ("package", "stories", "experiments")


def main() -> int:
    """Check, ask, do, and clean up."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    options = _options()
    wanted = set(options.what or PARTS)
    stories = [name for name in STORIES if wanted & {name, "stories"}]
    trials = [name for name in EXPERIMENTS if wanted & {name, "experiments"}]
    with TemporaryDirectory() as folder:
        os.environ.update(settings_of_a_pass(Path(folder)))
        database.migrate(os.environ["INVOICING_LEDGER__URL"])
        try:
            package = needs.package() if "package" in wanted else None
            services = needs.services(org=bool(stories)) if stories or trials else None
            if package:
                package.check(services.org if services else None)
                _say(f"{package.plan()}\n")
            if services:
                _say(services.plan(stories, trials))
            if not (options.yes or _consent()):
                _say("Nothing was begun. Say y, or give --yes (make check-real ARGS=--yes).")
                return 2
        except InvoicingError as error:
            _say(str(error))
            return 2
        good = deploy_package(package) if package else True
        if services is None or not good:
            return 0 if good else 1
        account = connect(services.stripe)
        if stories:
            with stage(account, Path(folder)) as built:
                good &= play_stories(built, stories)
        if trials:
            good &= make_experiments(services, account, trials)
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make check-real", description=__doc__)
    parser.add_argument(
        "what",
        nargs="*",
        help="package, stories, experiments, a flow or an experiment; all unless given",
    )
    parser.add_argument("--yes", action="store_true", help="begin without asking")
    options = parser.parse_args()
    if unknown := set(options.what) - {*PARTS, *STORIES, *EXPERIMENTS}:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    return options


def _consent() -> bool:
    return sys.stdin.isatty() and input("Begin? [y/N] ").strip().lower() in ("y", "yes")


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
