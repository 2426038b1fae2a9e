"""The fields that are read of Stripe's objects, named and typed as the SDK's classes have them.

The SDK's own classes do not come further than the connector: pages of a full sync and the bodies
of events are read without them, and they promise fields that an answer may lack. The connector
holds every answer to these types, and a test holds these types to the SDK's.
"""

from decimal import Decimal
from typing import Any, NotRequired, TypedDict

Metadata = dict[str, str]


class Identified(TypedDict):
    """Any object: it has an id."""

    id: str


class Dated(Identified):
    """An object of which it is read when it was made."""

    created: int


# Whom invoices go to


class StripeAddress(TypedDict):
    """An address."""

    city: str | None
    country: str | None
    line1: str | None
    line2: str | None
    postal_code: str | None
    state: str | None


class Shipping(TypedDict):
    """Where a customer is shipped to."""

    address: NotRequired[StripeAddress | None]
    name: NotRequired[str | None]


class InvoiceTaxId(TypedDict):
    """A tax id of a customer, as an invoice shows it."""

    type: str
    value: str | None


# Invoices


class TaxRateDetails(TypedDict):
    """The rate of a tax."""

    tax_rate: str


class DiscountAmount(TypedDict):
    """What a discount takes off a line or an invoice, in minor units."""

    amount: int
    discount: str


class Tax(TypedDict):
    """A tax of an invoice or a line, in minor units."""

    amount: int
    tax_behavior: str
    tax_rate_details: TaxRateDetails | None


class Totals(TypedDict):
    """What an invoice, or the preview of one, comes to."""

    currency: str
    total: int
    total_taxes: list[Tax] | None


class FromInvoice(TypedDict):
    """The invoice that one revises."""

    invoice: str


class StatusTransitions(TypedDict):
    """Unix times."""

    finalized_at: int | None
    marked_uncollectible_at: int | None
    paid_at: int | None
    voided_at: int | None


class CustomField(TypedDict):
    """A name and a value that the customer reads."""

    name: str
    value: str


class StripeInvoice(Dated, Totals):
    """All of an invoice that its projection looks at."""

    status: str
    customer: str | None
    metadata: Metadata | None
    number: str | None
    due_date: int | None
    amount_paid: int
    amount_remaining: int
    amount_overpaid: int
    pre_payment_credit_notes_amount: int
    post_payment_credit_notes_amount: int
    from_invoice: FromInvoice | None
    livemode: bool
    description: str | None
    hosted_invoice_url: NotRequired[str | None]
    invoice_pdf: NotRequired[str | None]
    subtotal: int
    total_discount_amounts: list[DiscountAmount] | None
    amount_due: int
    status_transitions: StatusTransitions
    collection_method: str
    footer: str | None
    custom_fields: list[CustomField] | None


class PriceDetails(TypedDict):
    """What a line bills."""

    product: str


class Pricing(TypedDict):
    """How a line came to its amount; the unit's is in minor units."""

    price_details: PriceDetails | None
    unit_amount_decimal: Decimal | None


class Period(TypedDict):
    """The time that a line is for, as Unix times; of two that are equal the customer reads none."""

    start: int
    end: int


class StripeLine(Identified):
    """A line of an invoice."""

    amount: int
    description: str | None
    quantity: int | None
    quantity_decimal: Decimal | None
    metadata: Metadata
    pricing: Pricing | None
    taxes: list[Tax] | None
    discounts: list[str]
    discount_amounts: list[DiscountAmount] | None
    period: Period


class Lines(TypedDict):
    """The first lines of an invoice."""

    data: list[StripeLine]
    has_more: bool


class ListedInvoice(StripeInvoice):
    """All of an invoice on a page of Stripe's list that a full sync compares."""

    discounts: list[str]
    lines: Lines


class AutomaticTax(TypedDict):
    """Whether Stripe works the taxes out by itself."""

    enabled: bool


class PaymentSettings(TypedDict):
    """The ways in which it may be paid; None for those of the account."""

    payment_method_types: list[str] | None


class Rendering(TypedDict):
    """How it looks."""

    template: str | None
    amount_tax_display: str | None


class ShippingCost(TypedDict):
    """What shipping costs, in minor units."""

    amount_total: int


class Issuer(TypedDict):
    """Who issues it: this account, or another one that it names."""

    type: str
    account: NotRequired[str | None]


class WholeInvoice(ListedInvoice):
    """An invoice with its first lines, whom it goes to, and the balance that it counts in."""

    customer_email: str | None
    customer_name: str | None
    customer_address: StripeAddress | None
    customer_phone: str | None
    customer_shipping: Shipping | None
    customer_tax_exempt: str | None
    customer_tax_ids: list[InvoiceTaxId] | None
    starting_balance: int
    ending_balance: int | None
    default_tax_rates: list[Identified]
    automatic_tax: AutomaticTax
    payment_settings: PaymentSettings
    rendering: Rendering | None
    shipping_cost: ShippingCost | None
    shipping_details: Shipping | None
    account_tax_ids: list[str] | None
    effective_at: int | None
    issuer: Issuer
    on_behalf_of: str | None
    default_payment_method: str | None
    default_source: str | None
    statement_descriptor: str | None


# Payments


