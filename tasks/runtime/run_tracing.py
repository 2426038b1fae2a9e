"""Prefect's spans of runs and steps, sent where traces are to go.

Prefect makes them by itself (``prefect.telemetry``) once there is somebody who takes them. Who that
is can be said only in a run's own process and environment: a run may be forked from a process that
has imported all flows before.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from prefect.context import FlowRunContext, TaskRunContext

from invoicing.tracing import switch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

SERVICE = "invoicing-runs"


class RunTracerProvider(trace.TracerProvider):
    """Gives tracers that send their spans, if traces are on when the first is asked for."""

    def get_tracer(self, *args: Any, **kwargs: Any) -> trace.Tracer:
        """A tracer; Prefect asks for one with every run and step."""
        return _provider().get_tracer(*args, **kwargs)


@cache
def _provider() -> trace.TracerProvider:
    return switch.traces(SERVICE, name_of) or trace.NoOpTracerProvider()


def name_of(span: "ReadableSpan") -> str | None:
    """The flow or task of a span that Prefect names after its run, which names customers."""
    kind = (span.attributes or {}).get("prefect.run.type")
    step, run = TaskRunContext.get(), FlowRunContext.get()
    if kind == "task":
        return step.task.name if step else "task"
    if kind == "flow":
        return run.flow.name if run and run.flow else "flow"
    return None


def trace_runs() -> None:
    """Let runs of this process be traced, if traces are on when they begin."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        trace.set_tracer_provider(RunTracerProvider())
