"""The names that an org has for our objects and fields: its field mapping.

Everywhere in this project, objects and fields go by our API names, those of
:mod:`invoicing.domain.salesforce.required_schema`. An org that keeps its invoices elsewhere says
in one TOML file what it calls them; the Salesforce connector translates both ways, and nobody else
knows. On the left of that file stand our names, on the right the org's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from more_itertools import always_iterable
from pydantic import BaseModel, ConfigDict, Field

from invoicing.domain.model.wording import label
from invoicing.domain.salesforce.required_schema import OBJECTS, SObject, relationship
from invoicing.errors import Rejected

ORG_PREFIX = "~"
"""Before a name in a path: this is the org's field, though one of ours has the same name."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NewValue(_Table):
    """What a field of a new record is filled with, where that is no constant. One of these."""

    source: str = Field(
        "", alias="from", description="A field of Account or Opportunity, such as Account.OwnerId"
    )
    record_type: str = Field("", description="A record type, by its developer name.")
    today: bool = Field(False, description="The day on which the record is made.")


class ObjectMapping(_Table):
    """An org's names for one of our objects, and its parts."""

    name: str = Field("", description="The org's object; empty: the same name as ours.")
    leave_out: bool = Field(False, description="The org does without this object.")
    fields: dict[str, str] = Field(
        default_factory=dict,
        description="Our field = the org's field; an empty text: the org does not keep it.",
    )
    leave_out_others: bool = Field(
        False, description="Of our fields, the org keeps those that are listed, and no others."
    )
    children: dict[str, str] = Field(
        default_factory=dict, description="Our child relationship = the org's."
    )
    new: dict[str, NewValue | str | bool | int | float] = Field(
        default_factory=dict,
        description="The org's field = what new records have there beside our fields.",
    )
    values: dict[str, dict[str, str | list[str]]] = Field(
        default_factory=dict,
        description="By picklist field: our value = the org's; of several, the first is written.",
    )

    def all_fields(self, schema: SObject) -> dict[str, str]:
        """Our fields that have another name in the org, or none."""
        others = {
            name
            for name, field in schema.fields.items()
            if (self.leave_out_others and name.endswith("__c")) or (self.name and field.optional)
        }
        # Another country than the billing address's has no code there.
        others |= {f"{name}Code" for name in self.fields} & schema.fields.keys()
        return dict.fromkeys(sorted(others), "") | self.fields


class BillingContact(_Table):
    """The contact of an Account that gets its invoices, where no field says it."""

    where: str = Field(description="A SOQL condition, such as Gets_Invoices__c = true")
    through: str = Field("Contact", description="Or AccountContactRelation.")
    email: str = Field("Email", description="Contact.Email, through AccountContactRelation.")
    account: str = "AccountId"


class PriceBookChoice(_Table):
    """The price book that offers the products; the standard one by default."""

    account_field: str = Field(
        "", description="Lookup of the Account to its price book; where empty, the one below."
    )
    name: str = Field("", description="A price book by name; empty: the standard one.")


class TaxMapping(_Table):
    """Taxes by the value of a field, for invoices that name none themselves."""

    field: str = Field("", description="The field, such as Account__r.Tax_Class__c")
    rates: dict[str, str | list[str]] = Field(
        default_factory=dict,
        description='By the field\'s value: tax rates by their names or ids, or "automatic" for '
        "Stripe Tax; an empty list: no tax.",
    )


AUTOMATIC = "automatic"
"""In place of tax rates: Stripe Tax."""


class OrgMapping(_Table):
    """The whole field mapping of an org. Paths of fields start at the invoice."""

    objects: dict[str, ObjectMapping] = Field(default_factory=dict)
    email: list[str] = Field(
        default_factory=list,
        description="Fields with the address for the invoice; the first that is filled counts.",
    )
    billing_contact: BillingContact | None = None
    metadata: dict[str, str] = Field(
        default_factory=dict, description="Name in Stripe's metadata = field of the org."
    )
    custom_fields: dict[str, str] = Field(
        default_factory=dict, description="Name that the customer reads = field of the org."
    )
    price_book: PriceBookChoice = Field(default_factory=PriceBookChoice)
    tax: TaxMapping = Field(default_factory=TaxMapping)


