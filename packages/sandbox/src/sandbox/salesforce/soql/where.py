"""WHERE and HAVING as SQL.

Comparisons follow SOQL: texts are compared case-blind (unless the field is case-sensitive),
``!=``, ``NOT IN`` and NOT include nulls, date literals are spans of days.
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from tree_sitter import Node

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.schema import NUMERIC, Field
from sandbox.salesforce.soql import date_literals
from sandbox.salesforce.soql.names import Expression, Scope
from sandbox.salesforce.soql.parser import unescape
from sandbox.salesforce.values import stamp

Select = Callable[[Node], str]
"""Translates the sub-query of a semi-join to SQL."""

_DIFFERENT = {"!=", "<>"}
_TEXTS = frozenset(
    {"id", "reference", "string", "textarea", "picklist", "multipicklist"}
    | {"email", "phone", "url", "encryptedstring"}
)


class Conditions:
    """Translates conditions within a scope.

    Args:
        scope: What names mean.
        parameters: Where values are bound.
        select: Translates sub-queries.
    """

    def __init__(self, scope: Scope, parameters: dict[str, Any], select: Select) -> None:
        self.scope = scope
        self._soql = scope.soql
        self._parameters = parameters
        self._select = select

    def sql(self, node: Node) -> str:
        """The SQL of one condition.

        Raises:
            SalesforceError: It names what is not there, or compares what cannot be compared.
        """
        match node.type:
            case "and_expression":
                return self._joined(node, " AND ")
            case "or_expression":
                return self._joined(node, " OR ")
            case "not_expression":
                return _not(self.sql(node.named_children[0]))
            case "comparison_expression":
                return self._comparison(node)
        raise self._soql.error("MALFORMED_QUERY", "unexpected condition", node)

    def _joined(self, node: Node, word: str) -> str:
        return "(" + word.join(self.sql(part) for part in node.named_children) + ")"

    def _comparison(self, node: Node) -> str:
        left_node, operator_node, right = node.named_children
        left = self.scope.expression(left_node)
        if not left.field.filterable:
            message = f"field '{left.field.name}' can not be filtered in a query call"
            raise self._soql.error("INVALID_FIELD", message, left_node)
        operator = " ".join(self._soql.read(operator_node).upper().split())
        if operator_node.type == "set_comparison_operator":
            return self._in_set(left, operator, right)
        if right.type in {"date_literal", "date_literal_with_param"}:
            return self._in_span(left, operator, right)
        value = self._literal(left.field, right)
        if operator == "LIKE":
            pattern = self._bind(unescape(self._soql.read(right), like=True))
            return f"{left.sql} LIKE {pattern} ESCAPE '\\'"
        if value is None:
            return f"{left.sql} IS {'NOT ' if operator in _DIFFERENT else ''}NULL"
        word = "IS NOT" if operator in _DIFFERENT else operator
        return f"{left.sql} {word} {self._bind(value)}"

    # -- sets

    def _in_set(self, left: Expression, operator: str, right: Node) -> str:
        if right.type == "subquery":
            within = f"{left.sql} IN ({self._select(right.named_children[0])})"
        elif operator in {"INCLUDES", "EXCLUDES"}:
            within = " OR ".join(self._includes(left, one) for one in right.named_children)
        else:
            within = self._listed(left, right.named_children)
        return f"({within})" if operator in {"IN", "INCLUDES"} else _not(within)

    def _listed(self, left: Expression, literals: list[Node]) -> str:
        values = [self._literal(left.field, literal) for literal in literals]
        listed = self._bind(json.dumps([value for value in values if value is not None]))
        within = f"{left.sql} IN (SELECT value FROM json_each({listed}))"
        return f"({within} OR {left.sql} IS NULL)" if None in values else within

    def _includes(self, left: Expression, literal: Node) -> str:
        chosen = unescape(self._soql.read(literal)).split(";")
        tests = (f"instr(';' || {left.sql} || ';', {self._bind(f';{one};')})" for one in chosen)
        return "(" + " AND ".join(tests) + ")"

    # -- spans of days

    def _in_span(self, left: Expression, operator: str, node: Node) -> str:
        if left.field.type not in {"date", "datetime"}:
            raise self._wrong_type(left.field, node)
        days = self._span(node)
        first, after = (self._bind(_day(left.field, day)) for day in days)
        within = f"({left.sql} >= {first} AND {left.sql} < {after})"
        if operator == "=" or operator in _DIFFERENT:
            return within if operator == "=" else _not(within)
        return (
            f"{left.sql} "
            + {
                "<": f"< {first}",
                "<=": f"< {after}",
                ">": f">= {after}",
                ">=": f">= {first}",
            }[operator]
        )

    def _span(self, node: Node) -> date_literals.Span:
        with_count = node.type == "date_literal_with_param"
        word = self._soql.read(node.named_children[0] if with_count else node)
        count = int(self._soql.read(node.named_children[1])) if with_count else None
        today = self.scope.org.clock.instant().date()
        try:
            return date_literals.span(word, today, count)
        except ValueError:
            raise self._soql.error("MALFORMED_QUERY", f"unknown date: {word}", node) from None

    # -- values

    def _literal(self, field: Field, node: Node) -> Any:
        """The value of a literal, checked against the field it is compared with."""
        if node.type == "null_literal":
            return None
        kinds, read = _LITERALS.get(node.type, (frozenset(), str))
        if field.type not in kinds:
            raise self._wrong_type(field, node)
        value = read(self._soql.read(node))
        if value == "":
            return None
        if field.type in {"id", "reference"}:
            if not is_id(value):
                message = f"invalid ID field: {value}"
                raise self._soql.error("INVALID_QUERY_FILTER_OPERATOR", message, node)
            return normalize(value)
        return value

    def _wrong_type(self, field: Field, node: Node) -> SalesforceError:
        text = field.type in _TEXTS
        return self._soql.error(
            "INVALID_FIELD",
            f"value of filter criterion for field '{field.name}' must be of type "
            f"{'string' if text else field.type} and should {'' if text else 'not '}be enclosed "
            "in quotes",
            node,
        )

    def _bind(self, value: Any) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f":{name}"


def _not(condition: str) -> str:
    """What is not so, or not known to be so."""
    return f"NOT COALESCE({condition}, 0)"


def _day(field: Field, day: date) -> str:
    if field.type == "date":
        return day.isoformat()
    return stamp(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _instant(text: str) -> str:
    return stamp(datetime.fromisoformat(text))


def _amount(text: str) -> float:
    """The number in a currency literal such as EUR5000."""
    return float(text.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))


_LITERALS: dict[str, tuple[frozenset[str], Callable[[str], Any]]] = {
    "string_literal": (_TEXTS, unescape),
    "int": (NUMERIC, float),
    "decimal": (NUMERIC, float),
    "currency_literal": (NUMERIC, _amount),
    "boolean": (frozenset({"boolean"}), lambda text: int(text.lower() == "true")),
    "date": (frozenset({"date"}), str),
    "date_time": (frozenset({"datetime"}), _instant),
}
"""For each kind of literal: the types of field it may be compared with, and how it is read."""
