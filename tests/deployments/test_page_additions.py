"""What is put into an org's pages: all the rest of each stays as it is, byte for byte."""

import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from deployments.local.stack import SALESFORCE_PACKAGE
from deployments.org_pages.additions import EMAIL as EMAIL_FIELD
from deployments.org_pages.additions import (
    LAYOUT,
    LIGHTNING_PAGE,
    LIST_FIELDS,
    PERMISSION,
    Page,
    action_of,
    completed,
    object_of,
)
from deployments.org_pages.additions import LIST as LIST_NAME
from deployments.org_pages.xml_text import Element, UnreadableError, put_after, put_first, read
from sandbox.package_check.file_schema import file_schema
from sandbox.package_check.source import Component
from sandbox.salesforce.org import STANDARD_PAGES
from sandbox.salesforce.package import Package
from sandbox.salesforce.schema_loader import load_schema

pytestmark = pytest.mark.fast

ACTION = "the action Raise Invoice, last of its actions"
LIST = "the related list Invoices"
EMAIL = "the field Invoice E-mail, in a section Invoicing"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
NAMESPACE = "http://soap.sforce.com/2006/04/metadata"


def page(path: Path) -> Page:
    """A page in a file in source format."""
    kind = LAYOUT if path.parent.name == "layouts" else LIGHTNING_PAGE
    return Page(kind, path.name.rpartition("-meta")[0].rpartition(".")[0], path.read_bytes())


PAGES = {
    (path.parts[-3], path.name.partition(".")[0]): page(path)
    for path in sorted(STANDARD_PAGES.rglob("*-meta.xml"))
    if path.parent.name in ("layouts", "flexipages")
}
LAYOUT_OF_ACCOUNTS = PAGES["every-org", "Account-Account Layout"]
PAGE_OF_ACCOUNTS = PAGES["lightning-pages", "Account_Record_Page"]


def changed(page: Page, *replaced: tuple[str, str]) -> Page:
    """A page with other text in it."""
    text = page.text.decode()
    for before, after in replaced:
        assert before in text
        text = text.replace(before, after)
    return Page(page.kind, page.name, text.encode())


def without_additions(text: bytes) -> str:
    """A page's XML in canonical form, without what may have been put in."""
    root = ElementTree.fromstring(text)  # noqa: S314  our own
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    for parent in list(root.iter()):
        for child in list(parent):
            texts = {one.text for one in child.iter() if one.text}
            wrapped = child.tag in ("itemInstances", "valueListItems", "relatedLists")
            items = child.tag in ("platformActionListItems", "layoutSections")
            ours = texts & {
                *("Account.Raise_Invoice", "Opportunity.Raise_Invoice", "Invoice_Email__c"),
                *("Stripe_Invoice__c.Account__c", "Stripe_Invoice__c.Opportunity__c"),
                "Invoices__r",
            }
            if (wrapped or items) and ours and len(list(child.iter())) < 20:
                parent.remove(child)
    return ElementTree.canonicalize(ElementTree.tostring(root), strip_text=True)


WAYS: dict[str, Callable[[Page], Page]] = {
    "as Salesforce writes it": lambda page: page,
    "lines as on Windows": lambda page: changed(page, ("\n", "\r\n")),
    "no line breaks at all": lambda page: changed(page, ("\n", "")),
    "other indentation": lambda page: changed(page, ("    ", "\t")),
    "comments and CDATA": lambda page: changed(
        page, ("</masterLabel>", "</masterLabel><!-- <relatedLists> & > -->")
    ),
    "elements that nobody knows": lambda page: (
        changed(page, ("<type>", '<newThing a="x>y"/><type>'))
        if page.kind == LIGHTNING_PAGE
        else changed(
            page, ("<showEmailCheckbox>", '<newThing a="x>y">ä&amp;</newThing><showEmailCheckbox>')
        )
    ),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PAGES, ids="/".join)
def test_nothing_else_of_a_page_changes(name: tuple[str, str], way: str) -> None:
    """However it is written: lines only come, and a second time none comes."""
    before = WAYS[way](PAGES[name])
    change = completed(before)
    assert change.added or name[1] == "Opportunity_Record_Page"
    rest = iter(_lines(change.text))
    assert all(line in rest for line in _lines(before.text))
    assert without_additions(change.text) == without_additions(before.text)
    again = completed(Page(before.kind, before.name, change.text))
    assert (again.text, again.added) == (change.text, ())
    if way == "as Salesforce writes it":
        assert _mistakes(before.kind, change.text) == []


def _lines(text: bytes) -> list[str]:
    return re.sub(r">\s*<", ">\n<", text.decode()).splitlines()


def _mistakes(kind: str, text: bytes) -> list[str]:
    root = etree.fromstring(text, etree.XMLParser(remove_comments=True))
    for element in root.iter():
        element.tag = etree.QName(element).localname
    return file_schema().mistakes(Component(kind, "", "", root, Path()))


