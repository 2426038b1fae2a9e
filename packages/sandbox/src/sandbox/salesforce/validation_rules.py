"""Validation rules: what an org's administrator does not allow to be saved.

Source: https://help.salesforce.com/s/articleView?id=platform.fields_about_field_validation.htm
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.formula import BEFORE, NEW, TODAY, WorkedOutWrong, read_formula
from sandbox.salesforce.org import Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row
from sandbox.salesforce.values import typed


def check(org: Org, sobject: SObject, row: Row, before: Row | None) -> None:
    """Pass what no rule of the object refuses; the first that does is told.

    Args:
        org: Where it is saved, by whoever is asking.
        sobject: The record's object.
        row: The record as it would be.
        before: The record as it is; None for a new one.

    Raises:
        SalesforceError: FIELD_CUSTOM_VALIDATION_EXCEPTION.
    """
    for rule in sobject.rules:
        try:
            refused = read_formula(rule.formula).worked_out(_Values(org, sobject, row, before))
        except WorkedOutWrong as error:
            message = f"{rule.name}: {error}"
            raise SalesforceError("FIELD_CUSTOM_VALIDATION_EXCEPTION", message, []) from None
        if refused:
            beside = [rule.field] if rule.field else []
            raise SalesforceError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, beside)


class _Values(Mapping[str, Any]):
    """What the names in a rule stand for."""

    def __init__(self, org: Org, sobject: SObject, row: Row, before: Row | None) -> None:
        self._org = org
        self._sobject = sobject
        self._row = row
        self._before = before

    def __getitem__(self, name: str) -> Any:
        if name == NEW:
            return self._before is None
        if name == TODAY:
            return self._org.clock.instant().date()
        if name.startswith(BEFORE):
            return self._field(self._before or self._row, name.removeprefix(BEFORE))
        first, _, rest = name.partition(".")
        if first == "$Permission":
            return rest in self._org.custom_permissions
        if first == "$User":
            user = self._org.sobject("User")
            row = self._org.store.get(user, self._org.user_id) or {}
            return typed(user.fields[rest], row.get(rest))
        return self._field(self._row, name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._row)

    def __len__(self) -> int:
        return len(self._row)

    def _field(self, row: Row, path: str) -> Any:
        sobject, (*steps, last) = self._sobject, path.split(".")
        for step in steps:
            way = sobject.find_relationship(step)
            if way is None:
                raise KeyError(path)
            sobject = self._org.sobject(way.to[0])
            row = self._org.store.get(sobject, row.get(way.name) or "") or {}
        return typed(sobject.fields[last], row.get(last))
