"""The package's buttons are the product's actions, and people may do what they are for."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from deployments.local.stack import SALESFORCE_PACKAGE
from invoicing.domain.model.invoice_details import Terms
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce.record import (
    DRAFT_MIRRORED_FIELDS,
    MIRRORED_FIELDS,
    PACKAGE_VERSION,
    VERSION,
    VERSION_NAME,
)
from invoicing.domain.salesforce.request_record import ACTIONS, RequestState, open_key
from invoicing.domain.salesforce.required_schema import OBJECTS
from invoicing.domain.stripe.action_rules import ALLOWED_STATUSES, InvoiceAction
from sandbox.salesforce.formula import BEFORE, NEW, read_formula
from tasks.requests.action_field import FLOW_BY_ACTION

pytestmark = pytest.mark.fast

INVOICE = "Stripe_Invoice__c"
REQUEST = "Stripe_Invoice_Request__c"
LATER = {
    "Resend": InvoiceAction.RESEND,
    "Record Payment": InvoiceAction.PAY,
    "Credit": InvoiceAction.CREDIT,
    "Replace": InvoiceAction.REPLACE,
    "Write Off": InvoiceAction.WRITE_OFF,
    "Void": InvoiceAction.VOID,
}
"""Values of the action field that ask for something after sending."""

DECISIONS = [value for value, asked in ACTIONS.items() if asked.decides]
DRAFT = frozenset([Status.DRAFT])
STATUSES = {
    **{value: ALLOWED_STATUSES[action] for value, action in LATER.items()},
    **dict.fromkeys(["Send", "Preview", "Delete"], DRAFT),
    "Clone": frozenset(Status) - {Status.DELETED},
    **dict.fromkeys(["Sync", *DECISIONS], frozenset[Status]()),
}
"""In which statuses each value makes sense; none: what counts is that it is in Stripe, or waits."""


def read(path: str) -> ElementTree.Element:
    """A file of the package, names without namespace."""
    root = ElementTree.parse(SALESFORCE_PACKAGE / path).getroot()  # noqa: S314  our own file
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def flow_of(action: str) -> ElementTree.Element:
    """The dialogue of one of the invoice's actions."""
    flow = read(f"quickActions/{INVOICE}.{action}.quickAction-meta.xml").findtext("flowDefinition")
    return read(f"flows/{flow}.flow-meta.xml")


def request_of(action: str) -> dict[str, str]:
    """What an action's dialogue writes on the request: a word, or the name that holds it."""
    [made] = flow_of(action).findall("recordCreates")
    assert made.findtext("object") == REQUEST
    return {
        str(given.findtext("field")): given.findtext("value/stringValue")
        or str(given.findtext("value/elementReference"))
        for given in made.iterfind("inputAssignments")
    }


def actions() -> dict[str, str]:
    """The invoice's actions: by what they ask for, the action's name."""
    paths = sorted((SALESFORCE_PACKAGE / "quickActions").glob(f"{INVOICE}.*"))
    names = [path.name.split(".")[1] for path in paths]
    return {request_of(name)["Action__c"]: name for name in names}


def statuses_of(action: str) -> frozenset[Status]:
    """The statuses in which an action's dialogue goes on."""
    conditions = flow_of(action).iterfind("decisions/rules/conditions")
    return frozenset(
        Status(str(asked.findtext("rightValue/stringValue")))
        for asked in conditions
        if asked.findtext("leftValueReference") == "Get_Invoice.Status__c"
    )


def test_each_action_that_is_taken_up_has_a_button() -> None:
    """What can be asked for can be pressed, and nothing else."""
    assert actions().keys() == ACTIONS.keys()
    assert ACTIONS.keys() - FLOW_BY_ACTION.keys() == {"Credit", *DECISIONS}