@pytest.mark.parametrize(
    ("name", "added"),
    [
        (("every-org", "Account-Account Layout"), (ACTION, EMAIL, LIST)),
        (("every-org", "Account-Account %28Sales%29 Layout"), (ACTION, EMAIL, LIST)),
        (("every-org", "Opportunity-Opportunity Layout"), (ACTION, LIST)),
        (("person-accounts", "PersonAccount-Person Account Layout"), (ACTION, EMAIL, LIST)),
        (("lightning-pages", "Account_Record_Page"), (ACTION, LIST)),
        (("lightning-pages", "Opportunity_Record_Page"), ()),
        (("predefined-actions", "Account-Account Layout"), (EMAIL, LIST)),
    ],
    ids=str,
)
def test_each_page_gets_what_it_lacks(name: tuple[str, str], added: tuple[str, ...]) -> None:
    """A Lightning page that shows the layout's actions, lists or fields gets none of its own."""
    assert completed(PAGES[name]).added == added


def test_the_action_is_the_last_of_a_layout() -> None:
    """Indented as the others, with a number behind theirs, wherever theirs begin."""
    change = completed(changed(LAYOUT_OF_ACCOUNTS, ("<sortOrder>7<", "<sortOrder>41<")))
    assert (
        b"""\
        <platformActionListItems>
            <actionName>Account.Raise_Invoice</actionName>
            <actionType>QuickAction</actionType>
            <sortOrder>42</sortOrder>
        </platformActionListItems>
    </platformActionList>
"""
        in change.text
    )


def test_predefined_actions_are_left_to_a_person() -> None:
    """A list of its own would take Salesforce's away; a person says so in Setup, once."""
    [left] = completed(PAGES["predefined-actions", "Account-Account Layout"]).left
    assert "override the predefined actions" in left
    assert (
        "Raise_Invoice"
        not in completed(PAGES["predefined-actions", "Account-Account Layout"]).text.decode()
    )


@pytest.mark.parametrize(
    ("replaced", "gets", "says"),
    [
        ((">true<", ">false<"), False, ""),
        (("<name>enableActionsConfiguration<", "<name>enableActionsInNative<"), True, ""),
        (("force:highlightsPanel", "record_flexipage:dynamicHighlights"), True, ""),
        (("force:highlightsPanel", "c:ownPanel"), False, "no highlights panel"),
    ],
)
def test_actions_of_a_lightning_page(replaced: tuple[str, str], gets: bool, says: str) -> None:
    """Its own where dynamic actions are on; the layout's where they are off."""
    change = completed(changed(PAGE_OF_ACCOUNTS, replaced))
    assert (ACTION in change.added) is gets
    assert says in " ".join(change.left)


def test_a_lightning_page_shows_the_action_to_those_who_may_raise() -> None:
    """By the custom permission that comes with the permission set; a layout has no rules."""
    text = re.sub(r">\s+<", "><", completed(PAGE_OF_ACCOUNTS).text.decode())
    assert (
        f"<value>Account.Raise_Invoice</value><visibilityRule><criteria>"
        f"<leftValue>{{!$Permission.CustomPermission.{PERMISSION}}}</leftValue>"
        "<operator>EQUAL</operator><rightValue>true</rightValue></criteria></visibilityRule>"
    ) in text
    assert PERMISSION in Package([SALESFORCE_PACKAGE]).custom_permissions(["Invoice_User"])


def test_dynamic_actions_without_any_action() -> None:
    """The list is made where it is missing, or empty."""
    text = PAGE_OF_ACCOUNTS.text.decode()
    start, end = text.index("<valueList>"), text.index("</valueList>") + len("</valueList>")
    for became in (text[:start] + text[end:], text.replace(text[start:end], "<value></value>")):
        change = completed(Page(LIGHTNING_PAGE, "Account_Record_Page", became.encode()))
        assert ACTION in change.added
        assert _mistakes(LIGHTNING_PAGE, change.text) == [] or "<value></value>" in became
    property_start = text.index("                <componentInstanceProperties>")
    property_end = text.index("<componentInstanceProperties>", end)
    became = text[:property_start] + "                " + text[property_end:]
    change = completed(Page(LIGHTNING_PAGE, "Account_Record_Page", became.encode()))
    assert ACTION in change.added
    assert _mistakes(LIGHTNING_PAGE, change.text) == []


def test_lists_of_a_lightning_page() -> None:
    """After those that it has; with a name that is nobody else's; none where there are none."""
    taken = changed(PAGE_OF_ACCOUNTS, (">contacts<", ">invoices<"))
    change = completed(taken)
    assert b"<identifier>invoices2</identifier>" in change.text
    assert change.text.index(b"Opportunities<") < change.text.index(b"Invoices__r<")
    dynamic = changed(
        PAGE_OF_ACCOUNTS, ("force:relatedListSingleContainer", "lst:dynamicRelatedList")
    )
    assert LIST in completed(dynamic).added
    none = changed(PAGE_OF_ACCOUNTS, ("force:relatedListSingleContainer", "c:ownList"))
    assert "It shows no related lists." in completed(none).left


