"""What is not accepted, from whom, and how soon."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import stripe

from invoicing.errors import Misconfigured
from invoicing.ledger import inbox
from invoicing.receiver import server, verification
from invoicing.receiver.app import build_app
from invoicing.settings import settings
from tests.invoicing.receiver.conftest import (
    SECRET,
    SNAPSHOT,
    PrefectServer,
    deliver,
    serving,
)

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)

HEADERS = b"POST /webhooks/stripe HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"


@pytest.fixture
def wire(receiver: str) -> Iterator[socket.socket]:
    """A connection to the receiver, without a client library's good manners."""
    parts = urlsplit(receiver)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as opened:
        yield opened


def everything(wire: socket.socket) -> bytes:
    """What the receiver says until it closes the connection."""
    told = b""
    while part := wire.recv(4096):
        told += part
    return told


def test_a_forged_event_is_refused(receiver: str) -> None:
    """Nothing is written that Stripe did not sign."""
    assert deliver(receiver, SNAPSHOT, "whsec_other").status_code == 400
    assert inbox.backlog() == {}


def test_a_signature_of_strange_letters_is_refused(wire: socket.socket) -> None:
    """As any other that is not good."""
    strange = f"Stripe-Signature: t={time.time():.0f},v1=é\r\n".encode("latin-1")
    wire.sendall(HEADERS + strange + b"Content-Length: 2\r\nConnection: close\r\n\r\n{}")
    assert b" 400 " in everything(wire).partition(b"\r\n")[0]


@pytest.mark.parametrize(("age", "status"), [(290, 200), (310, 400), (-290, 200), (-310, 400)])
def test_a_signature_is_good_for_five_minutes_either_way(
    receiver: str, age: float, status: int
) -> None:
    """Old ones may be replays; one from the future could be replayed until it is old."""
    assert deliver(receiver, SNAPSHOT, age=age).status_code == status


