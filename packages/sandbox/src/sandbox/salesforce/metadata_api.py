"""The Metadata API: what the org's components are, retrieved as a ZIP file and deployed from one.

A retrieve and a deploy are over at once; asked for how they are, they say InProgress as often as
``pending_polls`` has it. Sources: Metadata API Developer Guide, "File-Based Calls" and "Utility
Calls"; the types of simple-salesforce's ``metadata.wsdl``.
"""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from starlette.responses import Response

from sandbox.salesforce.deployment import MANIFEST, Deployment, Message, deploy
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.metadata_components import (
    FOLDERS,
    IN_FOLDERS,
    NAMESPACE,
    OF_AN_OBJECT,
    TYPES,
    WITH_SOURCE,
    Component,
    manifest,
    read_folders,
    read_manifest,
    to_files,
    without_namespaces,
)
from sandbox.salesforce.oauth import Sessions
from sandbox.salesforce.org import API_VERSION, Org
from sandbox.salesforce.soap import envelope, fault, refusal

Value: TypeAlias = "str | bool | int | dict[str, Any] | list[Any] | None"
"""What an element holds: a text, others by their names, or several of its name."""

_PARTS = {
    "CustomObject": sorted(OF_AN_OBJECT),
    "CustomLabels": ["CustomLabel"],
}