def test_a_request_has_the_key_that_makes_it_the_only_one() -> None:
    """Each dialogue writes the very key that is expected of a request, and where it says so."""
    for asked, action in actions().items():
        assert request_of(action)["Invoice__c"] == "Get_Invoice.Id"
        assert request_of(action)["Open_Key__c"] == "Open_Key"
        formulas = {f.findtext("name"): f for f in flow_of(action).iterfind("formulas")}
        worked_out = read_formula(str(formulas["Open_Key"].findtext("expression"))).worked_out
        invoice_id = "a00000000000001AAA"
        assert worked_out({"Get_Invoice.Id": invoice_id}) == open_key(invoice_id, asked)
        twice = read_formula(str(formulas["Is_Asked_For"].findtext("expression"))).worked_out
        assert twice({"$Flow.FaultMessage": "DUPLICATE_VALUE: duplicate value found"})
        assert not twice({"$Flow.FaultMessage": "INSUFFICIENT_ACCESS"})
    field = read(f"objects/{REQUEST}/fields/Open_Key__c.field-meta.xml")
    assert (field.findtext("unique"), field.findtext("caseSensitive")) == ("true", "true")
    longest = max(len(open_key("a00000000000001AAA", asked)) for asked in ACTIONS)
    assert int(field.findtext("length") or 0) >= longest


def test_what_keeps_people_from_changing_what_was_sent_is_switched_on() -> None:
    """Rules and flows that a package switches off are deployed without a word, and do nothing."""
    for path in SALESFORCE_PACKAGE.glob("objects/*/validationRules/*"):
        assert read(str(path.relative_to(SALESFORCE_PACKAGE))).findtext("active") == "true", path
    for path in SALESFORCE_PACKAGE.glob("flows/*"):
        assert read(str(path.relative_to(SALESFORCE_PACKAGE))).findtext("status") == "Active", path


def test_each_dialogue_ends_with_what_came_of_its_request() -> None:
    """The screen after a request is made follows it, by the very id that it was given."""
    for action in actions().values():
        [made] = flow_of(action).findall("recordCreates")
        after = made.findtext("connector/targetReference")
        [screen] = [s for s in flow_of(action).iter("screens") if s.findtext("name") == after]
        [followed] = [f for f in screen.iter("fields") if f.findtext("extensionName")]
        assert followed.findtext("extensionName") == "c:requestProgress", action
        assert followed.findtext("inputParameters/name") == "requestId"
        given = followed.findtext("inputParameters/value/elementReference")
        assert given == made.findtext("name"), action


def test_the_component_knows_every_state_of_a_request() -> None:
    """It has words for each, and stops at those that a request is closed with."""
    source = (SALESFORCE_PACKAGE / "lwc/requestProgress/requestProgress.js").read_text("utf-8")
    [headings] = re.findall(r"const HEADINGS = \{(.*?)\};", source, re.DOTALL)
    assert set(re.findall(r"(\w+): '", headings)) == set(RequestState)
    [ended] = re.findall(r"const ENDED = \[(.*?)\];", source)
    assert set(re.findall(r"\w+", ended)) == set(RequestState) - {
        RequestState.QUEUED,
        RequestState.RUNNING,
    }


def test_a_dialogue_asks_for_no_more_than_its_flow_takes() -> None:
    """The names in the text that a dialogue fills in are the flow's parameters, each in it once."""
    for asked, action in actions().items():
        filled_in = request_of(action).get("Parameters__c")
        texts = [
            element.findtext("text") or element.findtext("expression") or ""
            for element in flow_of(action)
            if filled_in and element.findtext("name") == filled_in
        ]
        named = [
            name for text in texts for name in re.findall(r'(?:^|")(\w+): ', text, re.MULTILINE)
        ]
        assert tuple(named) == ACTIONS[asked].parameters


def test_people_may_ask_and_not_change_what_was_asked() -> None:
    """Requests are made by users, and answered by the integration alone; nobody deletes them."""
    rights = {
        "Invoice_User": {"allowRead", "allowCreate"},
        "Invoice_Approver": {"allowRead", "allowCreate"},
        "Invoice_Integration": {"allowRead", "allowEdit", "viewAllRecords"},
    }
    for name, expected in rights.items():
        [granted] = [
            g
            for g in read(f"permissionsets/{name}.permissionset-meta.xml").iter("objectPermissions")
            if g.findtext("object") == REQUEST
        ]
        assert {e.tag for e in granted if e.text == "true"} == expected, name
    filled_in = {f"{REQUEST}.{field}" for field in ("Invoice__c", "Open_Key__c", "Parameters__c")}
    for name in ("Invoice_User", "Invoice_Approver"):
        assert {field for field in editable(name) if REQUEST in field} == filled_in


