"""Deploying: what comes in a ZIP file becomes part of the org, or each mistake is named.

Sources: Metadata API Developer Guide, "deploy()" and "DeployResult"; messages as people quote them
(trailheadapps/lwc-recipes#376, developerforce/LightningContainerExamples#16), worded like
Salesforce's.
"""

from __future__ import annotations

import io
import re
import shutil
import weakref
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from xml.etree import ElementTree as ET

from sandbox.salesforce.change_events import read_channels
from sandbox.salesforce.metadata_components import (
    Component,
    file_of,
    from_files,
    is_source,
    read_manifest,
    without_namespaces,
)
from sandbox.salesforce.metadata_file import Part
from sandbox.salesforce.org import Org
from sandbox.salesforce.package import Package
from sandbox.salesforce.schema import Schema
from sandbox.salesforce.schema_loader import load_schema
from sandbox.salesforce.seed import add_described

MANIFEST = "package.xml"
STANDARD_ACTIONS = frozenset(
    [
        *("FeedItem.TextPost", "FeedItem.ContentPost", "FeedItem.LinkPost", "FeedItem.PollPost"),
        *("FeedItem.QuestionPost", "FeedItem.ContentNote"),
    ]
)
"""Quick actions with a dot in their name that every org has."""


@dataclass(frozen=True)
class Message:
    """What became of one component."""

    kind: str
    name: str
    file: str
    problem: str = ""
    created: bool = False
    changed: bool = False


@dataclass
class Deployment:
    """A deploy that is over.

    Attributes:
        check_only: Whether nothing was to be saved.
        messages: One for each component.
        error: Why no component was looked at.
    """

    check_only: bool
    messages: list[Message] = field(default_factory=list)
    error: str = ""

    @property
    def problems(self) -> list[Message]:
        """The components that were refused."""
        return [message for message in self.messages if message.problem]

    @property
    def succeeded(self) -> bool:
        """Whether all of it was taken: all or nothing is."""
        return not self.problems and not self.error


def deploy(org: Org, content: bytes, *, check_only: bool) -> Deployment:
    """Check what a ZIP file holds against the org, and save it unless it is to be checked only.

    Args:
        org: The org.
        content: The ZIP file, with a ``package.xml`` at its root or in its one folder.
        check_only: Whether it is a validation.
    """
    done = Deployment(check_only)
    try:
        files = _unpacked(content)
        listed = read_manifest(without_namespaces(files.pop(MANIFEST)))
    except (KeyError, zipfile.BadZipFile):
        done.error = "No package.xml found"
        return done
    except ET.ParseError as error:
        done.error = f"Error parsing package.xml: {error}"
        return done
    components = list(_named(files, listed, done))
    candidate = Path(mkdtemp(prefix="deployed-"))
    try:
        if org.deployed and org.deployed.is_dir():
            shutil.copytree(org.deployed, candidate, dirs_exist_ok=True)
        for component in components:
            target = candidate / component.source
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(component.content)
            for name, text in component.beside.items():
                (target.parent / name).write_bytes(text)
        there = {path for folder in org.metadata_folders for path in _sources(folder)}
        for component, problem in _judged(org, candidate, components):
            new = component.source not in there
            told = (component.kind, component.name, component.file, problem)
            done.messages.append(Message(*told, created=new and not problem, changed=not problem))
        if done.succeeded and not check_only:
            _take(org, candidate)
    finally:
        shutil.rmtree(candidate, ignore_errors=True)
    return done