@dataclass(frozen=True)
class _Names:
    """One object's names in both directions."""

    schema: SObject
    mapping: ObjectMapping

    @cached_property
    def fields(self) -> dict[str, str]:
        """The org's field for ours, where it differs; empty where there is none."""
        return self.mapping.all_fields(self.schema)

    def out(self, name: str) -> str | None:
        """The org's field for ours; None when it keeps none."""
        if name.startswith(ORG_PREFIX):
            return name.removeprefix(ORG_PREFIX)
        return self.fields.get(name, name) or None

    @cached_property
    def _ours(self) -> dict[str, str]:
        """Our name for each of the org's that differs: fields, relationships, children."""
        pairs = [(theirs, ours) for ours, theirs in self.fields.items() if theirs]
        pairs += [
            (relationship(theirs), relationship(ours))
            for theirs, ours in pairs
            if self._refers(ours)
        ]
        pairs += [(theirs, ours) for ours, theirs in self.mapping.children.items()]
        return dict(pairs)

    @cached_property
    def _taken(self) -> set[str]:
        """Names of ours that mean something else in the org, or nothing."""
        references = {relationship(name) for name in self.fields if self._refers(name)}
        return {*self.fields, *references, *self.mapping.children}

    def _refers(self, name: str) -> bool:
        return name in self.schema.fields and self.schema.fields[name].to != ""

    @cached_property
    def dropped(self) -> frozenset[str]:
        """Our fields that the org does not keep."""
        return frozenset(ours for ours, theirs in self.fields.items() if not theirs)

    def refuse_to_lose(self, name: str, value: Any) -> None:
        """Refuse a value that somebody asked for, and that the org cannot keep."""
        field_ = self.schema.fields.get(name)
        if field_ and field_.asked and value and value != next(iter(field_.values), None):
            raise Rejected(
                f"This org keeps no {label(name)!r} of its invoices, so it cannot be {value}; "
                "leave it empty, or have the field mapping name a field for it."
            )

    def back(self, name: str) -> str:
        """Our name for the org's field or relationship."""
        if name in self._ours:
            return self._ours[name]
        return ORG_PREFIX + name if name in self._taken else name

    def target(self, name: str) -> tuple[str | None, str]:
        """The org's relationship for ours, and our name of the object behind it."""
        for ours, asked in self.schema.fields.items():
            if asked.to and relationship(ours) == name:
                theirs = self.out(ours)
                return (relationship(theirs) if theirs else None), asked.to
        return name.removeprefix(ORG_PREFIX), name if name in OBJECTS else ""

    @cached_property
    def labels(self) -> dict[str, dict[str, list[str]]]:
        """By our field: the org's words for each of our values, the one to write first."""
        return {
            name: {ours: list(always_iterable(said)) for ours, said in words.items()}
            for name, words in self.mapping.values.items()
        }

    @cached_property
    def meanings(self) -> dict[str, dict[str, str]]:
        """By our field: our value for each of the org's words."""
        return {
            name: {word: ours for ours, words in values.items() for word in words}
            for name, values in self.labels.items()
        }


_NOTHING = _Names(SObject({}), ObjectMapping())


def with_namespace(mapping: OrgMapping, namespace: str) -> OrgMapping:
    """A field mapping for an org whose package was installed under a namespace.

    What the package brings has the prefix, as ``acme__Status__c``, unless the mapping says another
    name. An object of the org's own has nothing of the package.

    Source: REST API Developer Guide, "Call Options Header": without that header, which describe
    ignores and Composite does not know, names are written with their prefix.
    """
    objects = {
        ours: _installed(ours, schema, mapping, namespace) for ours, schema in OBJECTS.items()
    }
    return mapping.model_copy(update={"objects": dict(mapping.objects) | objects})


def _installed(ours: str, schema: SObject, mapping: OrgMapping, namespace: str) -> ObjectMapping:
    def prefixed(name: str) -> str:
        return f"{namespace}__{name}" if name.endswith(("__c", "__r")) else name

    def is_own(name: str) -> bool:
        said = mapping.objects.get(name, ObjectMapping()).name
        return said not in ("", prefixed(name))

    asked = mapping.objects.get(ours, ObjectMapping())
    if is_own(ours) or (schema.beside and is_own(schema.beside) and not asked.name):
        return asked
    custom = [name for name in schema.fields if name.endswith("__c")]
    fields = {} if asked.leave_out_others else {name: prefixed(name) for name in custom}
    children = {name: prefixed(name) for name in schema.children}
    return asked.model_copy(
        update={
            "name": prefixed(ours) if ours.endswith("__c") else asked.name,
            "fields": fields | asked.fields,
            "children": children | asked.children,
        }
    )


def value_at(record: Mapping[str, Any] | None, path: str) -> Any:
    """What a record has at the end of a path, such as Account__r.Name; None where it breaks off."""
    value: Any = record
    for step in path.split("."):
        value = (value or {}).get(step)
    return value