def test_a_button_is_there_when_it_makes_sense() -> None:
    """Page and dialogue agree with Stripe's own rules on what an invoice's status allows."""
    shown = {}
    for item in read("flexipages/Invoice_Record_Page.flexipage-meta.xml").iter("valueListItems"):
        criteria = item.iterfind("visibilityRule/criteria")
        asked = [e for e in criteria if e.findtext("leftValue") == "{!Record.Status__c}"]
        values = frozenset(Status(str(e.findtext("rightValue"))) for e in asked)
        shown[str(item.findtext("value"))] = values
    for value, action in actions().items():
        assert statuses_of(action) == STATUSES[value], value
        assert shown[f"{INVOICE}.{action}"] == STATUSES[value], value


def test_approvers_see_their_buttons_while_it_waits() -> None:
    """Page and dialogue ask for the same, and the page for the permission that the org demands."""
    page = read("flexipages/Invoice_Record_Page.flexipage-meta.xml")
    for value in DECISIONS:
        [item] = [
            item
            for item in page.iter("valueListItems")
            if item.findtext("value") == f"{INVOICE}.{value}"
        ]
        assert [
            (e.findtext("leftValue"), e.findtext("rightValue"))
            for e in item.iterfind("visibilityRule/criteria")
        ] == [
            ("{!Record.Approval_Status__c}", "Waiting"),
            ("{!$Permission.CustomPermission.Approve_Invoices}", "true"),
        ]
        asked = {
            e.findtext("leftValueReference") for e in flow_of(value).iterfind("decisions/rules/*")
        }
        assert {
            "Get_Invoice.Approval_Status__c",
            "Get_Invoice.Approval_Key__c",
        } <= asked


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
    users = {n.partition(".")[2] for n in editable("Invoice_User") if n.startswith(f"{INVOICE}.")}
    content = {name for name, field in OBJECTS[INVOICE].fields.items() if field.asked} - {
        "Replaces__c"
    }
    others = {"Action_Requested__c", "Description__c", "Due_Date__c", "Opportunity__c"}
    assert users == content | others
    assert not any(name.startswith(f"{INVOICE}.") for name in editable("Invoice_Approver"))


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
        allowed = {e.tag for e in rights if e.text == "true"} - {"viewAllRecords"}
        granted[rights.findtext("object")] = allowed
    with_their_parent = {"PricebookEntry", "OpportunityLineItem"}
    for name, asked in OBJECTS.items():
        if name not in with_their_parent:
            assert granted[name] == {words[right] for right in asked.rights}, name


def test_whoever_presses_a_button_may_run_its_dialogue() -> None:
    """The flows of all actions, and those that they call, are in the set for whom they are."""
    flows = {
        path.name.split(".")[0]
        for path in (SALESFORCE_PACKAGE / "flows").iterdir()
        if read(f"flows/{path.name}").find("start/triggerType") is None
    }
    granted = {}
    for name in ("Invoice_User", "Invoice_Approver"):
        found = read(f"permissionsets/{name}.permissionset-meta.xml").iterfind("flowAccesses/flow")
        granted[name] = {e.text for e in found}
    assert granted["Invoice_Approver"] == {f"Invoice_{value}" for value in DECISIONS}
    assert granted["Invoice_User"] == flows - granted["Invoice_Approver"]


def test_a_deploy_says_which_package_it_brought() -> None:
    """The record that each deploy writes is the version that this release's worker needs."""
    record = read(f"customMetadata/Invoicing_Setting.{VERSION_NAME}.md-meta.xml")
    assert {
        value.findtext("field"): value.findtext("value") for value in record.iterfind("values")
    } == {VERSION: str(PACKAGE_VERSION)}


