"""Fetching other people's work from PyPI, into a cache folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from sandbox.common.npm import CACHE


def source_distribution(package: str, version: str, member: str) -> Path | str:
    """Return one file of a package's source distribution on PyPI, or why there is none."""
    folder = CACHE / f"{package}-{version}-source"
    root = f"{package}-{version}"
    wanted = folder / root / member
    if wanted.is_file():
        return wanted
    python = next(filter(_has_pip, _pythons()), None)
    if python is None:
        return "pip is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        python, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
        "--dest", str(folder), f"{package}=={version}",
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if ran.returncode:
        return f"pip download failed: {ran.stderr[-300:]}"
    with tarfile.open(folder / f"{root}.tar.gz") as archive:
        archive.extract(f"{root}/{member}", folder, filter="data")
    return wanted


def python_packages(package: str, version: str, extra: str = "") -> Path | str:
    """Return a folder with a package from PyPI and all it needs, or why there is none."""
    folder = CACHE / f"{package}-{version}"
    if (folder / package).is_dir():
        return folder
    python = next(filter(_has_pip, _pythons()), None)
    if python is None:
        return "pip is not installed"
    wanted = f"{package}[{extra}]=={version}" if extra else f"{package}=={version}"
    command = [python, "-m", "pip", "install", "--quiet", "--target", str(folder), wanted]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return folder if ran.returncode == 0 else f"pip install failed: {ran.stderr[-300:]}"


def _pythons() -> list[str]:
    """The interpreters that may have pip; the project's own, made by uv, may not."""
    found = (shutil.which(name) for name in ("python3", "python"))
    return [sys.executable, *filter(None, found)]


def _has_pip(python: str) -> bool:
    command = [python, "-m", "pip", "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603
