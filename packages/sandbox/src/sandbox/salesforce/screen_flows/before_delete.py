"""Record-triggered flows before a deletion, which may refuse it.

They run in system context, and know the custom permissions of whoever deletes. A record that goes
because its master goes starts none of them.
Sources: https://help.salesforce.com/s/articleView?id=platform.flow_ref_elements_custom_error.htm
(its example is a deletion that is not allowed) and Apex Developer Guide, "Operations That Don't
Invoke Triggers" (cascading deletes).
"""

from __future__ import annotations

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.screen_flows.definition import Flow
from sandbox.salesforce.screen_flows.frame import Fault, Frame, record_of
from sandbox.salesforce.store import Row


def run_before_delete(org: Org, sobject: SObject, row: Row) -> None:
    """Run the flows that a record's deletion starts.

    Raises:
        SalesforceError: One of them ends with a custom error, or cannot be run.
    """
    for flow in org.package.before_delete(sobject.name):
        try:
            _run(org, flow, sobject, row)
        except Fault as fault:
            raise SalesforceError("CANNOT_EXECUTE_FLOW_TRIGGER", str(fault), []) from None


def _run(org: Org, flow: Flow, sobject: SObject, row: Row) -> None:
    frame = Frame(org, flow, {}, record_of(sobject, row))
    name = flow.start
    while name:
        node = flow.nodes[name]
        if node.kind == "customErrors":
            message = frame.merged(node.text("customErrorMessages/errorMessage"))
            raise SalesforceError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, [])
        name = frame.decided(node)
