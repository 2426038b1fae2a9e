"""The example of the documentation, as it stands there."""

import re
import tomllib
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/field-mapping.md"


def documented_text() -> str:
    """Its text."""
    page = PAGE.read_text(encoding="utf-8")
    [example] = re.findall(r"## A complete example\n\n```toml\n(.*?)```", page, re.DOTALL)
    return str(example)


def documented_example() -> dict[str, Any]:
    """What it says."""
    return tomllib.loads(documented_text())