class Record(dict[str, Any]):
    """A record under our names: what the org does not keep reads as None, and is not in it."""

    def __init__(self, values: Mapping[str, Any], dropped: frozenset[str]) -> None:
        """Take the values, and remember what is not kept."""
        super().__init__(values)
        self._dropped = dropped

    def __missing__(self, name: str) -> None:
        """None for what is not kept; a KeyError for what was not asked for."""
        if name not in self._dropped:
            raise KeyError(name)


@dataclass(frozen=True)
class Names:
    """Translates between our names and an org's."""

    mapping: OrgMapping
    _paths: dict[tuple[str, str], str | None] = field(
        init=False, default_factory=dict, compare=False, repr=False
    )

    @cached_property
    def _by_object(self) -> dict[str, _Names]:
        objects = self.mapping.objects
        return {
            name: _Names(schema, objects.get(name, ObjectMapping()))
            for name, schema in OBJECTS.items()
        }

    def of(self, sobject: str) -> _Names:
        """The names of one of our objects; those of any other object stay as they are."""
        return self._by_object.get(sobject, _NOTHING)

    def sobject(self, ours: str) -> str:
        """The org's name of our object."""
        return self.of(ours).mapping.name or ours

    def keeps(self, ours: str) -> bool:
        """Whether the org has our object at all."""
        asked, beside = self.of(ours).mapping, self.of(ours).schema.beside
        own = bool(beside) and self.sobject(beside) != beside
        return not asked.leave_out and (bool(asked.name) or not own)

    def our_sobject(self, theirs: str) -> str:
        """Our name of the org's object."""
        return next((ours for ours in self._by_object if self.sobject(ours) == theirs), theirs)

    def path(self, sobject: str, path: str) -> str | None:
        """The org's path of fields for ours, such as ``Account__r.Name``; None: not kept."""
        if (sobject, path) not in self._paths:
            self._paths[sobject, path] = self._path(sobject, path)
        return self._paths[sobject, path]

    def _path(self, sobject: str, path: str) -> str | None:
        step, dot, rest = path.partition(".")
        if not dot:
            return self.of(sobject).out(path)
        theirs, target = self.of(sobject).target(step)
        end = self.path(target, rest)
        return f"{theirs}.{end}" if theirs and end else None

    def our_path(self, sobject: str, path: str) -> str:
        """Our path for one in the org's names, to be read and looked up under our names."""
        step, dot, rest = path.partition(".")
        names = self.of(sobject)
        ours = names.back(step)
        return f"{ours}.{self.our_path(names.target(ours)[1], rest)}" if dot else ours

    def labels(self, sobject: str, path: str) -> dict[str, list[str]]:
        """The org's words for our values of a picklist field; empty where they are the same."""
        names, last = self._end(sobject, path)
        return names.labels.get(last, {})

    def meanings(self, sobject: str, path: str) -> dict[str, str]:
        """Our values for the org's words of a picklist field; empty where they are the same."""
        names, last = self._end(sobject, path)
        return names.meanings.get(last, {})

    def _end(self, sobject: str, path: str) -> tuple[_Names, str]:
        step, dot, rest = path.partition(".")
        names = self.of(sobject)
        return self._end(names.target(step)[1], rest) if dot else (names, path)

    def fields(self, sobject: str, values: Mapping[str, Any]) -> dict[str, Any]:
        """A record as it is written to the org: what the org does not keep is left out.

        Raises:
            Rejected: what people asked for would get lost.
        """
        names = self.of(sobject)
        out: dict[str, Any] = {}
        for name, value in values.items():
            if isinstance(value, Mapping) and name != "attributes":
                theirs, target = names.target(name)
                value = self.fields(target, value)
            else:
                theirs = names.out(name)
                said = names.labels.get(name, {}).get(str(value))
                value = said[0] if said else value
            if theirs:
                out[theirs] = value
            else:
                names.refuse_to_lose(name, value)
        return out

    def record(self, answer: Mapping[str, Any], sobject: str | None = None) -> Record:
        """A record that the org answered, under our names, with its parents and children."""
        if sobject is None:
            sobject = self.our_sobject(answer.get("attributes", {}).get("type", ""))
        names = self.of(sobject)
        return Record(dict(self._values(names, answer)), names.dropped)

    def _values(self, names: _Names, answer: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        for name, value in answer.items():
            ours = names.back(name)
            if name == "attributes":
                yield name, value
            elif isinstance(value, Mapping) and "records" in value:
                child = names.schema.children.get(ours, ("",))[0]
                rows = [self.record(row, child) for row in value["records"]]
                yield ours, {**value, "records": rows}
            elif isinstance(value, Mapping):
                yield ours, self.record(value, names.target(ours)[1])
            else:
                yield ours, names.meanings.get(ours, {}).get(value, value)
