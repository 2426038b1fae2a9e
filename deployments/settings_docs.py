"""The page of settings, docs/settings.md, made from the code: ``make docs`` writes it."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

from deployments.automations import Timing
from deployments.queues import Limits
from invoicing.settings import Settings

HEAD = """# Settings

Written by `make docs` from [invoicing/settings.py](../invoicing/settings.py) and
[deployments/automations.py](../deployments/automations.py), and of the queues in
[deployments/queues.py](../deployments/queues.py). Values come from the environment or
from `.env`; lists and tables are JSON. Which of them matter is said
[elsewhere](running.md#settings-that-matter).

| variable | default | what |
|---|---|---|
"""


@dataclass(frozen=True)
class Variable:
    """A variable of the environment."""

    name: str
    default: str
    description: str


def variables() -> list[Variable]:
    """Every variable that is read, in the order of the code."""
    return [
        *_of(Settings, "INVOICING_"),
        *_of(Timing, "INVOICING_AUTOMATIONS_"),
        *_of(Limits, "INVOICING_QUEUES_"),
    ]


def page() -> str:
    """The page, in Markdown."""
    rows = (f"| `{v.name}` | {v.default} | {v.description} |\n" for v in variables())
    return HEAD + "".join(rows)


def _of(model: type[BaseModel], prefix: str) -> Iterator[Variable]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _of(inner, f"{prefix}{name.upper()}__")
        else:
            alias = field.validation_alias
            named = alias.choices[-1] if isinstance(alias, AliasChoices) else prefix + name.upper()
            yield Variable(str(named), _default(field), (field.description or "").replace("|", "/"))


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default(call_default_factory=True)
    return "" if value in (None, [], {}) else f"`{value}`"


if __name__ == "__main__":
    sys.stdout.write(page())
