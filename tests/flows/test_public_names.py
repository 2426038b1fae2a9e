"""What people's programs call keeps its name: deployments, parameters, choices, settings.

`public_names.json` holds the names of 0.1.0. A name that is added is not put there before it is
released, and one that is there is never taken out.
"""

import json
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.utilities.callables import parameter_schema

from invoicing.settings import Settings

ROOT = Path(__file__).parents[2]
RELEASED = json.loads(Path(__file__).with_name("public_names.json").read_text())
ENTRYPOINTS = {
    each["name"]: each["entrypoint"]
    for each in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
}


def form(deployment: str) -> dict[str, Any]:
    """The JSON schema of a deployment's parameters."""
    module, name = ENTRYPOINTS[deployment].replace("/", ".").split(".py:")
    return parameter_schema(getattr(import_module(module), name).fn).model_dump()


def test_a_program_still_calls_what_it_called() -> None:
    """Each deployment is there, takes each parameter, and asks for no new one."""
    for deployment, parameters in RELEASED["parameters"].items():
        schema = form(deployment)
        assert set(parameters) <= set(schema["properties"]), deployment
        assert set(schema.get("required", ())) <= set(parameters), deployment
        for name, part in schema["definitions"].items():
            offered = part.get("properties") or part.get("enum", ())
            assert set(RELEASED["forms"].get(name, ())) <= {str(one) for one in offered}, name


def test_an_environment_is_still_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of each variable arrives in the settings."""
    shared = {"prefect_api_url": "PREFECT_API_URL", "prefect_api_auth": "PREFECT_API_AUTH_STRING"}
    for name, value in RELEASED["settings"].items():
        leaf = attrgetter(name.replace("__", "."))
        before = leaf(Settings())
        with monkeypatch.context() as changed:
            changed.setenv(shared.get(name, f"INVOICING_{name.upper()}"), value)
            assert leaf(Settings()) != before, name