class PaymentError(TypedDict):
    """Why an attempt to pay failed."""

    code: NotRequired[str | None]
    decline_code: NotRequired[str | None]
    message: NotRequired[str | None]


class PaymentIntent(Identified):
    """A payment through Stripe."""

    status: str
    last_payment_error: PaymentError | None


class Means(TypedDict):
    """What an invoice was paid by; the intent is whole where it was asked for."""

    charge: NotRequired[str | None]
    payment_intent: NotRequired[str | PaymentIntent | None]
    payment_record: NotRequired[str | None]


class InvoicePayment(Identified):
    """A payment on an invoice, or the attempt at one, in minor units."""

    invoice: str
    status: str
    amount_paid: int | None
    amount_requested: int
    payment: Means


class Payments(TypedDict):
    """The payments that an invoice carries."""

    data: list[InvoicePayment]
    has_more: bool


class PaidInvoice(WholeInvoice):
    """An invoice that was asked for with its payments."""

    payments: Payments | None


class Refund(Dated):
    """Money given back, in minor units."""

    amount: int
    status: str | None
    charge: str | None
    payment_intent: str | None


class Dispute(Dated):
    """Money that a customer's bank claims back, in minor units."""

    amount: int
    currency: str
    status: str
    charge: str
    payment_intent: str | None


class Charge(Identified):
    """A charge, of which a payment intent may have made several."""

    customer: str | None
    payment_intent: str | None


class AmountRequested(TypedDict):
    """An amount in minor units."""

    currency: str
    value: int


class PaymentRecord(Dated):
    """A payment that was reported to Stripe."""

    metadata: Metadata
    amount_requested: AmountRequested


class LinkedRefund(TypedDict):
    """A refund that belongs to a credit note, or the part of it that does, in minor units."""

    refund: str
    amount_refunded: int


class CreditNoteLine(TypedDict):
    """What a credit note credits of a line, before taxes and discounts, in minor units."""

    amount: int
    invoice_line_item: NotRequired[str | None]
    quantity: int | None


class CreditNoteLines(TypedDict):
    """The first lines of a credit note."""

    data: list[CreditNoteLine]
    has_more: bool


class CreditNote(Dated):
    """A credit note, in minor units."""

    number: str
    status: str
    amount: int
    pre_payment_amount: int
    post_payment_amount: int
    out_of_band_amount: int | None
    refunds: list[LinkedRefund]
    lines: CreditNoteLines
    metadata: Metadata | None


# Customers, and what invoices refer to


class InvoiceSettings(TypedDict):
    """How a customer's invoices are paid by default."""

    default_payment_method: str | None


class Customer(Identified):
    """A customer."""

    email: str | None
    balance: NotRequired[int | None]
    currency: NotRequired[str | None]
    default_source: NotRequired[str | None]
    invoice_credit_balance: NotRequired[dict[str, int] | None]
    invoice_settings: InvoiceSettings | None
    name: NotRequired[str | None]
    address: NotRequired[StripeAddress | None]
    metadata: NotRequired[Metadata | None]
    shipping: NotRequired[Shipping | None]
    tax_exempt: NotRequired[str | None]


class TaxId(TypedDict):
    """A tax id of a customer."""

    type: str
    value: str


class Product(Identified):
    """A product; one that is archived is not active."""

    active: bool
    name: str


class Coupon(Identified):
    """The terms of a coupon."""

    amount_off: int | None
    currency: str | None
    percent_off: float | None
    valid: bool


class DiscountSource(TypedDict):
    """What a discount comes from; None where that is gone."""

    coupon: Coupon | None


class Discount(Identified):
    """A discount that was asked for with its coupon."""

    source: DiscountSource


class Discounted(TypedDict):
    """An invoice, or a line of one, with its own discounts."""

    discounts: list[Discount]


class TaxRate(Identified):
    """A tax rate; ``percentage`` is out of 100."""

    active: bool
    percentage: float
    inclusive: bool


# Events


class EventData(TypedDict):
    """What an event is about: some object of Stripe."""

    object: dict[str, Any]
    previous_attributes: NotRequired[dict[str, Any] | None]


class EventRequest(TypedDict):
    """The call that an event came of."""

    idempotency_key: str | None


class Event(Dated):
    """An event of the kind that carries its object."""

    type: str
    data: EventData
    request: EventRequest | None


# The installation


class AccountRequirements(TypedDict):
    """What Stripe wants to know of an account, by the names of fields, and what comes of it."""

    current_deadline: int | None
    currently_due: list[str] | None
    disabled_reason: str | None
    past_due: list[str] | None


class MissingFields(TypedDict):
    """What Stripe Tax lacks."""

    missing_fields: list[str] | None


class TaxStatusDetails(TypedDict):
    """Why Stripe Tax is not active."""

    pending: NotRequired[MissingFields | None]


class TaxSettings(TypedDict):
    """Whether Stripe Tax has what it needs to work taxes out."""

    status: str
    status_details: TaxStatusDetails


class Account(Identified):
    """The account that a key belongs to."""

    charges_enabled: NotRequired[bool]
    requirements: NotRequired[AccountRequirements | None]


class WebhookEndpoint(Identified):
    """Where Stripe sends events; its secret is in the answer to its creation only."""

    url: str
    status: str
    enabled_events: list[str]
    api_version: str | None
    secret: NotRequired[str]
