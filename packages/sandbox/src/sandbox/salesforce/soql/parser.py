"""SOQL text to a syntax tree, by the Apex grammar of tree-sitter.

The grammar knows SOQL as it stands inside Apex, so the text is parsed within a small class.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tree_sitter import Node, Parser
from tree_sitter_language_pack import get_parser

from sandbox.salesforce.errors import SalesforceError

_BEFORE = b"class Q{void q(){List<SObject> r="
_AFTER = b";}}"
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return get_parser("apex")


class Soql:
    """One parsed query.

    Args:
        text: The query as the client wrote it.

    Raises:
        SalesforceError: MALFORMED_QUERY, pointing at the place.
    """

    def __init__(self, text: str) -> None:
        self.text = _with_colons(text)
        self._source = _BEFORE + b"[" + self.text.encode() + b"]" + _AFTER
        tree = _parser().parse(self._source)
        query = _first(tree.root_node, "query_expression")
        end = len(self._source) - len(_AFTER)
        if tree.root_node.has_error or query is None or query.end_byte != end:
            raise self._malformed(tree.root_node)
        self.body = next(n for n in query.named_children if n.type == "soql_query_body")
        for bound in every(self.body, "bound_apex_expression"):
            raise self.error("MALFORMED_QUERY", "Bind variables only allowed in Apex code", bound)

    def read(self, node: Node) -> str:
        """The text of a node."""
        return self._source[node.start_byte : node.end_byte].decode()

    def error(self, code: str, message: str, node: Node) -> SalesforceError:
        """An error that points at a node, in Salesforce's layout."""
        before = self._source[len(_BEFORE) + 1 : node.start_byte].decode(errors="replace")
        row = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        lines = self.text.split("\n")
        line = lines[min(row, len(lines)) - 1]
        pointer = " " * (column - 1) + "^"
        return SalesforceError(
            code, f"\n{line}\n{pointer}\nERROR at Row:{row}:Column:{column}\n{message}"
        )

    def _malformed(self, root: Node) -> SalesforceError:
        wrong = next((n for n in _walk(root) if n.is_error or n.is_missing), root)
        token = self.read(wrong).split() or ["<EOF>"]
        if len(_BEFORE) < wrong.start_byte < len(self._source) - len(_AFTER) - 1:
            return self.error("MALFORMED_QUERY", f"unexpected token: '{token[0]}'", wrong)
        return SalesforceError("MALFORMED_QUERY", "unexpected token: '<EOF>'")


def unescape(literal: str, *, like: bool = False) -> str:
    r"""The value of a quoted SOQL string.

    Args:
        literal: The string with its quotes.
        like: Keep ``\%`` and ``\_`` escaped, and escape backslashes, for an SQL LIKE.
    """
    out: list[str] = []
    chars = iter(literal[1:-1])
    for char in chars:
        if char != "\\":
            out.append(char)
            continue
        escaped = next(chars, "")
        if escaped == "u":
            out.append(chr(int("".join(next(chars, "0") for _ in range(4)), 16)))
        elif like and escaped in {"%", "_", "\\"}:
            out.append("\\" + escaped)
        else:
            out.append(_ESCAPES.get(escaped, escaped))
    return "".join(out)


def _with_colons(text: str) -> str:
    """The query with offsets such as ``+0000`` written ``+00:00``, as the grammar has them."""
    out = ""
    in_string = False
    for position, char in enumerate(text):
        if char == "'" and not _escaped(text, position):
            in_string = not in_string
        out += char
        if not in_string and _ends_offset_hours(text, position):
            out += ":"
    return out


def _escaped(text: str, position: int) -> bool:
    slashes = 0
    while position > slashes and text[position - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1


def _ends_offset_hours(text: str, position: int) -> bool:
    sign = position - 2
    return (
        sign > 3
        and text[sign] in "+-"
        and text[sign - 1].isdigit()
        and (":" in text[sign - 4 : sign] or "." in text[sign - 4 : sign])
        and text[sign + 1 : sign + 5].isdigit()
        and len(text[sign + 1 : sign + 5]) == 4
    )


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def every(node: Node, kind: str) -> Iterator[Node]:
    """All nodes of a kind below a node."""
    return (n for n in _walk(node) if n.type == kind)


def _first(node: Node, kind: str) -> Node | None:
    return next(every(node, kind), None)


def field(node: Node, name: str) -> Any:
    """A named part of a node, or None."""
    return node.child_by_field_name(name)
