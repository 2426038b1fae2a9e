"""Whoever works with what production runs gets an answer, whichever end a run comes to."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.deployments.production import Api
from tests.prefect_worker import Prefect, eventually

FLOW = "asked-for"


@pytest.fixture(scope="module")
def deployment(prefect: Prefect, tmp_path_factory: pytest.TempPathFactory) -> str:
    """One that no worker takes runs of."""
    project: Path = tmp_path_factory.mktemp("project")
    prefect.call("POST", "/work_pools/", {"name": FLOW, "type": "process"})
    return prefect.deploy(FLOW, project, FLOW)


def next_run(prefect: Prefect, deployment: str) -> str:
    """The run that was asked for and has not begun, when there is one."""
    waits = {
        "deployments": {"id": {"any_": [deployment]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    [run] = eventually(lambda: prefect.call("POST", "/flow_runs/filter", waits))
    return str(run["id"])


def end(prefect: Prefect, run: str, **state: Any) -> None:
    """Let a run come to an end."""
    body = {"state": state, "force": True}
    prefect.call("POST", f"/flow_runs/{run}/set_state", body)


def test_a_run_that_another_one_cancelled_is_asked_for_again(
    prefect: Prefect, deployment: str
) -> None:
    """Until one of them has done it; what failed is told in its own words."""
    with ThreadPoolExecutor(1) as people:
        said = people.submit(Api(prefect.url).ask, FLOW, "the first")
        run = next_run(prefect, deployment)
        end(prefect, run, type="CANCELLED", message="Deployment concurrency limit reached.")
        end(prefect, next_run(prefect, deployment), type="COMPLETED", message="It is done.")
        assert said.result() == "It is done."
        said = people.submit(Api(prefect.url).ask, FLOW, "the second")
        end(prefect, next_run(prefect, deployment), type="FAILED", message="It was refused.")
        with pytest.raises(AssertionError, match="It was refused"):
            said.result()
