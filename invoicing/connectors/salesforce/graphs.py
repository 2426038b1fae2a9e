"""Records that belong together, written all or none: composite graphs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from invoicing.connectors.salesforce.connection import SAVE_DUPLICATES
from invoicing.connectors.salesforce.errors import by_code, errors_of
from invoicing.connectors.salesforce.org import Org
from invoicing.domain.salesforce.default_values import SOURCES, copied_fields, with_default_values
from invoicing.domain.salesforce.queries import Query, is_in
from invoicing.errors import InvoicingError, TransientError
from invoicing.settings import SALESFORCE_API_VERSION, settings

GRAPHS, NODES = 75, 500
"""The most graphs of one Composite Graph call, and the most subrequests of all of them."""


class _NodeAnswer(TypedDict):
    referenceId: str
    body: Any


class _GraphResponse(TypedDict):
    compositeResponse: list[_NodeAnswer]


class _Graph(TypedDict):
    """How one graph was written."""

    graphId: str
    isSuccessful: bool
    graphResponse: _GraphResponse


class _Graphs(TypedDict):
    graphs: list[_Graph]


@dataclass(frozen=True, slots=True)
class GraphError:
    """Why nothing of a graph was written, and the subrequest that was refused."""

    reference: str
    error: InvoicingError


class Graphs(Org):
    """What is written to an org in graphs."""

    def write_graph(self, requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write several records in one call, all or none.

        Args:
            requests: Composite subrequests, each with ``method``, ``path`` (below the
                version), ``referenceId`` and ``body``; later ones may refer to earlier ones.

        Returns:
            The answers' bodies by reference id.

        Raises:
            Rejected: with every reason that Salesforce gave; nothing was written.
        """
        [answer] = self.write_graphs([requests])
        if isinstance(answer, GraphError):
            raise answer.error
        return answer

    def write_graphs(
        self, graphs: Sequence[Sequence[Mapping[str, Any]]]
    ) -> list[dict[str, Any] | GraphError]:
        """Write several graphs in one call, each all or none; at most 500 nodes in 75 graphs.

        Those that a duplicate rule refuses are written once more, with the header that passes an
        alert: subrequests do not inherit it, and those that say it themselves are not collated.

        Args:
            graphs: Subrequests, as :meth:`write_graph` takes them.

        Returns:
            For each graph the answers' bodies by reference id, or why nothing of it was written.

        Sources: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/
        resources_composite_graph_limits.htm; of the same guide requests_composite.htm
        (``collateSubrequests``) and "Composite Subrequest" (``httpHeaders``)
        """
        root = f"/services/data/v{SALESFORCE_API_VERSION}/"
        graphs = self._filled(graphs)
        asked = {
            f"graph{number}": [self._node(request, root) for request in requests]
            for number, requests in enumerate(graphs)
        }
        said = self._written(asked)
        alerted = [id_ for id_ in asked if id_ in said and _is_duplicate(said[id_])]
        if alerted:
            insisting = {"httpHeaders": SAVE_DUPLICATES}
            said |= self._written({id_: [n | insisting for n in asked[id_]] for id_ in alerted})
        written = {
            node["referenceId"]: self._writing(_sobject(node)) for nodes in graphs for node in nodes
        }
        by_id = {id_: _graph_answer(graph, written) for id_, graph in said.items()}
        if by_id.keys() != asked.keys():
            raise TransientError("Salesforce did not say how each of the records was written.")
        return [by_id[id_] for id_ in asked]

    def _written(self, asked: Mapping[str, list[dict[str, Any]]]) -> dict[str, _Graph]:
        body = {"graphs": [{"graphId": id_, "compositeRequest": n} for id_, n in asked.items()]}
        said = self._call("write the invoice", "composite/graph", _Graphs, "POST", body)
        return {graph["graphId"]: graph for graph in said["graphs"]}

    def _filled(
        self, graphs: Sequence[Sequence[Mapping[str, Any]]]
    ) -> Sequence[Sequence[Mapping[str, Any]]]:
        """Graphs whose new records have what the field mapping adds to our fields."""
        made = [node["body"] for nodes in graphs for node in nodes if node["method"] == "POST"]
        parents = {}
        for start, paths in copied_fields(self._names).items():
            ids = {str(body[SOURCES[start]]) for body in made if body.get(SOURCES[start])}
            rows = self.query(Query(start, ["Id", *paths], where=is_in("Id", ids))) if ids else []
            parents[start] = {row["Id"]: row for row in rows}

        def filled(request: Mapping[str, Any]) -> Mapping[str, Any]:
            sobject = _sobject(request)
            if request["method"] != "POST" or not self._names.of(sobject).mapping.new:
                return request
            today = datetime.now(settings().business.zone).date()
            types = self._record_types(sobject)
            fields = request["body"]
            body = with_default_values(self._names, sobject, fields, parents, types, today)
            return {**request, "body": body}

        return [[filled(request) for request in requests] for requests in graphs]

    def _record_types(self, sobject: str) -> dict[str, str]:
        """The ids of an object's record types, by their developer names; asked for once."""
        if sobject not in self._types:
            described = self.describe(self.own_object(sobject)) or {"recordTypeInfos": []}
            self._types[sobject] = {
                info["developerName"]: info["recordTypeId"] for info in described["recordTypeInfos"]
            }
        return self._types[sobject]

    def _node(self, request: Mapping[str, Any], root: str) -> dict[str, Any]:
        resource, sobject, *rest = request["path"].split("/")
        path = "/".join([resource, self.own_object(sobject), *rest])
        node = {
            "method": request["method"],
            "url": root + path,
            "referenceId": request["referenceId"],
        }
        if "body" in request:
            node["body"] = self._fields(sobject, request["body"])
        return node


def _sobject(request: Mapping[str, Any]) -> str:
    """Our object, of which a subrequest writes a record."""
    return str(request["path"].split("/")[1])


def _graph_answer(graph: _Graph, doing: Mapping[str, str]) -> dict[str, Any] | GraphError:
    answers = graph["graphResponse"]["compositeResponse"]
    if graph["isSuccessful"]:
        return {answer["referenceId"]: answer["body"] for answer in answers}
    own = _reasons(graph)
    reference = own[0][0] if own else ""
    what, reasons = doing.get(reference, "write the invoice"), [error for _, error in own]
    return GraphError(reference, by_code(what, 400, reasons, writing=True, racing=True))


def _reasons(graph: _Graph) -> list[tuple[str, Mapping[str, Any]]]:
    """Each reason why nothing of a graph was written, after the subrequest that it is about."""
    answers = graph["graphResponse"]["compositeResponse"]
    errors = [(a["referenceId"], error) for a in answers for error in errors_of(a["body"])]
    return [told for told in errors if told[1].get("errorCode") != "PROCESSING_HALTED"] or errors


def _is_duplicate(graph: _Graph) -> bool:
    """Whether a duplicate rule refused a graph."""
    return not graph["isSuccessful"] and any(
        error.get("errorCode") == "DUPLICATES_DETECTED" for _, error in _reasons(graph)
    )
