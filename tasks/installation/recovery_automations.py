"""Runs that die are taken up again: Prefect automations, as code.

They cover every deployment of ``prefect.yaml``, because every flow is safe to run again, and no
run of anybody else. `python -m deployments.automations` applies them.

Taking up is *proactive*, which is to say: act when nothing else has happened for a while.
Answering a crash at once would run a flow twice side by side, because a crash may be reported
twice, by the run's process and by its worker.

Source: https://docs.prefect.io/v3/advanced/detect-zombie-flows
"""

from datetime import timedelta
from functools import partial
from typing import Any

from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.installation.automation_sync import OURS

HEARTBEAT = "heartbeat"
ENDED = frozenset(["Completed", "Failed", "TimedOut", "Crashed", "Cancelled"])
WAITING_STATES = frozenset(
    ["Scheduled", "AwaitingRetry", "AwaitingConcurrencySlot", "Late", "Resuming"]
)
PAUSED_STATES = frozenset(["Paused", "Suspended"])
RUNNING = frozenset(["Running", "Retrying"])


class Timing(BaseSettings):
    """How long each sign of life may take; from the environment, ``INVOICING_AUTOMATIONS_…``.

    Prefect looks every five seconds, and accepts no time below ten.
    """

    model_config = SettingsConfigDict(env_prefix="INVOICING_AUTOMATIONS_", extra="ignore")

    silent_seconds: int = Field(
        90,
        ge=10,
        description="Without a heartbeat for so long a run counts as crashed. Three times the "
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY that prefect.yaml gives every run.",
    )
    crashed_seconds: int = Field(
        45,
        ge=10,
        description="A crashed run is taken up again after so long. More than one heartbeat: "
        "what still beats is left alone, as when the server itself was away.",
    )
    pending_seconds: int = Field(
        600,
        ge=10,
        description="A run that was handed out, but has not begun after so long, is handed out "
        "anew. Longer than the slowest start, with the pulling of an image.",
    )
    stillborn_limit: int = Field(
        5,
        ge=1,
        description="A run whose process ends so often before the flow begins is given up: "
        "code that cannot be imported, a command that does not exist.",
    )


def automations(timing: Timing, flows: list[str]) -> list[AutomationCore]:
    """What is done about dead runs of certain flows."""
    each_run = partial(automation, flows=flows, for_each={"prefect.resource.id"})
    return [
        each_run(
            "silent runs have crashed",
            "Neither a heartbeat nor an end: the run died together with its worker.",
            action=ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"Nothing was heard of this run for {timing.silent_seconds} seconds.",
            ),
            posture=Posture.Proactive,
            after=events({HEARTBEAT} | RUNNING),
            expect=events({HEARTBEAT, "Cancelling"} | ENDED | PAUSED_STATES | WAITING_STATES),
            within=timedelta(seconds=timing.silent_seconds),
        ),
        each_run(
            "crashed runs are taken up again",
            "The same run, with the same parameters, on any worker that lives.",
            action=again("This run had crashed and is taken up again."),
            posture=Posture.Proactive,
            after=events({"Crashed"}),
            expect=events(
                {HEARTBEAT, "Pending", "Cancelling"}
                | (ENDED - {"Crashed"})
                | PAUSED_STATES
                | WAITING_STATES
                | RUNNING
            ),
            within=timedelta(seconds=timing.crashed_seconds),
        ),
        each_run(
            "stuck runs are handed out again",
            "Its worker died with the run in hand, before it could begin.",
            action=again("This run had not begun and is handed out again."),
            posture=Posture.Proactive,
            after=events({"Pending"}),
            expect=events(
                {HEARTBEAT, "Cancelling"} | ENDED | PAUSED_STATES | WAITING_STATES | RUNNING
            ),
            within=timedelta(seconds=timing.pending_seconds),
        ),
        each_run(
            "stillborn runs are given up",
            "A flow counts its own attempts, unless it never begins.",
            action=ChangeFlowRunState(
                state=StateType.FAILED,
                message=f"This run could not begin {timing.stillborn_limit} times and is given "
                "up. See its log, then start a new one.",
            ),
            posture=Posture.Reactive,
            match={"prefect.resource.id": "prefect.flow-run.*", "prefect.run-count": "0"},
            expect=events({"Crashed"}),
            threshold=timing.stillborn_limit,
            within=timedelta(days=1),
        ),
    ]


def automation(
    name: str, description: str, flows: list[str], action: ActionTypes, **trigger: Any
) -> AutomationCore:
    """What is done about runs of certain flows, and when."""
    usual = {
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "match_related": [
            {"prefect.resource.role": "flow", "prefect.resource.name": flows},
            {"prefect.resource.role": "deployment"},
        ],
        "threshold": 1,
    }
    return AutomationCore(
        name=f"{OURS}: {name}",
        description=description,
        tags=[OURS],
        trigger=EventTrigger(**usual | trigger),
        actions=[action],
    )


def events(states: set[str] | frozenset[str]) -> set[str]:
    """The names of the events of flow runs."""
    return {f"prefect.flow-run.{state}" for state in states}


def again(message: str) -> ChangeFlowRunState:
    """Let any worker take the run, as Prefect itself does before a retry."""
    return ChangeFlowRunState(
        state=StateType.SCHEDULED, name="AwaitingRetry", message=message, force=True
    )
