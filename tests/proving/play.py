"""Flows, run the ways they are run: by Prefect in a process that may die, or just called."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import yaml
from prefect.client.schemas.objects import State
from prefect.context import SyncClientContext
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import Pending, Scheduled

from invoicing.errors import InvoicingError, Passing
from tests.proving import instruments
from tests.proving.child import Broken, Child, Hung, Tell, ask
from tests.proving.world import World

ROOT = Path(__file__).parents[2]
AnyFlow = Flow[..., Any]


@lru_cache(maxsize=1)
def deployed() -> Mapping[str, AnyFlow]:
    """Every flow that ``prefect.yaml`` deploys, by its name."""
    entries = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    flows = {}
    for entry in entries:
        path, _, name = entry["entrypoint"].partition(":")
        module = importlib.import_module(path.removesuffix(".py").replace("/", "."))
        flows[entry["name"]] = cast(AnyFlow, getattr(module, name))
    return flows


@dataclass(frozen=True)
class Ending:
    """How one attempt at a flow ended.

    Attributes:
        how: completed, refused (by the business's rules), passing (try again later), killed,
            hung, or unknown.
        run: The flow run, where it came so far.
        message: What the run's final state says.
        points: The points it passed at which it might have died; empty if it was killed.
    """

    how: str
    run: UUID | None = None
    message: str = ""
    points: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nobody would run it again."""
        return self.how in ("completed", "refused")


class Attempt:
    """One run of a flow under Prefect, in a process of its own."""

    def __init__(
        self,
        world: World,
        flow: str,
        parameters: Mapping[str, Any],
        *,
        run: UUID | None = None,
        kill_at: int | None = None,
    ) -> None:
        """Start it.

        Args:
            world: Where.
            flow: The deployed flow's name.
            parameters: Of the run.
            run: A run that did not come to its end, to be taken up again; else a new one.
            kill_at: The number of the point at which the process is killed.
        """

        def deed(tell: Tell) -> None:
            instruments.shift_time(world.ahead)
            points = instruments.Points(kill_at)
            points.install()
            _run(deployed()[flow], dict(parameters), run, tell)
            tell("points", tuple(points.labels))

        self._child = Child(deed)

    def join(self) -> Ending:
        """Wait for its end."""
        try:
            told, killed = self._child.join()
        except Hung as error:
            return Ending("hung", message=str(error))
        except Broken as error:
            return Ending("unknown", message=str(error))
        if killed:
            return Ending("killed", told.get("run"))
        return Ending(told["how"], told["run"], told["message"], told["points"])


def _run(flow: AnyFlow, parameters: dict[str, Any], run: UUID | None, tell: Tell) -> None:
    with SyncClientContext.get_or_create() as context:
        client = context.client
        if run is None:
            flow_run = client.create_flow_run(flow, parameters=parameters, state=Pending())
        else:
            client.set_flow_run_state(run, Scheduled(name="AwaitingRetry"), force=True)
            flow_run = client.read_flow_run(run)
        tell("run", flow_run.id)
        _report(cast(Any, run_flow(flow, flow_run, parameters, return_type="state")), tell)


def _report(state: State[Any], tell: Tell) -> None:
    tell("message", state.message or "")
    if state.is_completed():
        tell("how", "completed")
        return
    error = state.result(raise_on_failure=False)
    if isinstance(error, Passing):
        tell("how", "passing")
    elif isinstance(error, InvoicingError):
        tell("how", "refused")
    else:
        tell("how", "unknown")
        tell("message", f"{state.name}: {error!r}")


def by_hand(world: World, deed: Callable[[], Any]) -> Any:
    """Do something with the product's own code, without Prefect; returns its answer."""

    def quietly(tell: Tell) -> None:
        instruments.shift_time(world.ahead)
        instruments.without_prefect()
        tell("answer", deed())

    return ask(quietly)["answer"]


def outcome_of(flow: str, **parameters: Any) -> Any:
    """Call a flow's function as it is; inside :func:`by_hand` only.

    Returns:
        The outcome, or the error that the flow ended with.
    """
    target = deployed()[flow]
    instruments.acting_run[0] = str(uuid4())
    return target.fn(**target.validate_parameters(parameters)).data


def warm_up(world: World) -> None:
    """Import beforehand what the libraries import late, so that each fork need not."""

    def learn(tell: Tell) -> None:
        import sys

        before = set(sys.modules)
        instruments.shift_time(world.ahead)
        parameters = {
            "account": "Acme Corporation",
            "description": "Warm-up",
            "due_date": "2099-01-01",
            "lines": [{"product": "Consulting"}],
        }
        _run(deployed()["raise-invoice"], parameters, None, lambda *_: None)
        for flow in ("send-invoice", "sync-invoice"):
            _run(deployed()[flow], {"invoice": "INV-0001"}, None, lambda *_: None)
        for flow in ("poll-events", "full-sync"):
            _run(deployed()[flow], {}, None, lambda *_: None)
        tell("modules", sorted(set(sys.modules) - before))

    from contextlib import suppress

    from sqlalchemy.orm import configure_mappers

    for name in ask(learn)["modules"]:
        with suppress(Exception):
            importlib.import_module(name)
    configure_mappers()