def test_fields_of_a_lightning_page_are_left_to_a_person() -> None:
    """Where it has fields of its own instead of the layout's, unless ours is among them."""
    own = changed(PAGE_OF_ACCOUNTS, ("force:detailPanel", "flexipage:fieldSection"))
    assert "Invoice E-mail" in " ".join(completed(own).left)
    item = (
        "<itemInstances><fieldInstance><fieldItem>Record.Invoice_Email__c</fieldItem>"
        "</fieldInstance></itemInstances><name>detailTabContent</name>"
    )
    there = changed(own, ("<name>detailTabContent</name>", item))
    assert completed(there).left == ()


def test_what_is_put_in_is_in_the_package() -> None:
    """Actions, list, columns and field, each by its name."""
    schema = load_schema(SALESFORCE_PACKAGE)
    package = Package([SALESFORCE_PACKAGE])
    invoice = schema.objects["Stripe_Invoice__c"]
    assert {*LIST_FIELDS} - {"NAME"} <= invoice.fields.keys()
    assert "Currency__c" in LIST_FIELDS, "amounts say no currency"
    assert EMAIL_FIELD in schema.objects["Account"].fields
    for sobject in ("Account", "Opportunity"):
        assert action_of(sobject) in package.actions
        related = schema.find_children(sobject, LIST_NAME)
        assert related is not None
        assert (related.child, related.field.name) == (invoice.name, f"{sobject}__c")
    assert schema.objects["Account"].fields[EMAIL_FIELD].label in EMAIL


@pytest.mark.parametrize(
    "other",
    [
        Page(LAYOUT, "Contact-Contact Layout", LAYOUT_OF_ACCOUNTS.text),
        changed(PAGE_OF_ACCOUNTS, (">Account<", ">Case<")),
        changed(PAGE_OF_ACCOUNTS, (">RecordPage<", ">AppPage<")),
    ],
    ids=["layout", "Lightning page", "app page"],
)
def test_pages_of_other_objects_are_not_looked_at(other: Page) -> None:
    """Nor pages that show no record."""
    assert object_of(other) is None


@pytest.mark.parametrize(
    "text",
    [
        b"<Layout><platformActionList></Layout>",
        b"",
        b'<!DOCTYPE a [<!ENTITY b "cccc">]><Layout>&b;</Layout>',
    ],
)
def test_what_is_no_page_is_refused(text: bytes) -> None:
    """Broken XML, and XML that defines entities."""
    with pytest.raises(UnreadableError):
        completed(Page(LAYOUT, "Account-Account Layout", text))


NAMES = st.sampled_from(["a", "relatedLists", "ns:b", "é"])
TEXTS = st.sampled_from(["", " ", "\n    ", "x &amp; y", "<![CDATA[<a>]]>", "<!-- </a> -->", "€"])


@st.composite
def documents(draw: st.DrawFn, depth: int = 3) -> str:
    """XML of any shape."""
    name = draw(NAMES)
    if depth == 0 or draw(st.booleans()):
        return draw(
            st.sampled_from([f"<{name}/>", f"<{name} c='>'/>", f'<{name} d="/>"></{name}>'])
        )
    inner = draw(st.lists(st.one_of(documents(depth - 1), TEXTS), max_size=4))
    return f"<{name}>{''.join(inner)}</{name}>"


@given(inner=st.lists(documents(), min_size=1, max_size=4), data=st.data())
def test_something_is_put_where_it_belongs(inner: list[str], data: st.DataObject) -> None:
    """Behind an element, in its parent, or first in it; before and behind it nothing changes."""
    text = f'{HEAD}<Layout xmlns="{NAMESPACE}" xmlns:ns="n">{"".join(inner)}</Layout>'.encode()
    parent = data.draw(st.sampled_from([e for e in everything(read(text)) if e.children]))
    sibling = data.draw(st.sampled_from(parent.children))
    after = put_after(text, sibling, "<new/>")
    assert after.startswith(text[: sibling.end])
    assert after.endswith(text[sibling.end :])
    children = next(e for e in everything(read(after)) if e.start == parent.start).children
    assert children[parent.children.index(sibling) + 1].tag == "new"
    first = put_first(text, parent, "<new/>")
    assert first.startswith(text[: parent.inside])
    assert first.endswith(text[parent.inside :])
    children = next(e for e in everything(read(first)) if e.start == parent.start).children
    assert [child.tag for child in children] == ["new", *(child.tag for child in parent.children)]


def everything(root: Element) -> list[Element]:
    """An element and all that is in it."""
    found = [root]
    for element in found:
        found.extend(element.children)
    return found
