"""Run one benchmark by its name: `python -m benchmarks latency`.

Each prints what it does as it does it; its last line is one JSON object with its figures.
"""

import importlib
import sys
from pathlib import Path

NAMES = sorted(
    file.stem.replace("_", "-")
    for file in Path(__file__).parent.glob("*.py")
    if not file.stem.startswith("_") and "def main(" in file.read_text()
)


def main() -> int:
    """Hand over to the named benchmark."""
    if len(sys.argv) < 2 or sys.argv[1] not in NAMES:
        print(f"Name one of: {', '.join(NAMES)}", file=sys.stderr)
        return 2
    name = sys.argv.pop(1)
    importlib.import_module(f"benchmarks.{name.replace('-', '_')}").main()
    return 0


if __name__ == "__main__":
    sys.exit(main())
