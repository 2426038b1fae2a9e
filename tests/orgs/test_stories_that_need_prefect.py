"""Stories of flows that ask a person, or look at runs and forms, in an org of every kind."""

from collections.abc import Iterator
from typing import Any, cast

import pytest
from prefect.client.schemas.objects import State
from prefect.flow_engine import run_flow

from invoicing.settings import settings
from tasks.drafting.product_options import FORMS
from tests.faults.runner import deployed
from tests.faults.stories import Parameters
from tests.in_process_flow_runs import flows_run_here
from tests.orgs.conftest import Enter
from tests.orgs.playing import play
from tests.orgs.profiles import PROFILES
from tests.orgs.test_every_story_in_every_org import NEED_PREFECT

pytestmark = pytest.mark.xdist_group("orgs-with-prefect")


@pytest.fixture(scope="module")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on which the forms are deployed."""
    with flows_run_here(tmp_path_factory.mktemp("prefect")) as url:
        for name in FORMS:
            deployed()[name].to_deployment(name=name).apply()  # type: ignore[union-attr]
        yield url


def run(flow: str, parameters: Parameters) -> Any:
    """The outcome of a run, or its error."""
    state = cast(State[Any], run_flow(deployed()[flow], parameters=parameters, return_type="state"))
    return state.result(raise_on_failure=False)


@pytest.mark.parametrize("flow", sorted(NEED_PREFECT))
@pytest.mark.parametrize("profile", PROFILES)
def test_the_story_ends_as_it_does_anywhere(
    enter: Enter, prefect_server: str, monkeypatch: pytest.MonkeyPatch, profile: str, flow: str
) -> None:
    """The same end, and in words what was in the way."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    settings.cache_clear()
    assert play(enter([profile]), [profile], flow, run) == []
