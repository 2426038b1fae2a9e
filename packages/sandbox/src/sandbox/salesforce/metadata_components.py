"""The components of an org's metadata: which file holds which, in source format and in a deploy's.

In source format an object's fields, lists and rules are files of their own; a deploy and a retrieve
have them in one file, with the object. All other files are the same in both.
Sources: Metadata API Developer Guide, "Metadata Types" and "Metadata Components and Types"; the
registry of forcedotcom/source-deploy-retrieve, ``metadataRegistry.json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

NAMESPACE = "http://soap.sforce.com/2006/04/metadata"
ET.register_namespace("", NAMESPACE)

TYPES: Mapping[str, tuple[str, str]] = {
    "app": ("CustomApplication", "applications"),
    "compactLayout": ("CompactLayout", "compactLayouts"),
    "customPermission": ("CustomPermission", "customPermissions"),
    "dashboard": ("Dashboard", "dashboards"),
    "dashboardFolder": ("DashboardFolder", "dashboards"),
    "field": ("CustomField", "fields"),
    "flexipage": ("FlexiPage", "flexipages"),
    "flow": ("Flow", "flows"),
    "group": ("Group", "groups"),
    "js": ("LightningComponentBundle", "lwc"),
    "labels": ("CustomLabels", "labels"),
    "layout": ("Layout", "layouts"),
    "listView": ("ListView", "listViews"),
    "md": ("CustomMetadata", "customMetadata"),
    "notiftype": ("CustomNotificationType", "notificationtypes"),
    "object": ("CustomObject", "objects"),
    "permissionset": ("PermissionSet", "permissionsets"),
    "platformEventChannel": ("PlatformEventChannel", "platformEventChannels"),
    "platformEventChannelMember": ("PlatformEventChannelMember", "platformEventChannelMembers"),
    "quickAction": ("QuickAction", "quickActions"),
    "recordType": ("RecordType", "recordTypes"),
    "report": ("Report", "reports"),
    "reportFolder": ("ReportFolder", "reports"),
    "reportType": ("ReportType", "reportTypes"),
    "tab": ("CustomTab", "tabs"),
    "validationRule": ("ValidationRule", "validationRules"),
}
"""By the suffix of a file: the metadata type, and the folder that such files stand in."""

OF_AN_OBJECT = frozenset(
    ["CustomField", "CompactLayout", "ListView", "RecordType", "ValidationRule"]
)
"""Types that are part of an object, and whose names begin with the object's."""

IN_FOLDERS = frozenset(["Dashboard", "Report"])
"""Types whose files stand in folders of people's own, and whose names begin with the folder's."""

WITH_SOURCE = frozenset(["LightningComponentBundle"])
"""Types whose files stand in a folder of their name, beside source that is no metadata."""

FOLDERS = {"DashboardFolder": "Dashboard", "ReportFolder": "Report"}
"""Such folders, and the types that they are deployed with."""

_HOMES = {kind: (directory, suffix) for suffix, (kind, directory) in TYPES.items()}
_PARTS = {directory: kind for kind, (directory, _) in _HOMES.items() if kind in OF_AN_OBJECT}


@dataclass(frozen=True)
class Component:
    """A component: its type, its full name, and its file in source format.

    Attributes:
        beside: Source that stands in the folder of that file, by name.
    """

    kind: str
    name: str
    content: bytes
    beside: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """Where its file stands in source format."""
        directory, suffix = _HOMES[self.kind]
        sobject, _, own = self.name.rpartition(".")
        if self.kind in OF_AN_OBJECT:
            return f"objects/{sobject}/{directory}/{own}.{suffix}-meta.xml"
        if self.kind == "CustomObject":
            return f"objects/{self.name}/{self.name}.{suffix}-meta.xml"
        if self.kind in WITH_SOURCE:
            return f"{directory}/{self.name}/{self.name}.{suffix}-meta.xml"
        return f"{directory}/{self.name}.{suffix}-meta.xml"

    @property
    def file(self) -> str:
        """Which file of a deploy it is in."""
        directory, suffix = _HOMES[self.kind]
        if self.kind in WITH_SOURCE:
            return self.source
        if self.kind in OF_AN_OBJECT:
            return f"objects/{self.name.partition('.')[0]}.object"
        ending = "-meta.xml" if self.kind in FOLDERS else f".{suffix}"
        return f"{directory}/{self.name}{ending}"

    @property
    def members(self) -> Iterator[tuple[str, str]]:
        """By type and name: what a manifest calls it, or what is in it."""
        yield FOLDERS.get(self.kind, self.kind), self.name
        if self.kind == "CustomLabels":
            for label in ET.fromstring(self.content).iterfind(_tag("labels")):  # noqa: S314
                yield "CustomLabel", label.findtext(_tag("fullName"), "")


def file_of(kind: str, name: str) -> str:
    """Which file of a deploy a component is in; empty where the type is not known here."""
    return Component(kind, name, b"").file if kind in _HOMES else ""


def read_folders(folders: Sequence[Path]) -> list[Component]:
    """The components in folders in source format; later folders replace those of earlier ones."""
    found = {
        component.source: component
        for folder in folders
        for path in sorted(folder.rglob("*-meta.xml"))
        if (component := _in_source(path, folder))
    }
    return list(found.values())


