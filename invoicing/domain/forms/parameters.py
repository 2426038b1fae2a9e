"""What people and programs fill in: the parameters of the flows.

Prefect renders these as forms and refuses what does not fit their JSON schema before a run
exists. The schemas only ask for the right kind of value; whether the value makes sense is
checked in the flow, so that one refusal names every mistake.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    WithJsonSchema,
    model_serializer,
)
from pydantic.json_schema import JsonSchemaValue

from invoicing.domain.forms.table_values import MARKS, read_number
from invoicing.domain.model.money import plain

DECIMAL = re.compile(r"-?\d+(\.\d+)?", re.ASCII)
OR_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}\.\d\d0", re.ASCII)
"""A decimal that few write so, and that is a thousand times as much where points part thousands."""


def empty_is_none(value: object) -> object:
    """What was left empty in a form was not given."""
    return value.strip() or None if isinstance(value, str) else value


def typed_number(value: object) -> object:
    """A number as it is typed: ``50,00`` and ``1.234,50`` too, where they mean one number only.

    Raises:
        ValueError: it is no number, or may be two; in words.
    """
    if not isinstance(value, str):
        return value
    text = value.strip()
    if DECIMAL.fullmatch(text) and not OR_THOUSANDS.fullmatch(text):
        return Decimal(text)
    readings = {read_number(text, mark) for mark in MARKS.values()} - {None}
    if len(readings) == 1:
        return readings.pop()
    if readings:
        ways = " or ".join(plain(each) for each in sorted(filter(None, readings), reverse=True))
        raise ValueError(f"{text!r} can be read in two ways; write {ways}")
    raise ValueError(f"{text!r} is no number; write it like 1234.50")


# Forms send their defaults back, and Prefect takes no null where the schema says text.
OFFERED_EMPTY = Field(json_schema_extra={"default": ""})


@dataclass(frozen=True, slots=True)
class Needed:
    """Says beside a field that was left empty what is asked for.

    JSON Schema has no words of one's own: a form would say "'invoice' is a required property". Of a
    constant it says "'an invoice' was expected".
    """

    what: str

    def __get_pydantic_json_schema__(
        self, field: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Offered empty, and refused so."""
        schema = handler(field)
        for more in ("minLength", "minimum"):  # "'' should be non-empty", "0 is less than"
            schema.pop(more, None)
        empty: object = {"array": [], "integer": 0}.get(schema["type"], "")
        return schema | {"default": empty, "if": {"const": empty}, "then": {"const": self.what}}


InvoiceReference = Annotated[
    str,
    Field(examples=["INV-0042", "a00Hs00001AbCdEIAV", "in_1Pq2Rs"], min_length=1),
    Needed("an invoice"),
]

AccountReference = Annotated[
    str,
    Field(examples=["001Hs00003XyZaBIAV", "Acme Corporation"], min_length=1),
    Needed("an Account"),
]

AccountId = Annotated[str, Field(examples=["001Hs00003XyZaBIAV"]), Needed("the id of an Account")]
"""Of an Account that may be gone, or is to be: its name is not asked for."""

LineNumber = Annotated[int, Field(ge=1), Needed("the number of a line")]

DateOrEmpty = Annotated[
    date | None,
    BeforeValidator(empty_is_none),
    WithJsonSchema({"type": "string", "format": "date"}),
]

OptionalDate = Annotated[DateOrEmpty, OFFERED_EMPTY]

OptionalMoment = Annotated[
    datetime | None,
    BeforeValidator(empty_is_none),
    WithJsonSchema({"type": "string", "format": "date-time"}),
    OFFERED_EMPTY,
]

Number = Annotated[Decimal, BeforeValidator(typed_number), WithJsonSchema({"type": "string"})]
"""Refused in words by the flow: all that a pattern could say is itself."""

OptionalNumber = Annotated[
    Decimal | None,
    BeforeValidator(typed_number),  # the last one is asked first
    BeforeValidator(empty_is_none),
    WithJsonSchema({"type": "string"}),
    OFFERED_EMPTY,
]


def no_trailing_zeros(number: Decimal | None) -> Decimal | None:
    """The same number, written in one way: who asks for 100 and for 100.00 asks for the same."""
    return None if number is None else Decimal(plain(number))


OptionalCredit = Annotated[OptionalNumber, AfterValidator(no_trailing_zeros)]


