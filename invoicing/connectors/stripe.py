"""Stripe: the calls this project makes, with its errors in our words.

The only module that imports ``stripe``. Retries are not the SDK's here but the caller's,
because only the caller knows what a lost answer means; every call that changes something
takes the idempotency key that the ledger keeps for it.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import orjson
import stripe

from invoicing.errors import Missing, Passing, Refused, Throttled, WrongWorld
from invoicing.settings import STRIPE_API_VERSION
from invoicing.settings import Stripe as StripeSettings

Object = dict[str, Any]

Params = Any
"""Parameters of a call: a dictionary, which Stripe checks."""

PAGE = 100
"""The most objects that Stripe gives in one list page."""

TOLERANCE_SECONDS = 300
"""How far the clocks of Stripe and of the receiver may be apart, either way."""


@contextmanager
def _in_our_words(doing: str) -> Iterator[None]:
    """Translate the SDK's errors by what has to happen next.

    Source of the classes: https://docs.stripe.com/error-handling
    """
    try:
        yield
    except stripe.AuthenticationError as error:
        raise WrongWorld(
            "Stripe does not accept the API key; check INVOICING_STRIPE__API_KEY."
        ) from error
    except stripe.PermissionError as error:
        raise WrongWorld(
            f"The Stripe key may not {doing}: {error.user_message}; widen its permissions."
        ) from error
    except stripe.RateLimitError as error:
        raise Throttled(f"Stripe asks for a slower pace, while trying to {doing}.") from error
    except stripe.APIConnectionError as error:
        raise Passing(f"Stripe did not answer, while trying to {doing}.") from error
    except stripe.IdempotencyError as error:
        raise Passing(f"The same request is still under way, while trying to {doing}.") from error
    except stripe.StripeError as error:
        status = error.http_status or 0
        if status == 409:
            raise Passing(f"Stripe is still busy with it, while trying to {doing}.") from error
        if status >= 500:
            replayed = "idempotent-replayed" in {name.lower() for name in error.headers or {}}
            raise Passing(
                f"Stripe failed ({status}), while trying to {doing}.",
                answered=True,
                replayed=replayed,
            ) from error
        said = error.json_body
        if status < 400 or not (isinstance(said, dict) and "error" in said):
            raise Passing(f"Stripe's answer was unreadable, while trying to {doing}.") from error
        kind = Missing if error.code == "resource_missing" else Refused
        raise kind(f"Stripe refused to {doing}: {error.user_message or error}") from error


class _Bodies(stripe.RequestsClient):
    """Keeps the bodies of answers as they came, and shows the SDK that they came.

    The SDK makes an object of every invoice, with its lines; a full sync needs a few fields of
    a million. Key, headers, connections and errors remain the SDK's.
    """

    def __init__(self, timeout: float) -> None:
        super().__init__(timeout=timeout)
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
        body, status, answered = super().request(method, url, headers, post_data)
        if status != HTTPStatus.OK:
            return body, status, answered
        self._kept.body = body
        return b"{}", status, answered

    def decoded(self, doing: str) -> Any:
        """The JSON of this thread's last answer; Passing when it is none."""
        body, self._kept.body = self._kept.body, b""
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise Passing(f"Stripe's answer was unreadable, while trying to {doing}.") from error


def _sdk(settings: StripeSettings, transport: stripe.HTTPClient) -> stripe.StripeClient:
    base = settings.base_url
    return stripe.StripeClient(
        settings.api_key.get_secret_value(),
        stripe_version=STRIPE_API_VERSION,
        base_addresses={"api": base, "connect": base, "files": base, "meter_events": base},
        max_network_retries=0,
        http_client=transport,
    )


