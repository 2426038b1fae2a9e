"""What people see: actions, pages, layouts, lists, tabs, apps; all that they name is there.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_flexipage.htm,
meta_layouts.htm, meta_listview.htm, meta_quickaction.htm of the same guide; for what lists call
fields, https://github.com/forcedotcom/sf-skills, platform-list-view-generate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import product

from sandbox.package_check.conditions import logic_mistake
from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.condition_logic import holds
from sandbox.salesforce.package import COLUMNS
from sandbox.salesforce.pages.list_view import OPERATIONS
from sandbox.salesforce.pages.record_page import (
    COMPONENTS,
    LIST_ACTIONS,
    LIST_DEFAULT,
    OPERATORS,
    STANDARD_ACTIONS,
)
from sandbox.salesforce.schema import METADATA_TYPE, Field

OVERRIDDEN = frozenset(["Accept", "Clone", "Delete", "Edit", "List", "New", "Tab", "View"])
"""Actions of an object that a page can take the place of.

Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_actionoverride.htm
"""

MOTIF = re.compile(r"Custom([1-9]|[1-9]\d|100): .+")
"""The styles of tabs, by number and name."""

MOST_COLUMNS = 15
"""Columns that a list can have."""

MOST_LIST_COLUMNS = 10
"""Columns that a related list of a page's own can have."""

LIST_ORDERS = frozenset(["Ascending", "Default", "Descending"])
"""How such a list can be sorted.

Source of both: https://github.com/forcedotcom/sf-skills, lst-dynamicRelatedList.md
"""

RELATIVE_DAYS = re.compile(
    r"(TODAY|YESTERDAY|TOMORROW|(THIS|LAST|NEXT)_(WEEK|MONTH|QUARTER|YEAR|90_DAYS)"
    r"|(LAST|NEXT)_N_(DAYS|WEEKS|MONTHS):\d+)"
)
"""Days that a filter names without a date."""

TEMPLATE = "flexipage:recordHomeTemplateDesktop"
"""The arrangement of a record's page that is known here; its regions are header, main, sidebar."""

PROPERTIES = {
    "flexipage:column": frozenset(["body"]),
    "flexipage:fieldSection": frozenset(["columns", "horizontalAlignment", "label"]),
    "flexipage:tab": frozenset(["active", "body", "title"]),
    "flexipage:tabset": frozenset(["tabs"]),
    "force:highlightsPanel": frozenset(
        [
            *("actionNames", "collapsed", "enableActionsConfiguration", "enableActionsInNative"),
            *("hideChatterActions", "numVisibleActions"),
        ]
    ),
    "force:relatedListSingleContainer": frozenset(
        [
            *("parentFieldApiName", "relatedListApiName", "relatedListComponentOverride"),
            *("rowsToDisplay", "showActionBar"),
        ]
    ),
    "lst:dynamicRelatedList": frozenset(
        [
            *("actionNames", "adminFilters", "maxRecordsToDisplay", "parentFieldApiName"),
            *("relatedListApiName", "relatedListDisplayType", "relatedListFieldAliases"),
            *("relatedListLabel", "showActionBar", "sortFieldAlias", "sortFieldOrder"),
        ]
    ),
}
"""What components of pages are told, as published pages tell them."""


