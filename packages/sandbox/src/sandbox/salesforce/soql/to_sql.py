"""SOQL syntax trees translated to SQL.

A query becomes the parts of one SQL statement plus a plan that says which column of a row goes
where in a record.
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tree_sitter import Node

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import ChildRelationship, SObject
from sandbox.salesforce.soql.names import Expression, Parent, Scope
from sandbox.salesforce.soql.parser import Soql, every
from sandbox.salesforce.soql.parser import field as part
from sandbox.salesforce.soql.where import Conditions
from sandbox.salesforce.store import quoted

MAX_LENGTH = 100_000
"""Characters of a query. Source: Salesforce Developer Limits and Allocations Quick Reference, "SOQL
and SOSL Limits"; the code of the refusal is believed and not proved."""
MAX_OFFSET = 2_000
MAX_ROWS = 50_000_000
MAX_FIELDS_ROWS = 200
"""Rows that FIELDS(ALL) and FIELDS(CUSTOM) may be asked for."""

_NO_SUCH_OBJECT = (
    "sObject type '{}' is not supported. If you are attempting to use a custom object, be sure to "
    "append the '__c' after the entity name. Please reference your WSDL or the describe call for "
    "the appropriate names."
)
_NO_SUCH_CHILDREN = (
    "Didn't understand relationship '{}' in FROM part of query call. If you are attempting to use "
    "a custom relationship, be sure to append the '__r' after the custom relationship name. "
    "Please reference your WSDL or the describe call for the appropriate names."
)


@dataclass
class Plan:
    """Which column of a row goes where in a record.

    ``values`` gives a column's position and whether it is a checkbox; ``order`` the names of
    values, parents and children as they were asked for.
    """

    sobject: SObject
    id_column: int = 0
    values: dict[str, tuple[int, bool]] = field(default_factory=dict)
    parents: dict[str, Plan] = field(default_factory=dict)
    children: dict[str, Children] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


class Column(NamedTuple):
    """One column of a row: its SQL, its heading if a client asked for it, and its kind.

    A long text is what Salesforce makes smaller batches for: a long text area of the org's own.
    """

    sql: str
    heading: str
    kind: str
    long_text: bool = False


@dataclass
class Query:
    """The parts of one SQL statement, and how its rows are read."""

    sobject: SObject
    plan: Plan
    columns: list[Column]
    source: str
    condition: str
    grouping: str
    ordering: str
    limit: int | None
    offset: int
    parameters: dict[str, Any]
    aggregate: bool
    count_only: bool

    def sql(self, columns: str | None = None) -> str:
        """The statement, for all its columns or for others."""
        selected = columns or ", ".join(column.sql for column in self.columns)
        order = f" ORDER BY {self.ordering}" if self.ordering else ""
        limit = -1 if self.limit is None else self.limit
        return (
            f"SELECT {selected} FROM {self.source} WHERE {self.condition}{self.grouping}{order} "
            f"LIMIT {limit} OFFSET {self.offset}"
        )


@dataclass
class Children:
    """A child sub-query and the column that names the parent."""

    query: Query
    parent_column: str

    def sql(self) -> str:
        """The statement for many parents at once (``:parents``, a JSON array of ids)."""
        query = self.query
        selected = ", ".join(column.sql for column in query.columns)
        order = query.ordering or "t0.rowid"
        last = "" if query.limit is None else f" AND n <= {query.offset + query.limit}"
        return (
            f"SELECT * FROM (SELECT {selected}, {self.parent_column} AS parent, "
            f"ROW_NUMBER() OVER (PARTITION BY {self.parent_column} ORDER BY {order}) AS n "
            f"FROM {query.source} WHERE {query.condition} "
            f"AND {self.parent_column} IN (SELECT value FROM json_each(:parents))) "
            f"WHERE n > {query.offset}{last} ORDER BY parent, n"
        )


def translate(org: Org, text: str, *, all_rows: bool = False) -> Query:
    """Translate one SOQL query.

    Args:
        org: The org whose schema gives names their meaning.
        text: The query.
        all_rows: Include deleted records.

    Raises:
        SalesforceError: The query is malformed, or names what is not there.
    """
    if len(text) > MAX_LENGTH:
        message = f"SOQL statements cannot be longer than {MAX_LENGTH} characters."
        raise SalesforceError("MALFORMED_QUERY", message)
    soql = Soql(text)
    translator = _Translator(org, soql, {}, all_rows=all_rows)
    return translator.query(soql.body, translator.object_named(soql.body))