class Stripe:
    """One Stripe account. Objects come and go as plain dictionaries."""

    def __init__(self, settings: StripeSettings) -> None:
        """Prepare the client; nothing is sent yet."""
        self._bodies = _Bodies(timeout=settings.timeout_seconds)
        self._pages = _sdk(settings, self._bodies)
        self._client = _sdk(settings, stripe.RequestsClient(timeout=settings.timeout_seconds))
        self._v1 = self._client.v1

    def account(self) -> Object:
        """The account that the key belongs to."""
        with _in_our_words("read the account"):
            return self._v1.accounts.retrieve_current().to_dict()

    # Customers and products

    def customer(self, customer_id: str) -> Object | None:
        """A customer, or None when it was deleted or never was."""
        try:
            with _in_our_words("read the customer"):
                found = self._v1.customers.retrieve(customer_id).to_dict()
        except Missing:
            return None
        return None if found.get("deleted") else found

    def customers_by_email(self, email: str) -> list[Object]:
        """All customers with exactly this e-mail address; read-after-write, unlike Search."""
        with _in_our_words("look for the customer"):
            pages = self._v1.customers.list({"email": email, "limit": PAGE})
            return [customer.to_dict() for customer in pages.auto_paging_iter()]

    def create_customer(self, params: Params, key: str) -> Object:
        """Create a customer."""
        with _in_our_words("create the customer"):
            return self._v1.customers.create(params, _once(key)).to_dict()

    def update_customer(self, customer_id: str, params: Params) -> Object:
        """Set fields of a customer; the same update twice is one."""
        with _in_our_words("update the customer"):
            return self._v1.customers.update(customer_id, params).to_dict()

    def ensure_product(self, product_id: str, name: str) -> None:
        """Make sure that a product exists under this id, with this name and active.

        The id makes creating it twice impossible. A key of ours would only make Stripe repeat
        a failed answer for a day.
        """
        try:
            with _in_our_words("create the product"):
                self._v1.products.create({"id": product_id, "name": name})
        except Refused as error:
            if getattr(error.__cause__, "code", None) != "resource_already_exists":
                raise
            with _in_our_words("update the product"):
                self._v1.products.update(product_id, {"name": name, "active": True})

    # Invoices

    def invoice(self, invoice_id: str) -> Object | None:
        """An invoice, or None when its draft was deleted or it never was."""
        try:
            with _in_our_words("read the invoice"):
                found = self._v1.invoices.retrieve(invoice_id).to_dict()
        except Missing:
            return None
        return None if found.get("deleted") else found

    def invoice_lines(self, invoice_id: str) -> list[Object]:
        """All lines of an invoice; the invoice itself carries only the first ten."""
        with _in_our_words("read the invoice's lines"):
            pages = self._v1.invoices.line_items.list(invoice_id, {"limit": PAGE})
            return [line.to_dict() for line in pages.auto_paging_iter()]

    def invoices_of(self, customer_id: str, since: datetime) -> list[Object]:
        """A customer's invoices created at or after a UTC instant, newest first."""
        params: Params = {"customer": customer_id, "limit": PAGE}
        params["created"] = {"gte": int(since.timestamp())}
        with _in_our_words("look for the invoice"):
            pages = self._v1.invoices.list(params)
            return [invoice.to_dict() for invoice in pages.auto_paging_iter()]

    def invoice_page(self, since: int, until: int, after: str | None) -> tuple[list[Object], bool]:
        """One page of all invoices created in ``[since, until)`` Unix seconds, newest first.

        Numbers with a fraction are floats here, not decimals; amounts have none.

        Args:
            since: The first second wanted.
            until: The first second no longer wanted.
            after: The last invoice of the page before.

        Returns:
            The invoices, and whether there are more after them.
        """
        params: Params = {"created": {"gte": since, "lt": until}, "limit": PAGE}
        if after:
            params["starting_after"] = after
        with _in_our_words("list invoices"):
            self._pages.raw_request("get", "/v1/invoices", **params)
        page = self._bodies.decoded("list invoices")
        return page["data"], page["has_more"]

    def create_invoice(self, params: Params, key: str) -> Object:
        """Create a draft."""
        with _in_our_words("create the invoice"):
            return self._v1.invoices.create(params, _once(key)).to_dict()

    def update_invoice(self, invoice_id: str, params: Params) -> Object:
        """Set fields of a draft; the same update twice is one."""
        with _in_our_words("update the draft"):
            return self._v1.invoices.update(invoice_id, params).to_dict()

    def add_lines(self, invoice_id: str, lines: Sequence[Params], key: str) -> Object:
        """Add lines to a draft, all in one call."""
        with _in_our_words("add the lines"):
            return self._v1.invoices.add_lines(
                invoice_id,
                {"lines": list(lines)},
                _once(key),
            ).to_dict()

    def remove_lines(self, invoice_id: str, line_ids: Sequence[str], key: str) -> Object:
        """Remove lines from a draft, all in one call."""
        with _in_our_words("remove the lines"):
            return self._v1.invoices.remove_lines(
                invoice_id,
                {"lines": [{"id": line, "behavior": "delete"} for line in line_ids]},
                _once(key),
            ).to_dict()

    def finalize(self, invoice_id: str, key: str) -> Object:
        """Turn a draft into an open invoice, numbered and frozen; Stripe mails nothing yet."""
        with _in_our_words("finalize the invoice"):
            return self._v1.invoices.finalize_invoice(
                invoice_id, {"auto_advance": False}, _once(key)
            ).to_dict()

    def send(self, invoice_id: str, key: str) -> Object:
        """E-mail an open invoice to its customer."""
        with _in_our_words("send the invoice"):
            return self._v1.invoices.send_invoice(invoice_id, {}, _once(key)).to_dict()

    # Events

    def events(
        self, *, since: datetime, types: Sequence[str], until: datetime | None = None
    ) -> Iterator[Object]:
        """Events of some types created since a UTC instant, newest first.

        Stripe keeps events for 30 days: https://docs.stripe.com/api/events
        """
        params: Params = {"types": list(types), "limit": PAGE}
        params["created"] = {"gte": int(since.timestamp())}
        if until:
            params["created"]["lte"] = int(until.timestamp())
        with _in_our_words("list events"):
            pages = self._v1.events.list(params)
            for event in pages.auto_paging_iter():
                yield event.to_dict()


def _once(key: str) -> stripe.RequestOptions:
    return {"idempotency_key": key}


def verified_event(body: bytes, signature: str, secrets: Sequence[str]) -> str | None:
    """Say why an event body is not genuine; None when one of the secrets signed it just now.

    The SDK looks for signatures that are too old only; one from the future, which could be
    replayed for as long as it is ahead, is no better.
    Source: https://docs.stripe.com/webhooks#verify-manually
    """
    reason = "no signing secret is configured"
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
            reason = str(error)
            continue
        stamp = next(part for part in signature.split(",") if part.startswith("t="))
        ahead = int(stamp.split("=")[1]) - time.time()
        return f"it was signed {ahead:.0f} s in the future" if ahead > TOLERANCE_SECONDS else None
    return reason


@lru_cache(maxsize=1)
def client() -> Stripe:
    """The account of the settings, one client per process."""
    from invoicing.settings import settings

    return Stripe(settings().stripe)