def check_pages(package: Package, org: Org, findings: Findings) -> None:
    """Check everything that a package directory shows to people."""
    checks = {
        "CompactLayout": _compact_layout,
        "CustomApplication": _application,
        "CustomObject": _object,
        "CustomTab": _tab,
        "FlexiPage": _page,
        "Layout": _layout,
        "ListView": _list_view,
        "QuickAction": _quick_action,
    }
    for component in package.own():
        if component.kind in checks:
            for wrong in checks[component.kind](component, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")
    labels = Counter((v.name.partition(".")[0], v.text("label")) for v in package.all("ListView"))
    for (sobject, label), many in labels.items():
        findings.expect(many == 1, f"{many} lists of {sobject} are called {label}.")
    own = [c.name for c in package.all("CustomObject") if c.folder == package.folder]
    for sobject in [name for name in own if not name.endswith(METADATA_TYPE)]:
        shown = {
            name
            for layout in package.all("Layout")
            if layout.name.startswith(f"{sobject}-")
            for name in layout.texts(".//layoutItems/field")
        }
        for component in package.all("CustomField"):
            of, _, name = component.name.partition(".")
            if of == sobject:
                findings.expect(name in shown, f"{component.name} is on no layout of its object.")


def _quick_action(action: Component, org: Org) -> Iterator[str]:
    sobject = action.name.partition(".")[0]
    yield "" if org.sobject(sobject) else f"there is no object {sobject}."
    kind = action.text("type")
    yield "" if kind == "Flow" else f"actions of type {kind} are not known here."
    flows = [a.text("flowDefinition") for a in org.package.all("QuickAction") if _of(a) == sobject]
    once = flows.count(action.text("flowDefinition")) == 1
    yield "" if once else f"several actions of {sobject} start {action.text('flowDefinition')}."
    flow = org.package.get("Flow", action.text("flowDefinition"))
    if flow is None:
        yield f"there is no flow {action.text('flowDefinition')}."
        return
    screen = flow.text("processType") == "Flow" and flow.text("status") == "Active"
    yield "" if screen else f"{flow.name} is no active screen flow."
    takes = [
        v.findtext("name") == "recordId"
        and v.findtext("dataType") == "String"
        and v.findtext("isInput") == "true"
        for v in flow.root.iterfind("variables")
    ]
    yield "" if any(takes) else f"{flow.name} takes no recordId."


def _of(part: Component) -> str:
    return part.name.partition(".")[0]


def _object(component: Component, org: Org) -> Iterator[str]:
    for override in component.root.iterfind("actionOverrides"):
        content = override.findtext("content") or ""
        action = override.findtext("actionName") or ""
        yield "" if action in OVERRIDDEN else f"there is no action {action} to override."
        if override.findtext("type") == "Flexipage":
            yield "" if org.package.has("FlexiPage", content) else f"there is no page {content}."
    compact = component.text("compactLayoutAssignment")
    if compact:
        there = org.package.has("CompactLayout", f"{component.name}.{compact}")
        yield "" if there else f"there is no compact layout {compact}."


def _tab(tab: Component, org: Org) -> Iterator[str]:
    yield "" if org.package.has("CustomObject", tab.name) else f"there is no object {tab.name}."
    yield "" if not tab.text("label") else "the tab of an object takes the object's label."
    yield "" if MOTIF.fullmatch(tab.text("motif")) else f"{tab.text('motif')} is no style of tabs."
    yield "" if tab.text("customObject") == "true" else "it does not say that it is an object's."


def _application(app: Component, org: Org) -> Iterator[str]:
    for name in app.texts("tabs"):
        standard = name.startswith("standard-") and org.sobject(name.removeprefix("standard-"))
        there = standard or org.package.has("CustomTab", name)
        yield "" if there else f"there is no tab {name}."


def _compact_layout(layout: Component, org: Org) -> Iterator[str]:
    sobject = layout.name.partition(".")[0]
    for name in layout.texts("fields"):
        yield _field_mistake(org, sobject, name)
        field = org.field(sobject, name)
        yield f"{name} is a long text." if field and not field.filterable else ""
    many = len(layout.texts("fields"))
    yield "" if 1 <= many <= 10 else f"it has {many} fields; 1 to 10 can be shown."


def _list_view(view: Component, org: Org) -> Iterator[str]:
    sobject = view.name.partition(".")[0]
    for name in [*view.texts("columns"), *view.texts("filters/field")]:
        yield _field_mistake(org, sobject, COLUMNS.get(name, name))
    columns = view.texts("columns")
    for name in [*columns, *view.texts("filters/field")]:
        called = name in COLUMNS or name.endswith("__c")
        yield "" if called else f"{name} has another name in lists, such as NAME."
    for name, many in Counter(columns).items():
        yield "" if many == 1 else f"{name} is a column more than once."
    fit = len(columns) <= MOST_COLUMNS
    yield "" if fit else f"it has {len(columns)} columns; {MOST_COLUMNS} fit."
    for operation in view.texts("filters/operation"):
        yield "" if operation in OPERATIONS else f"the operation {operation} is not known here."
    for asked in view.root.iterfind("filters"):
        found = org.field(sobject, asked.findtext("field") or "")
        values = (asked.findtext("value") or "").split(",")
        strange = [v for v in values if found and _is_strange(found, v)]
        yield f"{found.name} is a long text." if found and not found.filterable else ""
        yield f"{asked.findtext('field')} has no value {', '.join(strange)}." if strange else ""
    yield logic_mistake(view.text("booleanFilter"), len(view.texts("filters/field")))


def _is_strange(field: Field, value: str) -> bool:
    """Whether a filter asks for what a field never holds."""
    if field.type == "boolean":
        return value not in {"0", "1"}
    if field.type in {"date", "datetime"}:
        return not RELATIVE_DAYS.fullmatch(value) and not value[:1].isdigit()
    return field.restricted and value not in field.values


def _layout(layout: Component, org: Org) -> Iterator[str]:
    sobject = layout.name.partition("-")[0]
    own = org.package.has("CustomObject", sobject)
    yield "" if own else f"a layout of {sobject} would overwrite the org's own."
    names = layout.texts(".//layoutItems/field")
    for name in names:
        yield _field_mistake(org, sobject, name)
        yield "" if names.count(name) == 1 else f"{name} is on it more than once."
    for item in layout.root.iter("layoutItems"):
        yield _behavior_mistake(org, sobject, item)
    of = org.sobject(sobject)
    for field in of.required if of else ():
        yield "" if field.name in names else f"{field.name} must be filled, and is not on it."
    for related in layout.root.iterfind("relatedLists"):
        child, _, reference = (related.findtext("relatedList") or "").partition(".")
        found = org.field(child, reference)
        there = found is not None and sobject in found.to
        yield "" if there else f"there is no related list {child}.{reference}."
        for name in [element.text or "" for element in related.iterfind("fields")]:
            yield _field_mistake(org, child, COLUMNS.get(name, name))
    for action in layout.texts("platformActionList/platformActionListItems/actionName"):
        yield _action_mistake(org, action)


def _behavior_mistake(org: Org, sobject: str, item: Element) -> str:
    """A field that nobody can write is shown; one that must be filled is asked for."""
    field = org.field(sobject, item.findtext("field") or "")
    behavior = item.findtext("behavior")
    if field is None:
        return ""
    if not field.createable:
        return "" if behavior == "Readonly" else f"{field.name} cannot be written: Readonly."
    needed = field.required
    return "" if not needed or behavior == "Required" else f"{field.name} must be filled: Required."


def _page(page: Component, org: Org) -> Iterator[str]:
    sobject = page.text("sobjectType")
    yield "" if org.sobject(sobject) else f"there is no object {sobject}."
    names = [e.text or "" for e in page.root.iter("identifier")]
    for name, many in Counter(names).items():
        yield "" if many == 1 else f"{name} identifies {many} things."
    kind, template = page.text("type"), page.text("template/name")
    yield "" if kind == "RecordPage" else f"pages of type {kind} are not known here."
    yield "" if template == TEMPLATE else f"the template {template} is not known here."
    shown_facets = {e.text for e in page.root.iter("value")}
    for region in page.root.iterfind("flexiPageRegions"):
        name = region.findtext("name")
        lost = region.findtext("type") == "Facet" and name not in shown_facets
        yield f"{name} is shown nowhere." if lost else ""
    facets = {r.findtext("name") for r in page.root.iterfind("flexiPageRegions")}
    for region in page.root.iterfind("flexiPageRegions"):
        for item in region.iterfind("itemInstances"):
            yield "" if len(item) == 1 else f"{region.findtext('name')}: one thing for each place."
    for component in page.root.iter("componentInstance"):
        name = component.findtext("componentName") or ""
        yield "" if name in COMPONENTS else f"the component {name} is not known here."
        yield from _component_mistakes(component, facets, org, sobject)
    for shown in page.root.iter("fieldInstance"):
        yield _shown_mistake(shown, org, sobject)
    rules = page.root.iter("visibilityRule")
    wrong = [mistake for rule in rules for mistake in _rule_mistakes(rule, org, sobject)]
    yield from wrong
    if not any(wrong):
        for item in page.root.iter("valueListItems"):
            yield from _audience_mistakes(item, org)


def _audience_mistakes(item: Element, org: Org) -> Iterator[str]:
    """A button is shown to those whose permission set opens its flow, and to nobody else."""
    action = org.package.get("QuickAction", item.findtext("value") or "")
    flow = org.package.get("Flow", action.text("flowDefinition")) if action else None
    if action is None or flow is None or flow.text("isAdditionalPermissionRequiredToRun") != "true":
        return
    for permissions in org.package.all("PermissionSet"):
        name, opens = permissions.name, flow.name in permissions.texts("flowAccesses/flow")
        shown = _may_show(item.find("visibilityRule"), permissions.texts("customPermissions/name"))
        useless = shown and not opens
        yield f"{action.name} is shown to {name}, which does not open its flow." if useless else ""
        lost = opens and not shown
        yield f"{action.name} is never shown to {name}, which opens its flow." if lost else ""


def _may_show(rule: Element | None, held: Collection[str]) -> bool:
    """Whether a rule shows something of any record to whoever holds these custom permissions."""
    if rule is None:
        return True
    names = [_named(asked) for asked in rule.iterfind("criteria")]
    outcomes = [
        (name.removeprefix(PERMISSION) in held,) if name.startswith(PERMISSION) else (True, False)
        for name in names
    ]
    logic = rule.findtext("booleanFilter") or ""
    return any(holds(logic, results) for results in product(*outcomes))


def _component_mistakes(
    component: Element, facets: set[str | None], org: Org, sobject: str
) -> Iterator[str]:
    name = component.findtext("componentName")
    for prop in component.iterfind("componentInstanceProperties"):
        key, value = prop.findtext("name"), prop.findtext("value") or ""
        known = key in PROPERTIES.get(name or "", (key,))
        yield "" if known else f"{name} has no property {key}."
        if name == "force:highlightsPanel" and key == "actionNames":
            actions = [e.text or "" for e in prop.iterfind("valueList/valueListItems/value")]
            for action in actions:
                yield _action_mistake(org, action)
                once = actions.count(action) == 1
                yield "" if once else f"the action {action} is on it more than once."
        if key == "relatedListApiName":
            there = org.schema.find_children(sobject, value) is not None
            yield "" if there else f"{sobject} has no related list {value}."
            if there and name == "lst:dynamicRelatedList":
                yield from _own_list_mistakes(component, org, sobject, value)
        if value.startswith("Facet-") or key in {"body", "tabs", "columns"}:
            yield "" if value in facets else f"there is no region {value}."


def _own_list_mistakes(
    component: Element, org: Org, sobject: str, relationship: str
) -> Iterator[str]:
    """A list that says its columns, order and actions itself."""
    told = {
        prop.findtext("name"): [e.text or "" for e in prop.iter("value")]
        for prop in component.iterfind("componentInstanceProperties")
    }
    relation = org.schema.find_children(sobject, relationship)
    child = relation.child if relation else ""
    columns = told.get("relatedListFieldAliases", [])
    order = [name for name in told.get("sortFieldAlias", []) if name != LIST_DEFAULT]
    for name in [*columns, *order]:
        yield _field_mistake(org, child, COLUMNS.get(name, name))
    fit = 1 <= len(columns) <= MOST_LIST_COLUMNS
    yield "" if fit else f"{relationship} has {len(columns)} columns; 1 to {MOST_LIST_COLUMNS} fit."
    for action in told.get("actionNames", []):
        yield "" if action in LIST_ACTIONS else f"{relationship} cannot offer {action} here."
    way = told.get("sortFieldOrder", ["Default"])
    yield "" if set(way) <= LIST_ORDERS else f"{relationship} cannot be sorted {way[0]}."


def _shown_mistake(shown: Element, org: Org, sobject: str) -> str:
    """A field on a page that is not there, or that is asked for as it cannot be."""
    name = (shown.findtext("fieldItem") or "").removeprefix("Record.")
    field, behavior = org.field(sobject, name), shown.findtext("fieldInstanceProperties/value")
    if field is None:
        return f"{sobject} has no field {name}."
    if not field.createable:
        return "" if behavior == "readonly" else f"{name} cannot be written: readonly."
    return "" if not field.required or behavior == "required" else f"{name} must be filled."


PERMISSION = "$Permission.CustomPermission."
"""How rules of visibility begin that ask for a custom permission of whoever looks.

Source: https://help.salesforce.com/s/articleView?id=platform.lightning_page_components_visibility.htm
"""


def _rule_mistakes(rule: Element, org: Org, sobject: str) -> Iterator[str]:
    yield logic_mistake(rule.findtext("booleanFilter") or "", len(rule.findall("criteria")))
    for asked in rule.iterfind("criteria"):
        operator = asked.findtext("operator") or ""
        yield "" if operator in OPERATORS else f"the operator {operator} is not known here."
        named = _named(asked)
        if named.startswith(PERMISSION):
            permission = named.removeprefix(PERMISSION)
            there = org.package.has("CustomPermission", permission)
            yield "" if there else f"there is no custom permission {permission}."
            held = (operator, asked.findtext("rightValue")) == ("EQUAL", "true")
            yield "" if held else f"{permission} is asked for otherwise than as EQUAL true."
            continue
        left = named.removeprefix("Record.")
        field = org.field(sobject, left)
        yield _field_mistake(org, sobject, left)
        value = asked.findtext("rightValue") or ""
        offered = field is None or not field.restricted or not value or value in field.values
        yield "" if offered else f"{left} has no value {value}."


def _named(criterion: Element) -> str:
    """What a criterion of a rule looks at."""
    return (criterion.findtext("leftValue") or "").removeprefix("{!").removesuffix("}")


def _field_mistake(org: Org, sobject: str, name: str) -> str:
    return "" if org.field(sobject, name) else f"{sobject} has no field {name}."


def _action_mistake(org: Org, name: str) -> str:
    there = name in STANDARD_ACTIONS or org.package.has("QuickAction", name)
    return "" if there else f"there is no action {name}."