def _unpacked(content: bytes) -> dict[str, bytes]:
    """The files of a ZIP, without the folder that they may all be in."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {i.filename: archive.read(i) for i in archive.infolist() if not i.is_dir()}
    if MANIFEST not in files:
        [top] = {name.partition("/")[0] for name in files} if files else {""}
        files = {name.removeprefix(f"{top}/"): text for name, text in files.items()}
    return files


def _named(
    files: Mapping[str, bytes], listed: Sequence[tuple[str, str]], done: Deployment
) -> Iterator[Component]:
    """The components that the manifest names; what it names and nobody brings is a problem."""
    wanted, brought = set(listed), set()
    source = {name: content for name, content in files.items() if is_source(name)}
    for name, content in files.items():
        if name in source:
            continue
        try:
            ET.fromstring(content)  # noqa: S314
            found = list(from_files({name: content} | source))
        except ET.ParseError as error:
            done.messages.append(Message("", name, name, f"Error parsing file: {error}"))
            continue
        for component in found:
            members = set(component.members)
            brought |= members
            if members & wanted or (component.kind, "*") in wanted:
                yield component
    unread = {message.file for message in done.messages}
    for kind, name in sorted(wanted - brought):
        if name != "*" and file_of(kind, name) not in unread:
            problem = (
                f"An object '{name}' of type {kind} was named in package.xml, but was not found in "
                "zipped directory"
            )
            done.messages.append(Message("", name, MANIFEST, problem))


def _judged(
    org: Org, candidate: Path, components: Sequence[Component]
) -> Iterator[tuple[Component, str]]:
    """Each component with what is wrong with it in the org as it would be."""
    before = [folder for folder in org.metadata_folders if folder != org.deployed]
    folders = [*before, candidate]
    try:
        schema = load_schema(None, org.store.prefixes(), over=folders)
        read_channels(folders, schema)
    except ValueError as error:
        name = str(error).partition(":")[0]
        at = next((c for c in components if c.name == name), components[0])
        for component in components:
            yield component, str(error) if component is at else ""
        return
    package = Package(folders)
    for component in components:
        part = Part.parse(component.content)
        wrong = {"Layout": _layout, "FlexiPage": _page, "QuickAction": _action}.get(component.kind)
        problems = wrong(component, part, package, schema) if wrong else ()
        yield component, next(iter(problems), "")


def _layout(component: Component, part: Part, package: Package, schema: Schema) -> Iterator[str]:
    sobject = component.name.partition("-")[0]
    fields = schema.objects.get("Account" if sobject == "PersonAccount" else sobject)
    for name in part.texts("layoutSections/layoutColumns/layoutItems/field"):
        if name.endswith("__c") and fields and name not in fields.fields:
            yield f"In field: field - no CustomField named {sobject}.{name} found"
    listed = part.texts("platformActionList/platformActionListItems/actionName")
    yield from _actions(
        [*listed, *part.texts("quickActionList/quickActionListItems/quickActionName")], package
    )
    lists = part.texts("relatedLists/relatedList")
    for related in part.all("relatedLists"):
        name = related.text("relatedList")
        child, _, reference = name.partition(".")
        known = schema.objects[child].fields if child in schema.objects else {}
        if reference and reference not in known:
            yield f"Cannot find related list:{name}"
        for column in related.texts("fields"):
            if known and column.endswith("__c") and column not in known:
                yield f"Invalid field:{column} in related list:{name}"
        if lists.count(name) > 1:
            yield f"Field: relatedLists, value:{name} appears more than once"


def _page(_: Component, part: Part, package: Package, schema: Schema) -> Iterator[str]:
    sobject = part.text("sobjectType")
    identifiers: list[str] = []
    for instance in part.all("flexiPageRegions/itemInstances/componentInstance"):
        identifiers += instance.texts("identifier")
        for prop in instance.all("componentInstanceProperties"):
            name, value = prop.text("name"), prop.text("value")
            if name == "actionNames":
                yield from _actions(prop.texts("valueList/valueListItems/value"), package)
            known = schema.find_children(sobject, value) if name == "relatedListApiName" else value
            if name == "relatedListApiName" and value.endswith("__r") and known is None:
                yield f"We couldn't find the related list {value}"
    for name in identifiers:
        if identifiers.count(name) > 1:
            yield f"The identifier {name} is used more than once"


def _action(_: Component, part: Part, package: Package, _schema: Schema) -> Iterator[str]:
    flow = part.text("flowDefinition")
    if flow and not package.has_flow(flow):
        yield f"In field: flowDefinition - no FlowDefinition named {flow} found"


def _actions(names: Sequence[str], package: Package) -> Iterator[str]:
    for name in names:
        custom = re.fullmatch(r"\w+\.\w+", name) and name not in STANDARD_ACTIONS
        if custom and name not in package.actions:
            yield f"In field: QuickAction - no QuickAction named {name} found"


def _sources(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*-meta.xml")}


def _take(org: Org, candidate: Path) -> None:
    """Let the org have what was checked."""
    if org.deployed is None:
        org.deployed = Path(mkdtemp(prefix="deployed-"))
        weakref.finalize(org, shutil.rmtree, org.deployed, ignore_errors=True)
    shutil.rmtree(org.deployed, ignore_errors=True)
    shutil.copytree(candidate, org.deployed)
    org.read_metadata()
    with org.store.transaction():
        add_described(org)
