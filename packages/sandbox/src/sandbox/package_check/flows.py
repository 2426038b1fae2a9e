"""Flows: every name in them means something, and they end well whatever Salesforce answers.

They are held to what the sandbox can run, too: a flow that it cannot is one that nobody has tried.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_visual_workflow.htm
and https://help.salesforce.com/s/articleView?id=platform.flow_ref_elements_roll_back_records.htm
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from sandbox.package_check.conditions import logic_mistake
from sandbox.package_check.findings import Findings
from sandbox.package_check.lightning_components import NAMESPACE, component_of, properties_of
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.flow_definition import unsupported
from sandbox.salesforce.formula import Unreadable, read_formula
from sandbox.salesforce.schema import Field

NODES = (
    *("actionCalls", "assignments", "collectionProcessors", "customErrors", "decisions", "loops"),
    *("recordCreates", "recordDeletes", "recordLookups", "recordRollbacks", "recordUpdates"),
    *("screens", "subflows"),
)
WRITES = frozenset(["recordCreates", "recordDeletes", "recordUpdates"])
CAN_FAIL = WRITES | {"recordLookups", "actionCalls"}
RESOURCES = ("choices", "constants", "dynamicChoiceSets", "formulas", "textTemplates", "variables")
CONNECTORS = (
    *("connector", "defaultConnector", "faultConnector", "nextValueConnector"),
    "noMoreValuesConnector",
)
REFERENCES = frozenset(
    [
        *("assignNextValueToReference", "assignRecordIdToReference", "assignToReference"),
        *("choiceReferences", "collectionReference", "defaultSelectedChoiceReference"),
        *("elementReference", "inputReference", "leftValueReference", "objectFieldReference"),
        "outputReference",
    ]
)
FORMULAS = frozenset(["expression", "formulaExpression", "filterFormula"])
FLOW_VALUES = frozenset(["CurrentDate", "CurrentDateTime", "FaultMessage", "InterviewGuid"])

LOOKUP = "flowruntime:lookup"
OUTPUTS = {LOOKUP: frozenset(["recordId", "recordName"])}
"""What components of the platform give back."""

STARTED_WITH = {
    "RecordBeforeDelete": frozenset(["Delete"]),
    "RecordBeforeSave": frozenset(["Create", "CreateAndUpdate", "Update"]),
}
"""What starts a flow, by when it does."""

ERROR_LENGTH = 255
"""The most characters of a custom error."""

MERGED = re.compile(r"\{!([^{}]+)\}")


@dataclass(frozen=True)
class Edge:
    """A connector: from an element to another, by which kind of way."""

    source: str
    kind: str
    target: str
    goes_back: bool


@dataclass(frozen=True)
class Resource:
    """What a name in a flow stands for.

    Attributes:
        element: Where it is defined.
        record: The object whose record it holds, if it holds one.
        parts: What can follow its name after a dot, where it is no record.
        loaded: Fields that a query names; nothing: all.
    """

    element: Element
    record: str = ""
    parts: frozenset[str] = frozenset()
    loaded: frozenset[str] = frozenset()


@dataclass
class Flow:
    """A flow of the package, and what its names stand for."""

    component: Component
    org: Org
    _loops: dict[str, str] = field(default_factory=dict)

    @property
    def screens(self) -> list[Element]:
        """The screens of the flow."""
        return list(self.component.root.iterfind("screens"))

    @property
    def is_screen_flow(self) -> bool:
        """Whether people see it."""
        return self.component.text("processType") == "Flow"

    @cached_property
    def nodes(self) -> dict[str, Element]:
        """Its elements by name."""
        found = (node for kind in NODES for node in self.component.root.iterfind(kind))
        return {node.findtext("name") or "": node for node in found}

    @cached_property
    def edges(self) -> list[Edge]:
        """Its connectors, the one of the start first."""
        start = self.component.root.find("start")
        sources = [("", start)] if start is not None else []
        return [
            Edge(name, str(way.tag), way.findtext("targetReference") or "", _true(way, "isGoTo"))
            for name, node in [*sources, *self.nodes.items()]
            for way in node.iter(*CONNECTORS)
        ]

    @cached_property
    def resources(self) -> dict[str, Resource]:
        """All names that can be referred to."""
        found: dict[str, Resource] = {}
        for kind in (*RESOURCES, *NODES):
            for element in self.component.root.iterfind(kind):
                found[element.findtext("name") or ""] = self._resource(kind, element)
        for screen in self.screens:
            for shown in screen.iter("fields"):
                parts = OUTPUTS.get(shown.findtext("extensionName") or "", frozenset())
                found[shown.findtext("name") or ""] = Resource(shown, parts=parts)
        for name, node in self.nodes.items():
            if node.tag == "loops":
                of = found.get(node.findtext("collectionReference") or "")
                found[name] = Resource(node, record=of.record if of else "")
        return found

    def _resource(self, kind: str, element: Element) -> Resource:
        loaded = frozenset(asked.text or "" for asked in element.iterfind("queriedFields"))
        match kind:
            case "variables":
                return Resource(element, record=element.findtext("objectType") or "")
            case "recordLookups":
                return Resource(element, record=element.findtext("object") or "", loaded=loaded)
        return Resource(element)

    def mistake(self, name: str) -> str:
        """Why a reference such as ``Get_Account.Name`` leads nowhere; empty where it does."""
        first, *path = name.split(".")
        if first.startswith("$"):
            return self._global_mistake(first, path)
        resource = self.resources.get(first)
        if resource is None:
            return f"nothing is called {first}"
        if not path:
            return ""
        if not resource.record:
            return "" if len(path) == 1 and path[0] in resource.parts else f"{first} has no parts"
        if self.org.field(resource.record, ".".join(path)) is None:
            return f"{resource.record} has no field {'.'.join(path)}"
        if resource.loaded and path[0] not in resource.loaded:
            return f"{first} does not ask for {path[0]}"
        return ""

    def _global_mistake(self, first: str, path: list[str]) -> str:
        name = ".".join(path)
        known = {
            "$Flow": name in FLOW_VALUES,
            "$Permission": self.org.package.has("CustomPermission", name),
            "$User": self.org.field("User", name) is not None,
            "$Record": self.org.field(self.component.text("start/object"), name) is not None,
        }
        return "" if known.get(first) else f"there is no {first}.{name}"

    def field_of(self, name: str) -> Field | None:
        """The field of a record that a reference such as ``line.Quantity__c`` leads to."""
        first, _, path = name.partition(".")
        if first == "$Record":
            return self.org.field(self.component.text("start/object"), path)
        resource = self.resources.get(first)
        return self.org.field(resource.record, path) if resource and path else None

    def reached_from(self, names: set[str], *, faults: bool = True) -> set[str]:
        """The elements that come after some, by any way."""
        found: set[str] = set()
        waiting = set(names)
        while waiting:
            source = waiting.pop()
            for edge in self.edges:
                taken = edge.source == source and (faults or edge.kind != "faultConnector")
                if taken and edge.target not in found:
                    found.add(edge.target)
                    waiting.add(edge.target)
        return found


def check_flows(package: Package, org: Org, findings: Findings) -> None:
    """Check every flow that a package directory brings."""
    for component in package.own():
        if component.kind == "Flow":
            flow = Flow(component, org)
            for wrong in _mistakes(flow, package):
                findings.expect(not wrong, f"{component.path}: {wrong}")
            started = component.name in _started(package) or component.text("start/triggerType")
            findings.expect(bool(started), f"{component.path}: nothing starts it.")


def _started(package: Package) -> set[str]:
    """The flows that an action starts, or another flow."""
    actions = {action.text("flowDefinition") for action in package.all("QuickAction")}
    return actions | {
        name for flow in package.all("Flow") for name in flow.texts("subflows/flowName")
    }


def _mistakes(flow: Flow, package: Package) -> Iterator[str]:
    yield from list(unsupported(flow.component.root)) or [""]
    yield from _of_names(flow)
    yield from _of_custom_errors(flow)
    yield from _of_start(flow)
    yield from _of_conditions(flow)
    yield from _of_screens(flow)
    yield from _of_ways(flow)
    yield from _of_references(flow)
    yield from _of_formulas(flow)
    yield from _of_choices(flow)
    yield from _of_records(flow)
    yield from _of_subflows(flow, package)
    yield from _of_components(flow, package)
    yield from _of_writing(flow, package)
    yield from _of_finding_nothing(flow)


def _of_names(flow: Flow) -> Iterator[str]:
    """Names are given once, and everything is used."""
    root = flow.component.root
    given = [e.findtext("name") or "" for kind in (*NODES, *RESOURCES) for e in root.iterfind(kind)]
    given += [e.findtext("name") or "" for s in flow.screens for e in s.iter("fields")]
    given += [rule.findtext("name") or "" for rule in root.iterfind("decisions/rules")]
    for name in given:
        yield "" if given.count(name) == 1 else f"{name} is the name of several things."
    used = {name.partition(".")[0] for name, _ in _references(flow)}
    for kind in RESOURCES:
        for element in root.iterfind(kind):
            name = element.findtext("name") or ""
            outside = _true(element, "isInput") or _true(element, "isOutput")
            yield "" if outside or name in used else f"{name} is not used."


def _of_custom_errors(flow: Flow) -> Iterator[str]:
    """A record-triggered flow is about an object, and the sentence that it refuses with fits.

    Source: https://help.salesforce.com/s/articleView?id=platform.flow_ref_elements_custom_error.htm
    """
    watched = flow.component.text("start/object")
    yield f"there is no object {watched}." if watched and not flow.org.sobject(watched) else ""
    for message in flow.component.root.iterfind("customErrors/customErrorMessages/errorMessage"):
        length = len(message.text or "")
        yield (
            f"an error has {length} characters; {ERROR_LENGTH} fit."
            if length > ERROR_LENGTH
            else ""
        )


def _of_start(flow: Flow) -> Iterator[str]:
    """What starts a flow fits when it does."""
    when, what = (flow.component.text(f"start/{p}Type") for p in ("trigger", "recordTrigger"))
    fits = not when or what in STARTED_WITH.get(when, frozenset([what]))
    yield "" if fits else f"{when} does not go with {what or 'nothing'}."


def _of_conditions(flow: Flow) -> Iterator[str]:
    """Conditions that are joined are all there, and ask picklists for values that they have."""
    for element in flow.component.root.iter():
        for part, joined in (("conditionLogic", "conditions"), ("filterLogic", "filters")):
            logic = element.findtext(part)
            if logic is not None:
                yield logic_mistake(logic, len(element.findall(joined)))
    for condition in flow.component.root.iter("conditions"):
        name = condition.findtext("leftValueReference") or ""
        value = condition.findtext("rightValue/stringValue")
        yield _never(name, flow.field_of(name), value)
    for node in [flow.component.root.find("start"), *flow.nodes.values()]:
        sobject = node.findtext("object") if node is not None else None
        if node is None or sobject is None:
            continue
        for asked in node.iterfind("filters"):
            name = asked.findtext("field") or ""
            field = flow.org.field(sobject, name)
            yield "" if field else f"{sobject} has no field {name}."
            yield _never(f"{sobject}.{name}", field, asked.findtext("value/stringValue"))


def _never(name: str, field: Field | None, value: str | None) -> str:
    """A value that a restricted picklist never has."""
    possible = field is None or not field.restricted or not value or value in field.values
    return "" if possible else f"{name} has no value {value}."


def _of_screens(flow: Flow) -> Iterator[str]:
    """People can leave each screen; what is chosen at first is offered; what is looked up is there.

    Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_visual_workflow.htm
    (FlowScreen: "allowBack and allowFinish can't both be false"; FlowScreenField: a dropdown that
    says no first choice begins with the one on top).
    """
    for screen in flow.screens:
        stuck = not (_true(screen, "allowBack") or _true(screen, "allowFinish"))
        yield f"{screen.findtext('name')}: nobody can go on from it, or back." if stuck else ""
    for shown in flow.component.root.iterfind("screens/fields"):
        first = shown.findtext("defaultSelectedChoiceReference")
        offered = [e.text for e in shown.iterfind("choiceReferences")]
        wrong = first is not None and first not in offered
        yield f"{shown.findtext('name')} does not offer {first}." if wrong else ""
        silent = first is None and shown.findtext("fieldType") == "DropdownBox"
        yield f"{shown.findtext('name')} does not say what is chosen at first." if silent else ""
        if shown.findtext("extensionName") == LOOKUP:
            yield _lookup_mistake(flow, shown)


def _lookup_mistake(flow: Flow, shown: Element) -> str:
    given = {
        e.findtext("name"): e.findtext("value/stringValue") or ""
        for e in shown.iterfind("inputParameters")
    }
    sobject, name = given.get("objectApiName", ""), given.get("fieldApiName", "")
    field = flow.org.field(sobject, name)
    return "" if field and field.to else f"{sobject}.{name} is no lookup."


def _of_ways(flow: Flow) -> Iterator[str]:
    """Connectors lead to elements, every element is reached, and ways back say so."""
    begins = [edge for edge in flow.edges if edge.source == ""]
    yield "" if len(begins) == 1 else "it has no start, or several."
    for edge in flow.edges:
        there = edge.target in flow.nodes
        yield (
            "" if there else f"{edge.source or 'start'} leads to {edge.target}, which is not there."
        )
    reached = flow.reached_from({""})
    for name in flow.nodes:
        yield "" if name in reached else f"{name} is never reached."
    for edge in flow.edges:
        back = edge.source in flow.reached_from({edge.target}) and edge.target in flow.nodes
        closes = back and _closes_a_circle(flow, edge)
        yield (
            f"{edge.source} leads back to {edge.target} and does not say so (isGoTo)."
            if closes and not edge.goes_back
            else ""
        )


def _closes_a_circle(flow: Flow, edge: Edge) -> bool:
    """Whether a way leads back to where everything before it came through."""
    if flow.nodes[edge.target].tag == "loops":
        return False
    before = {""}
    waiting = [""]
    while waiting:
        source = waiting.pop()
        for way in flow.edges:
            if way.source == source and way.target not in before | {edge.target}:
                before.add(way.target)
                waiting.append(way.target)
    return edge.source not in before


def _references(flow: Flow) -> Iterator[tuple[str, str]]:
    """Everything that is referred to, and by which element."""
    for element in flow.component.root.iter():
        tag, text = str(element.tag), element.text or ""
        if tag in REFERENCES:
            yield text, tag
        elif tag not in FORMULAS:
            for name in MERGED.findall(text):
                yield name, tag
        else:
            for name in _names_in(text):
                yield name, tag


def _names_in(formula: str) -> frozenset[str]:
    try:
        return read_formula(formula).names
    except Unreadable:
        return frozenset()


def _of_references(flow: Flow) -> Iterator[str]:
    for name, where in _references(flow):
        wrong = flow.mistake(name)
        yield f"{where} {name}: {wrong}." if wrong else ""


def _of_formulas(flow: Flow) -> Iterator[str]:
    for element in flow.component.root.iter(*FORMULAS):
        try:
            read_formula(element.text or "")
        except Unreadable as error:
            yield f"{element.text}: {error}."
        else:
            yield ""


def _of_choices(flow: Flow) -> Iterator[str]:
    """No text that goes on into a record takes a choice, whose label it would have, not its value.

    Sources: https://help.salesforce.com/s/articleView?id=platform.flow_ref_resources_choice.htm of
    formulas of type text; https://developer.salesforce.com/blogs/engineering/2012/03/working-with-choices-in-the-visual-workflow-cloud-flow-designer-oh-the-possibilities.html
    of text templates. An assignment takes the value.
    """
    root = flow.component.root
    written = {e.findtext("name") or "": _labels_apart(flow, e) for e in root.iter("fields")}
    texts = [(e, MERGED.findall(e.findtext("text") or "")) for e in root.iterfind("textTemplates")]
    texts += [
        (e, [*_names_in(e.findtext("expression") or "")])
        for e in root.iterfind("formulas")
        if e.findtext("dataType") == "String"
    ]
    for element, names in texts:
        for name in names:
            apart = written.get(name, "")
            wrong = f"{element.findtext('name')} takes {name}, and would say {apart}."
            yield wrong if apart else ""


def _labels_apart(flow: Flow, shown: Element) -> str:
    """The first label of the choices that a field offers which is not the value behind it."""
    for reference in shown.iterfind("choiceReferences"):
        choice = flow.resources.get(reference.text or "")
        element = choice.element if choice else None
        if element is not None and element.findtext("choiceText") != element.findtext("value/*"):
            return element.findtext("choiceText") or ""
    return ""


def _of_records(flow: Flow) -> Iterator[str]:
    """Queries and writes name objects and fields that are there, and that can be written."""
    for node in flow.nodes.values():
        sobject = node.findtext("object")
        if sobject is None:
            continue
        if flow.org.sobject(sobject) is None:
            yield f"{node.findtext('name')}: there is no object {sobject}."
            continue
        asked = [*node.iterfind("filters/field"), *node.iterfind("queriedFields")]
        asked += node.iterfind("sortField")
        for name in [element.text or "" for element in asked]:
            there = flow.org.field(sobject, name) is not None
            yield "" if there else f"{node.findtext('name')}: {sobject} has no field {name}."
        for name in [element.text or "" for element in node.iterfind("inputAssignments/field")]:
            found = flow.org.field(sobject, name)
            writable = found is not None and found.updateable
            yield (
                "" if writable else f"{node.findtext('name')}: {sobject}.{name} cannot be written."
            )
        for given in node.iterfind("inputAssignments"):
            yield _value_mistake(flow, sobject, given)
        for needed in _left_empty(flow, sobject, node):
            yield f"{node.findtext('name')}: {sobject}.{needed} must be filled."
    for item in flow.component.root.iter("assignmentItems"):
        name = item.findtext("assignToReference") or ""
        found = flow.field_of(name)
        yield f"{name} cannot be written." if found and not found.createable else ""


def _value_mistake(flow: Flow, sobject: str, given: Element) -> str:
    """A literal that a choice does not offer."""
    name, value = given.findtext("field") or "", given.findtext("value/stringValue")
    found = flow.org.field(sobject, name)
    offered = not (found and found.restricted and value) or value in found.values
    return "" if offered else f"{sobject}.{name} has no value {value}."


def _left_empty(flow: Flow, sobject: str, node: Element) -> Iterator[str]:
    """Required fields that a record created field by field would lack."""
    found = flow.org.sobject(sobject)
    given = [element.text for element in node.iterfind("inputAssignments/field")]
    if node.tag == "recordCreates" and found and node.find("inputReference") is None:
        yield from (f.name for f in found.required if f.name not in given and f.default is None)


def _of_subflows(flow: Flow, package: Package) -> Iterator[str]:
    """Flows that are called are there, and take and give what is said."""
    for node in flow.component.root.iterfind("subflows"):
        called = package.get("Flow", node.findtext("flowName") or "")
        if called is None:
            yield f"{node.findtext('name')}: there is no flow {node.findtext('flowName')}."
            continue
        for way, mark in (("inputAssignments", "isInput"), ("outputAssignments", "isOutput")):
            known = [
                v.findtext("name") for v in called.root.iterfind("variables") if _true(v, mark)
            ]
            for name in [element.text for element in node.iterfind(f"{way}/name")]:
                yield "" if name in known else f"{called.name} has no {mark[2:].lower()} {name}."


def _of_components(flow: Flow, package: Package) -> Iterator[str]:
    """Components on screens are there, and take what they are given."""
    for shown in flow.component.root.iterfind("screens/fields"):
        named = shown.findtext("extensionName") or ""
        if not named.startswith(NAMESPACE):
            continue
        component = component_of(package, shown)
        if component is None:
            yield f"there is no component {named}."
            continue
        takes = properties_of(component)
        yield "" if takes else f"{named} cannot stand on the screen of a flow."
        given = {g.findtext("name") or "": g for g in shown.iterfind("inputParameters")}
        for name, prop in takes.items():
            needed = prop.get("required") == "true" and name not in given
            yield f"{named} needs {name}." if needed else ""
        for name, value in given.items():
            if name not in takes:
                yield f"{named} takes no {name}."
                continue
            kind, wanted = _type_of(flow, value.find("value")), takes[name].get("type")
            yield "" if kind == wanted else f"{named}: {name} is {wanted}, and is given {kind}."


def _type_of(flow: Flow, value: Element | None) -> str:
    """The type that a component's property has, which takes a value of a flow."""
    held = next(iter(value), None) if value is not None else None
    if held is None or held.tag != "elementReference":
        kinds = {"stringValue": "String", "booleanValue": "Boolean", "numberValue": "Integer"}
        return kinds.get(str(held.tag) if held is not None else "", "something else")
    name = held.text or ""
    if (field := flow.field_of(name)) is not None:
        return _FIELD_TYPES.get(field.type, "String")
    resource = flow.resources.get(name.partition(".")[0])
    if resource is None or "." in name:
        return "String" if resource is not None or name.startswith("$") else "nothing"
    element = resource.element
    if element.tag == "recordCreates":  # which gives back the id of what it created
        return "String" if _true(element, "storeOutputAutomatically") else "nothing"
    declared = element.findtext("dataType") or ""
    return {"Number": "Integer", "String": "String", "Boolean": "Boolean"}.get(declared, declared)


