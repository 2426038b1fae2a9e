"""The HTTP client of lists of many invoices, which keeps what came as it came."""

import threading
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import stripe
from requests.utils import get_environ_proxies
from urllib3 import PoolManager, ProxyManager
from urllib3.exceptions import HTTPError

CONNECTIONS = 48
"""Connections kept open for list pages that are read side by side."""


class KeptBodies(stripe.HTTPClient):
    """Keeps the bodies of answers as they came, and shows the SDK that they came.

    The SDK makes an object of every invoice, with its lines; a full sync needs a few fields of
    a million. Key, headers and errors remain the SDK's; connections are kept by urllib3, which
    takes a third of the time that requests takes on top of it.
    """

    name = "urllib3"

    def __init__(self, base_url: str, timeout: float) -> None:
        super().__init__()
        options: Any = {"ca_certs": stripe.ca_bundle_path, "maxsize": CONNECTIONS}
        proxy = get_environ_proxies(base_url).get(urlsplit(base_url).scheme)
        pool = ProxyManager(proxy, **options) if proxy else PoolManager(**options)
        self._send = partial(pool.request, retries=False, redirect=False, timeout=timeout)
        self._kept = threading.local()

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        **_: Any,
    ) -> Any:
        """Send a request as the SDK asks for it."""
        sent = {"Accept-Encoding": "gzip", **(headers or {})}
        try:
            answer = self._send(method, url, headers=sent, body=post_data)
        except HTTPError as error:
            said = f"{type(error).__name__}: {error}"
            raise stripe.APIConnectionError(said) from error  # type: ignore[no-untyped-call]
        if answer.status != HTTPStatus.OK:
            return answer.data, answer.status, answer.headers
        self._kept.body = answer.data
        return b"{}", answer.status, answer.headers

    def last(self) -> bytes:
        """The body of this thread's last answer, which is kept no longer."""
        body, self._kept.body = self._kept.body, b""
        return bytes(body)
