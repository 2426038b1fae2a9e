"""Files of tables: from folders and addresses that the settings allow, and from nowhere else."""

import gzip
import io
import zlib
from pathlib import Path
from urllib.parse import unquote

import httpx

from invoicing.errors import Rejected, TransientError
from invoicing.settings import settings

MAX_BYTES = 10_000_000
"""The largest file that is read."""

TIMEOUT_SECONDS = 30.0


def read_file_at(place: str) -> bytes:
    """A file's content.

    Args:
        place: A path on the worker's disk, or an address (https).

    Raises:
        Rejected: the settings do not allow it, or it is not there.
        TransientError: its server is away.
    """
    return _fetch(place) if "://" in place else _read(place)


def _read(place: str) -> bytes:
    folders = [folder.resolve() for folder in settings().tables.folders]
    if not folders:
        raise Rejected(
            "Files are not read: no folder is allowed (INVOICING_TABLES__FOLDERS). Paste the "
            "table as CSV, or ask whoever runs this to allow one."
        )
    allowed = [path for folder in folders if (path := _inside(folder, place.strip()))]
    if not allowed:
        raise Rejected(
            f"There is no file {place!r} in the folders that are allowed "
            f"({', '.join(map(str, folders))})."
        )
    with allowed[0].open("rb") as file:
        return _small(file.read(MAX_BYTES + 1))


def _inside(folder: Path, place: str) -> Path | None:
    """A file of a folder; links are followed first, so that none leads out of it."""
    try:
        path = (folder / place).resolve()
        return path if path.is_relative_to(folder) and path.is_file() else None
    except (OSError, ValueError):  # too long for a name, or no name at all
        return None


def _small(content: bytes) -> bytes:
    if len(content) > MAX_BYTES:
        raise Rejected(f"The file has more than {MAX_BYTES // 1_000_000} MB. Divide it.")
    return content


def _fetch(place: str) -> bytes:
    """The answer of an address; where it leads elsewhere is not followed."""
    try:
        url = httpx.URL(place.strip())
    except httpx.InvalidURL:
        raise Rejected(f"{place!r} is no address that can be read.") from None
    shown = str(url.copy_with(query=None, userinfo=b""))
    if not any(is_below(url, httpx.URL(allowed)) for allowed in settings().tables.urls):
        raise Rejected(
            f"The settings do not allow to read {shown} (INVOICING_TABLES__URLS). Paste the table "
            "as CSV, or ask whoever runs this to allow the address."
        )
    content = b""
    try:
        with httpx.stream(
            "GET",
            url,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            headers={"Accept-Encoding": "identity"},
        ) as answer:
            _check_status(answer.status_code, shown)
            for part in answer.iter_raw():
                content = _small(content + part)
        return _small(_unpacked(content, answer.headers.get("Content-Encoding", ""), shown))
    except (httpx.HTTPError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise TransientError(f"{shown} cannot be read: {error}.") from error


def _unpacked(content: bytes, packing: str, shown: str) -> bytes:
    """What some servers send packed unasked, as far as it may be long.

    An HTTP client unpacks each piece as a whole: a small one can hold gigabytes.
    """
    match packing.strip().lower():
        case "" | "identity":
            return content
        case "gzip" | "x-gzip":
            return gzip.GzipFile(fileobj=io.BytesIO(content)).read(MAX_BYTES + 1)
    raise Rejected(f"{shown} is packed in a way that is not read here: {packing}.")


def _check_status(status: int, shown: str) -> None:
    if status >= 500 or status == 429:
        raise TransientError(f"{shown} answers {status}.", answered=True)
    if status >= 400:
        raise Rejected(f"{shown} answers {status}: there is no file, or it may not be read.")
    if status != 200:
        raise Rejected(
            f"{shown} leads elsewhere (it answers {status}), which is not followed; give the "
            "address of the file itself."
        )


def is_below(url: httpx.URL, allowed: httpx.URL) -> bool:
    """Whether an address has the scheme, host and port of an allowed one, and is in its folder."""
    same = (url.scheme, url.host, url.port) == (allowed.scheme, allowed.host, allowed.port)
    steps = unquote(unquote(url.path)).replace("\\", "/").split("/")
    folder = allowed.path if allowed.path.endswith("/") else f"{allowed.path}/"
    inside = url.path == allowed.path or url.path.startswith(folder)
    return same and inside and not url.userinfo and not {".", ".."} & set(steps)