class MetadataApi:
    """The calls of the Metadata API that clients make to retrieve and to deploy.

    Args:
        org: Whose metadata.
        sessions: Who may call.
    """

    def __init__(self, org: Org, sessions: Sessions) -> None:
        self._org = org
        self._sessions = sessions
        self._results: dict[str, dict[str, Any]] = {}
        self._polls: dict[str, int] = {}
        self._number = 0
        self.pending_polls = 0

    def clear(self) -> None:
        """Forget what was retrieved and deployed."""
        self._results.clear()
        self._polls.clear()
        self.pending_polls = 0

    def answer(self, content: bytes) -> Response:
        """Answer a request."""
        try:
            request = without_namespaces(content)  # of which clients have some and not others
        except ET.ParseError as error:
            return fault("soapenv:Client", str(error))
        token = request.findtext(".//sessionId", "")
        try:
            token = self._sessions.check(f"Bearer {token}")
        except SalesforceError as error:
            return refusal(error)
        body = request.find("Body")
        call = body[0] if body is not None and len(body) else ET.Element("nothing")
        name = call.tag
        calls: dict[str, Callable[[ET.Element], Value]] = {
            "describeMetadata": self._describe,
            "listMetadata": self._list,
            "retrieve": self._retrieve,
            "checkRetrieveStatus": self._check,
            "deploy": self._deploy,
            "checkDeployStatus": self._check,
        }
        if name not in calls:
            return fault("soapenv:Client", f"{name} is not carried here")
        person = self._org.people.get(self._sessions.whose(token))
        if not self._org.may_modify_metadata(person):
            code = "INSUFFICIENT_ACCESS"
            message = (
                "use of the Metadata API requires a user with the ModifyAllData or ModifyMetadata "
                "permissions"  # as in forcedotcom/code-builder-feedback#66
            )
            return fault(f"sf:{code}", f"{code}: {message}")
        with self._org.asked_by(person):
            try:
                result = calls[name](call)
            except SalesforceError as error:
                return refusal(error)
        response = ET.Element(f"{name}Response", xmlns=NAMESPACE)
        _put(response, "result", result)
        return envelope(response, 200)

    # -- what there is

    def _describe(self, _: ET.Element) -> Value:
        return {
            "metadataObjects": [
                {
                    "childXmlNames": _PARTS.get(kind, []),
                    "directoryName": directory,
                    "inFolder": kind in IN_FOLDERS,
                    "metaFile": False,
                    "suffix": None if kind in WITH_SOURCE else suffix,
                    "xmlName": kind,
                }
                for suffix, (kind, directory) in TYPES.items()
                if kind not in OF_AN_OBJECT and kind not in FOLDERS
            ],
            "organizationNamespace": "",
            "partialSaveAllowed": True,
            "testRequired": False,
        }

    def _list(self, call: ET.Element) -> Value:
        kinds = {query.findtext("type") for query in call.iterfind("queries")}
        return [self._properties(c) for c in self._components() if c.kind in kinds]

    def _components(self) -> list[Component]:
        return read_folders(self._org.metadata_folders)

    def _properties(self, component: Component) -> dict[str, Any]:
        return self._file(component.file, component.name, component.kind)

    def _file(self, path: str, name: str, kind: str) -> dict[str, Any]:
        now, user = self._org.now(), self._org.user_id
        return {
            "createdById": user,
            "createdByName": "Integration User",
            "createdDate": now,
            "fileName": path,
            "fullName": name,
            "id": "",
            "lastModifiedById": user,
            "lastModifiedByName": "Integration User",
            "lastModifiedDate": now,
            "manageableState": "unmanaged",
            "type": kind,
        }

    # -- retrieving

    def _retrieve(self, call: ET.Element) -> Value:
        """What is there, and a message for each name that is not: it succeeds all the same.

        Sources: an org's answer of 2023 that SFDO-Tooling/CumulusCI keeps
        (``cumulusci/tasks/salesforce/tests/test_Deploy.py``, ``test_collision_check_negative``);
        forcedotcom/cli#7 (``singlePackage``).
        """
        asked = call.find(".//unpackaged")
        wanted = read_manifest(asked) if asked is not None else []
        alone = (call.findtext(".//singlePackage") or "").lower() == "true"
        found, missing = self._found(wanted)
        files = to_files(found)
        manifest_file = MANIFEST if alone else f"unpackaged/{MANIFEST}"
        files[MANIFEST] = manifest((next(c.members) for c in found), API_VERSION)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name if alone else f"unpackaged/{name}", content)
        result = {
            "done": True,
            "fileProperties": [
                *(self._properties(component) for component in found),
                self._file(manifest_file, manifest_file, "Package"),
            ],
            "messages": [
                {
                    "fileName": manifest_file,
                    "problem": f"Entity of type '{kind}' named '{name}' cannot be found",
                }
                for kind, name in missing
            ],
            "status": "Succeeded",
            "success": True,
            "zipFile": base64.b64encode(packed.getvalue()).decode(),
        }
        return self._begun("09S", result)

    def _found(
        self, wanted: Sequence[tuple[str, str]]
    ) -> tuple[list[Component], list[tuple[str, str]]]:
        """The components that are asked for, and what is asked for and not there.

        An object comes with its parts; names may be encoded as files' names are, or not.
        """
        found: dict[str, Component] = {}
        missing = []
        for kind, name in wanted:
            ours = [c for c in self._components() if _is_meant(c, kind, unquote(name))]
            found |= {component.source: component for component in ours}
            if not ours and name != "*":
                missing.append((kind, name))
        return list(found.values()), missing

    # -- deploying

    def _deploy(self, call: ET.Element) -> Value:
        def said(option: str) -> bool:
            return (call.findtext(f".//{option}") or "").lower() == "true"

        content = base64.b64decode(call.findtext("ZipFile", ""))
        done = deploy(self._org, content, check_only=said("checkOnly"))
        return self._begun("0Af", self._deploy_result(done))

    def _deploy_result(self, done: Deployment) -> dict[str, Any]:
        now = self._org.now()
        good = [m for m in done.messages if not m.problem]
        if not done.succeeded:
            good = [replace(m, created=False, changed=False) for m in good]
        return {
            "checkOnly": done.check_only,
            "completedDate": now,
            "createdBy": self._org.user_id,
            "createdByName": "Integration User",
            "createdDate": now,
            "details": {
                "componentFailures": [_message(m, now) for m in done.problems],
                "componentSuccesses": [_message(m, now) for m in good],
                "runTestResult": {"numFailures": 0, "numTestsRun": 0, "totalTime": 0},
            },
            "done": True,
            "errorMessage": done.error or None,
            "errorStatusCode": "UNKNOWN_EXCEPTION" if done.error else None,
            "ignoreWarnings": False,
            "lastModifiedDate": now,
            "numberComponentErrors": len(done.problems),
            "numberComponentsDeployed": len(good),
            "numberComponentsTotal": len(done.messages),
            "numberTestErrors": 0,
            "numberTestsCompleted": 0,
            "numberTestsTotal": 0,
            "rollbackOnError": True,
            "runTestsEnabled": False,
            "startDate": now,
            "status": "Succeeded" if done.succeeded else "Failed",
            "success": done.succeeded,
        }

    # -- how far it is

    def _begun(self, prefix: str, result: dict[str, Any]) -> Value:
        self._number += 1
        process = make_id(prefix, self._number)
        self._results[process] = result | {"id": process}
        self._polls[process] = self.pending_polls
        return {"done": False, "id": process, "state": "Queued"}

    def _check(self, call: ET.Element) -> Value:
        process = call.findtext("asyncProcessId", "")
        if process not in self._results:
            raise SalesforceError(
                "INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", status=500
            )
        result = self._results[process]
        if self._polls[process]:
            self._polls[process] -= 1
            hidden = ("details", "fileProperties", "messages", "zipFile", "completedDate")
            kept = {name: value for name, value in result.items() if name not in hidden}
            return kept | {"done": False, "status": "InProgress", "success": False}
        if (call.findtext("includeZip") or "").lower() == "false":
            return {name: value for name, value in result.items() if name != "zipFile"}
        return result


def _is_meant(component: Component, kind: str, name: str) -> bool:
    named = unquote(component.name)
    if kind == component.kind or kind == FOLDERS.get(component.kind):
        return name in ("*", named)
    if kind == "CustomObject" and component.kind in OF_AN_OBJECT:
        return name in ("*", named.partition(".")[0])
    return (kind, name) in set(component.members)


def _message(message: Message, now: str) -> dict[str, Any]:
    return {
        "changed": message.changed,
        "componentType": message.kind,
        "created": message.created,
        "createdDate": now,
        "deleted": False,
        "fileName": message.file,
        "fullName": message.name,
        "problem": message.problem or None,
        "problemType": "Error" if message.problem else None,
        "success": not message.problem,
    }


def _put(parent: ET.Element, name: str, value: Value) -> None:
    """Write what an element holds; nothing is left out, several stand one after the other."""
    if value is None:
        return
    if isinstance(value, list):
        for one in value:
            _put(parent, name, one)
        return
    element = ET.SubElement(parent, name)
    if isinstance(value, dict):
        for inner, held in value.items():
            _put(element, inner, held)
    elif isinstance(value, bool):
        element.text = str(value).lower()
    else:
        element.text = str(value)
