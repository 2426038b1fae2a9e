"""Runs that ask: executed here one step at a time, and answered through Prefect's API."""

from contextlib import suppress
from typing import Any, cast
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.flows import Flow
from prefect.input.actions import read_flow_run_input
from prefect.states import AwaitingRetry


class Killed(BaseException):
    """The process is gone."""


class Conversation:
    """One run of a deployment, from one question to the next; one that was killed goes on."""

    def __init__(self, flow: Flow[..., Any], **parameters: Any) -> None:
        """Start the run, and let it come to its first question or its end."""
        self._flow = flow
        self._parameters = parameters
        deployment = cast(UUID, cast(Any, flow.to_deployment(name=flow.name)).apply())
        with get_client(sync_client=True) as client:
            run = client.create_flow_run_from_deployment(deployment, parameters=parameters)
        self.run = run.id
        self.state = self.go_on()

    def go_on(self) -> State[Any]:
        """Execute the run until it waits or ends, as a worker does."""
        with get_client(sync_client=True) as client:
            run = client.read_flow_run(self.run)
            if run.state and run.state.is_crashed():
                client.set_flow_run_state(self.run, AwaitingRetry(), force=True)
                run = client.read_flow_run(self.run)
            parameters = self._flow.validate_parameters(self._parameters)
            with suppress(Pause, Killed):
                run_flow(self._flow, run, parameters, return_type="state")
            self.state = cast(State[Any], client.read_flow_run(self.run).state)
        return self.state

    @property
    def said(self) -> str:
        """The question that waits, or the outcome of the run."""
        return str(self._input("description")) if self.waits else str(self.state.message)

    @property
    def waits(self) -> bool:
        """Whether the run waits for an answer, without a process."""
        return self.state.name == "Suspended"

    @property
    def form(self) -> dict[str, Any]:
        """The fields that are asked for."""
        return dict(self._input("schema")["properties"])

    def choices(self, field: str) -> list[str]:
        """What a list offers."""
        return list(self.form[field]["enum"])

    def answer(self, **fields: Any) -> str:
        """Submit the form; returns what is said next."""
        refusal = self.refused(**fields)
        assert not refusal, refusal
        self.go_on()
        return self.said

    def refused(self, **fields: Any) -> str:
        """Submit a form; returns why Prefect did not take it, or nothing."""
        with get_client(sync_client=True) as client:
            answer = client.resume_flow_run(self.run, run_input=fields)
        if answer.status is SetStateStatus.ACCEPT:
            return ""
        return str(answer.details.reason)  # type: ignore[union-attr]

    def _input(self, what: str) -> Any:
        key = f"suspended-{self.state.state_details.pause_key}-{what}"
        return read_flow_run_input(key, flow_run_id=self.run)
