"""A Lightning web component in one file for browsers, with its engine and what it imports.

The component is compiled as it is, by the compiler that Salesforce publishes, and runs on the
engine that Salesforce publishes (https://github.com/salesforce/lwc). What the platform brings
beside them is not published: ``modules`` has it, as far as it is documented and used.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from pathlib import Path

from sandbox.common.npm import CACHE, installed, program

VERSION = "8.28.2"
"""Of compiler and engine."""

TOOLS = ("@lwc/rollup-plugin", VERSION, f"@lwc/engine-dom@{VERSION}", "rollup@4.62.0")

HERE = Path(__file__).parent
BUILD = HERE / "build.mjs"
MODULES = HERE / "modules"

PLATFORM = {
    "lwc": frozenset(["LightningElement", "api", "track", "wire"]),
    "lightning/uiRecordApi": frozenset(
        ["getFieldValue", "getRecord", "notifyRecordUpdateAvailable"]
    ),
}
"""What components can import here, by module; fields of ``@salesforce/schema`` besides."""

_one_at_a_time = threading.Lock()


class NotBuilt(Exception):
    """A component that cannot be shown; the message says why."""


def bundle_of(component: Path) -> bytes:
    """Return a component as an ES module that exports ``Component`` and ``createElement``.

    It is kept until a file of it changes. The first call installs what it is built with, from npm.

    Args:
        component: Its folder.

    Raises:
        NotBuilt: Node or npm is not there, npm has nothing, or the component does not compile.
    """
    with _one_at_a_time:
        built = CACHE / "components" / f"{component.name}-{_content(component)}.js"
        if not built.is_file():
            tools = installed(*TOOLS)
            if isinstance(tools, str):
                raise NotBuilt(tools)
            draft = built.with_suffix(f".{os.getpid()}")
            command: list[str | Path] = [program("node"), BUILD, tools, component, MODULES, draft]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if ran.returncode:
                raise NotBuilt(ran.stderr[-1000:])
            draft.replace(built)
        return built.read_bytes()


def _content(component: Path) -> str:
    """A fingerprint of everything that a bundle is made of."""
    files = [BUILD, *sorted(MODULES.glob("*.js")), *sorted(component.glob("*.*"))]
    content = b"".join(path.name.encode() + path.read_bytes() for path in files)
    return hashlib.sha256(content + VERSION.encode()).hexdigest()[:16]
