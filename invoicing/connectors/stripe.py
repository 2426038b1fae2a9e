"""Stripe: the calls this project makes, with its errors translated into this project's.

The only module that imports ``stripe``. Retries are not the SDK's here but the caller's,
because only the caller knows what a lost answer means; every call that changes something
takes the idempotency key that the ledger keeps for it.

What is asked has the SDK's types. What is answered is held to the types of
:mod:`invoicing.domain.stripe.resources`, and is a passing failure where it does not have them.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
import stripe
from more_itertools import chunked
from requests.utils import get_environ_proxies
from urllib3 import PoolManager, ProxyManager
from urllib3.exceptions import HTTPError

from invoicing.domain.model.money import Money
from invoicing.domain.stripe.payment_facts import (
    MoneyBack,
    PaymentName,
    payments_of,
    successful_payments,
)
from invoicing.domain.stripe.projection import credited
from invoicing.domain.stripe.resources import (
    Account,
    Charge,
    Coupon,
    CreditNote,
    CreditNoteLine,
    Customer,
    Discounted,
    Dispute,
    Event,
    Identified,
    InvoicePayment,
    ListedInvoice,
    PaidInvoice,
    PaymentRecord,
    Product,
    Refund,
    StripeInvoice,
    StripeLine,
    TaxId,
    TaxRate,
    Totals,
    WebhookEndpoint,
    WholeInvoice,
)
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
from invoicing.shapes import convert

if TYPE_CHECKING:
    from stripe import params as sdk

T = TypeVar("T")

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
    """Translate the SDK's errors, and answers of another shape, by what has to happen next.

    Source of the classes: https://docs.stripe.com/error-handling
    """
    try:
        yield
    except stripe.AuthenticationError as error:
        expired = "api_key_expired" in str(error.http_body)
        why = "says that the API key has expired" if expired else "does not accept the API key"
        raise EnvironmentMismatch(f"Stripe {why}; check INVOICING_STRIPE__API_KEY.") from error
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
        reason = ERROR_TEXTS.get(error.code or "") or error.user_message or error
        raise kind(f"Stripe refused to {doing}: {reason}") from error
    except msgspec.MsgspecError as error:
        raise TransientError(
            f"Stripe's answer was not what it should be, while trying to {doing}: {error}."
        ) from error


class _Page(TypedDict, Generic[T]):
    data: list[T]
    has_more: bool


_OBJECT = msgspec.json.Decoder(dict[str, Any])
_LISTED = msgspec.json.Decoder(_Page[ListedInvoice])
_PROJECTED = msgspec.json.Decoder(_Page[StripeInvoice])
_WHOLE = msgspec.json.Decoder(_Page[WholeInvoice])


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

    def decoded(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The JSON of this thread's last answer."""
        body, self._kept.body = self._kept.body, b""
        return decoder.decode(body)


def _read(answer: object, shape: type[T]) -> T:
    """What is read of an answer; :class:`msgspec.ValidationError` where it is something else."""
    return convert(_plain(answer), shape)


def _plain(answer: object) -> object:
    """An answer as its JSON was. The SDK gives a list for a list, whatever should have come."""
    return answer.to_dict() if isinstance(answer, stripe.StripeObject) else answer


def _read_unless_deleted(answer: object, shape: type[T]) -> T | None:
    """What is read of an answer. Of a deleted object, Stripe gives little more than the id."""
    plain = _plain(answer)
    deleted = isinstance(plain, dict) and plain.get("deleted")
    return None if deleted else _read(plain, shape)