class _Translator:
    """Translates one SELECT; parameters are collected on the way."""

    def __init__(self, org: Org, soql: Soql, parameters: dict[str, Any], *, all_rows: bool) -> None:
        self._org = org
        self._soql = soql
        self._parameters = parameters
        self._all_rows = all_rows

    def query(self, body: Node, sobject: SObject) -> Query:
        """One SELECT from an object."""
        scope = Scope(self._org, self._soql, sobject, self._storage(body)[1])
        conditions = Conditions(scope, self._parameters, self._semi_join)
        select, group_by = part(body, "select_clause"), part(body, "group_by_clause")
        columns = _Columns(scope)
        count_only = select.named_children[0].type == "count_expression"
        aggregate = count_only or group_by is not None or self._has_aggregates(scope, select)
        limit = self._number(body, "limit_clause")
        groups = self._groups(scope, group_by)
        if count_only:
            columns.add("COUNT(*)")
        elif aggregate:
            self._select_aggregates(scope, columns, select, groups)
        else:
            self._select(columns, select, limit)
        return Query(
            sobject=sobject,
            plan=columns.plan,
            columns=columns.all,
            condition=self._where(conditions, body),
            grouping=self._grouping(conditions, group_by, groups),
            ordering=self._ordering(scope, part(body, "order_by_clause")),
            source=scope.source,  # only now has every name been met that needs a join
            limit=limit,
            offset=self._offset(body),
            parameters=self._parameters,
            aggregate=aggregate,
            count_only=count_only,
        )

    # -- FROM

    def object_named(self, body: Node) -> SObject:
        """The object a FROM clause names."""
        storage, _ = self._storage(body)
        name = self._soql.read(storage)
        sobject = self._org.seen.find(name)
        if sobject is None:
            raise self._soql.error("INVALID_TYPE", _NO_SUCH_OBJECT.format(name), storage)
        return sobject

    def _children_named(self, body: Node, parent: SObject) -> ChildRelationship:
        storage, _ = self._storage(body)
        name = self._soql.read(storage)
        relation = self._org.seen.find_children(parent.name, name)
        if relation is None:
            raise self._soql.error("INVALID_TYPE", _NO_SUCH_CHILDREN.format(name), storage)
        return relation

    def _storage(self, body: Node) -> tuple[Node, str | None]:
        """The node that names what is selected from, and its alias."""
        for clause in ("all_rows_clause", "using_clause"):
            node = part(body, clause)
            if node is not None:
                message = "clause not allowed in this context"
                raise self._soql.error("MALFORMED_QUERY", message, node)
        storage, *more = part(body, "from_clause").named_children
        if more:
            raise self._soql.error("MALFORMED_QUERY", "only one object in FROM", more[0])
        if storage.type != "storage_alias":
            return storage, None
        named, alias = storage.named_children
        return named, self._soql.read(alias)

    # -- SELECT

    def _select(self, columns: _Columns, select: Node, limit: int | None) -> None:
        scope = columns.scope
        columns.add("t0.Id")
        for item in select.named_children:
            match item.type:
                case "field_identifier":
                    columns.field(scope.path(item), item)
                case "fields_expression":
                    self._select_fields(columns, item, limit)
                case "subquery":
                    self._select_children(columns, item.named_children[0])
                case "function_expression":
                    expression = scope.expression(item)
                    columns.value(expression.field.name, expression)
                case "alias_expression":
                    inner, alias = item.named_children
                    columns.value(self._soql.read(alias), scope.expression(inner))
                case _:
                    message = f"unexpected token: '{self._soql.read(item)}'"
                    raise self._soql.error("MALFORMED_QUERY", message, item)

    def _select_fields(self, columns: _Columns, item: Node, limit: int | None) -> None:
        kind = self._soql.read(item.named_children[0]).upper()
        if kind != "STANDARD" and (limit is None or limit > MAX_FIELDS_ROWS):
            raise SalesforceError(
                "MALFORMED_QUERY",
                f"The SOQL FIELDS function must have a LIMIT of at most {MAX_FIELDS_ROWS}",
            )
        for f in columns.scope.sobject.fields.values():
            if kind == "ALL" or f.custom == (kind == "CUSTOM"):
                columns.field([f.name], item)

    def _select_children(self, columns: _Columns, body: Node) -> None:
        relation = self._children_named(body, columns.scope.sobject)
        inner = _Translator(self._org, self._soql, {}, all_rows=self._all_rows)
        query = inner.query(body, self._org.seen.objects[relation.child])
        children = Children(query, f"t0.{quoted(relation.field.name)}")
        columns.children(str(relation.name), children)

    def _select_aggregates(
        self, scope: Scope, columns: _Columns, select: Node, groups: list[str]
    ) -> None:
        unnamed = 0
        for item in select.named_children:
            aliased = item.type == "alias_expression"
            node = item.named_children[0] if aliased else item
            if node.type not in {"function_expression", "field_identifier"}:
                raise self._soql.error("MALFORMED_QUERY", "not allowed with grouping", item)
            expression = scope.expression(node)
            if not scope.is_aggregate(node) and expression.sql not in groups:
                message = f"Field must be grouped or aggregated: {self._soql.read(node)}"
                raise self._soql.error("MALFORMED_QUERY", message, item)
            if aliased:
                name = self._soql.read(item.named_children[1])
            elif node.type == "field_identifier":
                name = expression.field.name
            else:
                name, unnamed = f"expr{unnamed}", unnamed + 1
            columns.value(name, expression)

    def _has_aggregates(self, scope: Scope, select: Node) -> bool:
        return any(
            scope.is_aggregate(item.named_children[0] if item.type == "alias_expression" else item)
            for item in select.named_children
        )

    def _semi_join(self, body: Node) -> str:
        inner = _Translator(self._org, self._soql, self._parameters, all_rows=self._all_rows)
        query = inner.query(body, inner.object_named(body))
        asked = [column for column in query.columns if column.heading]
        if len(asked) != 1:
            raise self._soql.error("MALFORMED_QUERY", "Semi join sub-selects take one field", body)
        return query.sql(asked[0].sql)

    # -- WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET

    def _where(self, conditions: Conditions, body: Node) -> str:
        clause = part(body, "where_clause")
        for call in every(clause, "function_expression") if clause else ():
            if conditions.scope.is_aggregate(call):
                message = f"aggregate function in WHERE: {self._soql.read(call)}"
                raise self._soql.error("MALFORMED_QUERY", message, call)
        condition = "1" if clause is None else conditions.sql(clause.named_children[0])
        return condition if self._all_rows else f"t0.IsDeleted = 0 AND ({condition})"

    def _groups(self, scope: Scope, clause: Node | None) -> list[str]:
        return [
            scope.expression(item).sql
            for item in (clause.named_children if clause else ())
            if item.type in {"field_identifier", "function_expression"}
        ]

    def _grouping(self, conditions: Conditions, clause: Node | None, groups: list[str]) -> str:
        if clause is None:
            return ""
        sql = " GROUP BY " + ", ".join(groups)
        for having in clause.named_children:
            if having.type == "having_clause":
                sql += f" HAVING {conditions.sql(having.named_children[0])}"
        return sql

    def _ordering(self, scope: Scope, clause: Node | None) -> str:
        keys: list[str] = []
        for item in clause.named_children if clause else ():
            node, *rest = item.named_children
            key = scope.expression(node)
            if not key.field.filterable:
                message = f"field '{key.field.name}' can not be sorted in a query call"
                raise self._soql.error("MALFORMED_QUERY", message, node)
            words = " ".join(self._soql.read(word).upper() for word in rest)
            direction = "DESC" if words.startswith("DESC") else "ASC"
            nulls = "LAST" if words.endswith("LAST") else "FIRST"
            keys.append(f"{key.sql} {direction} NULLS {nulls}")
        return ", ".join(keys)

    def _number(self, body: Node, clause: str) -> int | None:
        node = part(body, clause)
        if node is None:
            return None
        return min(int(self._soql.read(node.named_children[0])), MAX_ROWS)

    def _offset(self, body: Node) -> int:
        offset = self._number(body, "offset_clause") or 0
        if offset > MAX_OFFSET:
            raise SalesforceError(
                "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {MAX_OFFSET}"
            )
        return offset


