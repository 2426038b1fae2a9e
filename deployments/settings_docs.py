"""The page of settings and `.env.example`, made from the code: ``make docs`` writes both."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from invoicing.settings import FILE, PREFIX, Settings, leaves
from invoicing.tracing.switch import ENDPOINT
from tasks.installation.alert_automations import Notifications
from tasks.installation.queues import Limits
from tasks.installation.recovery_automations import Timing

ROOT = Path(__file__).parents[1]

HEAD = """# Settings

Written by `make docs` from [invoicing/settings.py](../invoicing/settings.py),
[recovery_automations.py](../tasks/installation/recovery_automations.py) and, of the queues,
[queues.py](../tasks/installation/queues.py). Values come from the environment
or from a file ([.env.example](../.env.example)). Lists are written with commas (`1, 7`) and tables
as `EUR=10000, USD=12000`, either as JSON too. A name that is not here is refused. Which matter is
said [elsewhere](running.md#settings-that-matter).

| variable | default | what |
|---|---|---|
"""
EXAMPLE_HEAD = """# Written by `make docs`. Copy it, and fill in what has no value:
#   install -m 600 .env.example .env
# It will hold secrets: only its owner may read .env, which is kept out of version control.
"""


SAID = {"PREFECT_API_URL"}
"""Variables with a default of ours that programs of others do not know."""


@dataclass(frozen=True)
class Variable:
    """A variable of the environment."""

    name: str
    default: str
    description: str
    needed: bool = False
    in_file: bool = True

    @property
    def line(self) -> str:
        """Its line of the file: to be filled in, said, or left as it is."""
        if self.needed:
            return f"{self.name}="
        said = "" if self.name in SAID else "# "
        return f"{said}{self.name}={self.default.strip('`')}"


def variables() -> list[Variable]:
    """Every variable that is read, in the order of the code."""
    return [
        Variable(
            FILE,
            "`.env`",
            "The file with all others: one for each installation. Of the environment only.",
            in_file=False,
        ),
        *_of(Settings, PREFIX),
        *_of(Timing, "INVOICING_AUTOMATIONS_"),
        *_of(Notifications, "INVOICING_NOTIFICATIONS_"),
        *_of(Limits, "INVOICING_QUEUES_"),
        Variable(
            ENDPOINT,
            "",
            "Where traces are sent, by OTLP over HTTP, such as http://collector:4318; none without "
            "it. All other variables of OpenTelemetry count too.",
        ),
    ]


def page() -> str:
    """The page, in Markdown."""
    rows = (f"| `{v.name}` | {v.default} | {v.description} |\n" for v in variables())
    return HEAD + "".join(rows)


def example() -> str:
    """The file `.env.example`: what is needed to be filled in, the rest with its defaults."""
    shown = (f"# {each.description}\n{each.line}\n" for each in variables() if each.in_file)
    return "\n".join([EXAMPLE_HEAD, *shown])


def _of(model: type[BaseModel], prefix: str) -> Iterator[Variable]:
    for name, field in leaves(model, prefix):
        yield Variable(
            name,
            _default(field),
            (field.description or "").replace("|", "/"),
            needed=field.is_required(),
        )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, bool):
        value = str(value).lower()
    return "" if value in (None, "", [], {}) else f"`{value}`"


def main() -> None:
    """Write both files."""
    (ROOT / "docs/settings.md").write_text(page(), encoding="utf-8")
    (ROOT / ".env.example").write_text(example(), encoding="utf-8")


if __name__ == "__main__":
    main()
