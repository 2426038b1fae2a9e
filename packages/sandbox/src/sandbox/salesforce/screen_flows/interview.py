"""An interview: one run of a flow, from screen to screen.

What is written between two screens is one transaction: it stays when the next screen is shown, and
is taken back by a rollback element, or by a fault that nothing catches.
Source: https://help.salesforce.com/s/articleView?id=platform.flow_ref_elements_roll_back_records.htm
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sandbox.salesforce import deletion, records
from sandbox.salesforce.condition_logic import holds
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.flow_definition import Unsupported
from sandbox.salesforce.flow_values import (
    Fault,
    Frame,
    Record,
    compared,
    record_of,
    wire,
)
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import Field, SObject
from sandbox.salesforce.screen_flows.screen import Given, Screen, Shown
from sandbox.salesforce.store import Row, quoted
from sandbox.salesforce.values import typed

MANY_STEPS = 100_000
"""Elements between two screens after which a flow is taken to go in a circle."""

Filter = tuple[Field, str, Any]
"""A field, an operator, and the value that is compared with."""

_TRIED = {
    "recordCreates": "create",
    "recordDeletes": "delete",
    "recordLookups": "look up",
    "recordUpdates": "update",
}


class _RolledBack(Exception):
    """What was written since the last screen is taken back."""

    def __init__(self, following: str) -> None:
        super().__init__(following)
        self.following = following


class Interview:
    """One run of a screen flow.

    Args:
        org: Where it runs.
        name: The flow that runs, one of the org's package.
        inputs: Values of its input variables, such as ``recordId``.

    Raises:
        Unsupported: The flow, or one that it calls, uses what cannot be run here.

    Attributes:
        id: Names it among all interviews.
        screen: What is to be filled in now; None when it has ended.
        failure: Why it ended, where it ended by a fault that nothing catches.
        step: Counts what people have done, so that nothing is done twice.
    """

    def __init__(self, org: Org, name: str, inputs: Mapping[str, Any]) -> None:
        self.id = uuid.uuid4().hex
        self.flow = flow = org.package.flow(name)
        self.screen: Screen | None = None
        self.failure = ""
        self.step = 0
        self._org = org
        self._frame = Frame(org, flow, inputs)
        self._before: list[str] = []
        self._go(flow.start)

    @property
    def can_go_back(self) -> bool:
        """Whether there is a screen before this one, and a way to it."""
        return bool(self._before) and self.screen is not None and self.screen.part.flag("allowBack")

    def next(self, given: Given) -> None:
        """Fill in the screen and go on; where something is wrong with it, the screen stays."""
        if self.screen is None:
            return
        self.step += 1
        screen = self.screen
        with self._ended_by_faults():
            screen.type(given)
            if not screen.errors:
                self._before.append(screen.name)
                self._go(_following(screen.part))

    def back(self, given: Given) -> None:
        """Go back to the screen before."""
        if self.screen is None or not self.can_go_back:
            return
        self.step += 1
        with self._ended_by_faults():
            self.screen.look_again(given)
            self._show(self.flow.nodes[self._before.pop()], anew=False)

    def look_again(self, given: Given) -> None:
        """Show the screen again, as it is with what is typed so far."""
        if self.screen is not None:
            with self._ended_by_faults():
                self.screen.look_again(given)

    def shown(self) -> list[Shown]:
        """What the screen shows; nothing where there is none, or no more."""
        with self._ended_by_faults():
            return self.screen.show() if self.screen else []
        return []

    # -- the way

    @contextmanager
    def _ended_by_faults(self) -> Iterator[None]:
        """A fault that nothing catches ends the interview."""
        try:
            yield
        except Fault as fault:
            self.failure, self.screen = str(fault), None

    def _go(self, name: str) -> None:
        """Run from an element to the next screen, or to the end."""
        self.screen = None
        while name:
            try:
                with self._ended_by_faults(), self._org.store.transaction():
                    self._run(self._frame, name)
                return
            except _RolledBack as undone:
                name = undone.following

    def _run(self, frame: Frame, name: str) -> None:
        for _ in range(MANY_STEPS):
            if not name:
                return
            node = frame.flow.nodes[name]
            if node.kind == "screens":
                if frame is not self._frame:
                    raise Unsupported(f"{frame.flow.name}: a flow that is called shows a screen.")
                self._show(node, anew=True)
                return
            name = self._step(frame, node)
        raise Fault(f"{frame.flow.label} goes in a circle.")

    def _show(self, node: Part, *, anew: bool) -> None:
        self.screen = Screen(self._org, self._frame, node)
        self.screen.open(anew=anew)

    def _step(self, frame: Frame, node: Part) -> str:
        """Do what an element says; the name of what follows, empty at the end."""
        match node.kind:
            case "assignments":
                return frame.assigned(node)
            case "decisions":
                return frame.decided(node)
            case "loops":
                return self._loop(frame, node)
            case "recordRollbacks":
                raise _RolledBack(_following(node))
            case "subflows":
                self._call(frame, node)
            case _:
                return self._records(frame, node)
        return _following(node)

    def _loop(self, frame: Frame, node: Part) -> str:
        name = node.text("name")
        if name not in frame.loops:
            items = list(frame.read(node.text("collectionReference")) or [])
            items = items[::-1] if node.text("iterationOrder") == "Desc" else items
            frame.loops[name] = iter(items)
        item = next(frame.loops[name], None)
        if item is None:
            del frame.loops[name]
            return _following(node, "noMoreValuesConnector")
        frame.values[name] = item.copy() if isinstance(item, Record) else item
        return _following(node, "nextValueConnector")

    def _call(self, frame: Frame, node: Part) -> None:
        flow = self._org.package.flow(node.text("flowName"))
        given = node.all("inputAssignments")
        inputs = {part.text("name"): frame.value(part.find("value")) for part in given}
        inner = Frame(self._org, flow, inputs)
        self._run(inner, flow.start)
        outputs = inner.outputs()
        if node.flag("storeOutputAutomatically"):
            frame.values[node.text("name")] = outputs
        for part in node.all("outputAssignments"):
            frame.write(part.text("assignToReference"), "Assign", outputs[part.text("name")])

    # -- records

    def _records(self, frame: Frame, node: Part) -> str:
        act = {
            "recordCreates": self._create,
            "recordDeletes": self._delete,
            "recordLookups": self._look_up,
            "recordUpdates": self._update,
        }[node.kind]
        try:
            with self._org.store.transaction():
                act(frame, node)
        except SalesforceError as error:
            tried = f"This error occurred when the flow tried to {_TRIED[node.kind]} records: "
            frame.fault = f"{tried}{error.code}: {error.message}"
            if node.find("faultConnector") is None:
                raise Fault(frame.fault) from None
            return _following(node, "faultConnector")
        return _following(node)

    def _look_up(self, frame: Frame, node: Part) -> None:
        names = node.texts("queriedFields")
        sobject = self._sobject(node.text("object"))
        found = [record_of(sobject, row, names) for row in self._filtered(frame, node)]
        first = node.flag("getFirstRecordOnly")
        frame.values[node.text("name")] = (found[0] if found else None) if first else found

    def _create(self, frame: Frame, node: Part) -> None:
        reference = node.text("inputReference")
        if not reference:
            sobject = self._sobject(node.text("object"))
            made = records.create(self._org, sobject, self._assigned(frame, node))
            frame.values[node.text("name")] = made
            if keep := node.text("assignRecordIdToReference"):
                frame.write(keep, "Assign", made)
            return
        held = frame.read(reference)
        for record in held if isinstance(held, list) else [held]:
            record.fields["Id"] = records.create(self._org, record.sobject, record.body())

    def _update(self, frame: Frame, node: Part) -> None:
        sobject = self._sobject(node.text("object"))
        changes = self._assigned(frame, node)
        for row in self._filtered(frame, node):
            records.update(self._org, sobject, row["Id"], changes)

    def _delete(self, frame: Frame, node: Part) -> None:
        sobject = self._sobject(node.text("object"))
        for row in self._filtered(frame, node):
            deletion.delete(self._org, sobject, row["Id"])

    def _assigned(self, frame: Frame, node: Part) -> dict[str, Any]:
        given = node.all("inputAssignments")
        return {part.text("field"): wire(frame.value(part.find("value"))) for part in given}

    def _sobject(self, name: str) -> SObject:
        sobject = self._org.schema.find(name)
        if sobject is None:
            raise SalesforceError("INVALID_TYPE", f"sObject type '{name}' is not supported.")
        return sobject

    def _filtered(self, frame: Frame, node: Part) -> list[Row]:
        """The stored records that the filters of an element let through.

        An equal value is looked for in the database; what else is asked is asked of what it finds.
        """
        sobject = self._sobject(node.text("object"))
        asked: list[Filter] = []
        for part in node.all("filters"):
            field = sobject.find(part.text("field"))
            if field is None:
                raise _no_column(sobject, part.text("field"))
            asked.append((field, part.text("operator"), frame.value(part.find("value"))))
        for name in node.texts("queriedFields"):
            if sobject.find(name) is None:
                raise _no_column(sobject, name)
        conditions, parameters, rest = ["IsDeleted = 0"], [], asked
        if node.text("filterLogic") in {"", "and"}:
            rest = [one for one in asked if one[1] != "EqualTo"]
            for field, how, value in asked:
                if how == "EqualTo":
                    conditions.append(f"{quoted(field.name)} IS ?")
                    parameters.append(_stored(value))
        order = node.text("sortField")
        ordered = f"{quoted(order)} {node.text('sortOrder')}" if order else "rowid"
        rows = self._org.store.where(
            sobject, f"{' AND '.join(conditions)} ORDER BY {ordered}", parameters
        )
        return [row for row in rows if _lets_through(node, row, rest)]


def _lets_through(node: Part, row: Row, asked: list[Filter]) -> bool:
    results = [compared(how, typed(field, row[field.name]), value) for field, how, value in asked]
    return holds(node.text("filterLogic"), results)


def _stored(value: Any) -> Any:
    value = wire(value)
    return int(value) if isinstance(value, bool) else value


def _no_column(sobject: SObject, name: str) -> SalesforceError:
    return SalesforceError("INVALID_FIELD", f"No such column '{name}' on entity '{sobject.name}'.")


def _following(node: Part, way: str = "connector") -> str:
    return node.text(f"{way}/targetReference")
