"""The package's buttons are the product's actions, and people may do what they are for."""

from xml.etree import ElementTree

import pytest

from deployments.local.stack import SALESFORCE_PACKAGE
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.domain.stripe.transitions import ALLOWED_STATUSES, InvoiceAction
from tasks.events.salesforce_requests import FLOW_BY_ACTION

pytestmark = pytest.mark.fast

INVOICE = "Stripe_Invoice__c"
LATER = {
    "Resend": InvoiceAction.RESEND,
    "Record Payment": InvoiceAction.PAY,
    "Replace": InvoiceAction.REPLACE,
    "Write Off": InvoiceAction.WRITE_OFF,
    "Void": InvoiceAction.VOID,
}
"""Values of the action field that ask for something after sending."""

DRAFT = frozenset([Status.DRAFT])
STATUSES = {
    **{value: ALLOWED_STATUSES[action] for value, action in LATER.items()},
    **dict.fromkeys(["Send", "Preview", "Delete"], DRAFT),
    "Clone": frozenset(Status) - {Status.DELETED},
    "Sync": frozenset[Status](),
}
"""In which statuses each value makes sense; none: what decides is that it is in Stripe."""


def read(path: str) -> ElementTree.Element:
    """A file of the package, names without namespace."""
    root = ElementTree.parse(SALESFORCE_PACKAGE / path).getroot()  # noqa: S314  our own file
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def actions() -> dict[str, str]:
    """The invoice's actions: by value of the action field, the action's name."""
    found = {}
    for path in sorted((SALESFORCE_PACKAGE / "quickActions").glob(f"{INVOICE}.*")):
        flow = read(f"quickActions/{path.name}").findtext("flowDefinition")
        asked = read(f"flows/{flow}.flow-meta.xml").find("recordUpdates/inputAssignments")
        assert asked is not None
        assert asked.findtext("field") == "Action_Requested__c"
        found[str(asked.findtext("value/stringValue"))] = path.name.split(".")[1]
    return found


def statuses_of(flow: str) -> frozenset[Status]:
    """The statuses in which an action's dialogue goes on."""
    conditions = read(f"flows/{flow}.flow-meta.xml").iterfind("decisions/rules/conditions")
    return frozenset(
        Status(str(asked.findtext("rightValue/stringValue")))
        for asked in conditions
        if asked.findtext("leftValueReference") == "Get_Invoice.Status__c"
    )


def test_each_action_that_is_taken_up_has_a_button() -> None:
    """What the action field takes can be pressed, and nothing else."""
    assert actions().keys() == FLOW_BY_ACTION.keys()


def test_a_button_is_there_when_it_makes_sense() -> None:
    """Page and dialogue agree with Stripe's own rules on what an invoice's status allows."""
    shown = {}
    for item in read("flexipages/Invoice_Record_Page.flexipage-meta.xml").iter("valueListItems"):
        values = [e.text for e in item.iterfind("visibilityRule/criteria/rightValue")]
        shown[str(item.findtext("value"))] = frozenset(Status(str(value)) for value in values)
    for value, action in actions().items():
        flow = read(f"quickActions/{INVOICE}.{action}.quickAction-meta.xml")
        assert statuses_of(str(flow.findtext("flowDefinition"))) == STATUSES[value], value
        assert shown[f"{INVOICE}.{action}"] == STATUSES[value], value


def test_the_dialogue_offers_the_terms_that_there_are() -> None:
    """Payment terms in the dialogue are those of the record."""
    choices = read("flows/Raise_Invoice.flow-meta.xml").iterfind("choices/value/stringValue")
    assert {e.text for e in choices} - {"Create", "More", "Again"} == set(Terms)


def editable(name: str) -> set[str]:
    """The fields that a permission set lets people write."""
    granted = read(f"permissionsets/{name}.permissionset-meta.xml").iterfind("fieldPermissions")
    return {str(g.findtext("field")) for g in granted if g.findtext("editable") == "true"}


def test_people_write_the_content_of_a_draft_and_no_more() -> None:
    """Status, amounts, links and keys are the integration's to write."""
    users = {name.partition(".")[2] for name in editable("Invoice_User") if INVOICE in name}
    content = {name for name, field in OBJECTS[INVOICE].fields.items() if field.asked} - {
        "Replaces__c"
    }
    others = {"Action_Requested__c", "Description__c", "Due_Date__c", "Opportunity__c"}
    assert users == content | others
    assert editable("Invoice_Approver") == set()


def test_the_integration_has_the_rights_that_the_product_asks_for() -> None:
    """Those that every run checks the org for."""
    words = {
        "queryable": "allowRead",
        "createable": "allowCreate",
        "updateable": "allowEdit",
        "deletable": "allowDelete",
    }
    granted = {}
    path = "permissionsets/Invoice_Integration.permissionset-meta.xml"
    for rights in read(path).iterfind("objectPermissions"):
        granted[rights.findtext("object")] = {e.tag for e in rights if e.text == "true"}
    with_their_parent = {"PricebookEntry", "OpportunityLineItem"}
    for name, asked in OBJECTS.items():
        if name not in with_their_parent:
            assert granted[name] == {words[right] for right in asked.rights}, name


def test_whoever_presses_a_button_may_run_its_dialogue() -> None:
    """The flows of all actions, and those that they call, are in the set for users."""
    granted = read("permissionsets/Invoice_User.permissionset-meta.xml")
    flows = {path.name.split(".")[0] for path in (SALESFORCE_PACKAGE / "flows").iterdir()}
    assert {e.text for e in granted.iterfind("flowAccesses/flow")} == flows
