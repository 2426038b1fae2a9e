"""Look at everything that an installation needs: ``make doctor``.

Works before anything else does. ``--fix`` makes what can be made: Stripe's webhook endpoint, the
work pool, its queues, the deployments and automations. It changes nothing that is right.
"""

import argparse
import sys

from deployments.doctor_fixes import fix
from invoicing.doctor.checks import as_text, of
from tasks.installation.examination import examine_installation


def main() -> None:
    """Print what is so and what to do; the exit status is 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m deployments.doctor", description=__doc__)
    parser.add_argument("--fix", action="store_true", help="make what can be made, first")
    if parser.parse_args().fix:
        for what in fix():
            sys.stdout.write(f"{what}\n")
    findings = examine_installation()
    sys.stdout.write(as_text(findings))
    sys.exit(1 if of(findings, "fail") else 0)


if __name__ == "__main__":
    main()
