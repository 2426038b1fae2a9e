"""The forms take back what they offer, and say what they ask for."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice

DEPLOYMENTS = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize(
    ("flow", "filled"),
    [
        (raise_invoice, {"account": "Acme", "description": "x", "lines": [{"product": "Seat"}]}),
        (revise_invoice, {"invoice": "INV-1"}),
    ],
)
def test_a_form_left_as_it_came_is_accepted(flow: Flow, filled: dict[str, object]) -> None:  # type: ignore[type-arg]
    """The browser sends the defaults along: Prefect must not stumble over its own."""
    schema = parameter_schema(flow.fn).model_dump()
    offered = {name: field.get("default") for name, field in schema["properties"].items()}
    assert validate(offered | filled, schema, raise_on_error=True) == []


def fields(schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a form, those of its groups and lists included."""
    for model, part in {"": schema, **schema["definitions"]}.items():
        for name, field in part.get("properties", {}).items():
            yield f"{model}.{name}", field


@pytest.mark.parametrize("entrypoint", [each["entrypoint"] for each in DEPLOYMENTS])
def test_every_field_can_be_filled_in_without_reading_code(entrypoint: str) -> None:
    """A label in words, for alternatives too, nothing offered that is then refused."""
    module, name = entrypoint.replace("/", ".").split(".py:")
    flow = getattr(import_module(module), name)
    schema = parameter_schema(flow.fn).model_dump()
    for where, field in fields(schema):
        assert field.get("title") or "$ref" in field, where
        assert "_" not in field.get("title", ""), where
        for way in field.get("anyOf", ()):
            assert way.get("title") or "$ref" in way, where
        assert "default" not in field or field["default"] is not None, where
    for where, field in schema["properties"].items():
        assert field.get("description"), where
