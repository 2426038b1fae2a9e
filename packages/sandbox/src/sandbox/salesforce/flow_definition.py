"""A flow as its file describes it, and what of flows can be run here.

A part that is not listed here is refused when the flow is read, not passed over.
Source: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_visual_workflow.htm
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from sandbox.salesforce.metadata_file import Part

_NODE = frozenset(["name", "label", "description", "locationX", "locationY"])
_VALUES = frozenset(
    ["booleanValue", "dateValue", "dateTimeValue", "elementReference", "numberValue", "stringValue"]
)
_CONDITIONS = frozenset(["conditionLogic", "conditions"])
_RECORDS = _NODE | {"connector", "faultConnector"}
_WAY = frozenset(["targetReference", "isGoTo"])

NODES = (
    *("assignments", "customErrors", "decisions", "loops", "recordCreates", "recordDeletes"),
    *("recordLookups", "recordRollbacks", "recordUpdates", "screens", "subflows"),
)
RESOURCES = ("choices", "constants", "formulas", "textTemplates", "variables")

_FLOW = frozenset(
    [
        *("apiVersion", "description", "environments", "interviewLabel", "label", "start"),
        *("processMetadataValues", "processType", "status"),
    ]
)

RECORD_TRIGGERED = "Record-triggered flow"
"""What ``KNOWN`` calls a flow that a record's deletion or change starts."""

KNOWN: Mapping[str, frozenset[str]] = {
    "Flow": _FLOW
    | {"isAdditionalPermissionRequiredToRun", "runInMode", *NODES, *RESOURCES} - {"customErrors"},
    RECORD_TRIGGERED: _FLOW
    | {"assignments", "constants", "customErrors", "decisions", "formulas", "variables"},
    "start": _NODE
    | {"connector", "filterLogic", "filters", "object", "recordTriggerType", "triggerType"},
    "customErrors": _NODE | {"customErrorMessages"},
    "customErrorMessages": frozenset(["errorMessage", "isFieldError"]),
    "assignments": _NODE | {"assignmentItems", "connector"},
    "assignmentItems": frozenset(["assignToReference", "operator", "value"]),
    "decisions": _NODE | {"defaultConnector", "defaultConnectorLabel", "rules"},
    "rules": _CONDITIONS | {"name", "label", "description", "connector"},
    "conditions": frozenset(["leftValueReference", "operator", "rightValue"]),
    "loops": _NODE
    | {"collectionReference", "iterationOrder", "nextValueConnector", "noMoreValuesConnector"},
    "recordCreates": _RECORDS
    | {"assignRecordIdToReference", "inputAssignments", "inputReference", "object"}
    | {"storeOutputAutomatically"},
    "recordDeletes": _RECORDS | {"filterLogic", "filters", "object"},
    "recordLookups": _RECORDS
    | {"assignNullValuesIfNoRecordsFound", "filterLogic", "filters", "getFirstRecordOnly"}
    | {"object", "queriedFields", "sortField", "sortOrder", "storeOutputAutomatically"},
    "recordUpdates": _RECORDS | {"filterLogic", "filters", "inputAssignments", "object"},
    "recordRollbacks": _NODE | {"connector"},
    "filters": frozenset(["field", "operator", "value"]),
    "screens": _NODE
    | {"allowBack", "allowFinish", "allowPause", "backButtonLabel", "connector", "fields"}
    | {"helpText", "nextOrFinishButtonLabel", "showFooter", "showHeader"},
    "fields": frozenset(
        [
            *("name", "choiceReferences", "dataType", "defaultSelectedChoiceReference"),
            *("defaultValue", "extensionName", "fieldText", "fieldType", "helpText"),
            *("inputParameters", "inputsOnNextNavToAssocScrn", "isRequired", "scale"),
            *("storeOutputAutomatically", "validationRule", "visibilityRule"),
        ]
    ),
    "validationRule": frozenset(["errorMessage", "formulaExpression"]),
    "visibilityRule": _CONDITIONS,
    "subflows": _NODE
    | {"connector", "flowName", "inputAssignments", "outputAssignments"}
    | {"storeOutputAutomatically"},
    "inputAssignments": frozenset(["field", "name", "value"]),
    "inputParameters": frozenset(["name", "value"]),
    "ownParameters": frozenset(["name", "value"]),
    "outputAssignments": frozenset(["assignToReference", "name"]),
    "choices": frozenset(["name", "description", "choiceText", "dataType", "value"]),
    "constants": frozenset(["name", "description", "dataType", "value"]),
    "formulas": frozenset(["name", "description", "dataType", "expression", "scale"]),
    "textTemplates": frozenset(["name", "description", "isViewedAsPlainText", "text"]),
    "variables": frozenset(
        [
            *("name", "description", "dataType", "isCollection", "isInput", "isOutput"),
            *("objectType", "scale", "value"),
        ]
    ),
    "processMetadataValues": frozenset(["name", "value"]),
    **dict.fromkeys(["value", "rightValue", "defaultValue"], _VALUES),
    **dict.fromkeys(["connector", "defaultConnector", "faultConnector"], _WAY),
    **dict.fromkeys(["nextValueConnector", "noMoreValuesConnector"], _WAY),
}
"""By element: what in it can be run. An element that is not named here has nothing in it.

``ownParameters`` are the ``inputParameters`` of a component that the package brings."""

