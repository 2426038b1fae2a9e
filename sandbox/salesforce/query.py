"""SOQL syntax trees translated to SQL.

A query becomes the parts of one SQL statement plus a plan that says which column of a row goes
where in a record. Comparisons follow SOQL: texts are compared case-blind (unless the field is
case-sensitive), ``!=`` and ``NOT IN`` include nulls, nulls come first.
"""

# ruff: noqa: S608  table and column names come from the schema, values are bound

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from tree_sitter import Node

from sandbox.salesforce import dates
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import is_id, normalize
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import NUMERIC, Field, SObject
from sandbox.salesforce.soql import Soql, unescape
from sandbox.salesforce.soql import field as part
from sandbox.salesforce.store import quoted
from sandbox.salesforce.values import stamp

_NO_SUCH_COLUMN = (
    "No such column '{}' on entity '{}'. If you are attempting to use a custom field, be sure to "
    "append the '__c' after the custom field name. Please reference your WSDL or the describe "
    "call for the appropriate names."
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
_MAX_OFFSET = 2_000
_MAX_FIELDS_ROWS = 200


@dataclass
class Plan:
    """Which column of a row goes where in a record."""

    sobject: SObject
    id_column: int = 0
    values: dict[str, tuple[int, bool]] = field(default_factory=dict)
    parents: dict[str, Plan] = field(default_factory=dict)
    children: dict[str, Children] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)


class Column(NamedTuple):
    """One column of a row: its SQL, its heading if a client asked for it, and its kind."""

    sql: str
    heading: str
    kind: str


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
    aggregate: bool = False
    count_only: bool = False

    def sql(self, columns: str | None = None) -> str:
        """The statement, for all its columns or for others."""
        selected = columns or ", ".join(column.sql for column in self.columns)
        limit = "" if self.limit is None and not self.offset else f" LIMIT {self._limit()}"
        return (
            f"SELECT {selected} FROM {self.source} "
            f"WHERE {self.condition}{self.grouping}{self._order_clause()}{limit}"
        )

    def _limit(self) -> str:
        return f"{-1 if self.limit is None else self.limit} OFFSET {self.offset}"

    def _order_clause(self) -> str:
        return f" ORDER BY {self.ordering}" if self.ordering else ""


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
    soql = Soql(text)
    return _Translator(org, soql, all_rows=all_rows).query(soql.body)


class _Scope:
    """The names one FROM clause makes known; parents are joined as they are used."""

    def __init__(self, translator: _Translator, sobject: SObject, alias: str | None) -> None:
        self._translator = translator
        self.sobject = sobject
        self._names = {name.lower() for name in (alias, sobject.name) if name}
        self._joins: dict[tuple[str, ...], tuple[str, SObject]] = {(): ("t0", sobject)}
        self._sql = f"{quoted(sobject.name)} t0"

    @property
    def source(self) -> str:
        """The FROM clause with every join used so far."""
        return self._sql

    def relative(self, path: list[str]) -> list[str]:
        """A path without the object's own name or alias in front."""
        own = len(path) > 1 and path[0].lower() in self._names
        if own and not self.sobject.find_relationship(path[0]):
            return path[1:]
        return path

    def parent(self, path: list[str], node: Node) -> tuple[str, SObject, list[str]]:
        """The SQL alias, object and proper names of a path of relationships."""
        proper: list[str] = []
        alias, sobject = self._joins[()]
        for name in path:
            reference = sobject.find_relationship(name)
            if reference is None or not reference.to:
                raise self._translator.soql.error(
                    "INVALID_FIELD",
                    f"Didn't understand relationship '{name}' in field path. If you are "
                    "attempting to use a custom relationship, be sure to append the '__r' after "
                    "the custom relationship name. Please reference your WSDL or the describe "
                    "call for the appropriate names.",
                    node,
                )
            proper.append(str(reference.relationship))
            alias, sobject = self._join(tuple(proper), alias, reference)
        return alias, sobject, proper

    def field(self, path: list[str], node: Node) -> tuple[str, Field]:
        """The SQL column and the field of a path such as Account__r.Name."""
        *parents, name = self.relative(path)
        alias, sobject, _ = self.parent(parents, node)
        found = sobject.find(name)
        if found is None:
            raise self._translator.soql.error(
                "INVALID_FIELD", _NO_SUCH_COLUMN.format(name, sobject.name), node
            )
        return f"{alias}.{quoted(found.name)}", found

    def _join(
        self, path: tuple[str, ...], parent_alias: str, reference: Field
    ) -> tuple[str, SObject]:
        if path not in self._joins:
            alias = f"t{len(self._joins)}"
            sobject = self._translator.org.sobject(reference.to[0])
            self._joins[path] = (alias, sobject)
            self._sql += (
                f" LEFT JOIN {quoted(sobject.name)} {alias} "
                f"ON {alias}.Id = {parent_alias}.{quoted(reference.name)}"
            )
        return self._joins[path]


