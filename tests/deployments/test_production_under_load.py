"""Two of each, as `high-availability.yaml` has them: one dies under load, and nothing is lost."""

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deployments.local.waiting import eventually
from tests.deployments.production import (
    PATIENCE_SECONDS,
    Production,
    missing_packages,
    production,
)
from tests.deployments.production_work import ProductionUsers
from tests.prefect_worker import make_project

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(
        bool(missing_packages()), reason=f"not installed: apt-get install {missing_packages()}"
    ),
]

INVOICES = 6
"""At once, for each death: a few more than are worked on at one time."""
RENEWALS_AFTERWARDS = 2

KILLS: dict[str, Callable[[Production], None]] = {
    "prefect": lambda world: world.kill("prefect-1"),
    "worker": lambda world: world.kill("worker-1"),
    "receiver": lambda world: world.kill("receiver-1"),
    "listener": lambda world: world.kill("listener"),
    "redis": lambda world: world.kill("redis"),
    "postgres": lambda world: world.restart_postgres(),
}


@pytest.fixture(scope="module")
def people() -> Iterator[ProductionUsers]:
    """Everything, in a folder that PostgreSQL's user may pass through."""
    with TemporaryDirectory(prefix="production-") as folder:
        Path(folder).chmod(0o755)
        with production(Path(folder)) as world:
            yield ProductionUsers(world)


@pytest.mark.parametrize("victim", KILLS)
def test_one_dies_under_load(people: ProductionUsers, victim: str) -> None:
    """People go on raising, sending and paying; each invoice is mailed once, each payment seen."""
    before = people.mails()
    with ThreadPoolExecutor(INVOICES) as crowd:
        billed = [crowd.submit(people.bill) for _ in range(INVOICES)]
        eventually(lambda: len(people.mails()) > len(before), PATIENCE_SECONDS)
        KILLS[victim](people.world)
        names = [each.result() for each in billed]
    assert len(set(names)) == INVOICES
    people.do("poll-events")  # whatever the receiver had no time for; else the next five minutes
    eventually(lambda: not people.unpaid(), PATIENCE_SECONDS)
    assert set(Counter(people.mails()).values()) == {1}
    assert len(people.mails()) == len(before) + INVOICES
    people.world.check()


def test_a_long_run_outlives_its_servers_and_redis(people: ProductionUsers, tmp_path: Path) -> None:
    """Its slot is renewed when they are back, and free when it ends."""
    world, prefect = people.world, people.prefect
    renewals = tmp_path / "renewals"
    project = make_project(tmp_path)
    prefect.call("POST", "/work_pools/", {"name": "long", "type": "process"})
    deployment = prefect.deploy("hold", project, "long")
    prefect.call("PATCH", f"/deployments/{deployment}", {"concurrency_limit": 1})
    world.start_worker("long", project, RENEWALS=str(renewals))
    run = prefect.start(deployment, notes=str(tmp_path))
    eventually(renewals.exists, PATIENCE_SECONDS)
    for name in ("prefect-1", "prefect-2", "redis"):
        before = renewals.stat().st_size
        world.kill(name)
        enough = before + RENEWALS_AFTERWARDS
        eventually(lambda enough=enough: renewals.stat().st_size >= enough, PATIENCE_SECONDS)  # type: ignore[misc]
    (tmp_path / "enough").touch()
    prefect.until(run, "Completed")
    assert "Crashed" not in prefect.states(run)

    def slots_taken() -> int:
        limit = prefect.call("GET", f"/deployments/{deployment}")["global_concurrency_limit"]
        return int(limit["active_slots"])

    eventually(lambda: slots_taken() == 0, PATIENCE_SECONDS)


def test_nothing_is_left_over_and_nothing_differs(people: ProductionUsers) -> None:
    """After all of them no run, request or event waits, and both services say the same."""
    eventually(lambda: not people.under_way(), PATIENCE_SECONDS)
    assert not people.open_requests()
    assert "0 differed" in people.do("full-sync")
    assert set(people.inbox()) == {"done"}
