"""The values of a running flow, and what its references, formulas and conditions make of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sandbox.salesforce.condition_logic import holds
from sandbox.salesforce.flow_definition import Flow
from sandbox.salesforce.formula import Unreadable, WorkedOutWrong, read_formula
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.values import as_text, stamp, typed

_MERGED = re.compile(r"\{!([^{}]+)\}")


class Fault(Exception):
    """What ends an interview where no way is given for it; the message is for people."""


@dataclass
class Record:
    """A record in a variable: its object, and the fields that are known of it."""

    sobject: SObject
    fields: dict[str, Any] = field(default_factory=dict)

    def copy(self) -> Record:
        """Another one with the same values."""
        return Record(self.sobject, dict(self.fields))

    def body(self) -> dict[str, Any]:
        """Its fields as a request to save it has them."""
        return {name: wire(value) for name, value in self.fields.items() if name != "Id"}


def wire(value: Any) -> Any:
    """A value as a request to save it has it."""
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, date):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


class Frame:
    """A flow while it runs, or a flow that it called.

    Args:
        org: Where it runs.
        flow: What runs.
        inputs: Values of its input variables.
        record: What it calls ``$Record``: the one that started it.
        prior: The same as it was before.
    """

    def __init__(
        self,
        org: Org,
        flow: Flow,
        inputs: Mapping[str, Any],
        record: Record | None = None,
        prior: Record | None = None,
    ) -> None:
        self.flow = flow
        self._record = record
        self._prior = prior
        self.fault = ""
        self.values: dict[str, Any] = {}
        self.loops: dict[str, Iterator[Any]] = {}
        self._org = org
        for name, resource in flow.resources.items():
            if resource.kind == "variables":
                empty: Any = [] if resource.flag("isCollection") else None
                given = self.value(resource.find("value"))
                self.values[name] = empty if given is None else given
        for name, value in inputs.items():
            if name in self.values and flow.resources[name].flag("isInput"):
                self.values[name] = value

    def outputs(self) -> dict[str, Any]:
        """The values of its output variables."""
        return {
            name: self.values[name]
            for name, resource in self.flow.resources.items()
            if resource.kind == "variables" and resource.flag("isOutput")
        }

    # -- to read

    def value(self, holder: Part | None) -> Any:
        """What an element such as ``value`` or ``rightValue`` holds; None for none."""
        for part in holder or ():
            text = part.text(".")
            match part.kind:
                case "elementReference":
                    return self.read(text)
                case "booleanValue":
                    return text == "true"
                case "numberValue":
                    return Decimal(text)
                case "dateValue":
                    return date.fromisoformat(text[:10])
                case "dateTimeValue":
                    return datetime.fromisoformat(text)
                case _:
                    return text
        return None

    def read(self, reference: str) -> Any:
        """What a reference such as ``Get_Account.Name`` stands for.

        Raises:
            Fault: Nothing is called so, or it is a field of no record.
        """
        first, *path = reference.split(".")
        if first.startswith("$") and first != "$Record":
            return self._global(first, ".".join(path))
        value = self._record if first == "$Record" else self._named(first)
        for step in path:
            value = self._part(reference, value, step)
        return value

    def merged(self, text: str) -> str:
        """A text with values in place of its references, or the label of what was chosen."""
        return _MERGED.sub(lambda found: as_text(self.labelled(found[1])), text)

    def labelled(self, reference: str) -> Any:
        """What texts say of a reference: the label of what was chosen, else its value.

        Sources: https://help.salesforce.com/s/articleView?id=platform.flow_ref_resources_choice.htm
        ("Choice Value vs. Choice Label Used at Runtime") of texts on a screen and of formulas of
        type text; https://developer.salesforce.com/blogs/engineering/2012/03/working-with-choices-in-the-visual-workflow-cloud-flow-designer-oh-the-possibilities.html
        of text templates.
        """
        value = self.read(reference)
        for name in self.flow.choices.get(reference, ()):
            if self.read(name) == value:
                return self.merged(self.flow.resources[name].text("choiceText"))
        return value

    def formula(self, text: str, *, labels: bool = False) -> Any:
        """The value of a formula; one of type text says labels of what was chosen.

        Raises:
            Fault: It cannot be worked out.
        """
        try:
            return read_formula(text).worked_out(_References(self, labels=labels))
        except (Unreadable, WorkedOutWrong) as error:
            raise Fault(f"{self.flow.name}: {text}: {error}") from None

    def assigned(self, assignment: Part) -> str:
        """Do what an assignment says; the name of the element that it leads to."""
        for item in assignment.all("assignmentItems"):
            value = self.value(item.find("value"))
            self.write(item.text("assignToReference"), item.text("operator"), value)
        return assignment.text("connector/targetReference")

    def decided(self, decision: Part) -> str:
        """The name of the element that a decision leads to; empty where it ends there."""
        chosen = next((rule for rule in decision.all("rules") if self.holds(rule)), None)
        if chosen is None:
            return decision.text("defaultConnector/targetReference")
        return chosen.text("connector/targetReference")

    def holds(self, rule: Part) -> bool:
        """Whether the conditions of a rule hold."""
        conditions = [self._is_so(condition) for condition in rule.all("conditions")]
        return holds(rule.text("conditionLogic"), conditions)

    def _is_so(self, condition: Part) -> bool:
        reference, operator = condition.text("leftValueReference"), condition.text("operator")
        left, right = self.read(reference), self.value(condition.find("rightValue"))
        if operator == "IsChanged":
            field = reference.removeprefix("$Record.")
            return bool((left != self._part(reference, self._prior, field)) == right)
        return compared(operator, left, right)

    def _named(self, name: str) -> Any:
        if name in self.values:
            return self.values[name]
        if name in self.flow.nodes:
            return None
        resource = self.flow.resources.get(name)
        if resource is None:
            raise Fault(f"{self.flow.name}: nothing is called {name}.")
        match resource.kind:
            case "formulas":
                labels = resource.text("dataType") == "String"
                return self.formula(resource.text("expression"), labels=labels)
            case "textTemplates":
                return self.merged(resource.text("text"))
        return self.value(resource.find("value"))

    def _part(self, reference: str, value: Any, step: str) -> Any:
        if isinstance(value, Mapping) and step in value:
            return value[step]
        if not isinstance(value, Record):
            raise Fault(f"{self.flow.name}: {reference} is read of no record.")
        way = value.sobject.find_relationship(step)
        if way is None:
            return value.fields.get(step)
        parent = self._org.sobject(way.to[0])
        row = self._org.store.get(parent, value.fields.get(way.name) or "")
        return record_of(parent, row) if row else Record(parent)

    def _global(self, first: str, name: str) -> Any:
        now = self._org.clock.instant()
        match first, name:
            case "$Flow", "CurrentDate":
                return now.date()
            case "$Flow", "CurrentDateTime":
                return now
            case "$Flow", "FaultMessage":
                return self.fault
            case "$User", _ if name in (user := self._org.sobject("User")).fields:
                row = self._org.store.get(user, self._org.user_id) or {}
                return typed(user.fields[name], row.get(name))
            case "$Permission", _:
                return name in self._org.custom_permissions
        raise Fault(f"{self.flow.name}: there is no {first}.{name}.")

    # -- to write

    def write(self, reference: str, operator: str, value: Any) -> None:
        """Assign to a variable or to a field of a record in one; add to it; take from it."""
        first, _, name = reference.partition(".")
        variable = self.flow.resources.get(first)
        if not name:
            self.values[first] = _changed(self.values.get(first), operator, value)
            if variable is not None and variable.text("dataType") == "String":
                held = self.values[first]
                texts = isinstance(held, str | list) or held is None
                self.values[first] = held if texts else as_text(held)
            return
        record = self._record if first == "$Record" else self.values.get(first)
        if record is None and variable is not None:
            record = self.values[first] = Record(self._org.sobject(variable.text("objectType")))
        if not isinstance(record, Record):
            raise Fault(f"{self.flow.name}: {reference} is assigned to no record.")
        record.fields[name] = _changed(record.fields.get(name), operator, value)


class _References(Mapping[str, Any]):
    """The names of a formula, as a flow has them."""

    def __init__(self, frame: Frame, *, labels: bool) -> None:
        self._frame = frame
        self._read = frame.labelled if labels else frame.read

    def __getitem__(self, name: str) -> Any:
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.values)

    def __len__(self) -> int:
        return len(self._frame.values)


def record_of(sobject: SObject, row: Mapping[str, Any], names: list[str] | None = None) -> Record:
    """A stored record with its fields, or with some of them, as a flow has them."""
    wanted = {"Id", *names} if names else sobject.fields.keys()
    fields = {n: typed(sobject.fields[n], row.get(n)) for n in sobject.fields if n in wanted}
    return Record(sobject, fields)


def _changed(old: Any, operator: str, value: Any) -> Any:
    if isinstance(value, Record):
        value = value.copy()
    elif isinstance(value, list):
        value = [one.copy() if isinstance(one, Record) else one for one in value]
    if operator == "Assign":
        return value
    if isinstance(old, list):
        return old + (value if isinstance(value, list) else [value])
    if isinstance(value, str) or isinstance(old, str):
        return f"{old or ''}{as_text(value)}"
    change = (value or 0) if operator == "Add" else -(value or 0)
    return change if old is None else old + change


def compared(operator: str, left: Any, right: Any) -> bool:
    """Whether a condition of a flow holds."""
    if operator == "IsNull":
        return (left is None or left in ("", [])) == (right is not False)
    blank = left is None or right is None
    match operator:
        case "EqualTo":
            return bool(left == right)
        case "NotEqualTo":
            return bool(left != right)
        case "GreaterThan":
            return not blank and bool(left > right)
        case "GreaterThanOrEqualTo":
            return not blank and bool(left >= right)
        case "LessThan":
            return not blank and bool(left < right)
        case "LessThanOrEqualTo":
            return not blank and bool(left <= right)
        case "Contains":
            return right in left if isinstance(left, list) else as_text(right) in as_text(left)
        case "StartsWith":
            return as_text(left).startswith(as_text(right))
        case "EndsWith":
            return as_text(left).endswith(as_text(right))
    raise ValueError(operator)
