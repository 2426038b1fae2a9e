"""Accounts and invoices, read from their Salesforce records."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from invoicing.domain.model.countries import country_code
from invoicing.domain.model.invoice import Account, Address, Invoice, Line
from invoicing.domain.model.invoice_details import Collection, CustomField, Details, Discount, Terms
from invoicing.domain.model.money import Money
from invoicing.domain.model.status import Status
from invoicing.domain.salesforce.record import (
    APPROVAL_STATUS,
    BILL_TO,
    CURRENCY,
    DETAIL_FIELDS,
    DISCOUNT_FIELDS,
    EXACT_PRICE,
    LOCAL_KEY,
    STATUS,
    STRIPE_ID,
    TOTAL,
    OrgCurrency,
    exact_price,
    lines_of,
    number,
    text,
)


def read_account(record: Mapping[str, Any], currency: OrgCurrency) -> Account:
    """An Account from its Salesforce record."""
    return Account(
        id=record["Id"],
        name=record["Name"],
        currency=currency.of(record),
        invoice_email=record.get("Invoice_Email__c"),
        stripe_customer_id=record.get("Stripe_Customer_Id__c"),
        address=_read_address(record),
        country=record.get("BillingCountry") or "",
    )


def _read_address(record: Mapping[str, Any]) -> Address | None:
    """The billing address, where it is known which country it is in."""
    country = record.get("BillingCountryCode") or country_code(record.get("BillingCountry") or "")
    if not country:
        return None
    return Address(
        country=country,
        line1=record.get("BillingStreet") or "",
        city=record.get("BillingCity") or "",
        state=record.get("BillingStateCode") or record.get("BillingState") or "",
        postal_code=record.get("BillingPostalCode") or "",
    )


def read_invoice(record: Mapping[str, Any], currency: OrgCurrency) -> Invoice:
    """An invoice from the answer to :func:`invoice_query`.

    Once it is sent, payment terms and the due date that they came to both stand on the record;
    the content of the invoice is the terms.
    """
    account = read_account(record["Account__r"], currency)
    bill_to = record.get("Bill_To__r") or {}
    status, details = Status(record[STATUS]), _read_details(record)
    due = None if details.terms and status is not Status.DRAFT else record.get("Due_Date__c")
    code, stripe_id, total = record[CURRENCY].upper(), record.get(STRIPE_ID), record.get(TOTAL)
    return Invoice(
        record_id=record["Id"],
        name=record["Name"],
        account=account,
        currency=code,
        description=record.get("Description__c") or "",
        due_date=date.fromisoformat(due) if due else None,
        status=status,
        lines=tuple(_read_line(line) for line in lines_of(record)),
        email=bill_to.get("Email") or account.invoice_email,
        stripe_id=stripe_id,
        made_in_stripe=bool(stripe_id) and record.get(LOCAL_KEY) == stripe_id,
        total_in_stripe=None if total is None else Money.of(number(total), code),
        details=details,
        bill_to=record.get(BILL_TO),
        replaces=(record.get("Replaces__r") or {}).get(STRIPE_ID),
        approval=record.get(APPROVAL_STATUS),
    )


def _listed(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _read_custom_fields(value: str) -> tuple[CustomField, ...]:
    pairs = (line.partition(":") for line in text(value).split("\n") if line.strip())
    return tuple(CustomField(name.strip(), said.strip()) for name, _, said in pairs)


READ: Mapping[str, Callable[[Any], Any]] = {
    "terms": Terms,
    "po_number": str,
    "footer": text,
    "custom_fields": _read_custom_fields,
    "automatic_tax": bool,
    "tax_rates": _listed,
    "collection": Collection,
    "send_on": date.fromisoformat,
    "payment_methods": _listed,
    "template": str,
}
"""How a record's value is read, by the detail that it holds."""


def _read_details(record: Mapping[str, Any]) -> Details:
    values = {
        held: READ[held](value)
        for name, held in DETAIL_FIELDS.items()
        if (value := record.get(name))
    }
    return Details(discount=_read_discount(record), **values)


def _read_discount(record: Mapping[str, Any]) -> Discount | None:
    percent, amount = (
        None if record.get(field) is None else number(record[field]) for field in DISCOUNT_FIELDS
    )
    return None if percent is None and amount is None else Discount(percent, amount)


def _read_line(record: Mapping[str, Any]) -> Line:
    return Line(
        key=record.get(LOCAL_KEY) or record["Id"],
        position=int(record.get("Position__c") or 0),
        description=record.get("Description__c") or "",
        quantity=number(record["Quantity__c"]),
        unit_price=exact_price(record["Unit_Price__c"], record.get(EXACT_PRICE)),
        product_id=record.get("Product__c"),
        product_name=(record.get("Product__r") or {}).get("Name", ""),
        record_id=record["Id"],
        discount=_read_discount(record),
    )