class _Translator:
    """Translates the nodes of one query; parameters are collected on the way."""

    def __init__(self, org: Org, soql: Soql, *, all_rows: bool) -> None:
        self.org = org
        self.soql = soql
        self._all_rows = all_rows
        self._parameters: dict[str, Any] = {}

    # -- whole queries

    def query(self, body: Node, parent: SObject | None = None) -> Query:
        """One SELECT, the outermost or (given its parent) a child sub-query."""
        scope, on_parent = self._from(body, parent)
        select = part(body, "select_clause")
        grouped = part(body, "group_by_clause")
        plan = Plan(scope.sobject)
        columns = _Columns(scope, plan)
        aggregate = grouped is not None or self._aggregates(select)
        groups = self._groups(scope, grouped)
        if select.named_children[0].type == "count_expression":
            columns.add("COUNT(*)")
        elif aggregate:
            self._select_aggregate(scope, columns, select, groups)
        else:
            columns.add("t0.Id")
            self._select(scope, columns, select, self._limit(body, "limit_clause"))
        condition = self._where(scope, body)
        if on_parent is not None:
            condition = f"({condition}) AND {on_parent} IS NOT NULL"
        grouping = self._grouping(scope, grouped, groups)
        ordering = self._order(scope, part(body, "order_by_clause"))
        return Query(
            sobject=scope.sobject,
            plan=plan,
            columns=columns.all,
            source=scope.source,
            condition=condition,
            grouping=grouping,
            ordering=ordering,
            limit=self._limit(body, "limit_clause"),
            offset=self._offset(body),
            parameters=self._parameters,
            aggregate=aggregate,
            count_only=select.named_children[0].type == "count_expression",
        )

    def _from(self, body: Node, parent: SObject | None) -> tuple[_Scope, str | None]:
        for clause in ("all_rows_clause", "using_clause"):
            if part(body, clause) is not None:
                raise self.soql.error(
                    "MALFORMED_QUERY", "clause not allowed in this context", part(body, clause)
                )
        storages = part(body, "from_clause").named_children
        if len(storages) > 1:
            raise self.soql.error("MALFORMED_QUERY", "only one object in FROM", storages[1])
        storage, alias = storages[0], None
        if storage.type == "storage_alias":
            alias = self.soql.read(storage.named_children[1])
            storage = storage.named_children[0]
        name = self.soql.read(storage)
        if parent is not None:
            relation = self.org.schema.find_children(parent.name, name)
            if relation is None:
                raise self.soql.error(
                    "INVALID_TYPE",
                    f"Didn't understand relationship '{name}' in FROM part of query call. If you "
                    "are attempting to use a custom relationship, be sure to append the '__r' "
                    "after the custom relationship name. Please reference your WSDL or the "
                    "describe call for the appropriate names.",
                    storage,
                )
            child = self.org.sobject(relation.child)
            return _Scope(self, child, alias), f"t0.{quoted(relation.field.name)}"
        sobject = self.org.schema.find(name)
        if sobject is None:
            raise self.soql.error(
                "INVALID_TYPE",
                f"sObject type '{name}' is not supported. If you are attempting to use a custom "
                "object, be sure to append the '__c' after the entity name. Please reference your "
                "WSDL or the describe call for the appropriate names.",
                storage,
            )
        return _Scope(self, sobject, alias), None

    # -- SELECT

    def _select(self, scope: _Scope, columns: _Columns, select: Node, limit: int | None) -> None:
        for item in select.named_children:
            match item.type:
                case "field_identifier":
                    columns.field(self._path(item), item)
                case "fields_expression":
                    self._all_fields(scope, columns, item, limit)
                case "subquery":
                    self._children(scope, columns, item)
                case "function_expression":
                    sql, found = self._expression(scope, item)
                    columns.value(found.name if found else "expr0", sql, found)
                case "alias_expression":
                    sql, found = self._expression(scope, item.named_children[0])
                    columns.value(self.soql.read(item.named_children[1]), sql, found)
                case _:
                    raise self.soql.error(
                        "MALFORMED_QUERY", f"unexpected token: '{self.soql.read(item)}'", item
                    )

    def _all_fields(self, scope: _Scope, columns: _Columns, item: Node, limit: int | None) -> None:
        kind = self.soql.read(item.named_children[0]).upper()
        if kind != "STANDARD" and (limit is None or limit > _MAX_FIELDS_ROWS):
            raise SalesforceError(
                "MALFORMED_QUERY",
                f"The SOQL FIELDS function must have a LIMIT of at most {_MAX_FIELDS_ROWS}",
            )
        for f in scope.sobject.fields.values():
            if kind == "ALL" or f.custom == (kind == "CUSTOM"):
                columns.field([f.name], item)

    def _children(self, scope: _Scope, columns: _Columns, item: Node) -> None:
        body = item.named_children[0]
        storage = part(body, "from_clause").named_children[0]
        if storage.type == "storage_alias":
            storage = storage.named_children[0]
        inner = _Translator(self.org, self.soql, all_rows=self._all_rows)
        query = inner.query(body, scope.sobject)
        relation = self.org.schema.find_children(scope.sobject.name, self.soql.read(storage))
        assert relation is not None  # noqa: S101  the inner translation found it
        name = str(relation.name)
        columns.plan.children[name] = Children(query, f"t0.{quoted(relation.field.name)}")
        columns.plan.order.append(name)

    def _aggregates(self, select: Node) -> bool:
        for item in select.named_children:
            if item.type == "count_expression":
                return True
            call = item.named_children[0] if item.type == "alias_expression" else item
            if call.type == "function_expression" and self._function(call) in _AGGREGATES:
                return True
        return False

    def _select_aggregate(
        self, scope: _Scope, columns: _Columns, select: Node, groups: dict[str, str]
    ) -> None:
        unnamed = 0
        for item in select.named_children:
            aliased = item.type == "alias_expression"
            expression = item.named_children[0] if aliased else item
            if expression.type not in {"function_expression", "field_identifier"}:
                raise self.soql.error("MALFORMED_QUERY", "not allowed with grouping", item)
            sql, found = self._expression(scope, expression)
            plain = expression.type == "field_identifier"
            if not self._is_aggregate(expression) and sql not in groups:
                raise self.soql.error(
                    "MALFORMED_QUERY",
                    f"Field must be grouped or aggregated: {self.soql.read(expression)}",
                    item,
                )
            if aliased:
                name = self.soql.read(item.named_children[1])
            elif plain and found:
                name = found.name
            else:
                name, unnamed = f"expr{unnamed}", unnamed + 1
            columns.value(name, sql, found if plain else None)

    def _is_aggregate(self, node: Node) -> bool:
        return node.type == "function_expression" and self._function(node) in _AGGREGATES

    # -- GROUP BY, HAVING, ORDER BY, LIMIT

    def _groups(self, scope: _Scope, clause: Node | None) -> dict[str, str]:
        groups: dict[str, str] = {}
        for item in clause.named_children if clause else ():
            if item.type in {"field_identifier", "function_expression"}:
                sql, _ = self._expression(scope, item)
                groups[sql] = sql
        return groups

    def _grouping(self, scope: _Scope, clause: Node | None, groups: dict[str, str]) -> str:
        if clause is None:
            return ""
        having = next((n for n in clause.named_children if n.type == "having_clause"), None)
        sql = " GROUP BY " + ", ".join(groups)
        if having is not None:
            sql += f" HAVING {self._condition(scope, having.named_children[0])}"
        return sql

    def _order(self, scope: _Scope, clause: Node | None) -> str:
        keys: list[str] = []
        for item in clause.named_children if clause else ():
            expression, *rest = item.named_children
            sql, found = self._expression(scope, expression)
            if found is not None and not found.filterable:
                raise self.soql.error(
                    "MALFORMED_QUERY",
                    f"field '{found.name}' can not be sorted in a query call",
                    expression,
                )
            words = " ".join(self.soql.read(n).upper() for n in rest)
            direction = "DESC" if words.startswith("DESC") else "ASC"
            nulls = "LAST" if words.endswith("LAST") else "FIRST"
            keys.append(f"{sql} {direction} NULLS {nulls}")
        return ", ".join(keys)

    def _limit(self, body: Node, clause: str) -> int | None:
        node = part(body, clause)
        return None if node is None else int(self.soql.read(node.named_children[0]))

    def _offset(self, body: Node) -> int:
        offset = self._limit(body, "offset_clause") or 0
        if offset > _MAX_OFFSET:
            raise SalesforceError(
                "NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL offset allowed is {_MAX_OFFSET}"
            )
        return offset

    # -- expressions

    def _path(self, node: Node) -> list[str]:
        return self.soql.read(node).replace(" ", "").split(".")

    def _function(self, node: Node) -> str:
        return self.soql.read(part(node, "function_name")).upper()

    def _expression(self, scope: _Scope, node: Node) -> tuple[str, Field | None]:
        """The SQL of a field or function, with the field whose kind the value is of."""
        if node.type == "field_identifier":
            return scope.field(self._path(node), node)
        name = self._function(node)
        arguments = node.named_children[1:]
        if len(arguments) != 1:
            raise self.soql.error("MALFORMED_QUERY", f"{name} takes one argument", node)
        sql, found = self._expression(scope, arguments[0])
        if name in _AGGREGATES:
            return self._aggregate(name, sql, found, node)
        if name in _DATE_PARTS:
            kind = "date" if name == "DAY_ONLY" else "int"
            return _DATE_PARTS[name].format(sql), Field(name=name, type=kind)
        match name:
            case "TOLABEL":
                return sql, found
            case "FORMAT":
                return f"CAST({sql} AS TEXT)", _renamed(found, "string")
            case "CONVERTCURRENCY":
                alias = sql.partition(".")[0]
                rate = (
                    "(SELECT ConversionRate FROM CurrencyType "
                    f"WHERE IsoCode = {alias}.CurrencyIsoCode)"
                )
                return f"{sql} / {rate}", found
        raise self.soql.error("MALFORMED_QUERY", f"unknown function: {name}", node)

    def _aggregate(
        self, name: str, sql: str, found: Field | None, node: Node
    ) -> tuple[str, Field | None]:
        assert found is not None  # noqa: S101  every expression inside has a field
        if name == "COUNT":
            return f"COUNT({sql})", Field(name="count", type="int")
        if name == "COUNT_DISTINCT":
            return f"COUNT(DISTINCT {sql})", Field(name="count", type="int")
        if name in {"SUM", "AVG"} and found.type not in NUMERIC:
            raise self.soql.error(
                "MALFORMED_QUERY",
                f"field {found.name} does not support aggregate operator {name}",
                node,
            )
        if name == "SUM":
            return f"ROUND(SUM({sql}), {found.scale})", found
        return f"{name}({sql})", found

    # -- conditions

    def _where(self, scope: _Scope, body: Node) -> str:
        clause = part(body, "where_clause")
        condition = "1" if clause is None else self._condition(scope, clause.named_children[0])
        if self._all_rows:
            return condition
        return f"t0.IsDeleted = 0 AND ({condition})"

    def _condition(self, scope: _Scope, node: Node) -> str:
        match node.type:
            case "and_expression":
                return self._joined(scope, node, " AND ")
            case "or_expression":
                return self._joined(scope, node, " OR ")
            case "not_expression":
                inner = self._condition(scope, node.named_children[0])
                return f"NOT COALESCE({inner}, 0)"
            case "comparison_expression":
                return self._comparison(scope, node)
        raise self.soql.error("MALFORMED_QUERY", "unexpected condition", node)

    def _joined(self, scope: _Scope, node: Node, word: str) -> str:
        return "(" + word.join(self._condition(scope, n) for n in node.named_children) + ")"

    def _comparison(self, scope: _Scope, node: Node) -> str:
        left, operator_node, right = node.named_children
        sql, found = self._expression(scope, left)
        assert found is not None  # noqa: S101
        if not found.filterable:
            raise self.soql.error(
                "INVALID_FIELD",
                f"field '{found.name}' can not be filtered in a query call",
                left,
            )
        operator = " ".join(self.soql.read(operator_node).upper().split())
        if operator_node.type == "set_comparison_operator":
            return self._in_set(sql, found, operator, right)
        if right.type == "null_literal":
            return f"{sql} IS {'NOT ' if operator in {'!=', '<>'} else ''}NULL"
        if operator == "LIKE":
            pattern = self._bind(unescape(self.soql.read(right), like=True))
            return f"{sql} LIKE {pattern} ESCAPE '\\'"
        if right.type in {"date_literal", "date_literal_with_param"}:
            return self._compare_span(sql, found, operator, right)
        value = self._literal(found, right)
        if value is None:
            return f"{sql} IS {'NOT ' if operator in {'!=', '<>'} else ''}NULL"
        words = {"!=": "IS NOT", "<>": "IS NOT", "=": "="}
        return f"{sql} {words.get(operator, operator)} {self._bind(value)}"

    def _in_set(self, sql: str, found: Field, operator: str, right: Node) -> str:
        if right.type == "subquery":
            return self._semi_join(sql, operator, right)
        literals = right.named_children
        if operator in {"INCLUDES", "EXCLUDES"}:
            chosen = " OR ".join(self._includes(sql, literal) for literal in literals)
            return f"({chosen})" if operator == "INCLUDES" else f"NOT COALESCE({chosen}, 0)"
        values = [None if n.type == "null_literal" else self._literal(found, n) for n in literals]
        listed = self._bind(json.dumps([v for v in values if v is not None]))
        within = f"{sql} IN (SELECT value FROM json_each({listed}))"
        if None in values:
            within = f"({within} OR {sql} IS NULL)"
        return within if operator == "IN" else f"NOT COALESCE({within}, 0)"

    def _includes(self, sql: str, literal: Node) -> str:
        chosen = unescape(self.soql.read(literal)).split(";")
        tests = [f"instr(';' || {sql} || ';', {self._bind(f';{one};')})" for one in chosen]
        return "(" + " AND ".join(tests) + ")"

    def _semi_join(self, sql: str, operator: str, right: Node) -> str:
        inner = _Translator(self.org, self.soql, all_rows=self._all_rows)
        inner._parameters = self._parameters
        query = inner.query(right.named_children[0])
        if len(query.columns) > 2:
            raise self.soql.error("MALFORMED_QUERY", "Semi join sub-selects take one field", right)
        selected = query.sql(query.columns[-1].sql)
        within = f"COALESCE({sql} IN ({selected}), 0)"
        return within if operator == "IN" else f"NOT {within}"

    def _compare_span(self, sql: str, found: Field, operator: str, node: Node) -> str:
        if found.type not in {"date", "datetime"}:
            raise self._wrong_type(found, node)
        today = self.org.clock.instant().date()
        if node.type == "date_literal":
            word, count = self.soql.read(node), None
        else:
            word = self.soql.read(node.named_children[0])
            count = int(self.soql.read(node.named_children[1]))
        try:
            first, after = (
                self._bind(_bound(found, day)) for day in dates.span(word, today, count)
            )
        except ValueError:
            raise self.soql.error("MALFORMED_QUERY", f"unknown date: {word}", node) from None
        within = f"({sql} >= {first} AND {sql} < {after})"
        return {
            "=": within,
            "!=": f"NOT COALESCE({within}, 0)",
            "<>": f"NOT COALESCE({within}, 0)",
            "<": f"{sql} < {first}",
            "<=": f"{sql} < {after}",
            ">": f"{sql} >= {after}",
            ">=": f"{sql} >= {first}",
        }[operator]

    def _literal(self, found: Field, node: Node) -> Any:
        """The value of a literal, checked against the field it is compared with."""
        text = self.soql.read(node)
        read = _LITERALS.get(node.type)
        if read is None or found.type not in read[0]:
            raise self._wrong_type(found, node)
        value = read[1](text)
        if found.type in {"id", "reference"} and value:
            if not is_id(value):
                raise self.soql.error(
                    "INVALID_QUERY_FILTER_OPERATOR", f"invalid ID field: {value}", node
                )
            return normalize(value)
        return value or None if isinstance(value, str) else value

    def _wrong_type(self, found: Field, node: Node) -> SalesforceError:
        text = found.type not in {*NUMERIC, "boolean", "date", "datetime", "time"}
        return self.soql.error(
            "INVALID_FIELD",
            f"value of filter criterion for field '{found.name}' must be of type "
            f"{'string' if text else found.type} and should {'' if text else 'not '}be enclosed "
            "in quotes",
            node,
        )

    def _bind(self, value: Any) -> str:
        name = f"p{len(self._parameters)}"
        self._parameters[name] = value
        return f":{name}"


