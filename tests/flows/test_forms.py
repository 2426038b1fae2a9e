"""The forms take back what they offer."""

import pytest
from prefect import Flow
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from flows.raise_invoice import raise_invoice
from flows.revise_invoice import revise_invoice


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
