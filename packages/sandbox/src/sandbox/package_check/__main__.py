"""``python -m sandbox.package_check PROJECT``: whether a package holds together.

Prints a line for each mistake, and one JSON object at the end: ``checks``, ``passed``, ``failed``.
Ends with 1 if something failed. Components are tested with node and npm. Where these are not
there, it says so, and fails in CI.
"""

import json
import os
import sys
from pathlib import Path

from sandbox.package_check.all_checks import check_project
from sandbox.package_check.component_tools import run_component_tests


def main() -> int:
    """Check the project that the command line names."""
    project = Path(sys.argv[1])
    findings = check_project(project)
    untested = run_component_tests(project, findings)
    if untested:
        sentence = f"No component was compiled, linted or tested: {untested}."
        if "CI" in os.environ:
            findings.expect(False, sentence)
        else:
            print(sentence, file=sys.stderr)  # noqa: T201
    for sentence in findings.failures:
        print(sentence)  # noqa: T201
    print(json.dumps(findings.summary()))  # noqa: T201
    return int(bool(findings.failures))


if __name__ == "__main__":
    raise SystemExit(main())
