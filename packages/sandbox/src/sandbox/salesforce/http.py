"""A REST call and its answer, free of any web framework, so that Composite can make them too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.routing import compile_path

from sandbox.salesforce.errors import SalesforceError, json_error, not_found


@dataclass(frozen=True)
class Call:
    """One request below ``/services/data/vXX.X``; header names are lower case."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            SalesforceError: JSON_PARSER_ERROR.
        """
        try:
            return orjson.loads(self.content)
        except orjson.JSONDecodeError as error:
            raise json_error(
                f"{error.msg} at [line:{error.lineno}, column:{error.colno}]"
            ) from None

    def mapping(self) -> dict[str, Any]:
        """The body as a JSON object.

        Raises:
            SalesforceError: JSON_PARSER_ERROR.
        """
        body = self.json()
        if not isinstance(body, dict):
            raise json_error("Unexpected parameter encountered during deserialization: value")
        return body


@dataclass(frozen=True)
class Answer:
    """Status, body (JSON-able, or bytes as they are) and further headers."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[..., Answer]
"""Takes the call and, by name, the parts of the path."""


class Resources:
    """Which handler answers which method and path."""

    def __init__(self, table: list[tuple[str, str, Handler]]) -> None:
        self._routes = [
            (set(methods.split()), *compile_path(path)[::2], handler)
            for methods, path, handler in table
        ]

    def answer(self, call: Call) -> Answer:
        """Find the handler and let it answer.

        Raises:
            SalesforceError: Nothing answers here, or the handler refused.
        """
        path = call.path.rstrip("/") or "/"
        found = False
        for methods, pattern, convertors, handler in self._routes:
            match = pattern.match(path)
            if match is None:
                continue
            found = True
            if call.method in methods:
                parts = {k: convertors[k].convert(v) for k, v in match.groupdict().items()}
                return handler(call, **parts)
        if found:
            raise SalesforceError(
                "METHOD_NOT_ALLOWED",
                f"HTTP Method '{call.method}' not allowed. Check the resource's documentation.",
                status=405,
            )
        raise not_found()
