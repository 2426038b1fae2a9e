"""Many requests in one call, which may refer to earlier ones: Composite, Composite Graph.

A subrequest inherits three headers of the call, which it may not give itself; what else is asked by
a header holds for a subrequest whose own ``httpHeaders`` say it. A graph is of records alone.
Sources: REST API Developer Guide, "Composite Subrequest" (``httpHeaders``), "Composite Subrequest
Result" (what a reference id is made of), "Using Composite Graphs" (which requests)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson
from pydantic import BaseModel, Field, ValidationError

from sandbox.salesforce.errors import SalesforceError, json_error, not_found
from sandbox.salesforce.http import Answer, Call, Handler
from sandbox.salesforce.org import Org
from sandbox.salesforce.records import MultipleMatches

MAX_SUBREQUESTS = 25
MAX_GRAPHS = 75
MAX_NODES = 500

INHERITED = frozenset({"accept", "authorization", "content-type"})
"""Headers of the call that hold for its subrequests."""

_REFERENCE_ID = re.compile(r"\w+", re.ASCII)
_IN_A_GRAPH = re.compile(
    r"POST /services/data/v[\d.]+/sobjects/\w+/?"
    r"|(GET|PATCH|DELETE) /services/data/v[\d.]+/sobjects/\w+/\w+/?"
    r"|(GET|PATCH|DELETE|POST) /services/data/v[\d.]+/sobjects/\w+/\w+/[^/]+/?"
)
_REFERENCE = re.compile(r"@\{([^}]+)\}")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_HALTED = SalesforceError(
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)

Result = dict[str, Any]
Body = TypeVar("Body", bound=BaseModel)


class _Subrequest(BaseModel):
    method: str
    url: str
    reference: str = Field(alias="referenceId")
    body: Any = None
    headers: dict[str, Any] = Field(default={}, alias="httpHeaders")


class _Order(BaseModel):
    """The body of a Composite request."""

    all_or_none: bool = Field(default=False, alias="allOrNone")
    requests: Annotated[list[_Subrequest], Field(alias="compositeRequest", min_length=1)]


class _Graph(BaseModel):
    graph_id: str = Field(alias="graphId")
    requests: Annotated[list[_Subrequest], Field(alias="compositeRequest", min_length=1)]


class _Graphs(BaseModel):
    """The body of a Composite Graph request."""

    graphs: Annotated[list[_Graph], Field(min_length=1)]


class _RollBack(Exception):
    """Undo the transaction that is under way."""


class Composite:
    """``composite`` and ``composite/graph``.

    Args:
        org: Where the requests take effect.
        answer: Answers one subrequest.
    """

    def __init__(self, org: Org, answer: Callable[[Call], Answer]) -> None:
        self._org = org
        self._answer = answer

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path, handler."""
        return [
            ("POST", "/composite", self._composite),
            ("POST", "/composite/graph", self._composite_graph),
        ]

    def _composite(self, call: Call) -> Answer:
        order = _parsed(_Order, call)
        _refuse_over(len(order.requests), MAX_SUBREQUESTS, "subrequests")
        answers, _ = self._run(order.requests, all_or_none=order.all_or_none)
        return Answer(body={"compositeResponse": answers})

    def _composite_graph(self, call: Call) -> Answer:
        graphs = _parsed(_Graphs, call).graphs
        _refuse_over(len(graphs), MAX_GRAPHS, "graphs")
        _refuse_over(sum(len(graph.requests) for graph in graphs), MAX_NODES, "nodes")
        return Answer(body={"graphs": [self._graph(graph) for graph in graphs]})

    def _graph(self, graph: _Graph) -> Result:
        for request in graph.requests:
            _refuse_outside_a_graph(request)
        responses, succeeded = self._run(graph.requests, all_or_none=True)
        return {
            "graphId": graph.graph_id,
            "graphResponse": {"compositeResponse": responses},
            "isSuccessful": succeeded,
        }

    def _run(self, requests: list[_Subrequest], *, all_or_none: bool) -> tuple[list[Result], bool]:
        """The answers in order, and whether all-or-none had all."""
        _refuse_references(requests)
        _refuse_inherited(requests)
        answers: list[Result] = []
        known: dict[str, Any] = {}
        try:
            with self._org.store.transaction():
                for request in requests:
                    answers.append(self._one(request, known))
                    if answers[-1]["httpStatusCode"] < 400:
                        known[request.reference] = answers[-1]["body"]
                    elif all_or_none:
                        raise _RollBack
        except _RollBack:
            failed = len(answers) - 1
            return [
                answers[failed] if position == failed else _response(request, _halted())
                for position, request in enumerate(requests)
            ], False
        return answers, True

    def _one(self, request: _Subrequest, known: dict[str, Any]) -> Result:
        try:
            call = _call(request, known)
            save_duplicates = call.headers.get("sforce-duplicate-rule-header", "")
            with self._org.store.transaction(), self._org.rules.for_request(save_duplicates):
                answer = self._answer(call)
        except SalesforceError as error:
            answer = Answer(error.status, error.as_response())
        except MultipleMatches as several:
            answer = Answer(300, several.urls)
        return _response(request, answer)


