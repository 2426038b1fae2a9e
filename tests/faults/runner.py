"""Flows, run the ways they are run: by Prefect in a process that may die, or just called."""

import faulthandler
import importlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import yaml
from prefect.client.schemas.objects import State
from prefect.context import SyncClientContext
from prefect.exceptions import Abort
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.states import Pending, Scheduled
from sqlalchemy.orm import configure_mappers

from deployments.local.waiting import slowness
from invoicing.errors import InvoicingError, TransientError
from invoicing.ledger import database
from tests.faults import process_patches
from tests.faults.forked_process import PATIENCE_SECONDS, Broken, Child, Hung, Servant, Tell, ask
from tests.faults.listening import LISTENER, listen
from tests.faults.process_patches import Moment
from tests.faults.worlds import World

ROOT = Path(__file__).parents[2]
AnyFlow = Flow[..., Any]

CALLS = 5
"""How often a flow is called by hand until something that may pass has passed."""

PAUSE_SECONDS = 0.2
"""Between these calls."""


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
            stalled, superseded (by another process with the same run), hung, or unknown.
        run: The flow run, where it came so far.
        message: What the run's final state says.
        points: The points it passed at which it might have died; empty if it was killed.
        without_ledger: How often it asked for the ledger in vain.
        without_prefect: How often it asked Prefect's API in vain.
    """

    how: str
    run: UUID | None = None
    message: str = ""
    points: tuple[str, ...] = ()
    without_ledger: int = 0
    without_prefect: int = 0

    @property
    def settled(self) -> bool:
        """Whether nobody would run it again."""
        return self.how in ("completed", "refused")


class Attempt:
    """One run of a flow under Prefect, beside this process, or the listener.

    A run that is to be killed, or whose points are counted, has a process of its own. The
    others share a few processes, one after the other, and begin without any connection. The
    listener ends when it is waited for, and has heard all.
    """

    def __init__(
        self,
        world: World,
        flow: str,
        parameters: Mapping[str, Any],
        *,
        run: UUID | None = None,
        kill_at: int | str | None = None,
        stall_at: int | str | None = None,
        ledger_away: process_patches.Away | None = None,
        prefect_away: process_patches.Away | None = None,
        watched: bool = False,
    ) -> None:
        """Start it.

        Args:
            world: Where.
            flow: The deployed flow's name, or the listener's.
            parameters: Of the run.
            run: A run that did not come to its end, to be taken up again; else a new one.
            kill_at: The number or the label of the point at which the process is killed.
            stall_at: The same of the point at which it stops, until it is told to go on.
            ledger_away: When the ledger is not there for it.
            prefect_away: When Prefect's API is not there for what it starts.
            watched: Whether the points are counted.
        """
        self._child: Child | None = None
        self._may_end: tuple[int, ...] = ()
        begin = partial(_begin, world.moment, flow, dict(parameters), run)
        points = process_patches.Points(kill_at, stall_at, ledger_away, prefect_away)
        if flow == LISTENER:
            self._may_end = os.pipe()
            self._child = Child(partial(listen, world.moment, self._may_end[0], points))
            return
        if watched or ledger_away or prefect_away or kill_at is not None or stall_at is not None:
            self._child = Child(partial(_watched, begin, points))
            return
        self._servant = _IDLE.pop() if _IDLE else Servant(_told)
        self._servant.begin(begin)

    def stalls(self) -> Ending | None:
        """Wait until it has stopped; None if it came to its end before."""
        self._let_end()
        if self._child is None or not self._child.stops():
            return None
        return Ending("stalled", self._child.told().get("run"))

    def go_on(self) -> None:
        """Let it go on after it has stopped."""
        if self._child:
            self._child.go_on()

    def _let_end(self) -> None:
        for writing in self._may_end[1:]:
            os.write(writing, b".")

    def join(self) -> Ending:
        """Wait for its end."""
        self._let_end()
        try:
            told, killed = self._child.join() if self._child else (self._served(), False)
        except Hung as error:
            return Ending("hung", message=str(error))
        except Broken as error:
            return Ending("unknown", message=str(error))
        finally:
            for end in self._may_end:
                os.close(end)
        if killed:
            return Ending("killed", told.get("run"))
        return Ending(
            told["how"],
            told["run"],
            told["message"],
            told.get("points", ()),
            told.get("without_ledger", 0),
            told.get("without_prefect", 0),
        )

    def _served(self) -> dict[str, Any]:
        told: dict[str, Any] = self._servant.end()
        _IDLE.append(self._servant)
        return told


_IDLE: list[Servant] = []
"""Processes that wait for the next run."""


def _watched(begin: Callable[[Tell], None], points: process_patches.Points, tell: Tell) -> None:
    points.install()
    begin(tell)
    tell("points", tuple(points.labels))
    tell("without_ledger", points.refused)
    tell("without_prefect", points.unheard)


def _told(begin: Callable[[Tell], None]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    try:
        begin(told.__setitem__)
    finally:
        database.engine().dispose()
    return told


def _begin(
    moment: Moment, flow: str, parameters: dict[str, Any], run: UUID | None, tell: Tell
) -> None:
    process_patches.enter(moment)
    process_patches.be_a_new_process()
    _run(deployed()[flow], parameters, run, tell)


def _run(flow: AnyFlow, parameters: dict[str, Any], run: UUID | None, tell: Tell) -> None:
    with SyncClientContext.get_or_create() as context:
        client = context.client
        if run is None:
            flow_run = client.create_flow_run(flow, parameters=parameters, state=Pending())
        else:
            client.set_flow_run_state(run, Scheduled(name="AwaitingRetry"), force=True)
            flow_run = client.read_flow_run(run)
        tell("run", flow_run.id)
        try:
            state = run_flow(flow, flow_run, parameters, return_type="state")
        except Abort as error:
            tell("how", "superseded")
            tell("message", str(error))
            return
        _report(cast(Any, state), tell)


def _report(state: State[Any], tell: Tell) -> None:
    tell("message", state.message or "")
    if state.is_completed():
        tell("how", "completed")
        return
    error = state.result(raise_on_failure=False)
    if isinstance(error, TransientError):
        tell("how", "passing")
    elif isinstance(error, InvoicingError):
        tell("how", "refused")
    else:
        tell("how", "unknown")
        tell("message", f"{state.name}: {error!r}")


def by_hand(world: World, deed: Callable[[], Any]) -> Any:
    """Do something with the product's own code, without Prefect; returns its answer.

    Raises:
        Broken: it raised something.
        Hung: it did not end.
    """

    def give_up(*_: object) -> None:
        faulthandler.dump_traceback()
        raise Hung(f"no end after {PATIENCE_SECONDS:.0f} s")

    process_patches.enter(world.moment)
    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS * slowness())
    try:
        with process_patches.without_prefect():
            return deed()
    except Exception as error:
        raise error if isinstance(error, Hung) else Broken(traceback.format_exc()) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        database.engine().dispose()


def outcome_of(flow: str, **parameters: Any) -> Any:
    """Call a flow's function as it is; inside :func:`by_hand` only.

    Its tasks are not retried by themselves here, so the whole flow is, while that may help.

    Returns:
        The outcome, or the error that the flow ended with.
    """
    target = deployed()[flow]
    for _ in range(CALLS):
        process_patches.acting_run[0] = str(uuid4())
        outcome = target.fn(**target.validate_parameters(parameters)).data
        if not isinstance(outcome, TransientError):
            break
        time.sleep(PAUSE_SECONDS)
    return outcome


def warm_up(world: World) -> None:
    """Do beforehand what the libraries do once in a process, so that each fork need not."""

    def learn(tell: Tell) -> None:
        before = set(sys.modules)
        process_patches.enter(world.moment)
        process_patches.be_a_new_process()
        _run(deployed()["raise-invoice"], dict(A_DRAFT), None, lambda *_: None)
        for flow in ("send-invoice", "sync-invoice"):
            _run(deployed()[flow], {"invoice": "INV-0001"}, None, lambda *_: None)
        for flow in ("poll-events", "full-sync"):
            _run(deployed()[flow], {}, None, lambda *_: None)
        tell("modules", sorted(set(sys.modules) - before))

    def rehearse() -> None:
        name = outcome_of("raise-invoice", **A_DRAFT).name
        for flow in ("send-invoice", "sync-invoice"):
            outcome_of(flow, invoice=name)
        for flow in ("poll-events", "handle-events", "watch-salesforce", "full-sync"):
            outcome_of(flow)

    for name in ask(learn)["modules"]:
        with suppress(Exception):
            importlib.import_module(name)
    configure_mappers()
    by_hand(world, rehearse)


A_DRAFT = {
    "account": "Acme Corporation",
    "description": "Warm-up",
    "due_date": "2099-01-01",
    "lines": [{"product": "Consulting"}],
}
