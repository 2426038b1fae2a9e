"""Stripe: the calls this project makes, with its errors translated into this project's.

The only module that imports ``stripe``. Retries are not the SDK's here but the caller's,
because only the caller knows what a lost answer means; every call that changes something
takes the idempotency key that the ledger keeps for it.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import Any, Generic, TypedDict, TypeVar
from urllib.parse import urlsplit

import msgspec
import stripe
from more_itertools import chunked
from requests.utils import get_environ_proxies
from urllib3 import PoolManager, ProxyManager
from urllib3.exceptions import HTTPError

from invoicing.domain.stripe.projection import Facts
from invoicing.domain.sync.staged_rows import Listed
from invoicing.errors import (
    Conflict,
    EnvironmentMismatch,
    NotFound,
    Rejected,
    Throttled,
    TransientError,
)
from invoicing.settings import STRIPE_API_VERSION, settings
from invoicing.settings import Stripe as StripeSettings

T = TypeVar("T")

Object = dict[str, Any]

Params = Any
"""Parameters of a call: a dictionary, which Stripe checks."""

EVENT_TYPES = 20
"""The most types by which one list of events may be filtered."""

PAGE_SIZE = 100
"""The most objects that Stripe gives in one list page."""

CONNECTIONS = 48
"""Connections kept open for list pages that are read side by side."""

ENCODING = {"Accept-Encoding": "gzip"}

TOLERANCE_SECONDS = 300
"""How far the clocks of Stripe and of the receiver may be apart, either way."""


ERROR_TEXTS = {
    "invoice_payment_intent_requires_action": "the customer has to confirm the payment with "
    "their bank. Give them the invoice's payment page; sending the invoice again tries to charge "
    "it again."
}
"""Refusals that Stripe explains to programmers, by their codes."""


@contextmanager
def _translated_errors(doing: str) -> Iterator[None]:
    """Translate the SDK's errors by what has to happen next.

    Source of the classes: https://docs.stripe.com/error-handling
    """
    try:
        yield
    except stripe.AuthenticationError as error:
        raise EnvironmentMismatch(
            "Stripe does not accept the API key; check INVOICING_STRIPE__API_KEY."
        ) from error
    except stripe.PermissionError as error:
        raise EnvironmentMismatch(
            f"The Stripe key may not {doing}: {error.user_message}; widen its permissions."
        ) from error
    except stripe.RateLimitError as error:
        raise Throttled(f"Stripe asks for a slower pace, while trying to {doing}.") from error
    except stripe.APIConnectionError as error:
        raise TransientError(f"Stripe did not answer, while trying to {doing}.") from error
    except stripe.IdempotencyError as error:
        raise Conflict(
            f"Stripe was asked before to {doing}, in another way under the same key, so nothing "
            "was done; look at it in Stripe's dashboard."
        ) from error
    except stripe.StripeError as error:
        status = error.http_status or 0
        if status == 409:
            raise TransientError(
                f"Stripe is still busy with it, while trying to {doing}."
            ) from error
        if status >= 500:
            replayed = "idempotent-replayed" in {name.lower() for name in error.headers or {}}
            raise TransientError(
                f"Stripe failed ({status}), while trying to {doing}.",
                answered=True,
                replayed=replayed,
            ) from error
        said = error.json_body
        if status < 400 or not (isinstance(said, dict) and "error" in said):
            raise TransientError(
                f"Stripe's answer was unreadable, while trying to {doing}."
            ) from error
        kind = NotFound if error.code == "resource_missing" else Rejected
        why = ERROR_TEXTS.get(error.code or "") or error.user_message or error
        raise kind(f"Stripe refused to {doing}: {why}") from error


class _Page(TypedDict, Generic[T]):
    data: list[T]
    has_more: bool


class LineFacts(TypedDict, total=False):
    """The fields of a line that its record's line is made of."""

    id: str
    amount: int
    description: str | None
    quantity: float | None
    quantity_decimal: str | None
    metadata: dict[str, str] | None


class _Lines(TypedDict):
    data: list[LineFacts]
    has_more: bool