def _parsed(model: type[Body], call: Call) -> Body:
    try:
        return model.model_validate(call.mapping())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise json_error(f"{place}: {first['msg']}") from None


def _refuse_over(count: int, most: int, what: str) -> None:
    if count > most:
        raise SalesforceError("LIMIT_EXCEEDED", f"The request has more than {most} {what}.")


def _refuse_references(requests: list[_Subrequest]) -> None:
    references = [request.reference for request in requests]
    if len(set(references)) < len(references):
        raise json_error("Duplicate referenceId in the composite request")
    if not all(map(_REFERENCE_ID.fullmatch, references)):
        raise json_error("A referenceId has letters, digits and underscores only")


def _refuse_outside_a_graph(request: _Subrequest) -> None:
    asked = f"{request.method.upper()} {request.url.partition('?')[0]}"
    if not _IN_A_GRAPH.fullmatch(asked):
        raise json_error(f"Unsupported in a composite graph: {asked}")


def _refuse_inherited(requests: list[_Subrequest]) -> None:
    given = {name.lower() for request in requests for name in request.headers}
    if given & INHERITED:
        raise json_error("A subrequest inherits Accept, Authorization and Content-Type")


def _halted() -> Answer:
    return Answer(400, _HALTED.as_response())


def _response(request: _Subrequest, answer: Answer) -> Result:
    return {
        "body": answer.body,
        "httpHeaders": dict(answer.headers),
        "httpStatusCode": answer.status,
        "referenceId": request.reference,
    }


def _call(request: _Subrequest, known: dict[str, Any]) -> Call:
    url = urlsplit(str(_resolved(request.url, known)))
    version, _, path = url.path.removeprefix("/services/data/").partition("/")
    if not version.startswith("v"):
        raise not_found()
    body = _resolved(request.body, known)
    return Call(
        method=request.method.upper(),
        path=unquote(f"/{path}"),
        params=dict(parse_qsl(url.query)),
        headers={name.lower(): str(value) for name, value in request.headers.items()},
        content=b"" if body is None else orjson.dumps(body),
    )


def _resolved(value: Any, known: dict[str, Any]) -> Any:
    """A value with every ``@{reference.path}`` replaced by what it refers to."""
    if isinstance(value, dict):
        return {key: _resolved(one, known) for key, one in value.items()}
    if isinstance(value, list):
        return [_resolved(one, known) for one in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _look_up(whole[1], known)
    return _REFERENCE.sub(lambda match: str(_look_up(match[1], known)), value)


def _look_up(path: str, known: dict[str, Any]) -> Any:
    current: Any = known
    for name, index in _STEP.findall(path):
        try:
            current = current[int(index)] if index else current[name]
        except (KeyError, IndexError, TypeError):
            reference = path.partition(".")[0]
            raise SalesforceError(
                "PROCESSING_HALTED",
                f"Invalid reference specified. No value for {path} found in {reference}",
            ) from None
    return current
