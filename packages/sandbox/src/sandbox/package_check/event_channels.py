"""Channels of change events: their members are objects, and somebody may listen to each.

Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/
meta_platformeventchannel.htm and meta_platformeventchannelmember.htm of the same guide; Change Data
Capture Developer Guide, "Required Permissions for Receiving Change Events" (View All Records of the
object).
"""

from __future__ import annotations

from collections.abc import Iterator

from sandbox.package_check.findings import Findings
from sandbox.package_check.org import Org
from sandbox.package_check.source import Component, Package

STANDARD_CHANNEL = "ChangeEvents"


def check_event_channels(package: Package, org: Org, findings: Findings) -> None:
    """Check every channel that a package directory brings, and every member of one."""
    for component in package.own():
        if component.kind == "PlatformEventChannel":
            for wrong in _channel_mistakes(component, package):
                findings.expect(not wrong, f"{component.path}: {wrong}")
        if component.kind == "PlatformEventChannelMember":
            for wrong in _member_mistakes(component, package, org):
                findings.expect(not wrong, f"{component.path}: {wrong}")


def _channel_mistakes(channel: Component, package: Package) -> Iterator[str]:
    yield "" if channel.name.endswith("__chn") else "the name of a channel ends in __chn."
    kind = channel.text("channelType")
    yield "" if kind == "data" else f"channels of type {kind} are not known here."
    members = [m.text("eventChannel") for m in package.all("PlatformEventChannelMember")]
    yield "" if channel.name in members else "nothing is on this channel."


def _member_mistakes(member: Component, package: Package, org: Org) -> Iterator[str]:
    channel, entity = member.text("eventChannel"), member.text("selectedEntity")
    there = channel == STANDARD_CHANNEL or package.has("PlatformEventChannel", channel)
    yield "" if there else f"there is no channel {channel}."
    sobject = event_source(entity)
    yield "" if org.sobject(sobject) else f"there is no object whose changes are {entity}."
    granted = [
        rights
        for permissions in package.all("PermissionSet")
        for rights in permissions.root.iterfind("objectPermissions")
        if rights.findtext("object") == sobject and rights.findtext("viewAllRecords") == "true"
    ]
    yield "" if granted else f"no permission set lets anybody view all records of {sobject}."


def event_source(change_event: str) -> str:
    """The object whose changes an event such as ``Thing__ChangeEvent`` tells."""
    stem = change_event.removesuffix("ChangeEvent")
    return f"{stem}c" if stem.endswith("__") else stem
