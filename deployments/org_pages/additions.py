"""What an org's page lacks, and the page with it. Nothing else of the page is touched.

A layout has actions, related lists and fields; a Lightning page may have actions and lists of its
own, and else shows the layout's. Sources: Metadata API Developer Guide, "Layout" and "FlexiPage";
Salesforce mobile app guide, "How Actions Are Ordered in the Salesforce Mobile App Action Bar";
CumulusCI's AddRecordPlatformActionListItem and AddRelatedLists; the references of components in
forcedotcom/sf-skills.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from textwrap import indent
from urllib.parse import unquote

from deployments.org_pages.xml_text import INDENT, Element, put_after, put_first, read

LAYOUT, LIGHTNING_PAGE = "Layout", "FlexiPage"

OBJECTS = {"Account": "Account", "PersonAccount": "Account", "Opportunity": "Opportunity"}
"""Whose layouts are looked at, and the object whose action and list each gets."""

LIST = "Invoices__r"
LIST_FIELDS = (
    *("NAME", "Status__c", "Total__c", "Amount_Remaining__c", "Currency__c", "Due_Date__c"),
)
PERMISSION = "Ask_For_Invoice_Actions"
"""The custom permission of those who raise invoices, to whom alone a Lightning page shows it."""

EMAIL = "Invoice_Email__c"

HIGHLIGHTS = ("force:highlightsPanel", "record_flexipage:dynamicHighlights")
SINGLE_LISTS = ("force:relatedListSingleContainer", "lst:dynamicRelatedList")
ALL_LISTS = "force:relatedListContainer"
DETAILS = "force:detailPanel"


@dataclass(frozen=True)
class Page:
    """A page as the org has it.

    Attributes:
        kind: LAYOUT or LIGHTNING_PAGE.
        name: Its full name, such as ``Account-Account %28Sales%29 Layout``.
        text: Its XML.
    """

    kind: str
    name: str
    text: bytes

    @property
    def label(self) -> str:
        """Its own name, as people see it."""
        name = unquote(self.name)
        return name.partition("-")[2] if self.kind == LAYOUT else name

    @property
    def title(self) -> str:
        """What a sentence about it begins with."""
        return f"{'The layout' if self.kind == LAYOUT else 'The Lightning page'} {self.label}"

    @property
    def names(self) -> frozenset[str]:
        """What somebody may call it."""
        return frozenset([self.name, unquote(self.name), self.label])

    @property
    def installed(self) -> bool:
        """Whether it is of an installed package, whose prefix it has: not ours to change."""
        return "__" in self.label


@dataclass(frozen=True)
class Change:
    """A page, what it is to become, and why.

    Attributes:
        page: The page.
        text: Its XML with all that it lacked.
        added: What was put in, each in words.
        left: What only a person can do, each a sentence.
    """

    page: Page
    text: bytes
    added: tuple[str, ...]
    left: tuple[str, ...]


def action_of(sobject: str) -> str:
    """The full name of the action that an object's pages get."""
    return f"{sobject}.Raise_Invoice"


def object_of(page: Page) -> str | None:
    """The object whose records a page shows; none if it is not one of ours, or no record page.

    Raises:
        UnreadableError: the page is no XML.
    """
    if page.kind == LAYOUT:
        return OBJECTS.get(page.name.partition("-")[0])
    root = read(page.text)
    return OBJECTS.get(root.said("sobjectType")) if root.said("type") == "RecordPage" else None


def completed(page: Page) -> Change:
    """The page with what it lacks.

    Raises:
        UnreadableError: the page is no XML.
        ValueError: it shows records of no object of ours.
    """
    sobject = object_of(page)
    if sobject is None:
        raise ValueError(f"{page.title} is of another object")
    text = page.text
    added: list[str] = []
    left: list[str] = []
    for step in _STEPS[page.kind]:
        became, said = step(text, read(text), sobject)
        if said:
            (left if became == text else added).append(said)
        text = became
    return Change(page, text, tuple(added), tuple(left))


# -- layouts


