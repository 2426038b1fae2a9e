"""A program or a person names a parameter wrongly: the run says so, whoever executes it."""

from typing import Any

import pytest

from deployments.local.stack import ROOT
from tests.prefect_worker import Prefect, StartWorker

MISNAMED: list[tuple[dict[str, Any], str]] = [
    (
        {"invioce": "INV-0001"},
        "There is no field 'invioce'; did you mean 'invoice'? Invoice is missing.",
    ),
    (
        {"invoice": "INV-0001", "change": "9"},
        "There is no field 'change', only 'invoice', 'due_date', 'request_id'.",
    ),
]


@pytest.mark.parametrize("worker_type", ["warm", "process"])
def test_a_parameter_that_there_is_not_is_refused_in_words(
    prefect: Prefect, start_worker: StartWorker, worker_type: str
) -> None:
    """Failed, not Crashed, with the nearest name, in the state and in the run's own name."""
    start_worker(f"misnamed-{worker_type}", worker_type)
    file, pool = "flows/replace_invoice.py", f"misnamed-{worker_type}"
    deployment = prefect.deploy("replace_invoice", ROOT, pool, file=file)
    for parameters, sentence in MISNAMED:
        run = prefect.start(deployment, **parameters)
        ended = prefect.until(run, "Failed")
        assert ended["state"]["message"] == sentence
        assert ended["name"] == f"{sentence} · replace-invoice"
