"""A collector of traces that takes OTLP over HTTP, for tests."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.common.serve import running


@dataclass(frozen=True)
class Seen:
    """A span as it arrived; ``parent`` is empty for the first of a trace."""

    service: str
    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, object]
    events: list[str]
    links: list[str]
    failed: bool

    @property
    def url(self) -> str:
        """What was called, if it is a call."""
        return str(self.attributes.get("url.full", ""))


@dataclass
class Collector:
    """Everything that was sent to it."""

    url: str
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def spans(self) -> list[Seen]:
        """All spans, in the order of their arrival."""
        with self.lock:
            requests = list(self.requests)
        return [
            _seen(_values(resource.resource.attributes), span)
            for request in requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def way_to(self, span: Seen) -> list[str]:
        """The names of the spans that lead to one, from the first of its trace on."""
        known = {each.id: each for each in self.spans()}
        way = [span.name]
        while parent := known.get(span.parent):
            span = parent
            way.insert(0, span.name)
        return way

    def text(self) -> str:
        """All that arrived, as JSON."""
        with self.lock:
            return "\n".join(map(MessageToJson, self.requests))


def _seen(process: dict[str, object], span: Span) -> Seen:
    return Seen(
        str(process["service.name"]),
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _values(span.attributes),
        [event.name for event in span.events],
        [link.trace_id.hex() for link in span.links],
        span.status.code == Status.STATUS_CODE_ERROR,
    )


def _values(attributes: Iterable[KeyValue]) -> dict[str, object]:
    return {
        each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, as long as the block lasts."""
    collector = Collector("")

    async def take(request: Request) -> Response:
        sent = ExportTraceServiceRequest.FromString(await request.body())
        with collector.lock:
            collector.requests.append(sent)
        answer = ExportTraceServiceResponse().SerializeToString()
        return Response(answer, media_type="application/x-protobuf")

    app = Starlette(routes=[Route("/v1/traces", take, methods=["POST"])])
    with running(lambda _url: app) as url:
        collector.url = url
        yield collector