class _Columns:
    """The columns of a SELECT as they are collected, and the plan that reads them."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.plan = Plan(scope.sobject)
        self.all: list[Column] = []

    def add(self, sql: str, heading: str = "", kind: str = "", *, long_text: bool = False) -> int:
        """One more column; returns its position."""
        self.all.append(Column(sql, heading, kind, long_text))
        return len(self.all) - 1

    def value(self, name: str, expression: Expression) -> None:
        """A column that goes straight into the record."""
        self._put(self.plan, name, name, expression)

    def field(self, path: list[str], node: Node) -> None:
        """A field of the record or of one of its parents."""
        expression = self.scope.field(path, node)
        plan, names = self.plan, path[:-1]
        for depth in range(1, len(path)):
            plan = self._parent_plan(plan, self.scope.parent(names[:depth], node))
        if expression.field.name not in plan.values:
            proper = self.scope.parent(names, node).names
            heading = ".".join([*proper, expression.field.name])
            self._put(plan, expression.field.name, heading, expression)

    def children(self, name: str, children: Children) -> None:
        """A child sub-query."""
        self.plan.children[name] = children
        self.plan.order.append(name)

    def _put(self, plan: Plan, name: str, heading: str, expression: Expression) -> None:
        asked = expression.field
        long_text = asked.custom and not asked.filterable
        position = self.add(expression.sql, heading, asked.type, long_text=long_text)
        plan.values[name] = (position, asked.type == "boolean")
        plan.order.append(name)

    def _parent_plan(self, plan: Plan, parent: Parent) -> Plan:
        name = parent.names[-1]
        if name not in plan.parents:
            plan.parents[name] = Plan(parent.sobject, self.add(f"{parent.alias}.Id"))
            plan.order.append(name)
        return plan.parents[name]