def _layout_action(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    lists = root.all("platformActionList")
    ours = next((one for one in lists if one.said("actionListContext") == "Record"), None)
    if ours is None:
        return text, (
            "Its actions are Salesforce's predefined ones, which a list of its own would replace. "
            f"In Setup, Object Manager, {sobject}, Page Layouts, open it, find Salesforce Mobile "
            "and Lightning Experience Actions, choose “override the predefined actions”, save, and "
            "run this again."
        )
    items = list(ours.all("platformActionListItems"))
    if action_of(sobject) in ours.texts("platformActionListItems/actionName"):
        return text, ""
    order = max((int(item.said("sortOrder") or 0) for item in items), default=-1) + 1
    lines = _block(
        "platformActionListItems",
        _line("actionName", action_of(sobject)),
        _line("actionType", "QuickAction"),
        _line("sortOrder", str(order)),
    )
    return put_after(text, (items or ours.children)[-1], lines), _ACTION


def _layout_list(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    name = f"Stripe_Invoice__c.{sobject}__c"
    if name in root.texts("relatedLists/relatedList"):
        return text, ""
    lines = _block(
        "relatedLists",
        *(_line("fields", field) for field in LIST_FIELDS),
        _line("relatedList", name),
        _line("sortField", "CREATED_DATE"),
        _line("sortOrder", "Desc"),
    )
    return _put_in_order(text, root, "relatedLists", lines), _LIST


def _layout_email(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    fields = root.texts("layoutSections/layoutColumns/layoutItems/field")
    if sobject != "Account" or EMAIL in fields:
        return text, ""
    item = _block("layoutItems", _line("behavior", "Edit"), _line("field", EMAIL))
    lines = _block(
        "layoutSections",
        _line("customLabel", "true"),
        _line("detailHeading", "true"),
        _line("editHeading", "true"),
        _line("label", "Invoicing"),
        _block("layoutColumns", item),
        _line("style", "OneColumn"),
    )
    return _put_in_order(text, root, "layoutSections", lines), _EMAIL


def _put_in_order(text: bytes, root: Element, tag: str, lines: str) -> bytes:
    """Put an element in where the schema has it: a layout's stand in the order of their names."""
    before = [child for child in root.children if child.tag <= tag]
    return put_after(text, before[-1], lines) if before else put_first(text, root, lines)


# -- Lightning pages


def _page_action(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    action, panel = action_of(sobject), next(_components(root, HIGHLIGHTS), None)
    if panel is None:
        return text, "It has no highlights panel, where actions are."
    own = _property(panel, "actionNames")
    criterion = _block(
        "criteria",
        _line("leftValue", f"{{!$Permission.CustomPermission.{PERMISSION}}}"),
        _line("operator", "EQUAL"),
        _line("rightValue", "true"),
    )
    rule = _block("visibilityRule", criterion)
    item = _block("valueListItems", _line("value", action), rule)
    there = list(own.all("valueList/valueListItems")) if own else []
    configured = _said(panel, "enableActionsConfiguration")
    if configured == "false" or (not there and configured != "true"):
        return text, ""  # it shows those of the layout
    if action in [value.said("value") for value in there]:
        return text, ""
    if there:
        return put_after(text, there[-1], item), _ACTION
    lines = _block("valueList", item)
    if own:
        return put_after(text, own.children[0], lines), _ACTION
    lines = _block("componentInstanceProperties", _line("name", "actionNames"), lines)
    return put_first(text, panel, lines), _ACTION


def _page_list(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    singles = list(_components(root, SINGLE_LISTS))
    if any(_said(single, "relatedListApiName") == LIST for single in singles):
        return text, ""
    if next(_components(root, (ALL_LISTS,)), None):
        return text, ""  # it shows those of the layout
    if not singles:
        return text, "It shows no related lists."
    last = singles[-1]
    place = next(
        item for item in root.all("flexiPageRegions/itemInstances") if last in item.children
    )
    taken = {name for one in _components(root) for name in one.texts("identifier")}
    identifiers = chain(["invoices"], (f"invoices{number}" for number in count(2)))
    properties = {
        "parentFieldApiName": f"{sobject}.Id",
        "relatedListApiName": LIST,
        "relatedListComponentOverride": "NONE",
        "rowsToDisplay": "10",
        "showActionBar": "true",
    }
    component = _block(
        "componentInstance",
        *(
            _block("componentInstanceProperties", _line("name", name), _line("value", value))
            for name, value in properties.items()
        ),
        _line("componentName", SINGLE_LISTS[0]),
        _line("identifier", next(name for name in identifiers if name not in taken)),
    )
    return put_after(text, place, _block("itemInstances", component)), _LIST


def _page_email(text: bytes, root: Element, sobject: str) -> tuple[bytes, str]:
    fields = root.texts("flexiPageRegions/itemInstances/fieldInstance/fieldItem")
    shows_layout = next(_components(root, (DETAILS,)), None) is not None
    if sobject != "Account" or shows_layout or f"Record.{EMAIL}" in fields:
        return text, ""
    return text, "Its fields are its own: put Invoice E-mail on it in the Lightning App Builder."


def _components(root: Element, names: tuple[str, ...] = ()) -> Iterator[Element]:
    """The components of a Lightning page, all or those of some names."""
    for component in root.all("flexiPageRegions/itemInstances/componentInstance"):
        if not names or component.said("componentName") in names:
            yield component


def _property(component: Element, name: str) -> Element | None:
    properties = component.all("componentInstanceProperties")
    return next((one for one in properties if one.said("name") == name), None)


def _said(component: Element, name: str) -> str:
    found = _property(component, name)
    return found.said("value") if found else ""


# -- XML


def _line(tag: str, text: str) -> str:
    return f"<{tag}>{text}</{tag}>"


def _block(tag: str, *inner: str) -> str:
    return f"<{tag}>\n{indent(chr(10).join(inner), INDENT.decode())}\n</{tag}>"


_ACTION = "the action Raise Invoice, last of its actions"
_LIST = "the related list Invoices"
_EMAIL = "the field Invoice E-mail, in a section Invoicing"
_STEPS = {
    LAYOUT: (_layout_action, _layout_email, _layout_list),
    LIGHTNING_PAGE: (_page_action, _page_email, _page_list),
}
