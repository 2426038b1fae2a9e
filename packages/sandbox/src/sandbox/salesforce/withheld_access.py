"""What is taken from the integration user, whatever it was granted.

An object or a field that nobody granted is in no describe and in no query, as if there were none;
a field that may only be read cannot be written; an object of which records may not be created,
changed or deleted says so in its describe, and refuses it. Sources: Salesforce's help on
field-level security, which the API applies like its pages; the SOAP API Developer Guide on
``DescribeSObjectResult`` (createable, updateable, deletable).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sandbox.salesforce.schema import Field, Schema, SObject

RIGHTS = {"createable": "create", "updateable": "update", "deletable": "delete"}


@dataclass(frozen=True)
class Withheld:
    """What the user would see and could do otherwise.

    Attributes:
        hidden: Objects, fields as ``Account.Invoice_Email__c``, permissions, custom ones too.
        read_only: Fields.
        denied: By object, any of ``createable``, ``updateable``, ``deletable``.
    """

    hidden: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()
    denied: dict[str, list[str]] = field(default_factory=dict)

    def seen(self, schema: Schema) -> Schema:
        """The org as the user sees it."""
        shown = [sobject for sobject in schema if sobject.name not in self.hidden]
        return Schema({sobject.name: self._object(sobject) for sobject in shown})

    def _object(self, sobject: SObject) -> SObject:
        fields = {
            name: self._field(f"{sobject.name}.{name}", one)
            for name, one in sobject.fields.items()
            if f"{sobject.name}.{name}" not in self.hidden
        }
        denied = {RIGHTS[word] for word in self.denied.get(sobject.name, ())}
        return replace(sobject, fields=fields, refused=sobject.refused | denied)

    def _field(self, path: str, one: Field) -> Field:
        to = tuple(target for target in one.to if target not in self.hidden)
        return replace(one, to=to, read_only=one.read_only or path in self.read_only)
