"""The files of a package in source format: what each is, and what is in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from lxml import etree

from sandbox.salesforce.metadata_components import (
    IN_FOLDERS,
    NAMESPACE,
    OF_AN_OBJECT,
    TYPES,
    WITH_SOURCE,
)

Element: TypeAlias = etree._Element

SOURCE = frozenset([".css", ".html", ".js"])
"""How the names of such source end. Tests of it stand below, in ``__tests__``."""


@dataclass(frozen=True)
class Component:
    """One file of the package.

    Attributes:
        kind: Its metadata type.
        name: Its full name; a field's is ``Object.Field``, a report's ``Folder/Report``.
        path: Where it is, for messages.
        root: What it says, names without namespace, without comments.
        folder: The package directory that brings it.
        file: The same as ``path``, to be opened.
    """

    kind: str
    name: str
    path: str
    root: Element
    folder: Path
    file: Path = Path()

    def text(self, path: str) -> str:
        """The text of the first element on a path, empty where there is none."""
        return self.root.findtext(path) or ""

    def texts(self, path: str) -> list[str]:
        """The texts of all elements on a path."""
        return [element.text or "" for element in self.root.iterfind(path)]


@dataclass
class Package:
    """A package directory's components, after those that it builds upon.

    Attributes:
        folder: The directory, such as ``force-app``.
        components: By metadata type and full name; a later directory replaces a component.
        unreadable: Sentences about files that say nothing to go on with.
    """

    folder: Path
    components: dict[tuple[str, str], Component] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def all(self, kind: str) -> list[Component]:
        """The components of a type, by name."""
        return [c for (of, _), c in sorted(self.components.items()) if of == kind]

    def has(self, kind: str, name: str) -> bool:
        """Whether it brings a component."""
        return (kind, name) in self.components

    def get(self, kind: str, name: str) -> Component | None:
        """A component that it may bring."""
        return self.components.get((kind, name))

    def own(self) -> list[Component]:
        """The components whose files are in its own directory."""
        return [c for c in self.components.values() if c.folder == self.folder]


def read_project(project: Path) -> list[Package]:
    """The package directories of a project, each with those before it.

    Args:
        project: The folder with ``sfdx-project.json``.
    """
    listed = json.loads((project / "sfdx-project.json").read_text(encoding="utf-8"))
    packages: list[Package] = []
    for entry in listed["packageDirectories"]:
        package = Package(project / entry["path"])
        if packages:
            package.components.update(packages[0].components)
        for path in sorted(package.folder.rglob("*")):
            if path.is_file():
                _read(path, package, project)
        packages.append(package)
    return packages


def _read(path: Path, package: Package, project: Path) -> None:
    if _is_source(path.relative_to(package.folder)):
        return
    where = str(path.relative_to(project))
    stem, _, suffix = path.name.removesuffix("-meta.xml").rpartition(".")
    if not path.name.endswith("-meta.xml") or suffix not in TYPES:
        package.unreadable.append(f"{where}: no metadata type goes by this file's name.")
        return
    kind, directory = TYPES[suffix]
    deeper = kind == "CustomObject" or kind in IN_FOLDERS | WITH_SOURCE
    home = path.parent.parent.name if deeper else path.parent.name
    if home != directory:
        package.unreadable.append(f"{where}: files of type {kind} stand in {directory}/.")
        return
    try:
        root = etree.parse(path, etree.XMLParser(remove_comments=True)).getroot()
    except etree.XMLSyntaxError as error:
        package.unreadable.append(f"{where}: no XML: {error}")
        return
    if root.tag != f"{{{NAMESPACE}}}{kind}":
        package.unreadable.append(f"{where}: its root is to be {kind} of {NAMESPACE}.")
        return
    name = f"{path.parent.parent.name}.{stem}" if kind in OF_AN_OBJECT else stem
    name = f"{path.parent.name}/{stem}" if kind in IN_FOLDERS else name
    component = Component(kind, name, where, _without_namespace(root), package.folder, path)
    package.components[kind, name] = component


def _is_source(path: Path) -> bool:
    """Whether a file is the source of a component, or a test of it."""
    match path.parts:
        case [*_, "lwc", bundle, name]:
            return path.suffix in SOURCE and path.stem == bundle
        case [*_, "lwc", _, "__tests__", name]:
            return name.endswith(".test.js")
    return False


def _without_namespace(root: Element) -> Element:
    for element in root.iter(etree.Element):
        element.tag = etree.QName(element).localname
    return root
