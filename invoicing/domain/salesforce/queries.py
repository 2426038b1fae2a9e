"""SOQL queries, told in our names and written in an org's."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Literal

from invoicing.domain.model.wording import label
from invoicing.domain.salesforce.field_mapping import Names
from invoicing.errors import Rejected

Value = str | bool | int | date | None
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "LIKE"]

LIST_OPERATORS = {"=": "IN", "!=": "NOT IN"}


def literal(value: Value) -> str:
    """A value as SOQL writes it; instants carry their time zone.

    Source: https://developer.salesforce.com/docs/atlas.en-us.soql_sosl.meta/soql_sosl/
    sforce_api_calls_soql_select_quotedstringescapes.htm
    and sforce_api_calls_soql_select_dateformats.htm
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        case _:
            return str(value)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition on one field.

    Attributes:
        field: The field, or a path to it, such as ``Account__r.Name``.
        operator: Equality with several values is SOQL's IN, inequality its NOT IN.
        value: One value, or several, or a query that finds them.
    """

    field: str
    operator: Operator
    value: "Value | tuple[Value, ...] | Query"

    def soql(self, names: Names, sobject: str) -> str:
        """Its text, the values of a picklist in the org's words, of which one may have several."""
        theirs = names.path(sobject, self.field)
        if theirs is None:
            raise Rejected(
                f"This org keeps no {label(self.field)!r} of its invoices (see the field "
                "mapping), and what was asked for cannot be done without."
            )
        if isinstance(self.value, Query):
            return f"{theirs} {LIST_OPERATORS[self.operator]} ({self.value.build(names).soql})"
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        labels: Mapping[str, Sequence[Value]] = names.labels(sobject, self.field)
        words = [literal(word) for v in values for word in (labels.get(str(v)) or [v])]
        if isinstance(self.value, tuple) or len(words) > 1:
            return f"{theirs} {LIST_OPERATORS[self.operator]} ({', '.join(words)})"
        return f"{theirs} {self.operator} {words[0]}"


@dataclass(frozen=True, slots=True)
class Group:
    """Several conditions."""

    word: Literal["AND", "OR"]
    conditions: "tuple[Condition, ...]"

    def soql(self, names: Names, sobject: str) -> str:
        """Its text."""
        texts = [(c, c.soql(names, sobject)) for c in self.conditions]
        return f" {self.word} ".join(
            text if isinstance(c, Comparison) else f"({text})" for c, text in texts
        )


@dataclass(frozen=True, slots=True)
class OrgCondition:
    """A condition that an administrator wrote, in the org's names."""

    text: str

    def soql(self, _names: Names, _sobject: str) -> str:
        """Its text, as it was written."""
        return self.text


Condition = Comparison | Group | OrgCondition


def equals(name: str, value: Value) -> Comparison:
    """The field has a value."""
    return Comparison(name, "=", value)


def is_in(name: str, values: "Iterable[Value] | Query") -> Comparison:
    """The field has one of some values, or of those that a query finds."""
    return Comparison(name, "=", values if isinstance(values, Query) else tuple(values))


def all_of(*conditions: Condition | None) -> Group:
    """Every condition that is given."""
    return Group("AND", tuple(filter(None, conditions)))


def any_of(*conditions: Condition | None) -> Group:
    """At least one of the conditions that are given."""
    return Group("OR", tuple(filter(None, conditions)))


@dataclass(frozen=True, slots=True)
class Aggregate:
    """A number that Salesforce works out of all rows."""

    function: Literal["COUNT", "SUM"]
    field: str

    def soql(self, names: Names, sobject: str) -> str:
        """Its text."""
        return f"{self.function}({names.path(sobject, self.field)})"


@dataclass(frozen=True, slots=True)
class BuiltQuery:
    """A query in the org's names.

    Attributes:
        soql: Its text.
        dropped: Positions in the list of fields asked for which the org does not keep.
        meanings: Our values for the org's words, by position of a picklist in that list.
    """

    soql: str
    dropped: tuple[int, ...] = ()
    meanings: Mapping[int, Mapping[str, str]] = field(default_factory=dict)

    def row(self, row: list[str]) -> list[str]:
        """A row of values in the order asked for: empty where nothing is kept, in our words."""
        for position in self.dropped:
            row.insert(position, "")
        for position, words in self.meanings.items():
            row[position] = words.get(row[position], row[position])
        return row


@dataclass(frozen=True, slots=True)
class Query:
    """A query in our names.

    Attributes:
        sobject: The object; of children, their relationship.
        fields: Fields, paths of fields, queries of children; or aggregates and nothing else.
        where: The condition.
        order: Fields to sort by, with commas between them.
        limit: The most records to find.
    """

    sobject: str
    fields: "Sequence[str | Query | Aggregate]"
    where: Condition | None = None
    order: str = ""
    limit: int | None = None

    def build(self, names: Names, parent: str = "") -> BuiltQuery:
        """Write it in an org's names; what the org does not keep is not asked, nor sorted by.

        Args:
            names: The org's names.
            parent: Of children, the object that has them.

        Raises:
            Rejected: the condition is about a field that the org does not keep.
        """
        sobject, source = self.sobject, names.sobject(self.sobject)
        if parent:
            of = names.of(parent)
            sobject = of.schema.children.get(self.sobject, ("",))[0]
            source = of.mapping.children.get(self.sobject, self.sobject)
        asked: list[str | None] = []
        for item in self.fields:
            match item:
                case str():
                    asked.append(names.path(sobject, item))
                case Aggregate():
                    asked.append(item.soql(names, sobject))
                case Query():
                    asked.append(f"({item.build(names, sobject).soql})")
        text = f"SELECT {', '.join(filter(None, asked)) or 'Id'} FROM {source}"  # noqa: S608
        if self.where:
            text += f" WHERE {self.where.soql(names, sobject)}"
        keys = [item.partition(" ") for item in self.order.split(", ") if item]
        order = [f"{key}{by}{how}" for path, by, how in keys if (key := names.path(sobject, path))]
        text += f" ORDER BY {', '.join(order)}" if order else ""
        text += "" if self.limit is None else f" LIMIT {self.limit}"
        dropped = tuple(position for position, item in enumerate(asked) if item is None)
        words = {
            position: meanings
            for position, item in enumerate(self.fields)
            if isinstance(item, str) and (meanings := names.meanings(sobject, item))
        }
        return BuiltQuery(text, dropped, words)
