"""Whether this process is traced, which the variables that every OpenTelemetry SDK reads say.

They come from the environment or from the file of settings.
Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dotenv import dotenv_values
from opentelemetry import trace

from invoicing.settings import file

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from starlette.types import ASGIApp

    from invoicing.tracing.export import NameOf

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

ENDPOINTS = (ENDPOINT, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Traces are on where one of these has a value."""

DEFAULTS = {
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http",  # names of attributes that do not change any more
    "OTEL_EXPORTER_OTLP_TIMEOUT": "3",  # seconds for a batch
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2048",  # all that waits: a process ends with one batch
}


def traces(service: str, name_of: "NameOf | None" = None) -> "TracerProvider | None":
    """Begin to trace this process; None where traces are off, and then nothing is imported.

    Args:
        service: What traces call the process, unless ``OTEL_SERVICE_NAME`` says otherwise.
        name_of: Gives spans of others the names under which they are to be shown.
    """
    variables = dotenv_values(file()) | os.environ
    if not any(variables.get(endpoint) for endpoint in ENDPOINTS):
        return None
    given = {name: value for name, value in variables.items() if name.startswith("OTEL_") and value}
    os.environ |= DEFAULTS | {"OTEL_SERVICE_NAME": service} | given
    from invoicing.tracing.export import provider

    return provider(name_of)


@dataclass(frozen=True)
class Program:
    """A program of ours that is traced, or is not."""

    provider: "TracerProvider | None"

    def end(self) -> None:
        """Send the last spans; nothing is traced any more."""
        if self.provider:
            self.provider.shutdown()

    def traced(self, app: "ASGIApp") -> "ASGIApp":
        """An application each request of which is a span.

        The path is not among what it shows: it may hold a token.
        """
        if self.provider is None:
            return app
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        return OpenTelemetryMiddleware(
            app,
            excluded_urls="/health$,/ready$,/metrics$",
            default_span_details=lambda scope: (f"{scope.get('method', '')} webhook".strip(), {}),
            exclude_spans=["receive", "send"],
        )


def begin(service: str) -> Program:
    """Trace a program of ours from here on, if traces are on."""
    provider = traces(service)
    if provider:
        trace.set_tracer_provider(provider)
    return Program(provider)
