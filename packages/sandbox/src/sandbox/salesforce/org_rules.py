"""What an org's own people have set up: it refuses, changes or locks what others save.

Rules can be switched on alone or together, for so many saves or until they are switched off. They
strike in Salesforce's order: the lock, the change before saving, the validation, the duplicates.
Source: https://developer.salesforce.com/docs/atlas.en-us.apexcode.meta/apexcode/
apex_triggers_order_of_execution.htm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.formula import Unreadable, WorkedOutWrong, read_formula
from sandbox.salesforce.namespace import prefixed
from sandbox.salesforce.schema import NUMERIC, SObject
from sandbox.salesforce.store import Row
from sandbox.salesforce.values import to_stored

Kind = Literal["approval_lock", "row_lock", "before_save", "validation", "duplicates"]


class OrgRule(BaseModel):
    """One rule, and the saves that it strikes.

    Kinds: ``approval_lock`` (ENTITY_IS_LOCKED, deleting included), ``row_lock``
    (UNABLE_TO_LOCK_ROW, or inside a trigger's own error), ``before_save`` (``field`` gets the
    ``value``), ``validation`` (refused with the ``message``, at a ``field`` or at the top of the
    page), ``duplicates`` (refused, unless it only alerts and the caller lets duplicates be saved).
    """

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    sobject: str
    name: str = Field("Own_Rule", description="As Setup calls it.")
    when: str = Field("TRUE", description="Formula over the record, as it would be saved.")
    on: Literal["create", "update"] | None = Field(None, description="Empty for both.")
    message: str = "This cannot be saved."
    field: str | None = None
    value: str = Field('""', description="Formula of what is saved instead.")
    wrapped: bool = Field(False, description="The row is locked for a trigger.")
    alert: bool = Field(False, description="Duplicates may be saved by who insists.")
    count: int | None = Field(None, ge=0, description="Saves that it strikes; empty for all.")
    hits: int = 0

    @field_validator("when", "value")
    @classmethod
    def _readable(cls, text: str) -> str:
        try:
            read_formula(text)
        except Unreadable as error:
            raise ValueError(str(error)) from None
        return text

    def installed(self, namespace: str) -> OrgRule:
        """A copy that is about the same things in an org whose package has a namespace."""
        texts = {"sobject": self.sobject, "when": self.when, "value": self.value}
        texts |= {"field": self.field} if self.field else {}
        return self.model_copy(update={k: prefixed(v, namespace) for k, v in texts.items()})

    def strikes(self, sobject: SObject, row: Mapping[str, Any], *, creating: bool) -> bool:
        """Whether it is about this save; counts it."""
        if self.sobject != sobject.name or self.on not in (None, _act(creating)):
            return False
        if (self.count is not None and self.hits >= self.count) or not self._of(self.when, row):
            return False
        self.hits += 1
        return True

    def saved_instead(self, row: Mapping[str, Any]) -> Any:
        """What the field gets."""
        return self._of(self.value, row)

    @staticmethod
    def _of(text: str, row: Mapping[str, Any]) -> Any:
        formula = read_formula(text)
        try:
            return formula.worked_out({name: row.get(name) for name in formula.names})
        except WorkedOutWrong:
            return None

    def refusal(self, record_id: str | None, *, creating: bool) -> SalesforceError:
        """The error that Salesforce answers.

        Sources: https://github.com/salesforcecli/plugin-data/pull/249 (a validation at the top of
        the page names no field), https://github.com/SFDO-Community/
        declarative-lookup-rollup-summaries/issues/1241 (a row locked for a trigger).
        """
        match self.kind:
            case "approval_lock":
                return SalesforceError("ENTITY_IS_LOCKED", "the entity is locked for editing", [])
            case "row_lock":
                locked = (
                    f"unable to obtain exclusive access to this record or 1 records: {record_id}"
                )
                if not self.wrapped:
                    return SalesforceError("UNABLE_TO_LOCK_ROW", locked, [])
                return SalesforceError(
                    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                    f"{self.name}: execution of After{_act(creating).capitalize()}\n\ncaused by: "
                    f"System.DmlException: Update failed. First exception on row 0 with id "
                    f"{record_id}; first error: UNABLE_TO_LOCK_ROW, {locked}: []\n\n"
                    f"Trigger.{self.name}: line 7, column 1",
                    [],
                )
            case "duplicates":
                found = {
                    "allowSave": self.alert,
                    "duplicateRule": self.name,
                    "duplicateRuleEntityType": self.sobject,
                    "errorMessage": self.message,
                    "matchResults": [],
                }
                return SalesforceError(
                    "DUPLICATES_DETECTED", self.message, [], more={"duplicateResult": found}
                )
        return SalesforceError(
            "FIELD_CUSTOM_VALIDATION_EXCEPTION", self.message, [self.field] if self.field else []
        )


def _act(creating: bool) -> Literal["create", "update"]:
    return "create" if creating else "update"


class OrgRules:
    """The rules in force."""

    def __init__(self) -> None:
        self.rules: list[OrgRule] = []
        self._duplicates_may_be_saved = False

    @contextmanager
    def for_request(self, header: str) -> Iterator[None]:
        """Take what a request says of duplicates: ``Sforce-Duplicate-Rule-Header``."""
        before = self._duplicates_may_be_saved
        self._duplicates_may_be_saved = "allowsave=true" in header.replace(" ", "").lower()
        try:
            yield
        finally:
            self._duplicates_may_be_saved = before

    def check_locks(self, sobject: SObject, row: Row, *, creating: bool = False) -> None:
        """Pass what is not locked.

        Raises:
            SalesforceError: ENTITY_IS_LOCKED, UNABLE_TO_LOCK_ROW, or the latter inside another.
        """
        self._refuse(("approval_lock", "row_lock"), sobject, row, creating)

    def changes(self, sobject: SObject, row: Row, *, creating: bool) -> Row:
        """What is saved instead of what was written."""
        changed: Row = {}
        for rule in self.rules:
            field = sobject.find(rule.field or "") if rule.kind == "before_save" else None
            if field and rule.strikes(sobject, row | changed, creating=creating):
                value = rule.saved_instead(row | changed)
                number = field.type in NUMERIC and value is not None
                changed[field.name] = to_stored(field, str(value) if number else value)
        return changed

    def check(self, sobject: SObject, row: Row, *, creating: bool) -> None:
        """Pass what the rules allow to be saved.

        Raises:
            SalesforceError: FIELD_CUSTOM_VALIDATION_EXCEPTION, DUPLICATES_DETECTED.
        """
        self._refuse(("validation", "duplicates"), sobject, row, creating)

    def _refuse(self, kinds: tuple[Kind, ...], sobject: SObject, row: Row, creating: bool) -> None:
        for kind in kinds:
            for rule in self.rules:
                passes = rule.kind == "duplicates" and rule.alert and self._duplicates_may_be_saved
                if rule.kind != kind or passes:
                    continue
                if rule.strikes(sobject, row, creating=creating):
                    raise rule.refusal(row.get("Id"), creating=creating)


_INVOICE, _LINE = "Stripe_Invoice__c", "Stripe_Invoice_Line__c"

PROFILES: dict[str, list[OrgRule]] = {
    "accounts-frozen": [
        OrgRule(
            kind="validation",
            sobject="Account",
            name="Frozen_For_Audit",
            message="Accounts are frozen for the audit.",
            on="update",
        )
    ],
    "period-closed": [
        OrgRule(
            kind="validation",
            sobject=_INVOICE,
            name="Period_Closed",
            message="The period is closed: ask Accounting.",
            field="Status__c",
            when='Status__c <> "Draft"',
            on="update",
        )
    ],
    "lines-checked": [
        OrgRule(
            kind="validation",
            sobject=_LINE,
            name="No_New_Lines",
            message="Lines are checked by Accounting.",
            field="Amount__c",
        )
    ],
    "in-approval": [
        OrgRule(kind="approval_lock", sobject=_INVOICE, when='Status__c <> "Draft"', on="update")
    ],
    "numbers-prefixed": [
        OrgRule(
            kind="before_save",
            sobject=_INVOICE,
            name="Prefix_Number",
            field="Number__c",
            value='"US-" & Number__c',
            when='NOT(ISBLANK(Number__c)) && LEFT(Number__c, 3) <> "US-"',
        )
    ],
    "lines-in-capitals": [
        OrgRule(
            kind="before_save",
            sobject=_LINE,
            name="Capitals",
            field="Description__c",
            value="UPPER(Description__c)",
        )
    ],
    "rows-busy": [OrgRule(kind="row_lock", sobject=_INVOICE, on="update", count=1)],
    "triggers-busy": [
        OrgRule(
            kind="row_lock",
            sobject=_INVOICE,
            name="Invoice_Trigger",
            wrapped=True,
            on="update",
            count=1,
        )
    ],
    "duplicates-alerted": [
        OrgRule(
            kind="duplicates",
            sobject="Account",
            name="Same_Address",
            message="This may be a duplicate of another Account.",
            alert=True,
        )
    ],
    "duplicates-blocked": [
        OrgRule(
            kind="duplicates",
            sobject="Account",
            name="Same_Address",
            message="There is another Account like this.",
        )
    ],
}
"""Orgs as companies have them, by what is the matter there."""
