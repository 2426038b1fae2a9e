"""What the names in a SOQL query mean: fields, parents to join, functions."""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from dataclasses import dataclass, replace

from tree_sitter import Node

from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import NUMERIC, Field, SObject
from sandbox.salesforce.soql.parser import Soql
from sandbox.salesforce.soql.parser import field as part
from sandbox.salesforce.store import quoted

_NO_SUCH_COLUMN = (
    "No such column '{}' on entity '{}'. If you are attempting to use a custom field, be sure to "
    "append the '__c' after the custom field name. Please reference your WSDL or the describe "
    "call for the appropriate names."
)
_NO_SUCH_RELATIONSHIP = (
    "Didn't understand relationship '{}' in field path. If you are attempting to use a custom "
    "relationship, be sure to append the '__r' after the custom relationship name. Please "
    "reference your WSDL or the describe call for the appropriate names."
)
_AGGREGATES = {"COUNT", "COUNT_DISTINCT", "SUM", "AVG", "MIN", "MAX"}
_DATE_PARTS = {
    "CALENDAR_YEAR": "CAST(strftime('%Y', {0}) AS INTEGER)",
    "CALENDAR_QUARTER": "(CAST(strftime('%m', {0}) AS INTEGER) + 2) / 3",
    "CALENDAR_MONTH": "CAST(strftime('%m', {0}) AS INTEGER)",
    "DAY_IN_MONTH": "CAST(strftime('%d', {0}) AS INTEGER)",
    "DAY_IN_WEEK": "CAST(strftime('%w', {0}) AS INTEGER) + 1",
    "DAY_IN_YEAR": "CAST(strftime('%j', {0}) AS INTEGER)",
    "HOUR_IN_DAY": "CAST(strftime('%H', {0}) AS INTEGER)",
    "DAY_ONLY": "date({0})",
}


@dataclass(frozen=True, slots=True)
class Expression:
    """SQL, and the field whose kind its value is of."""

    sql: str
    field: Field


@dataclass(frozen=True, slots=True)
class Parent:
    """A joined parent: its SQL alias, its object, and the proper names that lead to it."""

    alias: str
    sobject: SObject
    names: tuple[str, ...] = ()


class Scope:
    """The names one FROM clause makes known; parents are joined as they are used.

    Args:
        org: Whose schema gives names their meaning.
        soql: The query, for reading nodes and pointing at mistakes.
        sobject: What is selected from; its alias in SQL is ``t0``.
        alias: Its alias in the query.
    """

    def __init__(self, org: Org, soql: Soql, sobject: SObject, alias: str | None) -> None:
        self.org = org
        self.soql = soql
        self.sobject = sobject
        self.source = f"{quoted(sobject.name)} t0"
        self._own_names = {name.lower() for name in (alias, sobject.name) if name}
        self._parents: dict[tuple[str, ...], Parent] = {(): Parent("t0", sobject)}

    def path(self, node: Node) -> list[str]:
        """The parts of a field's path, without the object's own name or alias in front."""
        path = self.soql.read(node).replace(" ", "").split(".")
        own = len(path) > 1 and path[0].lower() in self._own_names
        return path[1:] if own and not self.sobject.find_relationship(path[0]) else path

    def parent(self, names: list[str], node: Node) -> Parent:
        """The parent that a path of relationships leads to.

        Raises:
            SalesforceError: INVALID_FIELD, pointing at the node.
        """
        parent = self._parents[()]
        for name in names:
            reference = parent.sobject.find_relationship(name)
            if reference is None or not self._seen(reference):
                raise self.soql.error("INVALID_FIELD", _NO_SUCH_RELATIONSHIP.format(name), node)
            parent = self._join(parent, reference)
        return parent

    def _seen(self, reference: Field) -> bool:
        return bool(reference.to) and reference.to[0] in self.org.seen.objects

    def field(self, path: list[str], node: Node) -> Expression:
        """The column of a path such as Account__r.Name.

        Raises:
            SalesforceError: INVALID_FIELD, pointing at the node.
        """
        *names, name = path
        parent = self.parent(names, node)
        found = parent.sobject.find(name)
        if found is None:
            message = _NO_SUCH_COLUMN.format(name, parent.sobject.name)
            raise self.soql.error("INVALID_FIELD", message, node)
        return Expression(f"{parent.alias}.{quoted(found.name)}", found)

    def expression(self, node: Node) -> Expression:
        """The SQL of a field or a function.

        Raises:
            SalesforceError: The field or the function is not there.
        """
        if node.type == "field_identifier":
            return self.field(self.path(node), node)
        name = self._function(node)
        arguments = node.named_children[1:]
        if len(arguments) != 1:
            raise self.soql.error("MALFORMED_QUERY", f"{name} takes one argument", node)
        inner = self.expression(arguments[0])
        if name in _AGGREGATES:
            return self._aggregate(name, inner, node)
        if name in _DATE_PARTS:
            kind = "date" if name == "DAY_ONLY" else "int"
            return Expression(_DATE_PARTS[name].format(inner.sql), Field(name=name, type=kind))
        match name:
            case "TOLABEL":
                return inner
            case "FORMAT":
                text = replace(inner.field, type="string")
                return Expression(f"CAST({inner.sql} AS TEXT)", text)
            case "CONVERTCURRENCY":
                return Expression(f"{inner.sql} / {_rate(inner)}", inner.field)
        raise self.soql.error("MALFORMED_QUERY", f"unknown function: {name}", node)

    def is_aggregate(self, node: Node) -> bool:
        """Whether a node is a call of COUNT, SUM and the like."""
        return node.type == "function_expression" and self._function(node) in _AGGREGATES

    def _function(self, node: Node) -> str:
        return self.soql.read(part(node, "function_name")).upper()

    def _aggregate(self, name: str, inner: Expression, node: Node) -> Expression:
        if name in {"COUNT", "COUNT_DISTINCT"}:
            distinct = "DISTINCT " if name == "COUNT_DISTINCT" else ""
            return Expression(f"COUNT({distinct}{inner.sql})", Field(name="count", type="int"))
        if name in {"SUM", "AVG"} and inner.field.type not in NUMERIC:
            message = f"field {inner.field.name} does not support aggregate operator {name}"
            raise self.soql.error("MALFORMED_QUERY", message, node)
        if name == "SUM":
            return Expression(f"ROUND(SUM({inner.sql}), {inner.field.scale})", inner.field)
        return Expression(f"{name}({inner.sql})", inner.field)

    def _join(self, child: Parent, reference: Field) -> Parent:
        names = (*child.names, str(reference.relationship))
        if names not in self._parents:
            alias = f"t{len(self._parents)}"
            sobject = self.org.seen.objects[reference.to[0]]
            self._parents[names] = Parent(alias, sobject, names)
            self.source += (
                f" LEFT JOIN {quoted(sobject.name)} {alias} "
                f"ON {alias}.Id = {child.alias}.{quoted(reference.name)}"
            )
        return self._parents[names]


def _rate(inner: Expression) -> str:
    alias = inner.sql.partition(".")[0]
    return f"(SELECT ConversionRate FROM CurrencyType WHERE IsoCode = {alias}.CurrencyIsoCode)"
