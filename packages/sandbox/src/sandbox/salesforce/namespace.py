"""A profile: an org that has installed the package from somewhere, under a namespace.

Everything that the package brings is called ``acme__Thing__c`` there, for whoever looks from
outside: in describe, SOQL, REST, Bulk and change events. Inside a package nobody writes the prefix,
so a copy of its source is made in which all names have it. What has a namespace beside its name,
and not in it, keeps its name: permission sets, flows, groups, kinds of notifications. Sources: REST
API Developer Guide, "Call Options Header" (without the header, a field is written with its prefix;
describe ignores the header); Metadata API Developer Guide, "Metadata" (a prefix of one to fifteen
characters); Object Reference, "CustomNotificationType", "PermissionSet" (NamespacePrefix).
Components name objects and fields by what they import, which is resolved with the package's prefix
(https://developer.salesforce.com/docs/platform/lwc/guide/apex-schema.html); texts in their code
stay as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

_OURS = re.compile(r"\b(?!\w+?__\w+?__)([A-Za-z]\w*?__(?:c|r|e|mdt|chn|ChangeEvent))\b")
_IMPORTED = re.compile(r"@salesforce/schema/[\w.]+")
_CHILDREN = re.compile(r"(<relationshipName>)(?=\w)")
_VALID = re.compile(r"[A-Za-z](?:_?[A-Za-z0-9]){0,14}")

_copies: list[TemporaryDirectory[str]] = []
"""Kept for as long as the process lives: flows are read when they are first run."""


def check_namespace(namespace: str) -> str:
    """A namespace as Salesforce takes it.

    Raises:
        ValueError: It is none: at most 15 letters and digits, single underscores between them.
    """
    if not _VALID.fullmatch(namespace) or len(namespace) > 15:
        raise ValueError(f"{namespace!r} is no namespace")
    return namespace


def prefixed(text: str, namespace: str) -> str:
    """A name, or a text with names in it, as seen from outside the package."""
    return _OURS.sub(rf"{namespace}__\g<1>", text) if namespace else text


def installed(metadata: Path, namespace: str) -> Path:
    """A copy of a package's source in which everything has the prefix."""
    _copies.append(TemporaryDirectory(prefix=f"{check_namespace(namespace)}-"))
    copy = Path(_copies[-1].name)
    for path in metadata.rglob("*.xml"):
        target = copy / prefixed(str(path.relative_to(metadata)), namespace)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = prefixed(path.read_text(encoding="utf-8"), namespace)
        target.write_text(_CHILDREN.sub(rf"\g<1>{namespace}__", text), encoding="utf-8")
    for path in metadata.glob("lwc/*/*.*"):
        if path.suffix != ".xml":
            text = path.read_text(encoding="utf-8")
            imported = _IMPORTED.sub(lambda found: prefixed(found[0], namespace), text)
            (copy / path.relative_to(metadata)).write_text(imported, encoding="utf-8")
    return copy
