"""Fetching packages of the npm registry into a cache folder, each once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

HOME = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
CACHE = Path(os.environ.get("SANDBOX_CACHE", HOME / "salesforce-stripe-invoices"))
"""Where everything that is fetched stays."""


def installed(package: str, version: str, *beside: str) -> Path | str:
    """Return the folder a package's ``node_modules`` is in, or why there is none.

    Args:
        package: Its name in the npm registry.
        version: Its version.
        beside: What is to be installed with it, each with its version.
    """
    name = f"{package.strip('@').replace('/', '-')}-{version}"
    return _installed(name, {}, [f"{package}@{version}", *beside])


def installed_of(manifest: Path) -> Path | str:
    """Return the folder where what a ``package.json`` depends on is, or why there is none."""
    text = manifest.read_bytes()
    name = f"{json.loads(text)['name']}-{hashlib.sha256(text).hexdigest()[:12]}"
    return _installed(name, {manifest.name: text}, [])


def _installed(name: str, files: dict[str, bytes], wanted: list[str]) -> Path | str:
    folder = CACHE / name
    if (folder / "node_modules").is_dir():
        return folder
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "node and npm are not installed"
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, ignore_cleanup_errors=True) as temporary:
        for file, content in files.items():
            (Path(temporary) / file).write_bytes(content)
        command = [
            program("npm"), "install", "--no-audit", "--no-fund", "--no-save", "--no-package-lock",
            "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000",
            "--prefix", temporary, *wanted,
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if ran.returncode:
            return f"npm install failed: {ran.stderr[-300:]}"
        with suppress(OSError):  # another process was as quick
            Path(temporary).rename(folder)
    return folder


def program(name: str) -> str:
    """Return where a program is."""
    return shutil.which(name) or name
