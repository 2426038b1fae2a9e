"""The reading of Stripe against its live limits: 25 list calls a second, 300 ms each.

The bound is what the limits alone give: the pages that have to be read, at the rate at which
they may be asked for, and the last answer. The sandbox counts and refuses as Stripe does, so a
reader that is too fast is told 429 and loses time.
"""

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks._world import admin, sandbox
from benchmarks.stripe_pull import pulled

CALLS_A_SECOND = 25
ANSWER_SECONDS = 0.3
PAGE = 100


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks limits", description=__doc__)
    parser.add_argument("--invoices", type=int, default=100_000)
    parser.add_argument("--rate", type=float, default=24, help="what the readers allow themselves")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        with sandbox("stripe", state / "stripe.log") as url:
            admin(url, "generate", customers=1_000, invoices=arguments.invoices)
            limits = {"enabled": True, "operation": CALLS_A_SECOND}
            admin(url, "settings", rate_limits=limits)
            slow = {"kind": "latency", "path": "/v1/invoices", "seconds": ANSWER_SECONDS}
            admin(url, "faults", rules=[slow])
            figures = pulled("ours", url, state, BENCH_RATE=str(arguments.rate))
    bound = arguments.invoices / PAGE / CALLS_A_SECOND + ANSWER_SECONDS
    ratio = round(figures["seconds"] / bound, 2)
    print(json.dumps({"ratio_to_bound": ratio, "bound_seconds": round(bound, 1), **figures}))


if __name__ == "__main__":
    main()
