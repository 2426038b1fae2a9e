"""The forms take back what they offer, and say what they ask for."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect import Flow
from prefect.client.orchestration import get_client
from prefect.utilities.callables import parameter_schema
from prefect.utilities.schema_tools.validation import validate

from flows.credit_invoice import credit_invoice
from flows.erase_customer import erase_customer
from flows.export_customer import export_customer
from flows.raise_invoice import raise_invoice
from flows.record_payment import record_payment
from flows.reject_invoice import reject_invoice
from flows.revise_invoice import revise_invoice

DEPLOYMENTS = yaml.safe_load(Path("prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize(
    ("flow", "filled"),
    [
        (raise_invoice, {"account": "Acme", "description": "x", "lines": [{"product": "Seat"}]}),
        (revise_invoice, {"invoice": "INV-1"}),
    ],
)
def test_a_form_left_as_it_came_is_accepted(
    flow: Flow[..., Any], filled: dict[str, object]
) -> None:
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


MISTAKES: list[tuple[Flow[..., Any], dict[str, Any], str]] = [
    (record_payment, {"invoice": ""}, "Invoice is missing."),
    (record_payment, {"amount": "fifty"}, "Amount: 'fifty' is no number; write it like 1234.50."),
    (
        record_payment,
        {"amount": "1.234", "received_on": "31.12.", "paid_by": "gold"},
        "Received on: '31.12.' is no date; write it like 2026-12-31. "
        "Paid by: 'gold' is none of 'bank transfer', 'cheque', 'cash' or 'other'.",
    ),
    (revise_invoice, {"remove": ["last"]}, "Remove 1: 'last' is no whole number."),
    (
        revise_invoice,
        {"options": {"payment_methods": ["card", 3]}},
        "Options: Payment method 2: input should be a valid string.",
    ),
    (
        revise_invoice,
        {"add": [{"product": "Seat"}, {"item": "Seat"}], "options": {"send_on": "soon"}},
        "Add 2: there is no field 'item', only 'product', 'quantity', 'unit_price', "
        "'description', 'discount_percent', 'discount_amount'. "
        "Options: Sending date: 'soon' is no date; write it like 2026-12-31.",
    ),
    (
        revise_invoice,
        {"options": {"custom_fields": [{"name": "Project"}]}},
        "Options: Custom field 1: Value is missing.",
    ),
]


MISTAKES_IN_LINES = [
    ({"quantity": "three"}, "Line 2: Quantity: 'three' is no number; write it like 1234.50."),
    (
        {"unit_price": "1.500"},
        "Line 2: Unit price: '1.500' can be read in two ways; write 1500 or 1.5.",
    ),
    ({"products": "Seat"}, "Line 2: there is no field 'products'; did you mean 'product'?"),
]


@pytest.mark.parametrize(("line", "sentence"), MISTAKES_IN_LINES)
def test_a_mistake_in_a_line_names_the_line_and_its_field(
    line: dict[str, str], sentence: str
) -> None:
    """As the form has them: the second of the lines, and the titles beside the fields."""
    lines: Any = [{"product": "Seat"}, line]
    ended: Any = raise_invoice("Acme", "November", lines, return_state=True)
    assert ended.message == sentence


@pytest.mark.parametrize(("flow", "filled", "sentence"), MISTAKES)
def test_what_is_filled_in_wrongly_is_said_in_words(
    flow: Flow[..., Any], filled: dict[str, Any], sentence: str
) -> None:
    """All of it at once, under the names of the form, and first on the run's page."""
    ended: Any = flow(**{"invoice": "INV-0001"} | filled, return_state=True)
    assert ended.message == sentence
    with get_client(sync_client=True) as client:
        run = client.read_flow_run(ended.state_details.flow_run_id)
    assert run.name.startswith(sentence[:40])


@pytest.mark.parametrize(
    ("flow", "field", "sentence"),
    [
        (raise_invoice, "account", "'an Account' was expected"),
        (raise_invoice, "description", "'a description' was expected"),
        (raise_invoice, "lines", "'a line' was expected"),
        (revise_invoice, "invoice", "'an invoice' was expected"),
        (export_customer, "account", "'the id of an Account' was expected"),
        (erase_customer, "account", "'the id of an Account' was expected"),
        (reject_invoice, "request_id", "'the id of a request' was expected"),
    ],
)
def test_what_was_left_empty_is_said_beside_it(
    flow: Flow[..., Any], field: str, sentence: str
) -> None:
    """In words, before there is a run; once each."""
    schema = parameter_schema(flow.fn).model_dump()
    offered = {name: part.get("default") for name, part in schema["properties"].items()}
    found = [error for error in validate(offered, schema) if list(error.path) == [field]]
    assert [error.message for error in found] == [sentence]


@pytest.mark.parametrize(("flow", "items"), [(revise_invoice, "change"), (credit_invoice, "lines")])
def test_an_item_that_was_left_empty_asks_for_its_line(flow: Flow[..., Any], items: str) -> None:
    """Beside the field, in words; a program that leaves it out is told by the run."""
    schema = parameter_schema(flow.fn).model_dump()
    [model] = [one for one in schema["definitions"].values() if "line" in one["properties"]]
    offered = {name: part["default"] for name, part in model["properties"].items()}
    found = validate({"invoice": "INV-0001", items: [offered]}, schema)
    said = [error.message for error in found if list(error.path) == [items, 0, "line"]]
    assert said == ["'the number of a line' was expected"]
    ended: Any = flow("INV-0001", **{items: [{}]}, return_state=True)
    assert ended.message.endswith("1: Line is missing.")