AMOUNTS = {
    name
    for sobject in OBJECTS.values()
    for name, field in sobject.fields.items()
    if (field.kind, field.scale) == ("number", 2) and name != "Discount_Percent__c"
}
HIGHLIGHTED = 7
"""Fields of a compact layout that a page shows:
https://help.salesforce.com/s/articleView?id=platform.compact_layout_overview.htm"""

COLUMNS = {
    "objects/*/listViews/*": (".", "columns"),
    "objects/*/compactLayouts/*": (".", "fields"),
    "layouts/*": ("relatedLists", "fields"),
    "flexipages/*": (
        ".//componentInstanceProperties[name='relatedListFieldAliases']",
        "valueList/valueListItems/value",
    ),
}
"""Where fields stand beside one another: in which files, in which parts, and what names them."""


@pytest.mark.parametrize("files", COLUMNS)
def test_a_currency_stands_beside_amounts(files: str) -> None:
    """A number says none: lists, related lists and highlights that show one have the other."""
    part, names = COLUMNS[files]
    shown = [
        [element.text for element in found.iterfind(names)]
        for path in SALESFORCE_PACKAGE.glob(files)
        for found in read(str(path.relative_to(SALESFORCE_PACKAGE))).iterfind(part)
    ]
    if files.startswith("objects/*/compactLayouts"):
        shown = [fields[:HIGHLIGHTED] for fields in shown]
    with_amounts = [fields for fields in shown if AMOUNTS.intersection(fields)]
    assert with_amounts
    assert [fields for fields in with_amounts if "Currency__c" not in fields] == []


def test_an_amount_of_an_invoice_says_what_it_is() -> None:
    """What is due, paid and left is read side by side, also of what is void or was paid."""
    for name in (name for name in AMOUNTS if name.startswith("Amount_")):
        path = f"objects/{INVOICE}/fields/{name}.field-meta.xml"
        if (SALESFORCE_PACKAGE / path).exists():
            assert read(path).findtext("inlineHelpText"), name


LINE = "Stripe_Invoice_Line__c"
MAY = "$Permission.Mirror_Stripe"
PEOPLES = {"Action_Requested__c", "Opportunity__c"}
"""What people may write on an invoice whatever its status."""

MASTER = "Invoice__c"
WORKED_OUT = {"Draft_Amount__c", "Quantity_Text__c", "Unit_Price_Text__c"}


def refuses(sobject: str, field: str, status: Status, *, may: bool = False) -> bool:
    """Whether a rule keeps a field from being changed while the invoice is in a status."""
    values = {MAY: may, NEW: False, "Status__c": status, "Invoice__r.Status__c": status}
    values |= {f"{BEFORE}{name}": value for name, value in values.items()}
    for path in (SALESFORCE_PACKAGE / f"objects/{sobject}/validationRules").iterdir():
        rule = read(str(path.relative_to(SALESFORCE_PACKAGE)))
        formula = read_formula(str(rule.findtext("errorConditionFormula")))
        names = {name for name in formula.names if not name.startswith("$")}
        now: dict[str, object] = {n: None for name in names for n in (name, f"{BEFORE}{name}")}
        now |= {**values, field: "other"}
        if rule.findtext("active") == "true" and formula.worked_out(now):
            return True
    return False


def test_what_stripe_owns_is_kept_from_people() -> None:
    """Each field that mirrors Stripe once an invoice was sent; some while it is a draft too."""
    for field in MIRRORED_FIELDS:
        for status in set(Status) - {Status.DRAFT}:
            assert refuses(INVOICE, field, status), field
            assert not refuses(INVOICE, field, status, may=True), field
        assert refuses(INVOICE, field, Status.DRAFT) == (field in DRAFT_MIRRORED_FIELDS), field


