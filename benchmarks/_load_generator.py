"""Stripe as a crowd: signed events over many connections, each as soon as the last is answered."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles
from urllib.parse import urlsplit

import orjson
import stripe

from sandbox.common.serve import running
from sandbox.stripe.app import make_app

SECRET = "whsec_benchmark"  # noqa: S105


@dataclass(frozen=True)
class Outcome:
    """What a crowd met: seconds in all, each event's latency in seconds, and refusals."""

    seconds: float
    latencies: list[float]
    refused: int

    @property
    def rate(self) -> float:
        """Events acknowledged in a second."""
        return len(self.latencies) / self.seconds

    @property
    def p50_ms(self) -> float:
        """Half of the events took less than this."""
        return quantiles(self.latencies, n=100)[49] * 1000

    @property
    def p99_ms(self) -> float:
        """All but one in a hundred took less than this."""
        return quantiles(self.latencies, n=100)[98] * 1000


def paid_event() -> bytes:
    """An ``invoice.paid`` event as Stripe renders it, of the sandbox."""
    with running(make_app) as url:
        addresses = {"api": url, "connect": url, "files": url, "meter_events": url}
        client = stripe.StripeClient("sk_test_123", base_addresses=addresses)  # type: ignore[arg-type]
        customer = client.v1.customers.create({"email": "billing@globex.example"})
        invoice = client.v1.invoices.create(
            {"customer": customer.id, "collection_method": "send_invoice", "days_until_due": 30}
        )
        for work in ("Consulting", "Hosting", "Support"):
            client.v1.invoice_items.create(
                {
                    "customer": customer.id,
                    "invoice": invoice.id,
                    "amount": 10_000,
                    "currency": "usd",
                    "description": work,
                }
            )
        client.v1.invoices.pay(invoice.id, {"paid_out_of_band": True})
        [paid] = client.v1.events.list({"type": "invoice.paid"}).data
        return orjson.dumps(paid.to_dict(), default=str)


def requests(url: str, event: bytes, first: int, count: int) -> list[bytes]:
    """Signed requests, each about an event and an invoice of its own."""
    known = orjson.loads(event)
    event_id, invoice_id = known["id"].encode(), known["data"]["object"]["id"].encode()
    bodies = (
        event.replace(event_id, b"evt_%012d" % number).replace(invoice_id, b"in_%012d" % number)
        for number in range(first, first + count)
    )
    return [request(url, body, SECRET) for body in bodies]


def request(url: str, body: bytes, secret: str) -> bytes:
    """One signed request, as it goes over the wire."""
    parts = urlsplit(url)
    signature = stripe.WebhookSignature.generate_signature_header(body.decode(), secret)
    head = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Stripe-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def pour(url: str, requests: Sequence[bytes], connections: int) -> Outcome:
    """Send all requests over some connections, and wait for every answer."""
    return asyncio.run(_pour(url, iter(requests), connections))


async def _pour(url: str, waiting: Iterator[bytes], connections: int) -> Outcome:
    loop, parts = asyncio.get_running_loop(), urlsplit(url)
    host, port = parts.hostname or "", parts.port or 80
    crowd = []
    for _ in range(connections):
        _, one = await loop.create_connection(lambda: Connection(waiting, loop), host, port)
        crowd.append(one)
        await asyncio.sleep(0.002)  # so that the workers share the connections
    began = time.perf_counter()
    for one in crowd:
        one.send_next()
    await asyncio.gather(*(one.done for one in crowd))
    seconds = time.perf_counter() - began
    latencies = [latency for one in crowd for latency in one.latencies]
    return Outcome(seconds, latencies, sum(one.refused for one in crowd))


class Connection(asyncio.Protocol):
    """Sends one request after the other; answers need a length, and come in one piece or two."""

    def __init__(self, waiting: Iterator[bytes], loop: asyncio.AbstractEventLoop) -> None:
        """Share the requests with other connections."""
        self._waiting = waiting
        self.done: asyncio.Future[None] = loop.create_future()
        self.latencies: list[float] = []
        self.refused = 0
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send_next(self) -> None:
        """Send the next request, or end."""
        request = next(self._waiting, None)
        if request is None:
            self._transport.close()
            self.done.set_result(None)
            return
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of it."""
        self._answer += data
        head, end, body = self._answer.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if not end or len(body) < int(length):
            return
        if self._answer.startswith(b"HTTP/1.1 200"):
            self.latencies.append(time.perf_counter() - self._began)
        else:
            self.refused += 1
        self._answer = b""
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that leaves in the middle ends the measurement."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server left"))
