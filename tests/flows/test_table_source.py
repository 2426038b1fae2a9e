"""Files by their address: only what the settings allow, and no further than they say."""

import gzip
import tracemalloc
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from invoicing.errors import Rejected, TransientError
from invoicing.settings import settings
from sandbox.common.serve import running
from tasks.drafting.table_source import MAX_BYTES, read_file_at

TABLE = b"customer,text,price\nGlobex,Work,10\n"
BOMB = gzip.compress(b" " * 20 * MAX_BYTES)


def _answer(request: Request) -> Response:
    match request.path_params["name"]:
        case "november.csv":
            return Response(TABLE)
        case "away":
            return RedirectResponse("/secret/salaries.csv")
        case "large":
            return Response(b"x" * (MAX_BYTES + 1))
        case "packed.csv":
            return Response(gzip.compress(TABLE), headers={"Content-Encoding": "gzip"})
        case "bomb":
            return Response(BOMB, headers={"Content-Encoding": "gzip"})
        case "bomb in a bomb":
            packed = gzip.compress(BOMB)
            return Response(packed, headers={"Content-Encoding": "gzip, gzip"})
        case "garbled":
            return Response(TABLE, headers={"Content-Encoding": "gzip"})
        case "busy":
            return Response(status_code=503)
    return Response(status_code=404)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server of files; some of them are nobody's business here."""
    routes = [
        Route("/invoices/{name:path}", _answer),
        Route("/secret/{name:path}", lambda _: Response(b"secret")),
        Route("/invoices-of-others/{name:path}", lambda _: Response(b"secret")),
    ]
    with running(lambda _: Starlette(routes=routes)) as url:
        yield url


@pytest.fixture
def allowed(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one folder of it that the settings allow."""
    monkeypatch.setenv("INVOICING_TABLES__URLS", f"{server}/invoices")
    settings.cache_clear()
    return f"{server}/invoices"


def test_a_file_by_its_address(allowed: str) -> None:
    """Below what is allowed."""
    assert read_file_at(f"{allowed}/november.csv?token=1") == TABLE


def test_a_file_that_is_packed_on_its_way(allowed: str) -> None:
    """Some servers keep it so, and ask nobody."""
    assert read_file_at(f"{allowed}/packed.csv") == TABLE


@pytest.mark.parametrize(
    ("name", "reason"),
    [("bomb", "more than 10 MB"), ("bomb in a bomb", "packed in a way .* gzip, gzip")],
)
def test_a_small_answer_that_unpacks_to_a_large_one(allowed: str, name: str, reason: str) -> None:
    """It is unpacked no further than a file may be long."""
    tracemalloc.start()
    try:
        with pytest.raises(Rejected, match=reason):
            read_file_at(f"{allowed}/{name}")
        assert tracemalloc.get_traced_memory()[1] < 5 * MAX_BYTES
    finally:
        tracemalloc.stop()


def test_nothing_is_read_unless_it_is_allowed(server: str) -> None:
    """Closed by default, and no secret of an address is told."""
    with pytest.raises(Rejected, match="do not allow to read") as refusal:
        read_file_at(f"{server}/invoices/november.csv?token=hidden")
    assert "hidden" not in str(refusal.value)


@pytest.mark.parametrize(
    "place",
    [
        "{server}/secret/salaries.csv",
        "{server}/invoices-of-others/x.csv",
        "{server}/invoices/../secret/salaries.csv",
        "{server}/invoices/%2e%2e/secret/salaries.csv",
        "{server}/invoices/%252e%252e/secret/salaries.csv",
        "{server}/invoices/..%5csecret/salaries.csv",
        "{secure}/invoices/november.csv",
        "http://169.254.169.254/invoices/november.csv",
        "http://user@{host}/invoices/november.csv",
        "http://{host}@example.com/invoices/november.csv",
        "{server}1/invoices/november.csv",
        "file:///etc/passwd",
        "ftp://{host}/invoices/november.csv",
    ],
)
def test_addresses_that_are_not_below_it(allowed: str, place: str) -> None:
    """Another folder, host, port, scheme or user, however it is written."""
    server = allowed.removesuffix("/invoices")
    host = server.removeprefix("http://")
    with pytest.raises(Rejected, match=r"do not allow|no address"):
        read_file_at(place.format(server=server, host=host, secure=server.replace("http", "https")))


@pytest.mark.parametrize(
    ("name", "error", "reason"),
    [
        ("away", Rejected, "leads elsewhere .* is not followed"),
        ("large", Rejected, "more than 10 MB"),
        ("none.csv", Rejected, "answers 404: there is no file"),
        ("garbled", TransientError, "cannot be read"),
        ("busy", TransientError, "answers 503"),
    ],
)
def test_answers_that_are_no_file(
    allowed: str, name: str, error: type[Exception], reason: str
) -> None:
    """A server that leads elsewhere is not followed; one that is away is asked again."""
    with pytest.raises(error, match=reason):
        read_file_at(f"{allowed}/{name}")