def test_a_secret_is_rolled_without_losing_an_event(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While both are in force, Stripe signs with both; before and after, with one."""
    monkeypatch.setenv("INVOICING_STRIPE__WEBHOOK_SECRETS", '["whsec_new", "whsec_old"]')
    settings.cache_clear()
    text, stamp = json.dumps(SNAPSHOT), int(time.time())
    both = ",".join(
        stripe.WebhookSignature.generate_signature_header(text, secret, stamp)
        for secret in ("whsec_old", "whsec_unknown")
    ).replace(f",t={stamp}", "")
    with serving() as url:
        for secret, status in (("whsec_old", 200), ("whsec_new", 200), (SECRET, 400)):
            assert deliver(url, SNAPSHOT, secret).status_code == status
        assert deliver(url, SNAPSHOT, headers={"Stripe-Signature": both}).status_code == 200


def test_each_account_has_a_path_of_its_own(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two accounts on one receiver; neither can be spoken for by the other, or guessed."""
    own, other = "own-path-that-nobody-knows", "other-path-that-nobody-knows"
    monkeypatch.setenv("INVOICING_RECEIVER__TOKEN", own)
    endpoint = {"token": other, "account_id": "acct_2", "livemode": True, "secrets": ["whsec_2"]}
    monkeypatch.setenv("INVOICING_RECEIVER__ENDPOINTS", json.dumps([endpoint]))
    settings.cache_clear()
    live = SNAPSHOT | {"livemode": True}
    with serving() as url:
        assert deliver(url, SNAPSHOT, path=f"/webhooks/stripe/{own}").status_code == 200
        assert deliver(url, live, "whsec_2", path=f"/webhooks/stripe/{other}").status_code == 200
        assert deliver(url, live, path=f"/webhooks/stripe/{other}").status_code == 400
        assert deliver(url, SNAPSHOT).status_code == 404
    assert len(inbox.claim("test", account_id="acct_1", limit=10)) == 1
    assert len(inbox.claim("test", account_id="acct_2", limit=10)) == 1


def test_settings_without_a_secret_or_a_path_of_its_own_that_nobody_guesses_are_refused(
    ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, in a sentence, and not at the first event."""
    with pytest.raises(Misconfigured, match="WEBHOOK_SECRETS"):
        build_app(settings())
    with monkeypatch.context() as patch:
        patch.setenv("INVOICING_RECEIVER__TOKEN", "stripe")
        settings.cache_clear()
        with pytest.raises(Misconfigured, match="at least 20"):
            settings()
    one = {"token": "a-path-that-nobody-knows", "secrets": ["whsec_1"], "livemode": False}
    both = [one | {"account_id": account} for account in ("acct_1", "acct_2")]
    monkeypatch.setenv("INVOICING_RECEIVER__ENDPOINTS", json.dumps(both))
    settings.cache_clear()
    with pytest.raises(Misconfigured, match="have the same token"):
        build_app(settings())


@pytest.mark.parametrize("change", [{"livemode": True}, {"account": "acct_other"}])
def test_an_event_of_another_world_is_refused(receiver: str, change: dict[str, object]) -> None:
    """Test events never reach a live ledger, nor one account's another's."""
    answer = deliver(receiver, SNAPSHOT | change)
    assert (answer.status_code, inbox.backlog()) == (400, {})
    assert "another account or mode" in answer.text


@pytest.mark.parametrize("body", [{"object": "teapot"}, {"object": "event", "data": []}, {}])
def test_junk_is_refused(receiver: str, body: dict[str, object]) -> None:
    """Signed, and yet no event."""
    assert deliver(receiver, body).status_code == 400


def test_a_form_is_not_an_event(receiver: str) -> None:
    """Stripe sends JSON and says so, in whatever case."""
    json_too = {"Content-Type": "Application/JSON"}
    assert deliver(receiver, SNAPSHOT, headers=json_too).status_code == 200
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = deliver(receiver, SNAPSHOT, headers=form)
    assert answer.status_code == 415


def test_a_body_that_says_it_is_too_large_is_not_read(wire: socket.socket) -> None:
    """Its length is in the headers, and nobody waits for it."""
    wire.sendall(HEADERS + b"Content-Length: 1000001\r\n\r\n")
    assert everything(wire).startswith(b"HTTP/1.1 413")


def test_a_packed_body_is_not_unpacked(wire: socket.socket) -> None:
    """A megabyte can hold a gigabyte: whatever is sent is held to its signature as it came."""
    bomb = gzip.compress(bytes(50_000_000))
    head = f"Content-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\nConnection: close\r\n\r\n"
    wire.sendall(HEADERS + head.encode() + bomb)
    assert b" 400 " in everything(wire).partition(b"\r\n")[0]


def test_a_body_that_grows_too_large_is_cut_off(wire: socket.socket) -> None:
    """It comes in chunks, without a length or an end."""
    wire.sendall(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n")
    for size in (500_000, 500_000, 1):
        wire.sendall(b"%x\r\n%b\r\n" % (size, b"x" * size))
    assert everything(wire).startswith(b"HTTP/1.1 413")


def test_a_client_that_stops_in_the_middle_is_sent_away(
    wire: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that never ends holds a connection for some seconds, not for ever."""
    monkeypatch.setattr(verification, "BODY_SECONDS", 0.2)
    wire.sendall(HEADERS + b"Content-Length: 100\r\n\r\n{")
    assert everything(wire).startswith(b"HTTP/1.1 408")


def test_a_client_that_never_says_what_it_wants_is_sent_away(
    prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither silence nor half a header holds a connection, before a first request or a second."""
    monkeypatch.setattr(server, "HEADER_SECONDS", 0.2)
    whole = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"
    with serving() as url:
        for said, answers in ((b"", 0), (HEADERS, 0), (whole, 1), (whole + HEADERS, 1)):
            address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
            with socket.create_connection(address) as wire:
                wire.sendall(said)
                assert everything(wire).count(b"200 OK") == answers
