"""What leaves this process: spans without anything that names somebody or opens something.

Run names, sentences, texts of errors and URLs hold customers' names, addresses and tokens. So of
each span only those attributes go that are named here, of an event its name and the few that are
named, of a status its code, and of a URL the words of the three APIs.
"""

import re
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

KEPT_ATTRIBUTES = frozenset(
    [
        "error.type",
        "exception.type",
        "http.request.method",
        "http.response.status_code",
        "prefect.deployment.id",
        "prefect.flow.id",
        "prefect.run.id",
        "prefect.run.type",
        "prefect.state.name",
        "prefect.state.type",
        "prefect.tags",
        "server.address",
        "server.port",
        "url.full",
    ]
)
"""The attributes that leave; ``url.full`` is set by :func:`provider` alone, as a template."""

APIS = ("/v1/", "/services/", "/api/")
"""How paths of Stripe, Salesforce and Prefect begin."""

WORD = re.compile(
    r"[a-z]{1,13}(_[a-z]{1,13})*"  # as Stripe and Prefect call things
    r"|[A-Za-z][A-Za-z-]*|[A-Za-z]\w*__[a-z]+"  # as Salesforce does, and as an org calls its own
    r"|v[\d.]+|oauth2"
)
"""A part of a path that is the API's own. Ids of Stripe have fourteen characters or more behind
their ``_`` (https://docs.stripe.com/api/invoices/object), not always a digit among them; those of
Salesforce and Prefect have digits."""


def redacted(span: ReadableSpan, name: str) -> ReadableSpan:
    """A span as it may leave, under a name."""
    return ReadableSpan(
        name,
        span.context,
        span.parent,
        span.resource,
        _kept(span.attributes),
        [Event(event.name, _kept(event.attributes), event.timestamp) for event in span.events],
        [Link(link.context) for link in span.links],
        span.kind,
        status=Status(_code(span)),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def template_of(url: str) -> str:
    """A URL without its query, and without whatever in its path is an id or a value."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    path = parts.path if parts.path.startswith(APIS) else "/"
    words = (part if not part or WORD.fullmatch(part) else "{}" for part in path.split("/"))
    return f"{parts.scheme}://{host}{'/'.join(words)}"


def _kept(attributes: Attributes) -> dict[str, AttributeValue]:
    return {name: value for name, value in (attributes or {}).items() if name in KEPT_ATTRIBUTES}


def _code(span: ReadableSpan) -> StatusCode:
    """The status; Prefect calls a run good whose flow has returned that it failed.

    Source: ``prefect.flow_engine`` (``handle_success`` ends the span as a success)
    """
    states = [(event.attributes or {}).get("prefect.state.type") for event in span.events]
    last = next((state for state in reversed(states) if state), None)
    return StatusCode.ERROR if last == "FAILED" else span.status.status_code
