"""What belongs to one trace, where no call of a function leads from one to the other.

None of it does anything while traces are off.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import propagate, trace
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind

TRACER = trace.get_tracer("invoicing")

LABEL = "__OTEL_TRACEPARENT"
"""The label of a run that tells Prefect to which span its own belongs.

Source: ``prefect.telemetry.run_telemetry``
"""

MOST_CAUSES = 128
"""As many links as a span keeps. Source: OpenTelemetry specification, "Span Limits"."""


def here() -> list[SpanContext]:
    """The span that is under way, as a cause of what is to come; none while traces are off."""
    found = trace.get_current_span().get_span_context()
    return [found] if found.is_valid else []


@contextmanager
def following(name: str, causes: Sequence[SpanContext]) -> Iterator[None]:
    """A span for what has several causes: it belongs to the trace of the first, and links the rest.

    Args:
        name: What is done.
        causes: What it was done for; without any, there is no span.
    """
    if not causes:
        yield
        return
    first, *others = causes
    parent = trace.set_span_in_context(NonRecordingSpan(first))
    links = [Link(other) for other in others]
    with TRACER.start_as_current_span(name, parent, kind=SpanKind.PRODUCER, links=links):
        yield


def run_labels() -> dict[str, str]:
    """Labels with which a run belongs to the span that is under way."""
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    traceparent = carrier.get("traceparent")
    return {LABEL: traceparent} if traceparent else {}


def first_of(causes: Iterable[SpanContext]) -> list[SpanContext]:
    """As many causes as a span can link."""
    return list(causes)[:MOST_CAUSES]
