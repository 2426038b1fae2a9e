"""The image, built by the steps of its Dockerfile from a plain Debian, and its programs.

No registry is asked: both bases are made here, one of Debian's packages, one of the uv that is
installed. Steps run in a chroot, and so do the programs: their root cannot be written to, they are
not root and have no capabilities, as the compose file has it.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deployments.local.stack import ROOT
from tests.test_wheels import uv

PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap", "setpriv": "util-linux"}
"""Programs that are none of the lock's, and the packages of Debian's that have them."""
DEBIAN = "bookworm"  # whose Python is of the version of the Dockerfile's base
DOCKERFILE = ROOT / "deployments/containers/Dockerfile"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PROGRAMS = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
ENTER = """
set -e
root=$1 volume=$2; shift 2
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind "$volume" "$root/var/lib/invoicing"
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
exec chroot "$root" "$@"
"""


def missing_packages() -> str:
    """What has to be installed before this can run, as words for `apt-get install`."""
    return " ".join(package for program, package in PACKAGES.items() if not shutil.which(program))


class Image:
    """An image that was built, and a container of it."""

    def __init__(self, folder: Path) -> None:
        """Build it.

        Args:
            folder: Where images, the container and its volume lie.
        """
        self._folder = folder
        self._volume = folder / "volume"
        self._volume.mkdir()
        self._make_bases()
        cache = subprocess.check_output([uv(), "cache", "dir"], text=True).strip()
        self._buildah(
            *("bud", "--pull-never", "--file", str(DOCKERFILE), "--tag", "invoicing"),
            *("--build-arg", "PYTHON=localhost/python", "--build-arg", "UV=localhost/uv"),
            *("--volume", f"{cache}:/root/.cache/uv", str(ROOT)),
        )
        told = json.loads(self._buildah("inspect", "--type", "image", "invoicing"))
        self._config = told["OCIv1"]["config"]
        container = self._buildah("from", "--pull-never", "localhost/invoicing")
        self._root = self._buildah("mount", container)
        os.chown(self._volume, int(self.user), int(self.user))

    def remove(self) -> None:
        """Unmount the container and delete it, and all images."""
        self._buildah("rm", "--all")
        self._buildah("rmi", "--all", "--force")

    @property
    def user(self) -> str:
        """The number of the user that programs run as."""
        return str(self._config["User"])

    @property
    def variables(self) -> dict[str, str]:
        """What the image sets, and the home that a container has of its user."""
        given = dict(variable.split("=", 1) for variable in self._config["Env"])
        return {"HOME": "/var/lib/invoicing"} | given

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command that runs a command in the container."""
        enter = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", ENTER, "sh"]
        ids = [f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]
        none = ["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
        there = ["/usr/bin/env", f"--chdir={self._config['WorkingDir']}"]
        setpriv = ["/usr/bin/setpriv", *ids, *none, "--"]
        return [*enter, self._root, str(self._volume), *setpriv, *there, *command]

    def _make_bases(self) -> None:
        plain = self._folder / "plain"
        options = ["--variant=minbase", "--include=python3,python3-venv,ca-certificates"]
        _run(["debootstrap", *options, DEBIAN, str(plain)])
        shutil.copy(CERTIFICATES, plain / CERTIFICATES.relative_to("/"))  # whom we trust here
        self._base("python", plain, PATH=PROGRAMS, SSL_CERT_FILE=str(CERTIFICATES))
        shutil.rmtree(plain)
        copied = self._folder / "uv"
        copied.mkdir()
        shutil.copy(shutil.which(uv()) or uv(), copied / "uv")
        self._base("uv", copied)

    def _base(self, name: str, folder: Path, **variables: str) -> None:
        container = self._buildah("from", "scratch")
        self._buildah("add", container, str(folder), "/")
        settings = [word for pair in variables.items() for word in ("--env", "=".join(pair))]
        self._buildah("config", *settings, container)
        self._buildah("commit", "--rm", container, f"localhost/{name}")

    def _buildah(self, *command: str) -> str:
        where = ["--root", f"{self._folder}/storage", "--runroot", f"{self._folder}/run"]
        return _run(["buildah", *where, *command])


def _run(command: Sequence[str]) -> str:
    """Run a program, and return what it says."""
    chroot = os.environ | {"BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(command, env=chroot, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout.strip()