class FieldGroup(BaseModel):
    """Fields of a form that belong together; any other is a mistake, and blanks around are none."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class LineItem(FieldGroup):
    """One line: a product or a text, how many, and at what price."""

    product: str = Field(
        "",
        title="Product",
        description="From the price book: name, product code or Salesforce id, e.g. Consulting. "
        "Empty for a line of free text.",
        examples=["Consulting"],
    )
    quantity: Number = Field(
        Decimal(1),
        title="Quantity",
        description="How many; decimals are fine, e.g. 1.5.",
        examples=["3"],
    )
    unit_price: OptionalNumber = Field(
        None,
        title="Unit price",
        description="In the invoice's currency, e.g. 149.50, with up to 12 decimals. Empty: the "
        "price book's price.",
        examples=["149.50"],
    )
    description: str = Field(
        "",
        title="Text on the invoice",
        description="Empty: the product's name.",
    )
    discount_percent: OptionalNumber = Field(
        None, title="Discount in percent", description="Off this line.", examples=["10"]
    )
    discount_amount: OptionalNumber = Field(
        None, title="Discount as an amount", description="Off this line.", examples=["25.00"]
    )


class LineChange(FieldGroup):
    """A change of an existing line; what stays empty stays as it is."""

    line: LineNumber = Field(title="Line", description="Its position on the invoice, from 1.")
    product: str = Field(
        "",
        title="New product",
        description="Its price comes from the price book, unless a new one is given.",
    )
    quantity: OptionalNumber = Field(None, title="New quantity", examples=["5"])
    unit_price: OptionalNumber = Field(None, title="New unit price", examples=["120.00"])
    description: str = Field("", title="New text on the invoice")
    discount_percent: OptionalNumber = Field(None, title="New discount in percent")
    discount_amount: OptionalNumber = Field(None, title="New discount as an amount")
    clear: list[Literal["text", "discount"]] = Field(
        [], title="Clear", description="What is emptied on the line."
    )


class CreditLine(FieldGroup):
    """The part of one line that is credited; only its number for the whole line."""

    line: LineNumber = Field(title="Line", description="Its position on the invoice, from 1.")
    quantity: OptionalCredit = Field(
        None, title="Quantity", description="How many of it, at the line's price.", examples=["1"]
    )
    amount: OptionalCredit = Field(
        None,
        title="Amount",
        description="Instead of a quantity: before tax, in the invoice's currency.",
        examples=["50.00"],
    )


GiveBack = Literal["nothing", "refund", "customer balance", "out of band", "refunded already"]
"""Destination of the part of a credit that the customer has paid already."""

CreditReason = Literal["other", "duplicate", "fraudulent", "order change", "product unsatisfactory"]
"""Stripe's reasons for a credit note."""

PaidBy = Literal["bank transfer", "cheque", "cash", "other"]
"""Means of a payment that Stripe did not collect."""

PaymentTerms = Literal["", "Net 15", "Net 30", "Net 45", "Net 60", "Net 90"]

RequestId = Annotated[str, Field(max_length=50, pattern=r"^[\w.-]*$")]
"""For programs: the same request id asks for the same thing once."""


class CustomFieldItem(FieldGroup):
    """A name and a value beside the invoice's number."""

    name: str = Field(title="Name", description="Up to 40 characters.", examples=["Project"])
    value: str = Field(title="Value", description="Up to 140 characters.", examples=["Apollo"])


class Options(FieldGroup, title="More options"):
    """More options of an invoice; what stays empty is left as it is."""

    payment_terms: PaymentTerms = Field(
        "",
        title="Payment terms",
        description="Days from the day of sending, instead of a due date.",
    )
    po_number: str = Field(
        "",
        title="PO number",
        description="The customer's order; printed on the invoice.",
        examples=["PO-4711"],
    )
    footer: str = Field("", title="Footer", description="Printed at the end of the invoice.")
    custom_fields: list[CustomFieldItem] = Field(
        [],
        title="Custom fields",
        description="Up to four, the PO number among them. They replace the earlier ones.",
    )
    discount_percent: OptionalNumber = Field(
        None, title="Discount in percent", description="Off the whole invoice.", examples=["10"]
    )
    discount_amount: OptionalNumber = Field(
        None,
        title="Discount as an amount",
        description="Off the whole invoice.",
        examples=["100.00"],
    )
    stripe_tax: Literal["", "on", "off"] = Field(
        "", title="Stripe Tax", description="Whether Stripe works the tax out; else it is off."
    )
    tax_rates: list[str] = Field(
        [],
        title="Tax rates",
        description="Instead of Stripe Tax: names from the settings, or Stripe's ids (txr_…).",
        examples=[["VAT 19 %"]],
    )
    collection: Literal["", "Send Invoice", "Charge Automatically"] = Field(
        "",
        title="Collection",
        description="Send the invoice by e-mail, or charge the payment method that the customer "
        "saved in Stripe.",
    )
    send_on: OptionalDate = Field(
        None, title="Sending date", description="The day on which it is sent by itself."
    )
    payment_methods: list[str] = Field(
        [],
        title="Payment methods",
        description="What the customer may pay with, in Stripe's words. Empty: as set in Stripe.",
        examples=[["card", "sepa_debit"]],
    )
    template: str = Field(
        "", title="Rendering template", description="Stripe's id of it (inrtem_…)."
    )

    @model_serializer(mode="wrap")
    def _without_nulls(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Forms send defaults back, and Prefect takes no null for a text."""
        return {name: value for name, value in dump(self).items() if value is not None}


AS_USUAL = "As usual"
"""The first tab of a folded group; its other one has the group's title."""


class Folded:
    """Shows a group of fields to whoever asks for it only.

    Prefect's form shows alternatives as tabs; nothing given, which is the default, fits the first.
    """

    def __get_pydantic_json_schema__(
        self, group: Any, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Both alternatives."""
        return {"anyOf": [{"title": AS_USUAL, "type": "object", "properties": {}}, handler(group)]}


NOTHING_GIVEN = Field(json_schema_extra={"default": {}})

FoldedOptions = Annotated[Options, Folded(), NOTHING_GIVEN]
"""Options, which most people leave alone."""

Clearable = Literal[
    "description",
    "due date",
    "payment terms",
    "PO number",
    "footer",
    "custom fields",
    "discount",
    "tax rates",
    "sending date",
    "payment methods",
    "rendering template",
]
"""Names of what a revision may empty."""