def _in_source(file: Path, folder: Path) -> Component | None:
    path = file.relative_to(folder)
    stem, _, suffix = path.name.removesuffix("-meta.xml").rpartition(".")
    if suffix not in TYPES:
        return None
    kind, _ = TYPES[suffix]
    if kind in OF_AN_OBJECT:
        stem = f"{path.parts[-3]}.{stem}"
    elif kind in IN_FOLDERS:
        stem = f"{path.parts[-2]}/{stem}"
    beside = {}
    if kind in WITH_SOURCE:
        beside = {
            p.name: p.read_bytes() for p in file.parent.iterdir() if p.is_file() and p != file
        }
    return Component(kind, stem, file.read_bytes(), beside)


def to_files(components: Iterable[Component]) -> dict[str, bytes]:
    """The files of a deploy or a retrieve: an object with all its parts is one."""
    files: dict[str, bytes] = {}
    objects: dict[str, list[Component]] = {}
    for component in components:
        if component.file.startswith("objects/"):
            objects.setdefault(component.file, []).append(component)
        else:
            files[component.file] = component.content
            folder = component.file.rpartition("/")[0]
            files |= {f"{folder}/{name}": text for name, text in component.beside.items()}
    return files | {file: _composed(parts) for file, parts in objects.items()}


def _composed(parts: list[Component]) -> bytes:
    whole = next((part for part in parts if part.kind == "CustomObject"), None)
    root = ET.fromstring(whole.content) if whole else ET.Element(_tag("CustomObject"))  # noqa: S314
    for part in sorted(parts, key=lambda part: part.source):
        if part is not whole:
            element = ET.fromstring(part.content)  # noqa: S314
            element.tag = _tag(_HOMES[part.kind][0])
            if element.find(_tag("fullName")) is None:
                name = ET.Element(_tag("fullName"))
                name.text = part.name.rpartition(".")[2]
                element.insert(0, name)
            root.append(element)
    return _written(root)


def is_source(name: str) -> bool:
    """Whether a file of a deploy is source, which comes with the metadata in its folder."""
    homes = {_HOMES[kind][0] for kind in WITH_SOURCE}
    return name.partition("/")[0] in homes and not name.endswith("-meta.xml")


def from_files(files: Mapping[str, bytes]) -> Iterator[Component]:
    """The components in the files of a deploy.

    Raises:
        ElementTree.ParseError: an object's file is no XML.
    """
    for name, content in files.items():
        path = PurePosixPath(name)
        if is_source(name):
            continue
        kind, directory = TYPES.get(
            path.name.removesuffix("-meta.xml").rpartition(".")[2], ("", "")
        )
        if kind in WITH_SOURCE and path.parts[0] == directory:
            beside = {
                PurePosixPath(other).name: text
                for other, text in files.items()
                if is_source(other) and PurePosixPath(other).parent == path.parent
            }
            yield Component(kind, path.parent.name, content, beside)
            continue
        if path.parts[0] == "objects":
            yield from _decomposed(path.stem, content)
            continue
        folder = f"{path.parts[0].removesuffix('s').capitalize()}Folder"
        if name.endswith("-meta.xml") and folder in FOLDERS:
            yield Component(folder, path.name.removesuffix("-meta.xml"), content)
        elif path.suffix[1:] in TYPES:
            kind, directory = TYPES[path.suffix[1:]]
            yield Component(kind, name.removeprefix(f"{directory}/")[: -len(path.suffix)], content)


def _decomposed(sobject: str, content: bytes) -> Iterator[Component]:
    root = ET.fromstring(content)  # noqa: S314
    for element in list(root):
        kind = _PARTS.get(element.tag.rpartition("}")[2])
        if kind:
            root.remove(element)
            own = element.findtext(_tag("fullName"), "")
            element.tag = _tag(kind)
            yield Component(kind, f"{sobject}.{own}", _written(element))
    if len(root):
        yield Component("CustomObject", sobject, _written(root))


def manifest(members: Iterable[tuple[str, str]], version: str) -> bytes:
    """A ``package.xml`` that names components."""
    root = ET.Element(_tag("Package"))
    by_kind: dict[str, list[str]] = {}
    for kind, name in members:
        by_kind.setdefault(kind, []).append(name)
    for kind in sorted(by_kind):
        types = ET.SubElement(root, _tag("types"))
        for name in sorted(by_kind[kind]):
            ET.SubElement(types, _tag("members")).text = name
        ET.SubElement(types, _tag("name")).text = kind
    ET.SubElement(root, _tag("version")).text = version
    return _written(root)


def read_manifest(element: ET.Element) -> list[tuple[str, str]]:
    """The types and names in a manifest, or a request in its form, read without namespaces."""
    return [
        (types.findtext("name", ""), (member.text or "").removesuffix("/"))  # as of a folder
        for types in element.iterfind("types")
        for member in types.iterfind("members")
    ]


def without_namespaces(content: bytes) -> ET.Element:
    """The root element of an XML text, all names in it without their namespaces.

    Raises:
        ElementTree.ParseError: it is no XML.
    """
    root = ET.fromstring(content)  # noqa: S314  our own repository's files, or a test's
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _written(root: ET.Element) -> bytes:
    ET.indent(root, "    ")
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"
