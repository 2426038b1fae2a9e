"""What a user sees and may do: permission sets, and an org seen through them.

A deployed field is seen by nobody until it is granted; required fields and master-details come
with their object. A custom metadata type is granted by itself. Sources: Metadata API Developer
Guide, "PermissionSet"; "Permissions for the Limits resource" in the REST API Developer Guide (View
Setup and Configuration); https://help.salesforce.com/s/articleView?
id=platform.custommetadatatypes_permissions.htm
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

from sandbox.salesforce.schema import Field, Schema, SObject

EVERYBODY_READS = frozenset(
    {
        *("User", "Organization", "CurrencyType", "RecordType", "CustomNotificationType"),
        *("Group", "GroupMember", "UserSetupEntityAccess", "UserPermissionAccess"),
    }
)
RIGHTS = {"create": "allowCreate", "update": "allowEdit", "delete": "allowDelete"}


@dataclass(frozen=True)
class Permissions:
    """All that a user was granted.

    Attributes:
        objects: By object, the metadata's names of what may be done with its records.
        read: Fields that can be read, as ``Object.Field``.
        written: Fields that can be written.
        system: User permissions, such as ``ViewSetup`` and ``ModifyMetadata``.
    """

    objects: frozenset[tuple[str, str]]
    read: frozenset[str]
    written: frozenset[str]
    system: frozenset[str] = frozenset()

    def __or__(self, other: Permissions) -> Permissions:
        return Permissions(
            self.objects | other.objects,
            self.read | other.read,
            self.written | other.written,
            self.system | other.system,
        )

    def may(self, sobject: SObject, right: str) -> bool:
        """Whether the user may do something with the records of an object."""
        if sobject.name in EVERYBODY_READS:
            return right == "allowRead"
        lending = sobject.follows or (sobject.name,)
        return all((name, right) in self.objects for name in lending)

    def as_seen(self, schema: Schema) -> Schema:
        """The org as this user sees it: nothing of what is hidden is there."""
        return Schema({o.name: self._seen(o) for o in schema if self.may(o, "allowRead")})

    def on_pages(self, sobject: SObject, every: Permissions) -> SObject | None:
        """An object as pages show it to whoever has these permissions; None: not at all.

        What no permission set names people have by their profile, which is not known here.

        Args:
            sobject: The object.
            every: All that permission sets of the org grant.
        """
        named = sobject.custom and every.may(sobject, "allowRead")
        if named and not self.may(sobject, "allowRead"):
            return None
        withheld = every.read - self.read
        fields = {
            name: field
            for name, field in sobject.fields.items()
            if not (field.custom and f"{sobject.name}.{field.granted_as}" in withheld)
        }
        return replace(sobject, fields=fields)

    def _seen(self, sobject: SObject) -> SObject:
        fields = {f.name: self._field(sobject, f) for f in sobject.fields.values()}
        refused = {word for word, right in RIGHTS.items() if not self.may(sobject, right)}
        refused |= sobject.refused
        seen = {name: field for name, field in fields.items() if field}
        return replace(sobject, fields=seen, refused=frozenset(refused))

    def _field(self, sobject: SObject, field: Field) -> Field | None:
        name = f"{sobject.name}.{field.granted_as}"
        if not field.granted_as or name in self.written:
            return field
        return replace(field, read_only=True) if name in self.read else None


NOTHING = Permissions(frozenset(), frozenset(), frozenset())


def read_permission_sets(folders: Sequence[Path]) -> dict[str, Permissions]:
    """The permission sets of SFDX folders, by name; later folders replace those of earlier ones."""
    return {
        path.name.partition(".")[0]: _read(path)
        for folder in folders
        for path in sorted(folder.glob("permissionsets/*.permissionset-meta.xml"))
    }


def _read(path: Path) -> Permissions:
    root = ET.parse(path).getroot()  # noqa: S314  our own repository's files
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    fields = root.findall("fieldPermissions")
    return Permissions(
        objects=frozenset(
            (granted.findtext("object", ""), right.tag)
            for granted in root.iterfind("objectPermissions")
            for right in granted
            if right.text == "true"
        )
        | frozenset(
            (granted.findtext("name", ""), "allowRead")
            for granted in root.iterfind("customMetadataTypeAccesses")
            if granted.findtext("enabled") == "true"
        ),
        read=frozenset(f.findtext("field", "") for f in fields if f.findtext("readable") == "true"),
        written=frozenset(
            f.findtext("field", "") for f in fields if f.findtext("editable") == "true"
        ),
        system=frozenset(
            granted.findtext("name", "")
            for granted in root.iterfind("userPermissions")
            if granted.findtext("enabled") == "true"
        ),
    )