_COMPARISONS = frozenset(
    [
        *("Contains", "EndsWith", "EqualTo", "GreaterThan", "GreaterThanOrEqualTo", "IsNull"),
        *("LessThan", "LessThanOrEqualTo", "NotEqualTo", "StartsWith"),
    ]
)
_TYPES = frozenset(["Boolean", "Currency", "Date", "DateTime", "Number", "String"])
WORDS: Mapping[tuple[str, str], frozenset[str]] = {
    ("Flow", "processType"): frozenset(["AutoLaunchedFlow", "Flow"]),
    ("assignmentItems", "operator"): frozenset(["Add", "Assign", "Subtract"]),
    ("start", "recordTriggerType"): frozenset(["Create", "CreateAndUpdate", "Delete", "Update"]),
    ("start", "triggerType"): frozenset(["RecordBeforeDelete", "RecordBeforeSave"]),
    ("customErrorMessages", "isFieldError"): frozenset(["false"]),
    ("conditions", "operator"): _COMPARISONS | {"IsChanged"},
    ("filters", "operator"): _COMPARISONS,
    ("fields", "dataType"): _TYPES,
    ("fields", "extensionName"): frozenset(["flowruntime:lookup"]),
    ("fields", "fieldType"): frozenset(
        [
            *("ComponentInstance", "DisplayText", "DropdownBox", "InputField", "LargeTextArea"),
            "RadioButtons",
        ]
    ),
    ("fields", "inputsOnNextNavToAssocScrn"): frozenset(["ResetValues", "UseStoredValues"]),
    ("choices", "dataType"): _TYPES,
    ("constants", "dataType"): _TYPES,
    ("formulas", "dataType"): _TYPES,
    ("inputParameters", "name"): frozenset(
        ["fieldApiName", "label", "objectApiName", "recordId", "required"]
    ),
    ("loops", "iterationOrder"): frozenset(["Asc", "Desc"]),
    ("recordLookups", "assignNullValuesIfNoRecordsFound"): frozenset(["false"]),
    ("recordLookups", "sortOrder"): frozenset(["Asc", "Desc"]),
    ("recordLookups", "storeOutputAutomatically"): frozenset(["true"]),
    ("variables", "dataType"): _TYPES | {"SObject"},
}
"""By element and part: the values that can be run."""


OWN_COMPONENT = "c:"
"""How the names of components begin that the org's package brings; they take what they like."""


class Unsupported(ValueError):
    """A flow that uses what cannot be run here."""


@dataclass(frozen=True)
class Flow:
    """A flow that can be run.

    Attributes:
        name: Its API name.
        root: Its file.
    """

    name: str
    root: Part

    @property
    def label(self) -> str:
        """What people call it."""
        return self.root.text("label")

    @property
    def start(self) -> str:
        """The name of its first element."""
        return self.root.text("start/connector/targetReference")

    @cached_property
    def nodes(self) -> dict[str, Part]:
        """Its elements by name."""
        return {part.text("name"): part for part in self.root if part.kind in NODES}

    @cached_property
    def resources(self) -> dict[str, Part]:
        """Its variables, formulas, choices and the like by name."""
        return {part.text("name"): part for part in self.root if part.kind in RESOURCES}

    @cached_property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The choices that each field of a screen offers which offers some."""
        shown = [part for screen in self.root.all("screens") for part in screen.all("fields")]
        offered = {part.text("name"): tuple(part.texts("choiceReferences")) for part in shown}
        return {name: choices for name, choices in offered.items() if choices}


def read_flow(path: Path) -> Flow:
    """Read a flow's file.

    Raises:
        Unsupported: It uses what cannot be run here; the message says what.
    """
    flow = Flow(path.name.partition(".")[0], Part.read(path))
    unknown = list(unsupported(flow.root))
    if unknown:
        raise Unsupported(f"{flow.name}: {' '.join(unknown)}")
    return flow


def unsupported(root: Iterable[Any]) -> Iterator[str]:
    """What in a flow cannot be run here, a sentence each.

    Args:
        root: The flow as elements, of whichever library, names without namespace.
    """
    waiting = [(root, RECORD_TRIGGERED if _is_record_triggered(root) else "Flow")]
    while waiting:
        element, kind = waiting.pop()
        for child in element:
            name = _kind(child)
            if name not in KNOWN.get(kind, ()):
                yield f"{kind} with {name} cannot be run in the sandbox."
                continue
            allowed = WORDS.get((kind, name))
            text = _text(child)
            own = name == "extensionName" and text.startswith(OWN_COMPONENT)
            if allowed is not None and text not in allowed and not own:
                yield f"{kind} with {name} {text} cannot be run in the sandbox."
            given = name == "inputParameters" and _is_own_component(element)
            waiting.append((child, "ownParameters" if given else name))


def _is_record_triggered(root: Iterable[Any]) -> bool:
    return any(_kind(part) == "triggerType" for start in root for part in start)


def _is_own_component(shown: Iterable[Any]) -> bool:
    names = (_text(part) for part in shown if _kind(part) == "extensionName")
    return any(name.startswith(OWN_COMPONENT) for name in names)


def _kind(element: Any) -> str:
    return str(getattr(element, "kind", None) or element.tag)


def _text(element: Any) -> str:
    return (element.text(".") if isinstance(element, Part) else element.text) or ""
