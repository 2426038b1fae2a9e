"""A dialogue as a program holds it: suspended runs, answered through Prefect's REST API."""

import re
from functools import partial
from typing import Any

import pytest

from deployments.local.stack import Stack
from tests.prefect_worker import Prefect, eventually

STEPS: list[dict[str, Any]] = [
    {"purpose": "November services", "payment_terms": "Net 30"},
    {"product": "Consulting (150.00 USD)"},
    {"quantity": "3", "more": "Yes"},
    {"product": "Onboarding (2,500.00 USD)"},
    {"quantity": "1", "more": "No"},
    {"next": "Raise this invoice"},
]


@pytest.mark.long
def test_a_dialogue_outlives_its_processes(shared_stack: Stack) -> None:
    """Every answer is taken up by a new process, and the draft is raised once."""
    prefect = Prefect(shared_stack.urls.prefect_api)
    wizard = "raise-invoice-wizard"
    deployment = prefect.call("GET", f"/deployments/name/{wizard}/{wizard}")
    run = prefect.start(deployment["id"], account="Acme Corporation")
    for number, answer in enumerate(STEPS, 1):
        eventually(partial(suspended, prefect, run, number))
        said = eventually(partial(resume, prefect, run, answer))
        assert said
        assert said["status"] == "ACCEPT", said
    said = prefect.until(run, "Completed")["state"]["message"]
    assert re.match(r"INV-\d+ is a draft", said)
    assert prefect.call("GET", f"/flow_runs/{run}")["run_count"] == 1  # answers are no retries


def suspended(prefect: Prefect, run: str, times: int) -> bool:
    """Whether a run has asked so many questions."""
    return prefect.states(run).count("Suspended") == times


def resume(prefect: Prefect, run: str, answer: dict[str, Any]) -> dict[str, Any] | None:
    """Submit the form; nothing while the form is still on its way."""
    said = dict(prefect.call("POST", f"/flow_runs/{run}/resume", {"run_input": answer}))
    waits = "schema not found" in str((said.get("details") or {}).get("reason"))
    return None if waits else said
