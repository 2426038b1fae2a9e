"""``python -m sandbox.package_check PROJECT``: whether a package holds together.

Prints a line for each mistake, and one JSON object at the end: ``checks``, ``passed``, ``failed``.
Ends with 1 if something failed.
"""

import json
import sys
from pathlib import Path

from sandbox.package_check.report import check_project


def main() -> int:
    """Check the project that the command line names."""
    findings = check_project(Path(sys.argv[1]))
    for sentence in findings.failures:
        print(sentence)  # noqa: T201
    print(json.dumps(findings.summary()))  # noqa: T201
    return int(bool(findings.failures))


if __name__ == "__main__":
    raise SystemExit(main())
