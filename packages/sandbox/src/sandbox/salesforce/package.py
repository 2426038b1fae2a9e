"""What a package brings beside objects: flows, actions, pages, layouts, lists, an app."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sandbox.salesforce.flow_definition import Flow, Unsupported, read_flow
from sandbox.salesforce.metadata_file import Part

COLUMNS = {
    "NAME": "Name",
    "CREATED_DATE": "CreatedDate",
    "LAST_UPDATE": "LastModifiedDate",
    "OWNER.ALIAS": "OwnerId",
    "CREATEDBY_USER": "CreatedById",
}
"""Columns of lists that have names of their own, and the fields that they show."""


@dataclass(frozen=True)
class QuickAction:
    """A button on a record's page.

    Attributes:
        name: Its full name, such as ``Account.Raise_Invoice``.
        label: What it says.
        flow: The screen flow that it starts.
    """

    name: str
    label: str
    flow: str


class Package:
    """The metadata of an org's package.

    Args:
        folders: SFDX folders with ``objects/`` and the like; a later one replaces components of
            those before it.
    """

    def __init__(self, folders: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._flows: dict[str, Flow] = {}

    def flow(self, name: str) -> Flow:
        """A flow, read when it is first run.

        Raises:
            Unsupported: There is none of this name, or it uses what cannot be run here.
        """
        if name not in self._flows:
            path = self._paths("flows").get(name)
            if path is None:
                raise Unsupported(f"There is no flow {name}.")
            self._flows[name] = read_flow(path)
        return self._flows[name]

    def has_flow(self, name: str) -> bool:
        """Whether there is a flow of this name."""
        return name in self._paths("flows")

    def triggered(self, sobject: str, trigger: str) -> list[Flow]:
        """The active flows that records of an object start.

        Args:
            sobject: The object.
            trigger: When: ``RecordBeforeDelete`` or ``RecordBeforeSave``.

        Raises:
            Unsupported: One of them uses what cannot be run here.
        """
        return [self.flow(name) for name in self._triggered.get((sobject, trigger), ())]

    @cached_property
    def _triggered(self) -> dict[tuple[str, str], list[str]]:
        found: dict[tuple[str, str], list[str]] = {}
        for name, part in self._files("flows"):
            if part.text("start/triggerType") and part.text("status") == "Active":
                key = part.text("start/object"), part.text("start/triggerType")
                found.setdefault(key, []).append(name)
        return found

    def component(self, name: str) -> Path | None:
        """The folder of a Lightning web component that it may bring."""
        places = [folder / "lwc" / name for folder in reversed(self._folders)]
        return next((place for place in places if (place / f"{name}.js").is_file()), None)

    @cached_property
    def actions(self) -> dict[str, QuickAction]:
        """Quick actions by full name; those that start a flow."""
        files = self._files("quickActions")
        return {
            name: QuickAction(name, part.text("label"), part.text("flowDefinition"))
            for name, part in files
            if part.text("type") == "Flow"
        }

    @cached_property
    def custom_metadata(self) -> dict[str, Part]:
        """Records of custom metadata types, by names such as ``Invoicing_Setting.Default``."""
        return dict(self._files("customMetadata"))

    def custom_permissions(self, sets: Sequence[str] | None) -> frozenset[str]:
        """The custom permissions that some permission sets grant, or all of them together."""
        granting = self._custom_permissions if sets is None else sets
        return frozenset().union(*(self._custom_permissions.get(name, ()) for name in granting))

    @cached_property
    def _custom_permissions(self) -> dict[str, frozenset[str]]:
        """What each permission set grants."""
        return {
            name: frozenset(
                granted.text("name")
                for granted in part.all("customPermissions")
                if granted.flag("enabled")
            )
            for name, part in self._permission_sets.items()
        }

    def may_start(self, flow: str, sets: Sequence[str] | None) -> bool:
        """Whether whoever has some permission sets, or all of them, may start a flow.

        One that asks for it runs for those alone who were granted it by name.
        Source: https://help.salesforce.com/s/articleView?id=platform.flow_distribute_security.htm

        Raises:
            Unsupported: The flow uses what cannot be run here.
        """
        if sets is None or not self.flow(flow).root.flag("isAdditionalPermissionRequiredToRun"):
            return True
        return any(
            granted.text("flow") == flow and granted.flag("enabled")
            for name, part in self._permission_sets.items()
            if name in sets
            for granted in part.all("flowAccesses")
        )

    @cached_property
    def _permission_sets(self) -> dict[str, Part]:
        return dict(self._files("permissionsets"))

    @cached_property
    def pages(self) -> dict[str, Part]:
        """Lightning record pages by the object whose records they show."""
        pages = dict(self._files("flexipages"))
        return {
            sobject: pages[override.text("content")]
            for sobject, part in self._objects.items()
            for override in part.all("actionOverrides")
            if override.text("actionName") == "View" and override.text("content") in pages
        }

    def layout(self, sobject: str) -> Part | None:
        """The page layout that people of an object have, of several the one named like it."""
        names = [name for name in self._layouts if name.startswith(f"{sobject}-")]
        usual = f"{sobject}-{sobject} Layout"
        return self._layouts[usual if usual in names else names[0]] if names else None

    @cached_property
    def _layouts(self) -> dict[str, Part]:
        return dict(self._files("layouts"))

    @cached_property
    def highlights(self) -> dict[str, list[str]]:
        """The fields of compact layouts by object, the one that is the object's title first."""
        return {
            sobject: dict(self._files(f"objects/{sobject}/compactLayouts"))[assigned].texts(
                "fields"
            )
            for sobject, part in self._objects.items()
            if (assigned := part.text("compactLayoutAssignment"))
        }

    def list_views(self, sobject: str) -> dict[str, Part]:
        """The list views of an object by name."""
        return dict(self._files(f"objects/{sobject}/listViews"))

    @cached_property
    def app(self) -> str:
        """The label of the app; empty where the package brings none."""
        return next((part.text("label") for _, part in self._files("applications")), "")

    @cached_property
    def tabs(self) -> list[str]:
        """The objects that the app has tabs for, in order."""
        return [
            tab.removeprefix("standard-")
            for _, part in self._files("applications")
            for tab in part.texts("tabs")
        ]

    @cached_property
    def _objects(self) -> dict[str, Part]:
        return {
            path.parent.name: Part.read(path)
            for folder in self._folders
            for path in sorted(folder.glob("objects/*/*.object-meta.xml"))
        }

    def _paths(self, directory: str) -> dict[str, Path]:
        """The files of a directory by the full name of what each describes."""
        return {
            path.name.removesuffix("-meta.xml").rpartition(".")[0]: path
            for folder in self._folders
            for path in sorted((folder / directory).glob("*-meta.xml"))
        }

    def _files(self, directory: str) -> Iterator[tuple[str, Part]]:
        return ((name, Part.read(path)) for name, path in self._paths(directory).items())