def _every(answer: Any, shape: type[T]) -> Iterator[T]:
    """What is read of all objects of a list, from its first page on."""
    while True:
        page = _read(answer, _Page[shape])  # type: ignore[valid-type]
        yield from page["data"]
        if not page["has_more"]:
            return
        is_search = isinstance(answer, stripe.SearchResultObject)
        answer = answer.next_search_result_page() if is_search else answer.next_page()


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
    """One Stripe account."""

    def __init__(self, settings: StripeSettings) -> None:
        """Prepare the client; nothing is sent yet."""
        self._bodies = _Bodies(settings.base_url, settings.timeout_seconds)
        self._pages = _sdk(settings, self._bodies)
        self._client = _sdk(settings, stripe.RequestsClient(timeout=settings.timeout_seconds))
        self._v1 = self._client.v1

    def account(self) -> Account:
        """The account that the key belongs to."""
        with _translated_errors("read the account"):
            return _read(self._v1.accounts.retrieve_current(), Account)

    # Customers and products

    def customer(self, customer_id: str) -> Customer | None:
        """A customer, or None when it was deleted or never was."""
        try:
            with _translated_errors("read the customer"):
                return _read_unless_deleted(self._v1.customers.retrieve(customer_id), Customer)
        except NotFound:
            return None

    def owed_before(self, customer: Customer, currency: str) -> Money:
        """What a customer owes from before in a currency; credit is below zero.

        A customer shows the balance in its own currency, and the others where they are asked
        for, with credit above zero.
        """
        code = currency.lower()
        if (customer.get("currency") or code) == code:
            return Money(currency, customer.get("balance") or 0)
        asked: sdk.CustomerRetrieveParams = {"expand": ["invoice_credit_balance"]}
        with _translated_errors("read the customer's balances"):
            found = _read(self._v1.customers.retrieve(customer["id"], asked), Customer)
        credit = found.get("invoice_credit_balance") or {}
        return Money(currency, -credit.get(code, 0))

    def customers_by_email(self, email: str) -> list[Customer]:
        """All customers with exactly this e-mail address; read-after-write, unlike Search."""
        with _translated_errors("look for the customer"):
            return list(
                _every(self._v1.customers.list({"email": email, "limit": PAGE_SIZE}), Customer)
            )

    def search_customers(self, email: str) -> list[Customer]:
        """All customers with an e-mail address in any case, a minute late.

        None where the account's country has no search: https://docs.stripe.com/search
        """
        quoted = email.replace("\\", "\\\\").replace('"', '\\"')
        asked: sdk.CustomerSearchParams = {"query": f'email:"{quoted}"', "limit": PAGE_SIZE}
        try:
            with _translated_errors("search for the customer"):
                return list(_every(self._v1.customers.search(asked), Customer))
        except Rejected:
            return []

    def tax_ids(self, customer_id: str) -> list[TaxId]:
        """The tax ids that a customer's invoices carry."""
        with _translated_errors("read the customer's tax ids"):
            return list(
                _every(self._v1.customers.tax_ids.list(customer_id, {"limit": PAGE_SIZE}), TaxId)
            )

    def create_customer(self, params: "sdk.CustomerCreateParams", key: str) -> Customer:
        """Create a customer."""
        with _translated_errors("create the customer"):
            return _read(self._v1.customers.create(params, _idempotent(key)), Customer)

    def update_customer(
        self, customer_id: str, params: "sdk.CustomerUpdateParams", key: str | None = None
    ) -> Customer:
        """Set fields of a customer; without a key, a late one overwrites what came after it."""
        with _translated_errors("update the customer"):
            options = _idempotent(key) if key else None
            return _read(self._v1.customers.update(customer_id, params, options), Customer)

    def products(self, product_ids: Iterable[str]) -> list[Product]:
        """Those of some products that exist, archived ones included."""
        found: list[Product] = []
        with _translated_errors("read the products"):
            for some in chunked(product_ids, PAGE_SIZE):
                pages = self._v1.products.list({"ids": some, "limit": PAGE_SIZE})
                found += _every(pages, Product)
        return found

    def create_product(self, product_id: str, name: str) -> None:
        """Create a product under this id, unless it exists.

        The id makes creating it twice impossible. A key of ours would only make Stripe repeat
        a failed answer for a day, or the product's that was deleted since.
        """
        try:
            with _translated_errors("create the product"):
                self._v1.products.create({"id": product_id, "name": name})
        except Rejected as error:
            if getattr(error.__cause__, "code", None) != "resource_already_exists":
                raise

    def update_product(self, product_id: str, params: "sdk.ProductUpdateParams") -> None:
        """Set fields of a product; the same update twice is one."""
        with _translated_errors("update the product"):
            self._v1.products.update(product_id, params)

    def ensure_coupon(self, coupon_id: str, params: "sdk.CouponCreateParams") -> None:
        """Make sure that a coupon of these terms exists under this id.

        The id makes creating it twice impossible, and the terms of a coupon never change.

        Raises:
            Conflict: somebody made a coupon of other terms under this id.
        """
        try:
            with _translated_errors("create the coupon"):
                self._v1.coupons.create({**params, "id": coupon_id})
        except Rejected as error:
            if getattr(error.__cause__, "code", None) != "resource_already_exists":
                raise
            with _translated_errors("read the coupon"):
                found = _read(self._v1.coupons.retrieve(coupon_id), Coupon)
            wanted = [params.get("percent_off"), params.get("amount_off"), params.get("currency")]
            there = [found["percent_off"], found["amount_off"], found["currency"]]
            if not found["valid"] or there != wanted:
                raise Conflict(
                    f"Stripe's coupon {coupon_id} is not what its id says; delete it there, and "
                    "it will be made again."
                ) from error

    def tax_rate(self, rate_id: str) -> TaxRate | None:
        """A tax rate, or None when there is none of this id."""
        try:
            with _translated_errors("read the tax rate"):
                return _read(self._v1.tax_rates.retrieve(rate_id), TaxRate)
        except NotFound:
            return None

    # Invoices

    def preview(self, params: "sdk.InvoiceCreatePreviewParams") -> Totals:
        """Preview of an invoice; nothing is created."""
        with _translated_errors("preview the invoice"):
            return _read(self._v1.invoices.create_preview(params), Totals)

    def invoice(self, invoice_id: str) -> WholeInvoice | None:
        """An invoice, or None when its draft was deleted or it never was."""
        try:
            with _translated_errors("read the invoice"):
                return _read_unless_deleted(self._v1.invoices.retrieve(invoice_id), WholeInvoice)
        except NotFound:
            return None

    def invoice_with_payments(self, invoice_id: str) -> PaidInvoice | None:
        """An invoice with all payments on it and their payment intents.

        One call, unless there are more payments than an invoice carries. None as for
        :meth:`invoice`.
        """
        expand = ["payments.data.payment.payment_intent"]
        try:
            with _translated_errors("read the invoice"):
                found = _read_unless_deleted(
                    self._v1.invoices.retrieve(invoice_id, {"expand": expand}), PaidInvoice
                )
        except NotFound:
            return None
        return self._with_all_payments(found) if found else None

    def _with_all_payments(self, invoice: PaidInvoice) -> PaidInvoice:
        """An invoice that carries its first payments, with all of them."""
        if invoice["payments"] and invoice["payments"]["has_more"]:
            params: sdk.InvoicePaymentListParams = {"invoice": invoice["id"], "limit": PAGE_SIZE}
            expand = ["data.payment.payment_intent"]
            with _translated_errors("read the invoice's payments"):
                pages = self._v1.invoice_payments.list({**params, "expand": expand})
                every = list(_every(pages, InvoicePayment))
            invoice["payments"] = {"data": every, "has_more": False}
        return invoice

    def money_back(self, invoice: PaidInvoice) -> MoneyBack:
        """What went back of an invoice that was read with its payments.

        Two calls for each payment, and one where credit notes were issued.
        """
        paid = successful_payments(payments_of(invoice))
        return MoneyBack(
            currency=invoice["currency"],
            paid=paid,
            refunds=[refund for payment in paid for refund in self.refunds(payment)],
            disputes=[dispute for payment in paid for dispute in self.disputes(payment)],
            notes=self.credit_notes(invoice["id"]) if credited(invoice) else [],
        )

    def refunds(self, payment: PaymentName) -> list[Refund]:
        """All refunds of one payment."""
        params: sdk.RefundListParams = {"limit": PAGE_SIZE}
        if payment.kind == "charge":
            params["charge"] = payment.id
        else:
            params["payment_intent"] = payment.id
        with _translated_errors("read the refunds"):
            return list(_every(self._v1.refunds.list(params), Refund))

    def disputes(self, payment: PaymentName) -> list[Dispute]:
        """All disputes about one payment."""
        params: sdk.DisputeListParams = {"limit": PAGE_SIZE}
        if payment.kind == "charge":
            params["charge"] = payment.id
        else:
            params["payment_intent"] = payment.id
        with _translated_errors("read the disputes"):
            return list(_every(self._v1.disputes.list(params), Dispute))

    def refunds_and_disputes(self, since: datetime | None) -> Iterator[Refund | Dispute]:
        """All refunds and disputes of the account created since a UTC instant, newest first."""
        after: sdk.RefundListParamsCreated = {"gte": int(since.timestamp()) if since else 0}
        with _translated_errors("list refunds"):
            pages = self._v1.refunds.list({"created": after, "limit": PAGE_SIZE})
            yield from _every(pages, Refund)
        with _translated_errors("list disputes"):
            disputes = self._v1.disputes.list({"created": after, "limit": PAGE_SIZE})
            yield from _every(disputes, Dispute)

    def invoice_of_payment(self, payment: PaymentName) -> str | None:
        """The invoice that a payment was made on; None for money of other business.

        Invoices are found by payment intents only. One that was paid by a charge without an
        intent is looked for among those of its customer:
        https://docs.stripe.com/api/invoice-payment/list
        """
        intent = payment.id
        if payment.kind == "charge":
            try:
                with _translated_errors("read the charge"):
                    charge = _read(self._v1.charges.retrieve(payment.id), Charge)
            except NotFound:
                return None
            if charge["payment_intent"] is None:
                return self._invoice_of_charge(charge)
            intent = charge["payment_intent"]
        by: sdk.InvoicePaymentListParamsPayment = {
            "type": "payment_intent",
            "payment_intent": intent,
        }
        with _translated_errors("find the payment's invoice"):
            pages = self._v1.invoice_payments.list({"payment": by, "limit": 1})
            found = next(_every(pages, InvoicePayment), None)
        return found["invoice"] if found else None

    def _invoice_of_charge(self, charge: Charge) -> str | None:
        """The invoice that a charge without an intent paid, as it says itself."""
        if charge["customer"] is None:
            return None
        params: sdk.InvoiceListParams = {"customer": charge["customer"], "limit": PAGE_SIZE}
        with _translated_errors("find the charge's invoice"):
            pages = self._v1.invoices.list({**params, "expand": ["data.payments"]})
            for invoice in _every(pages, PaidInvoice):
                paid = successful_payments(payments_of(self._with_all_payments(invoice)))
                if PaymentName("charge", charge["id"]) in paid:
                    return invoice["id"]
        return None

    def read(self, url: str) -> dict[str, Any] | None:
        """The object at a path such as a thin event names it; None when it is gone."""
        try:
            with _translated_errors("read what an event is about"):
                self._pages.raw_request("get", url)
                return self._bodies.decoded(_OBJECT)
        except NotFound:
            return None

    def invoice_lines(self, invoice_id: str) -> list[StripeLine]:
        """All lines of an invoice; the invoice itself carries only the first ten."""
        with _translated_errors("read the invoice's lines"):
            return list(
                _every(
                    self._v1.invoices.line_items.list(invoice_id, {"limit": PAGE_SIZE}), StripeLine
                )
            )

    def coupons_of(self, invoice_id: str) -> dict[str, Coupon]:
        """Coupons of an invoice's own discounts and those of its lines, by the discount's id."""
        with _translated_errors("read the invoice's discounts"):
            expand = ["discounts.source.coupon"]
            whole = _read(self._v1.invoices.retrieve(invoice_id, {"expand": expand}), Discounted)
            of_lines = ["data.discounts.source.coupon"]
            lines = self._v1.invoices.line_items.list(
                invoice_id, {"limit": PAGE_SIZE, "expand": of_lines}
            )
            given = [whole, *_every(lines, Discounted)]
        return {
            discount["id"]: coupon
            for one in given
            for discount in one["discounts"]
            if (coupon := discount["source"]["coupon"])
        }

    def invoices_of(self, customer_id: str, since: datetime) -> list[WholeInvoice]:
        """A customer's invoices created at or after a UTC instant, newest first."""
        params: sdk.InvoiceListParams = {"customer": customer_id, "limit": PAGE_SIZE}
        params["created"] = {"gte": int(since.timestamp())}
        with _translated_errors("look for the invoice"):
            return list(_every(self._v1.invoices.list(params), WholeInvoice))

    def invoice_page(
        self, since: int, until: int, after: str | None
    ) -> tuple[list[ListedInvoice], bool]:
        """One page of all invoices created in ``[since, until)`` Unix seconds, newest first.

        Args:
            since: The first second wanted.
            until: The first second no longer wanted.
            after: The last invoice of the page before.

        Returns:
            Of each invoice what a full sync compares, and whether there are more after them.
        """
        page = self._listed(_LISTED, after, {"gte": since, "lt": until})
        return page["data"], page["has_more"]

    def facts_page(self, until: int, after: str | None) -> list[StripeInvoice]:
        """The newest invoices created before a Unix second, as a projection needs them.

        Args:
            until: The first second no longer wanted.
            after: The last invoice of the page before, if it is to go on from there.

        Returns:
            A page, which is empty when there are no more.
        """
        return self._listed(_PROJECTED, after, {"lt": until})["data"]

    def whole_page(self, until: int, after: str | None) -> list[WholeInvoice]:
        """The same as :meth:`facts_page`, with all their lines."""
        page = self._listed(_WHOLE, after, {"lt": until})["data"]
        for invoice in page:
            if invoice["lines"]["has_more"]:
                invoice["lines"] = {"data": self.invoice_lines(invoice["id"]), "has_more": False}
        return page

    def _listed(
        self,
        decoder: msgspec.json.Decoder[_Page[T]],
        after: str | None,
        created: "sdk.InvoiceListParamsCreated",
    ) -> _Page[T]:
        params: sdk.InvoiceListParams = {"created": created, "limit": PAGE_SIZE}
        if after:
            params["starting_after"] = after
        with _translated_errors("list invoices"):
            self._pages.raw_request("get", "/v1/invoices", **params)
            return self._bodies.decoded(decoder)

    def create_invoice(self, params: "sdk.InvoiceCreateParams", key: str) -> WholeInvoice:
        """Create a draft."""
        with _translated_errors("create the invoice"):
            return _read(self._v1.invoices.create(params, _idempotent(key)), WholeInvoice)

    def update_invoice(self, invoice_id: str, params: "sdk.InvoiceUpdateParams") -> WholeInvoice:
        """Set fields of a draft; the same update twice is one."""
        with _translated_errors("update the draft"):
            return _read(self._v1.invoices.update(invoice_id, params), WholeInvoice)

    def add_lines(
        self, invoice_id: str, lines: Sequence["sdk.InvoiceAddLinesParamsLine"], key: str
    ) -> WholeInvoice:
        """Add lines to a draft, all in one call."""
        with _translated_errors("add the lines"):
            return _read(
                self._v1.invoices.add_lines(
                    invoice_id,
                    {"lines": list(lines)},
                    _idempotent(key),
                ),
                WholeInvoice,
            )

    def remove_lines(self, invoice_id: str, line_ids: Sequence[str], key: str) -> WholeInvoice:
        """Remove lines from a draft, all in one call."""
        with _translated_errors("remove the lines"):
            return _read(
                self._v1.invoices.remove_lines(
                    invoice_id,
                    {"lines": [{"id": line, "behavior": "delete"} for line in line_ids]},
                    _idempotent(key),
                ),
                WholeInvoice,
            )

    def finalize(self, invoice_id: str, key: str) -> WholeInvoice:
        """Turn a draft into an open invoice, numbered and frozen; Stripe mails nothing yet."""
        with _translated_errors("finalize the invoice"):
            return _read(
                self._v1.invoices.finalize_invoice(
                    invoice_id, {"auto_advance": False}, _idempotent(key)
                ),
                WholeInvoice,
            )

    def send(self, invoice_id: str, key: str) -> WholeInvoice:
        """E-mail an open invoice to its customer."""
        with _translated_errors("send the invoice"):
            return _read(
                self._v1.invoices.send_invoice(invoice_id, {}, _idempotent(key)), WholeInvoice
            )

    def delete_draft(self, invoice_id: str) -> None:
        """Delete a draft; NotFound if there is none, Rejected if it is no draft any more."""
        with _translated_errors("delete the draft"):
            self._v1.invoices.delete(invoice_id)

    # After sending

    def pay(self, invoice_id: str, key: str) -> WholeInvoice:
        """Charge the payment method that the customer saved."""
        with _translated_errors("charge the saved payment method"):
            return _read(
                self._v1.invoices.pay(invoice_id, {"off_session": True}, _idempotent(key)),
                WholeInvoice,
            )

    def void(self, invoice_id: str, key: str) -> WholeInvoice:
        """Void an open or uncollectible invoice, for good."""
        with _translated_errors("void the invoice"):
            return _read(
                self._v1.invoices.void_invoice(invoice_id, {}, _idempotent(key)), WholeInvoice
            )

    def mark_uncollectible(self, invoice_id: str, key: str) -> WholeInvoice:
        """Give an open invoice up; it can still be paid or voided."""
        with _translated_errors("write the invoice off"):
            return _read(
                self._v1.invoices.mark_uncollectible(invoice_id, {}, _idempotent(key)), WholeInvoice
            )

    def report_payment(
        self, params: "sdk.PaymentRecordReportPaymentParams", key: str
    ) -> PaymentRecord:
        """Report a payment made outside Stripe; it counts once it is attached to an invoice."""
        with _translated_errors("report the payment"):
            return _read(
                self._v1.payment_records.report_payment(params, _idempotent(key)), PaymentRecord
            )

    def payment_record(self, payment_record_id: str) -> PaymentRecord:
        """A reported payment."""
        with _translated_errors("read the payment record"):
            return _read(self._v1.payment_records.retrieve(payment_record_id), PaymentRecord)

    def payment_records(self, since: datetime | None) -> Iterator[PaymentRecord]:
        """All payments that were reported, since a UTC instant if one is given, newest first."""
        params: sdk.PaymentRecordListParams = {"limit": PAGE_SIZE}
        if since:
            params["created_after"] = int(since.timestamp()) - 1
        with _translated_errors("list reported payments"):
            yield from _every(self._v1.payment_records.list(params), PaymentRecord)

    def attach_payment(self, invoice_id: str, payment_record_id: str, key: str) -> WholeInvoice:
        """Count a reported payment towards an open or uncollectible invoice."""
        with _translated_errors("attach the payment"):
            return _read(
                self._v1.invoices.attach_payment(
                    invoice_id, {"payment_record": payment_record_id}, _idempotent(key)
                ),
                WholeInvoice,
            )

    def paid_payments(self, invoice_id: str) -> list[InvoicePayment]:
        """The payments that count towards an invoice."""
        params: sdk.InvoicePaymentListParams = {"invoice": invoice_id, "limit": PAGE_SIZE}
        with _translated_errors("read the invoice's payments"):
            return list(
                _every(self._v1.invoice_payments.list({**params, "status": "paid"}), InvoicePayment)
            )

    def create_credit_note(self, params: "sdk.CreditNoteCreateParams", key: str) -> CreditNote:
        """Issue a credit note on a finalized invoice."""
        with _translated_errors("issue the credit note"):
            return _read(self._v1.credit_notes.create(params, _idempotent(key)), CreditNote)

    def credit_notes(self, invoice_id: str) -> list[CreditNote]:
        """The credit notes of an invoice, newest first."""
        params: sdk.CreditNoteListParams = {"invoice": invoice_id, "limit": PAGE_SIZE}
        with _translated_errors("read the invoice's credit notes"):
            return list(_every(self._v1.credit_notes.list(params), CreditNote))

    def all_credit_notes(self, since: datetime | None) -> Iterator[CreditNote]:
        """All credit notes, since a UTC instant if one is given, newest first."""
        params: sdk.CreditNoteListParams = {"limit": PAGE_SIZE}
        if since:
            params["created"] = {"gte": int(since.timestamp())}
        with _translated_errors("list credit notes"):
            yield from _every(self._v1.credit_notes.list(params), CreditNote)

    def credited_lines(self, notes: Iterable[CreditNote]) -> list[CreditNoteLine]:
        """The lines of credit notes that count."""
        lines: list[CreditNoteLine] = []
        for note in notes:
            if note["status"] == "void":
                continue
            if not note["lines"]["has_more"]:
                lines += note["lines"]["data"]
                continue
            with _translated_errors("read the credit note's lines"):
                pages = self._v1.credit_notes.line_items.list(note["id"], {"limit": PAGE_SIZE})
                lines += _every(pages, CreditNoteLine)
        return lines

    # Events

    def events(
        self, *, since: datetime, types: Sequence[str], until: datetime | None = None
    ) -> Iterator[Event]:
        """Events of some types created since a UTC instant, newest first of each twenty types.

        Each is whole, with all that it carries beside what its type names. Stripe keeps events
        for 30 days, and filters by at most 20 types: https://docs.stripe.com/api/events
        """
        created: sdk.EventListParamsCreated = {"gte": int(since.timestamp())}
        if until:
            created["lte"] = int(until.timestamp())
        for some in chunked(types, EVENT_TYPES):
            params: sdk.EventListParams = {"limit": PAGE_SIZE, "created": created, "types": some}
            with _translated_errors("list events"):
                for event in _every(self._v1.events.list(params), dict[str, Any]):
                    convert(event, Event)
                    yield cast(Event, event)

    # The installation

    def refusal(self, method: str, path: str) -> str | None:
        """Why the key may not make calls of a kind, in Stripe's words; None if it may.

        The call is made, so it has to be one that does nothing: a list, or a write that cannot
        succeed, because it names nothing that exists or lacks what it needs.
        """
        params = {"limit": 1} if method == "get" else {}
        try:
            with _translated_errors("find out what the key may do"):
                try:
                    self._client.raw_request(method, path, **params)
                except stripe.PermissionError as error:
                    return error.user_message or str(error)
        except Rejected:
            pass
        return None

    def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """The account's webhook endpoints in the key's mode."""
        with _translated_errors("list webhook endpoints"):
            pages = self._v1.webhook_endpoints.list({"limit": PAGE_SIZE})
            return list(_every(pages, WebhookEndpoint))

    def create_webhook_endpoint(self, url: str, types: Sequence[str]) -> WebhookEndpoint:
        """Make a webhook endpoint in this project's version; only this answer has its secret."""
        params: Any = {"url": url, "enabled_events": types, "api_version": STRIPE_API_VERSION}
        with _translated_errors("create the webhook endpoint"):
            return _read(self._v1.webhook_endpoints.create(params), WebhookEndpoint)

    def enable_webhook_endpoint(self, endpoint_id: str, types: Sequence[str]) -> None:
        """Let an endpoint be sent events of these types."""
        params: Any = {"enabled_events": types, "disabled": False}
        with _translated_errors("update the webhook endpoint"):
            self._v1.webhook_endpoints.update(endpoint_id, params)

    def undelivered(self, since: datetime, until: datetime) -> list[Identified]:
        """The newest events of a time that a webhook endpoint of the account has not taken."""
        created: sdk.EventListParamsCreated = {
            "gte": int(since.timestamp()),
            "lte": int(until.timestamp()),
        }
        params: sdk.EventListParams = {"created": created, "delivery_success": False}
        with _translated_errors("list events"):
            return _read(self._v1.events.list(params), _Page[Identified])["data"]


def _idempotent(key: str) -> stripe.RequestOptions:
    return {"idempotency_key": key}


def verified_event(body: bytes, signature: str, secrets: Sequence[str]) -> str | None:
    """Say why an event body is not genuine; None when one of the secrets signed it just now.

    The SDK looks for signatures that are too old only; one from the future, which could be
    replayed for as long as it is ahead, is no better.
    Source: https://docs.stripe.com/webhooks#verify-manually
    """
    if not signature.isascii():
        return "it has letters that no signature has"
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