class WholeFacts(Facts):
    """An invoice's facts and its first lines."""

    lines: _Lines


_ANYTHING = msgspec.json.Decoder()
_LISTED = msgspec.json.Decoder(_Page[Listed])
_FACTS = msgspec.json.Decoder(_Page[Facts])
_WHOLE = msgspec.json.Decoder(_Page[WholeFacts])


class _Bodies(stripe.HTTPClient):
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
        sent = {**ENCODING, **(headers or {})}
        try:
            answer = self._send(method, url, headers=sent, body=post_data)
        except HTTPError as error:
            said = f"{type(error).__name__}: {error}"
            raise stripe.APIConnectionError(said) from error  # type: ignore[no-untyped-call]
        if answer.status != HTTPStatus.OK:
            return answer.data, answer.status, answer.headers
        self._kept.body = answer.data
        return b"{}", answer.status, answer.headers

    def decoded(self, doing: str, decoder: msgspec.json.Decoder[Any] = _ANYTHING) -> Any:
        """The JSON of this thread's last answer; TransientError when it is not what is expected."""
        body, self._kept.body = self._kept.body, b""
        try:
            return decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise TransientError(
                f"Stripe's answer was unreadable, while trying to {doing}."
            ) from error


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
        self._bodies = _Bodies(settings.base_url, settings.timeout_seconds)
        self._pages = _sdk(settings, self._bodies)
        self._client = _sdk(settings, stripe.RequestsClient(timeout=settings.timeout_seconds))
        self._v1 = self._client.v1

    def account(self) -> Object:
        """The account that the key belongs to."""
        with _translated_errors("read the account"):
            return self._v1.accounts.retrieve_current().to_dict()

    # Customers and products

    def customer(self, customer_id: str) -> Object | None:
        """A customer, or None when it was deleted or never was."""
        try:
            with _translated_errors("read the customer"):
                found = self._v1.customers.retrieve(customer_id).to_dict()
        except NotFound:
            return None
        return None if found.get("deleted") else found

    def customers_by_email(self, email: str) -> list[Object]:
        """All customers with exactly this e-mail address; read-after-write, unlike Search."""
        with _translated_errors("look for the customer"):
            pages = self._v1.customers.list({"email": email, "limit": PAGE_SIZE})
            return [customer.to_dict() for customer in pages.auto_paging_iter()]

    def tax_ids(self, customer_id: str) -> list[Object]:
        """The tax ids that a customer's invoices carry."""
        with _translated_errors("read the customer's tax ids"):
            pages = self._v1.customers.tax_ids.list(customer_id, {"limit": PAGE_SIZE})
            return [tax_id.to_dict() for tax_id in pages.auto_paging_iter()]

    def create_customer(self, params: Params, key: str) -> Object:
        """Create a customer."""
        with _translated_errors("create the customer"):
            return self._v1.customers.create(params, _idempotent(key)).to_dict()

    def update_customer(self, customer_id: str, params: Params) -> Object:
        """Set fields of a customer; the same update twice is one."""
        with _translated_errors("update the customer"):
            return self._v1.customers.update(customer_id, params).to_dict()

    def ensure_product(self, product_id: str, name: str) -> None:
        """Make sure that a product exists under this id, with this name and active.

        The id makes creating it twice impossible. A key of ours would only make Stripe repeat
        a failed answer for a day.
        """
        try:
            with _translated_errors("create the product"):
                self._v1.products.create({"id": product_id, "name": name})
        except Rejected as error:
            if getattr(error.__cause__, "code", None) != "resource_already_exists":
                raise
            with _translated_errors("update the product"):
                self._v1.products.update(product_id, {"name": name, "active": True})

    def ensure_coupon(self, coupon_id: str, terms: Params, name: str) -> None:
        """Make sure that a coupon of these terms exists under this id.

        The id makes creating it twice impossible, and the terms of a coupon never change.

        Raises:
            Conflict: somebody made a coupon of other terms under this id.
        """
        params: Params = {"id": coupon_id, "name": name, "duration": "once", **terms}
        try:
            with _translated_errors("create the coupon"):
                self._v1.coupons.create(params)
        except Rejected as error:
            if getattr(error.__cause__, "code", None) != "resource_already_exists":
                raise
            with _translated_errors("read the coupon"):
                found = self._v1.coupons.retrieve(coupon_id).to_dict()
            if not found["valid"] or any(found[key] != value for key, value in terms.items()):
                raise Conflict(
                    f"Stripe's coupon {coupon_id} is not what its id says; delete it there, and "
                    "it will be made again."
                ) from error

    def tax_rate(self, rate_id: str) -> Object | None:
        """A tax rate, or None when there is none of this id."""
        try:
            with _translated_errors("read the tax rate"):
                return self._v1.tax_rates.retrieve(rate_id).to_dict()
        except NotFound:
            return None

    # Invoices

    def preview(self, params: Params) -> Object:
        """Preview of an invoice; nothing is created."""
        with _translated_errors("preview the invoice"):
            return self._v1.invoices.create_preview(params).to_dict()

    def invoice(self, invoice_id: str) -> Object | None:
        """An invoice, or None when its draft was deleted or it never was."""
        try:
            with _translated_errors("read the invoice"):
                found = self._v1.invoices.retrieve(invoice_id).to_dict()
        except NotFound:
            return None
        return None if found.get("deleted") else found

    def invoice_with_payments(self, invoice_id: str) -> Object | None:
        """An invoice and, in ``payments``, all payments on it with their payment intents.

        One call, unless there are more payments than an invoice carries. None as for
        :meth:`invoice`.
        """
        expand: Params = {"expand": ["payments.data.payment.payment_intent"]}
        try:
            with _translated_errors("read the invoice"):
                found = self._v1.invoices.retrieve(invoice_id, expand).to_dict()
        except NotFound:
            return None
        if found.get("deleted"):
            return None
        carried = found.get("payments") or {"data": [], "has_more": False}
        found["payments"] = carried["data"]
        if carried["has_more"]:
            params: Params = {"invoice": invoice_id, "limit": PAGE_SIZE}
            params["expand"] = ["data.payment.payment_intent"]
            with _translated_errors("read the invoice's payments"):
                pages = self._v1.invoice_payments.list(params)
                found["payments"] = [payment.to_dict() for payment in pages.auto_paging_iter()]
        return found

    def refunds(self, payment: Params) -> list[Object]:
        """All refunds of one payment: ``{"payment_intent": id}`` or ``{"charge": id}``."""
        params: Params = {**payment, "limit": PAGE_SIZE}
        with _translated_errors("read the refunds"):
            pages = self._v1.refunds.list(params)
            return [refund.to_dict() for refund in pages.auto_paging_iter()]

    def disputes(self, payment: Params) -> list[Object]:
        """All disputes about one payment, named as for :meth:`refunds`."""
        params: Params = {**payment, "limit": PAGE_SIZE}
        with _translated_errors("read the disputes"):
            pages = self._v1.disputes.list(params)
            return [dispute.to_dict() for dispute in pages.auto_paging_iter()]

    def refunds_and_disputes(self, since: datetime | None) -> Iterator[Object]:
        """All refunds and disputes of the account created since a UTC instant, newest first."""
        params: Params = {"limit": PAGE_SIZE}
        if since:
            params["created"] = {"gte": int(since.timestamp())}
        for service in (self._v1.refunds, self._v1.disputes):
            with _translated_errors("list refunds and disputes"):
                for found in service.list(params).auto_paging_iter():
                    yield found.to_dict()

    def invoice_of_payment(self, kind: str, payment_id: str) -> str | None:
        """The invoice that a payment was made on; None for money of other business.

        Args:
            kind: ``payment_intent`` or ``charge``.
            payment_id: Its id.
        """
        about: Params = {"payment": {"type": kind, kind: payment_id}, "limit": 1}
        with _translated_errors("find the payment's invoice"):
            found = self._v1.invoice_payments.list(about).data
        return str(found[0].invoice) if found else None

    def read(self, url: str) -> Object | None:
        """The object at a path such as a thin event names it; None when it is gone."""
        try:
            with _translated_errors("read what an event is about"):
                self._pages.raw_request("get", url)
        except NotFound:
            return None
        body: Object = self._bodies.decoded("read what an event is about")
        return body

    def invoice_lines(self, invoice_id: str) -> list[Object]:
        """All lines of an invoice; the invoice itself carries only the first ten."""
        with _translated_errors("read the invoice's lines"):
            pages = self._v1.invoices.line_items.list(invoice_id, {"limit": PAGE_SIZE})
            return [line.to_dict() for line in pages.auto_paging_iter()]

    def invoices_of(self, customer_id: str, since: datetime) -> list[Object]:
        """A customer's invoices created at or after a UTC instant, newest first."""
        params: Params = {"customer": customer_id, "limit": PAGE_SIZE}
        params["created"] = {"gte": int(since.timestamp())}
        with _translated_errors("look for the invoice"):
            pages = self._v1.invoices.list(params)
            return [invoice.to_dict() for invoice in pages.auto_paging_iter()]

    def invoice_page(self, since: int, until: int, after: str | None) -> tuple[list[Listed], bool]:
        """One page of all invoices created in ``[since, until)`` Unix seconds, newest first.

        Args:
            since: The first second wanted.
            until: The first second no longer wanted.
            after: The last invoice of the page before.

        Returns:
            Of each invoice what a full sync compares, and whether there are more after them.
        """
        page = self._listed(_LISTED, after, gte=since, lt=until)
        return page["data"], page["has_more"]

    def facts_page(self, until: int, after: str | None) -> list[Facts]:
        """The newest invoices created before a Unix second, as a projection needs them.

        Args:
            until: The first second no longer wanted.
            after: The last invoice of the page before, if it is to go on from there.

        Returns:
            A page, which is empty when there are no more.
        """
        page = self._listed(_FACTS, after, lt=until)["data"]
        return list(page)

    def whole_page(self, until: int, after: str | None) -> list[WholeFacts]:
        """The same as :meth:`facts_page`, with all their lines."""
        page = self._listed(_WHOLE, after, lt=until)["data"]
        for invoice in page:
            if invoice["lines"]["has_more"]:
                every: Any = self.invoice_lines(invoice["id"])
                invoice["lines"] = {"data": every, "has_more": False}
        return list(page)

    def _listed(self, decoder: msgspec.json.Decoder[Any], after: str | None, **created: int) -> Any:
        params: Params = {"created": created, "limit": PAGE_SIZE}
        if after:
            params["starting_after"] = after
        with _translated_errors("list invoices"):
            self._pages.raw_request("get", "/v1/invoices", **params)
        return self._bodies.decoded("list invoices", decoder)

    def create_invoice(self, params: Params, key: str) -> Object:
        """Create a draft."""
        with _translated_errors("create the invoice"):
            return self._v1.invoices.create(params, _idempotent(key)).to_dict()

    def update_invoice(self, invoice_id: str, params: Params) -> Object:
        """Set fields of a draft; the same update twice is one."""
        with _translated_errors("update the draft"):
            return self._v1.invoices.update(invoice_id, params).to_dict()

    def add_lines(self, invoice_id: str, lines: Sequence[Params], key: str) -> Object:
        """Add lines to a draft, all in one call."""
        with _translated_errors("add the lines"):
            return self._v1.invoices.add_lines(
                invoice_id,
                {"lines": list(lines)},
                _idempotent(key),
            ).to_dict()

    def remove_lines(self, invoice_id: str, line_ids: Sequence[str], key: str) -> Object:
        """Remove lines from a draft, all in one call."""
        with _translated_errors("remove the lines"):
            return self._v1.invoices.remove_lines(
                invoice_id,
                {"lines": [{"id": line, "behavior": "delete"} for line in line_ids]},
                _idempotent(key),
            ).to_dict()

    def finalize(self, invoice_id: str, key: str) -> Object:
        """Turn a draft into an open invoice, numbered and frozen; Stripe mails nothing yet."""
        with _translated_errors("finalize the invoice"):
            return self._v1.invoices.finalize_invoice(
                invoice_id, {"auto_advance": False}, _idempotent(key)
            ).to_dict()

    def send(self, invoice_id: str, key: str) -> Object:
        """E-mail an open invoice to its customer."""
        with _translated_errors("send the invoice"):
            return self._v1.invoices.send_invoice(invoice_id, {}, _idempotent(key)).to_dict()

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; NotFound if there is none, Rejected if it is no draft any more."""
        with _translated_errors("delete the draft"):
            self._v1.invoices.delete(invoice_id)

    # After sending

    def pay(self, invoice_id: str, key: str) -> Object:
        """Charge the payment method that the customer saved."""
        with _translated_errors("charge the saved payment method"):
            return self._v1.invoices.pay(
                invoice_id, {"off_session": True}, _idempotent(key)
            ).to_dict()

    def void(self, invoice_id: str, key: str) -> Object:
        """Void an open or uncollectible invoice, for good."""
        with _translated_errors("void the invoice"):
            return self._v1.invoices.void_invoice(invoice_id, {}, _idempotent(key)).to_dict()

    def mark_uncollectible(self, invoice_id: str, key: str) -> Object:
        """Give an open invoice up; it can still be paid or voided."""
        with _translated_errors("write the invoice off"):
            return self._v1.invoices.mark_uncollectible(invoice_id, {}, _idempotent(key)).to_dict()

    def report_payment(self, params: Params, key: str) -> Object:
        """Report a payment made outside Stripe; it counts once it is attached to an invoice."""
        with _translated_errors("report the payment"):
            return self._v1.payment_records.report_payment(params, _idempotent(key)).to_dict()

    def payment_record(self, payment_record_id: str) -> Object:
        """A reported payment."""
        with _translated_errors("read the payment record"):
            return self._v1.payment_records.retrieve(payment_record_id).to_dict()

    def attach_payment(self, invoice_id: str, payment_record_id: str, key: str) -> Object:
        """Count a reported payment towards an open or uncollectible invoice."""
        with _translated_errors("attach the payment"):
            return self._v1.invoices.attach_payment(
                invoice_id, {"payment_record": payment_record_id}, _idempotent(key)
            ).to_dict()

    def paid_payments(self, invoice_id: str) -> list[Object]:
        """The payments that count towards an invoice."""
        params: Params = {"invoice": invoice_id, "status": "paid", "limit": PAGE_SIZE}
        with _translated_errors("read the invoice's payments"):
            pages = self._v1.invoice_payments.list(params)
            return [payment.to_dict() for payment in pages.auto_paging_iter()]

    def create_credit_note(self, params: Params, key: str) -> Object:
        """Issue a credit note on a finalized invoice."""
        with _translated_errors("issue the credit note"):
            return self._v1.credit_notes.create(params, _idempotent(key)).to_dict()

    def credit_notes(self, invoice_id: str) -> list[Object]:
        """The credit notes of an invoice, newest first."""
        params: Params = {"invoice": invoice_id, "limit": PAGE_SIZE}
        with _translated_errors("read the invoice's credit notes"):
            pages = self._v1.credit_notes.list(params)
            return [note.to_dict() for note in pages.auto_paging_iter()]

    # Events

    def events(
        self, *, since: datetime, types: Sequence[str], until: datetime | None = None
    ) -> Iterator[Object]:
        """Events of some types created since a UTC instant, newest first of each twenty types.

        Stripe keeps events for 30 days, and filters by at most 20 types:
        https://docs.stripe.com/api/events
        """
        params: Params = {"limit": PAGE_SIZE, "created": {"gte": int(since.timestamp())}}
        if until:
            params["created"]["lte"] = int(until.timestamp())
        for some in chunked(types, EVENT_TYPES):
            params["types"] = some
            with _translated_errors("list events"):
                pages = self._v1.events.list(params)
                for event in pages.auto_paging_iter():
                    yield event.to_dict()


def _idempotent(key: str) -> stripe.RequestOptions:
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
    return Stripe(settings().stripe)