def test_what_was_sent_stays_as_it_was_sent() -> None:
    """Whatever people write on a draft they cannot write later, but for what stays theirs."""
    users = {n.partition(".")[2] for n in editable("Invoice_User") if n.startswith(f"{INVOICE}.")}
    for field in {*users, "Account__c", "Currency__c"}:
        assert not refuses(INVOICE, field, Status.DRAFT), field
        assert refuses(INVOICE, field, Status.OPEN) == (field not in PEOPLES), field
    for field in OBJECTS[LINE].fields.keys() - {MASTER, *WORKED_OUT}:
        assert not refuses(LINE, field, Status.DRAFT), field
        assert refuses(LINE, field, Status.PAID), field
        assert not refuses(LINE, field, Status.PAID, may=True), field


PAGE = (SALESFORCE_PACKAGE.parents[4] / "docs/salesforce-package.md").read_text("utf-8")
"""What documentation says of the package."""


def documented(heading: str, column: str) -> list[list[str]]:
    """The rows of a table of that page, by the heading above it and its first column."""
    table = PAGE.partition(f"## {heading}\n")[2].partition(f"| {column} |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]


def named(pattern: str, tag: str, folder: Path = SALESFORCE_PACKAGE) -> set[str]:
    """What people read as the names of parts of the package."""
    texts = (ElementTree.parse(path).getroot() for path in folder.glob(pattern))  # noqa: S314  ours
    return {str(e.text) for root in texts for e in root if e.tag.rpartition("}")[2] == tag}


def test_the_documentation_has_the_buttons_of_the_package() -> None:
    """Each with what it starts, and with the statuses in which it is there."""
    table = documented("What people get", "button")
    rows = {label: (when, starts) for label, when, starts in table}
    labels = {
        str(read(f"quickActions/{INVOICE}.{action}.quickAction-meta.xml").findtext("label")): value
        for value, action in actions().items()
    }
    assert rows.keys() == labels.keys()
    for label, (when, starts) in rows.items():
        value = labels[label]
        assert starts.partition(",")[0] == f"`{ACTIONS[value].flow}`", label
        told = {status for status in Status if status in when.partition(":")[0]}
        assert (set(Status) - told if "all but" in when else told) == STATUSES[value], label


def test_the_documentation_has_what_people_find_of_the_package() -> None:
    """Lists, reports and permission sets: none is left out, and none is told of that is not."""
    views = named(f"objects/{INVOICE}/listViews/*", "label")
    lists = PAGE.partition("and the lists ")[2].partition(".\n")[0]
    assert set(re.findall(r"\*([^*]+)\*", lists)) == views
    sets = {row[0] for row in documented("Deploy it", "permission set")}
    assert sets == named("permissionsets/*", "label")
    extras = SALESFORCE_PACKAGE.parents[2] / "extras/main/default"
    reports = {row[0] for row in documented("Reports", "report")}
    assert reports == named("reports/*/*.report-meta.xml", "name", extras)


LOOKED_UP = {"Contact": "Contacts", "Opportunity": "Opportunities", "Product2": "Products"}
"""Standard objects that an invoice or a line refers to, as people call them."""


@pytest.mark.parametrize("name", ["Invoice User", "Invoice Approver"])
def test_the_documentation_says_what_a_profile_has_to_grant(name: str) -> None:
    """A lookup is shown to whoever may read what it points at; the sets do not grant all of it."""
    granted = read(f"permissionsets/{name.replace(' ', '_')}.permissionset-meta.xml")
    opened = {e.text for e in granted.iterfind("objectPermissions/object")}
    pointed_at = set()
    for field in granted.iterfind("fieldPermissions/field"):
        sobject, _, path = str(field.text).partition(".")
        if sobject in {INVOICE, LINE}:
            found = read(f"objects/{sobject}/fields/{path}.field-meta.xml").findtext("referenceTo")
            pointed_at |= {found} - {None, INVOICE}
    missing = {LOOKED_UP[str(found)] for found in pointed_at - opened}
    [told] = re.findall(rf"an {name} needs (.*?)[;.]\s", " ".join(PAGE.split()))
    assert set(re.findall(r"\*(\w+)\*", told)) == missing
