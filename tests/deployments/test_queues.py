"""Who goes first when many runs are asked for at once."""

from pathlib import Path

from prefect.settings import PREFECT_API_URL, temporary_settings

from tasks.installation import queues
from tasks.installation.queues import Limits
from tests.prefect_worker import Prefect

POOL = "crowded"


def apply(prefect: Prefect, limits: Limits) -> dict[str, str]:
    """Apply the queues to the pool of this test."""
    with temporary_settings({PREFECT_API_URL: prefect.url}):
        return queues.apply(limits, POOL)


def next_runs(prefect: Prefect) -> list[str]:
    """The runs that a worker would be given now, in their order."""
    path = f"/work_pools/{POOL}/get_scheduled_flow_runs"
    return [each["flow_run"]["id"] for each in prefect.call("POST", path, {})]


def test_a_person_goes_before_a_crowd(prefect: Prefect, project: Path) -> None:
    """Of a crowd two runs go at once, and a person who comes later goes before all of it."""
    prefect.call("POST", "/work_pools/", {"name": POOL, "type": "process"})
    limits = Limits(people=20, machinery=8, bulk=2)
    assert set(apply(prefect, limits).values()) == {"created"}
    assert set(apply(prefect, limits).values()) == {"unchanged"}
    assert apply(prefect, Limits(people=20, machinery=9, bulk=2))["machinery"] == "updated"

    deployment = prefect.deploy("greet", project, POOL)
    path = f"/deployments/{deployment}/create_flow_run"

    def ask(queue: str) -> str:
        return str(prefect.call("POST", path, {"work_queue_name": queue})["id"])

    crowd = [ask("bulk") for _ in range(4)]
    person = ask("people")
    [first, *rest] = next_runs(prefect)
    assert first == person
    assert rest == crowd[:2]