_FIELD_TYPES = {"boolean": "Boolean", "int": "Integer", "double": "Number", "currency": "Number"}


def _of_writing(flow: Flow, package: Package) -> Iterator[str]:
    """Whatever can fail has a way out; what is written is written whole, after all questions.

    Showing a screen ends the transaction, so that nothing before it can be rolled back.
    """
    for name, node in flow.nodes.items():
        fault = node.find("faultConnector")
        if node.tag in CAN_FAIL:
            yield "" if fault is not None else f"{name} has no way to go when it fails."
        if node.tag not in WRITES:
            continue
        after = flow.reached_from({name}, faults=False)
        asking = [s for s in flow.screens if s.findtext("name") in after and _asks(s, package)]
        yield f"{name} writes, and people are asked something afterwards." if asking else ""
        target = (
            flow.nodes.get(fault.findtext("targetReference") or "") if fault is not None else None
        )
        undone = target is not None and target.tag == "recordRollbacks"
        yield (
            "" if undone or not flow.is_screen_flow else f"{name} is not rolled back when it fails."
        )
    for name, node in flow.nodes.items():
        if node.tag == "loops":
            body = _body(flow, name)
            yield f"{name}: records are read or written in the loop." if body & CAN_FAIL else ""


def _of_finding_nothing(flow: Flow) -> Iterator[str]:
    """A query is asked whether it found something before a field of that is used.

    A flow that reads a field of no record fails, and there is no way to go for that.
    """
    for node in flow.component.root.iterfind("recordLookups"):
        name = node.findtext("name") or ""
        following = flow.nodes.get(node.findtext("connector/targetReference") or "")
        asked = following is not None and any(
            (condition.findtext("leftValueReference"), condition.findtext("operator"))
            == (name, "IsNull")
            for condition in following.iterfind("rules/conditions")
        )
        yield "" if asked else f"nothing asks whether {name} found something."


def _body(flow: Flow, loop: str) -> set[str]:
    """The kinds of the elements inside a loop."""
    inside: set[str] = set()
    waiting = [e.target for e in flow.edges if (e.source, e.kind) == (loop, "nextValueConnector")]
    while waiting:
        name = waiting.pop()
        if name not in inside | {loop} and name in flow.nodes:
            inside.add(name)
            waiting += [edge.target for edge in flow.edges if edge.source == name]
    return {str(flow.nodes[name].tag) for name in inside}


def _asks(screen: Element, package: Package) -> bool:
    return any(
        shown.findtext("fieldType") != "DisplayText" and component_of(package, shown) is None
        for shown in screen.iter("fields")
    )


def _true(element: Element, name: str) -> bool:
    return bool(element.findtext(name) == "true")
