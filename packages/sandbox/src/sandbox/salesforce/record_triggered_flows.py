"""Record-triggered flows: before a deletion, which they may refuse, and before one is saved.

They run in system context, and know the custom permissions of whoever does it. A record that goes
because its master goes starts none of them; a master whose roll-ups change is saved and starts its.
Sources: https://help.salesforce.com/s/articleView?id=platform.flow_ref_elements_custom_error.htm
(its example is a deletion that is not allowed); Apex Developer Guide, "Operations That Don't Invoke
Triggers" (cascading deletes) and "Triggers and Order of Execution".
"""

from __future__ import annotations

from sandbox.salesforce.condition_logic import holds
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.flow_definition import Flow
from sandbox.salesforce.flow_values import Fault, Frame, Record, compared, record_of
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row
from sandbox.salesforce.values import to_stored, typed


def run_before_delete(org: Org, sobject: SObject, row: Row) -> None:
    """Run the flows that a record's deletion starts.

    Raises:
        SalesforceError: One of them ends with a custom error, or cannot be run.
    """
    for flow in org.package.triggered(sobject.name, "RecordBeforeDelete"):
        if _starts(org, flow, sobject, row):
            record = record_of(sobject, row)
            _run(flow, Frame(org, flow, {}, record, record))


def changed_before_save(org: Org, sobject: SObject, row: Row, before: Row | None) -> Row:
    """Run the flows that a record starts as it is made or changed; what they change besides.

    Args:
        org: Where it is saved.
        sobject: The record's object.
        row: The record as it would be.
        before: The record as it is; None where it is made.

    Raises:
        SalesforceError: One of them ends with a custom error, or cannot be run.
    """
    changes: Row = {}
    started = {"CreateAndUpdate", "Create" if before is None else "Update"}
    row = dict.fromkeys(sobject.fields) | row
    for flow in org.package.triggered(sobject.name, "RecordBeforeSave"):
        its_time = flow.root.text("start/recordTriggerType") in started
        if not (its_time and _starts(org, flow, sobject, row | changes)):
            continue
        prior = Record(sobject) if before is None else record_of(sobject, before)
        record = record_of(sobject, row | changes)
        told = dict(record.fields)
        _run(flow, Frame(org, flow, {}, record, prior))
        written = {name: value for name, value in record.fields.items() if value != told[name]}
        changes |= {name: to_stored(sobject.fields[name], value) for name, value in written.items()}
    return changes


def _starts(org: Org, flow: Flow, sobject: SObject, row: Row) -> bool:
    """Whether a record is one of those that the flow is for."""
    frame = Frame(org, flow, {}, Record(sobject), Record(sobject))
    results = [
        compared(
            asked.text("operator"),
            typed(sobject.fields[asked.text("field")], row[asked.text("field")]),
            frame.value(asked.find("value")),
        )
        for asked in flow.root.all("start/filters")
    ]
    return holds(flow.root.text("start/filterLogic"), results)


def _run(flow: Flow, frame: Frame) -> None:
    name = flow.start
    try:
        while name:
            node = flow.nodes[name]
            match node.kind:
                case "customErrors":
                    message = frame.merged(node.text("customErrorMessages/errorMessage"))
                    raise SalesforceError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, [])
                case "assignments":
                    name = frame.assigned(node)
                case _:
                    name = frame.decided(node)
    except Fault as fault:
        raise SalesforceError("CANNOT_EXECUTE_FLOW_TRIGGER", str(fault), []) from None
