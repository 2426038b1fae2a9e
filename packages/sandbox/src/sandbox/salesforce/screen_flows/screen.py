"""A screen of a flow: what it shows, and what people type into it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from sandbox.salesforce import lookup_search
from sandbox.salesforce.flow_definition import OWN_COMPONENT
from sandbox.salesforce.flow_values import Frame, wire
from sandbox.salesforce.ids import is_id
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.values import as_input, day_of

Kind = Literal["text", "input", "area", "tick", "choice", "radio", "lookup", "component"]
Given = Mapping[str, str]
"""What a form holds: texts by name. A box that is not ticked is not in it."""

_KINDS: dict[str, Kind] = {
    "DisplayText": "text",
    "LargeTextArea": "area",
    "DropdownBox": "choice",
    "RadioButtons": "radio",
    "ComponentInstance": "lookup",
}
_INPUTS = {"DateTime": "datetime-local"}
_TEXT_LENGTH = 255

SEARCH = ".search"
"""Ends the name of the input that a lookup is searched with."""


@dataclass(frozen=True)
class Choice:
    """One of the options of a field."""

    name: str
    label: str
    chosen: bool


@dataclass(frozen=True)
class Shown:
    """A component of a screen, as a page shows it.

    Attributes:
        text: What a text says, as HTML that is not cleaned yet.
        value: What an input holds.
        input: The type of an HTML input.
        objects: For a lookup, the object whose records are looked up.
        found: For a lookup, the name of the record that is chosen.
        component: The name of a Lightning web component that the package brings.
        properties: What such a component is given.
    """

    name: str
    kind: Kind
    label: str = ""
    text: str = ""
    value: str = ""
    input: str = "text"
    help: str = ""
    required: bool = False
    error: str = ""
    choices: tuple[Choice, ...] = ()
    objects: str = ""
    found: str = ""
    component: str = ""
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def records(self) -> list[str]:
        """The ids among what a component is given."""
        texts = [value for value in self.properties.values() if isinstance(value, str)]
        return [text for text in texts if is_id(text)]


class Screen:
    """A screen that is being filled in.

    Args:
        org: Where its flow runs.
        frame: The flow's values; what is typed becomes values of it.
        part: The screen in the flow's file.
    """

    def __init__(self, org: Org, frame: Frame, part: Part) -> None:
        self._org = org
        self._frame = frame
        self.part = part
        self.errors: dict[str, str] = {}
        self._typed: dict[str, str] = {}

    @property
    def name(self) -> str:
        """Its API name."""
        return self.part.text("name")

    @property
    def title(self) -> str:
        """What it is headed with."""
        return self.part.text("label")

    @property
    def next_label(self) -> str:
        """What its button says."""
        ends = self.part.find("connector") is None
        return self.part.text("nextOrFinishButtonLabel") or ("Finish" if ends else "Next")

    @property
    def reacts(self) -> bool:
        """Whether what it shows depends on what is typed into it."""
        own = {part.text("name") for part in self.part.all("fields")}
        asked = [
            condition.partition(".")[0]
            for part in self.part.all("fields")
            for condition in part.texts("visibilityRule/conditions/leftValueReference")
        ]
        merged = " ".join(self.part.texts("fields/fieldText"))
        return bool(own & set(asked)) or any(f"{{!{name}" in merged for name in own)

    def open(self, *, anew: bool) -> None:
        """Fill in what its fields begin with.

        Args:
            anew: It is come to by going forward: fields that are reset begin again.
        """
        for part in self._inputs():
            kept = part.text("inputsOnNextNavToAssocScrn") != "ResetValues" or not anew
            if not (kept and part.text("name") in self._frame.values):
                self._frame.values[part.text("name")] = self._beginning(part)

    def show(self) -> list[Shown]:
        """What is to be seen."""
        return [self._shown(part) for part in self.part.all("fields") if self._is_visible(part)]

    def type(self, given: Given) -> None:
        """Take in what a form holds; what is wrong with it stands in ``errors``."""
        self.errors, self._typed = {}, dict(given)
        for part in self._inputs():
            name = part.text("name")
            try:
                value, problem = self._read(part, given), ""
            except ValueError as error:
                value, problem = _nothing(part), str(error)
            self._frame.values[name] = value
            if problem:
                self.errors[name] = problem
        for part in self._inputs():
            name = part.text("name")
            if not self._is_visible(part):
                self.errors.pop(name, None)
                self._frame.values[name] = _nothing(part)
            elif name not in self.errors and (problem := self._problem(part)):
                self.errors[name] = problem

    def look_again(self, given: Given) -> None:
        """Take in what a form holds so far, without finding fault with it."""
        self.type(given)
        self.errors = {}

    # -- one field

    def _inputs(self) -> list[Part]:
        return [p for p in self.part.all("fields") if _kind(p) not in {"text", "component"}]

    def _is_visible(self, part: Part) -> bool:
        rule = part.find("visibilityRule")
        return rule is None or self._frame.holds(rule)

    def _beginning(self, part: Part) -> Any:
        if part.text("fieldType") == "ComponentInstance":
            try:
                return self._chosen(part, str(self._parameters(part).get("recordId") or ""))
            except ValueError:
                return _NOTHING_FOUND
        chosen = part.text("defaultSelectedChoiceReference")
        if not chosen and part.text("fieldType") == "DropdownBox":
            chosen = part.text("choiceReferences")  # the first: Metadata API, FlowScreenField
        value = self._frame.read(chosen) if chosen else self._frame.value(part.find("defaultValue"))
        return False if value is None and part.text("dataType") == "Boolean" else value

    def _parameters(self, part: Part) -> dict[str, Any]:
        given = part.all("inputParameters")
        return {p.text("name"): self._frame.value(p.find("value")) for p in given}

    def _shown(self, part: Part) -> Shown:
        name, kind = part.text("name"), _kind(part)
        if kind == "text":
            return Shown(name, kind, text=self._frame.merged(part.text("fieldText")))
        if kind == "component":
            given = {key: wire(value) for key, value in self._parameters(part).items()}
            component = part.text("extensionName").removeprefix(OWN_COMPONENT)
            return Shown(name, kind, component=component, properties=given)
        value: Any = self._frame.values.get(name)
        found, objects, label = "", "", self._frame.merged(part.text("fieldText"))
        if kind == "lookup":
            parameters = self._parameters(part)
            objects, label = self._looked_up(parameters), str(parameters.get("label") or "")
            found, value = value["recordName"] or "", value["recordId"]
        text = as_input(value)
        if name in self.errors and kind != "lookup":
            text = self._typed.get(name, "")
        return Shown(
            name,
            kind,
            label=label,
            value=text,
            input=_INPUTS.get(part.text("dataType"), "text"),
            help=part.text("helpText"),
            required=self._is_required(part),
            error=self.errors.get(name, ""),
            choices=self._choices(part, value),
            objects=objects,
            found=found or (self._typed.get(name + SEARCH, "") if name in self.errors else ""),
        )

    def _is_required(self, part: Part) -> bool:
        if _kind(part) == "lookup":
            return bool(self._parameters(part).get("required"))
        return part.flag("isRequired") and part.text("dataType") != "Boolean"

    def _choices(self, part: Part, value: Any) -> tuple[Choice, ...]:
        resources = self._frame.flow.resources
        return tuple(
            Choice(
                name,
                self._frame.merged(resources[name].text("choiceText")),
                value is not None and self._frame.read(name) == value,
            )
            for name in part.texts("choiceReferences")
        )

    def _read(self, part: Part, given: Given) -> Any:
        """The value of a field in a form.

        Raises:
            ValueError: It is none; the message is for people.
        """
        name, kind = part.text("name"), _kind(part)
        text = given.get(name, "").strip()
        if kind == "tick":
            return name in given
        if kind == "lookup":
            return self._chosen(part, text, given.get(name + SEARCH, ""))
        if not text:
            return None
        if kind in {"choice", "radio"}:
            if text not in part.texts("choiceReferences"):
                raise ValueError("Select one of the options.")
            return self._frame.read(text)
        return _value_of(part, text)

    def _problem(self, part: Part) -> str:
        """What is wrong with a value by the screen's own rules."""
        value = self._frame.values[part.text("name")]
        empty = not value["recordId"] if _kind(part) == "lookup" else value is None
        if empty and self._is_required(part):
            return "Please enter some valid input. Input is not optional."
        rule = part.find("validationRule")
        if rule is not None and not self._frame.formula(rule.text("formulaExpression")):
            return self._frame.merged(rule.text("errorMessage"))
        return ""

    # -- lookups

    def _looked_up(self, parameters: Mapping[str, Any]) -> str:
        holder = self._org.sobject(str(parameters["objectApiName"]))
        return holder.fields[str(parameters["fieldApiName"])].to[0]

    def _chosen(self, part: Part, record_id: str, typed: str = "") -> dict[str, str | None]:
        objects = self._org.sobject(self._looked_up(self._parameters(part)))
        row = lookup_search.chosen(self._org, objects, record_id, typed)
        return {"recordId": row["Id"], "recordName": row["Name"]} if row else _NOTHING_FOUND


_NOTHING_FOUND: dict[str, str | None] = {"recordId": None, "recordName": None}


def _nothing(part: Part) -> Any:
    return _NOTHING_FOUND if _kind(part) == "lookup" else None


def _kind(part: Part) -> Kind:
    if part.text("dataType") == "Boolean" and part.text("fieldType") == "InputField":
        return "tick"
    if part.text("extensionName").startswith(OWN_COMPONENT):
        return "component"
    return _KINDS.get(part.text("fieldType"), "input")


def _value_of(part: Part, text: str) -> Any:
    match part.text("dataType"):
        case "Number" | "Currency":
            return _number(text, part.number("scale"))
        case "Date":
            return day_of(text)
        case "DateTime":
            return _moment(text)
    if part.text("fieldType") == "InputField" and len(text) > _TEXT_LENGTH:
        raise ValueError(f"At most {_TEXT_LENGTH} characters fit.")
    return text


def _number(text: str, scale: int) -> Decimal:
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        raise ValueError("Enter a valid number.") from None
    if not number.is_finite():
        raise ValueError("Enter a valid number.")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > scale:
        raise ValueError(f"At most {scale} decimal places fit.")
    return number


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise ValueError("Enter a valid date.") from None
