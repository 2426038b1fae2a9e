"""Sends spans, once they may leave, to where the settings say."""

from collections.abc import Callable

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from invoicing.tracing.redaction import redacted, template_of

NameOf = Callable[[ReadableSpan], str | None]


def provider(name_of: NameOf | None) -> TracerProvider:
    """Makes spans of calls over HTTP, and of whatever it is asked for, from here on.

    The last are sent when the process ends.
    """
    made = TracerProvider()
    made.add_span_processor(_Redacting(name_of or (lambda _: None)))
    URLLib3Instrumentor().instrument(tracer_provider=made, url_filter=template_of)
    ThreadingInstrumentor().instrument()
    return made


class _Redacting(BatchSpanProcessor):
    """Sends spans once they may leave; those that nobody has ended end with the process.

    Prefect leaves the span of a run open that is suspended or taken over.
    Source: ``prefect.flow_engine`` (a suspension is raised before the span is ended)
    """

    def __init__(self, name_of: NameOf) -> None:
        super().__init__(OTLPSpanExporter())
        self._name_of = name_of
        self._open: dict[int, Span] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Remember a span."""
        super().on_start(span, parent_context)
        self._open[span.get_span_context().span_id] = span

    def on_end(self, span: ReadableSpan) -> None:
        """Hand over what may leave of a span."""
        if span.context:
            self._open.pop(span.context.span_id, None)
        super().on_end(redacted(span, self._name_of(span) or span.name))

    def shutdown(self) -> None:
        """End what is open, and send all."""
        for span in list(self._open.values()):
            span.end()
        super().shutdown()  # type: ignore[no-untyped-call]