class _Columns:
    """The columns of a SELECT as they are collected, and the plan that reads them."""

    def __init__(self, scope: _Scope, plan: Plan) -> None:
        self._scope = scope
        self.plan = plan
        self.all: list[Column] = []

    def add(self, sql: str, heading: str = "", kind: str = "") -> int:
        """One more column; returns its position."""
        self.all.append(Column(sql, heading, kind))
        return len(self.all) - 1

    def value(self, name: str, sql: str, found: Field | None) -> None:
        """A column that goes straight into the record."""
        kind = found.type if found else ""
        self.plan.values[name] = (self.add(sql, name, kind), kind == "boolean")
        self.plan.order.append(name)

    def field(self, path: list[str], node: Node) -> None:
        """A field of the record or of one of its parents."""
        sql, found = self._scope.field(path, node)
        *parents, _ = self._scope.relative(path)
        plan = self.plan
        proper: list[str] = []
        for depth in range(len(parents)):
            alias, sobject, proper = self._scope.parent(parents[: depth + 1], node)
            plan = self._parent_plan(plan, proper, alias, sobject)
        heading = ".".join([*proper, found.name])
        if found.name not in plan.values:
            position = self.add(sql, heading, found.type)
            plan.values[found.name] = (position, found.type == "boolean")
            plan.order.append(found.name)

    def _parent_plan(self, plan: Plan, proper: list[str], alias: str, sobject: SObject) -> Plan:
        name = proper[-1]
        if name not in plan.parents:
            plan.parents[name] = Plan(sobject, self.add(f"{alias}.Id"))
            plan.order.append(name)
        return plan.parents[name]


def _renamed(found: Field | None, kind: str) -> Field:
    return Field(name=found.name if found else "expr0", type=kind)


def _bound(found: Field, day: date) -> str:
    if found.type == "date":
        return day.isoformat()
    return stamp(datetime(day.year, day.month, day.day, tzinfo=UTC))


def _instant(text: str) -> str:
    return stamp(datetime.fromisoformat(text))


def _amount(text: str) -> float:
    return float(text.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))


_TEXTS = frozenset(
    {"id", "reference", "string", "textarea", "picklist", "multipicklist"}
    | {"email", "phone", "url", "encryptedstring"}
)
_LITERALS: dict[str, tuple[frozenset[str], Callable[[str], Any]]] = {
    "string_literal": (_TEXTS, unescape),
    "int": (NUMERIC, float),
    "decimal": (NUMERIC, float),
    "currency_literal": (NUMERIC, _amount),
    "boolean": (frozenset({"boolean"}), lambda text: int(text.lower() == "true")),
    "date": (frozenset({"date"}), str),
    "date_time": (frozenset({"datetime"}), _instant),
}
