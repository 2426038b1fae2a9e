"""What production installs is written down, and held to allowed licences and known advisories."""

import json
import os
import ssl
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command of the project, as CI gives it."""
    alone = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        command, cwd=ROOT, env=alone | variables, capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_every_package_of_production_is_in_the_sbom() -> None:
    """With its version, and nothing of development."""
    done = run("make", "sbom")
    assert done.returncode == 0, done.stdout + done.stderr
    bom = json.loads((ROOT / ".cache/sbom.cdx.json").read_text())
    found = {(canonicalize_name(each["name"]), each["version"]) for each in bom["components"]}
    assert (bom["bomFormat"], found) == ("CycloneDX", locked())


def locked() -> set[tuple[str, str]]:
    """Names and versions of the lock of production, those for this machine."""
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    given = [Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum()]
    return {
        (canonicalize_name(each.name), str(each.specifier).removeprefix("=="))
        for each in given
        if each.marker is None or each.marker.evaluate()
    }


@pytest.mark.parametrize(("licence", "status"), [("AGPL-3.0-only", 1), ("MIT", 0)])
def test_a_licence_that_is_not_allowed_is_refused(
    tmp_path: Path, licence: str, status: int
) -> None:
    """By the list in pyproject.toml."""
    venv.create(tmp_path)
    [packages] = tmp_path.glob("lib/python*/site-packages")
    (packages / "theirs-1.0.dist-info").mkdir()
    (packages / "theirs-1.0.dist-info/METADATA").write_text(
        f"Metadata-Version: 2.4\nName: theirs\nVersion: 1.0\nLicense-Expression: {licence}\n"
    )
    licences = Path(sys.executable).parent / "pip-licenses"
    done = run(str(licences), "--python", str(tmp_path / "bin/python"), "--from", "mixed")
    assert done.returncode == status, done.stderr
    assert (licence in done.stderr) == bool(status)


@pytest.mark.long
def test_what_was_not_looked_at_is_not_good() -> None:
    """Where advisories cannot be had, the check fails; it never says that nothing is known."""
    done = audit("http://127.0.0.1:9")
    assert done.returncode != 0
    assert "No known vulnerabilities found" not in done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    ("vulnerable", "status", "words"),
    [
        ([], 2, "not even of jinja2==2.10"),
        (["jinja2/2.10"], 0, "No known vulnerabilities found"),
        (["jinja2/2.10", "httpx/"], 2, "Found 1 known vulnerability in 1 package"),
    ],
)
def test_the_check_tells_what_is_known_from_a_mirror_that_knows_nothing(
    tmp_path: Path, vulnerable: list[str], status: int, words: str
) -> None:
    """A mirror may have the packages and none of the advisories; to that, all would be good."""
    with pypi(tmp_path, vulnerable) as proxy:
        done = audit(proxy, REQUESTS_CA_BUNDLE=str(tmp_path / "certificate.pem"))
    assert done.returncode == status, done.stdout + done.stderr
    assert words in done.stdout + done.stderr


def audit(proxy: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """The check, which reaches PyPI by a proxy."""
    return run("make", "audit", HTTPS_PROXY=proxy, https_proxy=proxy, **variables)


@contextmanager
def pypi(folder: Path, vulnerable: list[str]) -> Iterator[str]:
    """A proxy behind which PyPI knows of vulnerabilities in some packages; its URL."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    made = ["openssl", "req", "-x509", "-nodes", "-newkey", "rsa:2048", "-days", "2"]
    named = ["-subj", "/CN=pypi.org", "-addext", "subjectAltName=DNS:pypi.org"]
    done = run(*made, *named, "-keyout", str(key), "-out", str(certificate))
    assert done.returncode == 0, done.stderr
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    known = {"id": "PYSEC-1", "aliases": [], "fixed_in": [], "summary": "Bad.", "details": "Bad."}

    class Proxy(StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():  # CONNECT pypi.org:443, and its headers
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            with tls.wrap_socket(self.connection, server_side=True) as wire:
                asked = wire.recv(65536).decode()
                found = [known] if any(f"/pypi/{name}" in asked for name in vulnerable) else []
                body = json.dumps({"vulnerabilities": found}).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close"
                wire.sendall(f"{head}\r\n\r\n".encode() + body)

    with ThreadingTCPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
