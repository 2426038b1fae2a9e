"""Values of an org's own fields for an invoice, beyond our record.

Where its e-mail goes, what is copied to Stripe, which taxes and which price book: all by
the field mapping, in the org's names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from more_itertools import always_iterable

from invoicing.domain.model.invoice import Account, Invoice
from invoicing.domain.model.invoice_details import (
    CUSTOM_NAME_LENGTH,
    MAX_CUSTOM_FIELDS,
    CustomField,
    OrgFields,
)
from invoicing.domain.model.money import plain
from invoicing.domain.salesforce.field_mapping import AUTOMATIC, Names, OrgMapping, value_at
from invoicing.domain.salesforce.queries import Comparison, OrgCondition, Query, all_of, equals
from invoicing.domain.salesforce.record import INVOICE

METADATA_KEYS = 50
METADATA_KEY_LENGTH = 40
METADATA_VALUE_LENGTH = 500
"""Stripe's limits: https://docs.stripe.com/api/metadata"""

OWN_KEYS = 10
"""Names in an invoice's metadata that are kept for ourselves."""


@dataclass(frozen=True)
class OrgFieldReader:
    """Carries an org's own fields into our invoices."""

    mapping: OrgMapping

    @cached_property
    def _names(self) -> Names:
        return Names(self.mapping)

    def _ours(self, path: str) -> str:
        return self._names.our_path(INVOICE, path)

    @cached_property
    def paths(self) -> list[str]:
        """Our paths of all fields to be read with an invoice."""
        asked = [
            *self.mapping.email,
            *self.mapping.metadata.values(),
            *self.mapping.custom_fields.values(),
            self.mapping.tax.field,
        ]
        paths = [self._ours(path) for path in asked if path]
        return paths + [f"Account__r.{name}" for name in self.account_fields]

    @cached_property
    def account_fields(self) -> list[str]:
        """Our names of all fields to be read with an Account."""
        field = self.mapping.price_book.account_field
        return [self._names.our_path("Account", field)] if field else []

    @property
    def account_has_taxes(self) -> bool:
        """Whether taxes come from the Account, so that all of its invoices have the same."""
        field = self.mapping.tax.field
        return bool(field) and self._ours(field).startswith("Account__r.")

    def with_price_book(self, account: Account, record: Mapping[str, Any]) -> Account:
        """An Account with its own price book, where it has one."""
        book = [record.get(name) for name in self.account_fields]
        return replace(account, price_book=book[0] or None) if book else account

    def with_org_fields(self, invoice: Invoice, record: Mapping[str, Any]) -> Invoice:
        """An invoice with what the org's own fields say of it."""
        account = self.with_price_book(invoice.account, record["Account__r"])
        emails = [self._text_at(record, path) for path in self.mapping.email]
        email = next(filter(None, emails), None) if emails else invoice.email
        metadata = self._read(self.mapping.metadata, record)
        shown = self._read(self.mapping.custom_fields, record)
        tax_class = self._text_at(record, self.mapping.tax.field)
        taxes = self.mapping.tax.rates.get(tax_class)
        org_fields = OrgFields(
            metadata=tuple(metadata.items()),
            custom_fields=tuple(CustomField(name, text) for name, text in shown.items() if text),
            automatic_tax=taxes == AUTOMATIC,
            tax_rates=() if taxes == AUTOMATIC else tuple(always_iterable(taxes)),
            problems=(*_too_long(metadata), *self._tax_problems(tax_class)),
        )
        return replace(invoice, account=account, email=email, org_fields=org_fields)

    def _read(self, fields: Mapping[str, str], record: Mapping[str, Any]) -> dict[str, str]:
        return {name: self._text_at(record, path) for name, path in fields.items()}

    def _text_at(self, record: Mapping[str, Any], path: str) -> str:
        """What a record says at a path in the org's names; empty without a path."""
        return _text(value_at(record, self._ours(path))) if path else ""

    def _tax_problems(self, tax_class: str) -> Iterator[str]:
        if tax_class and tax_class not in self.mapping.tax.rates:
            yield (
                f"{self.mapping.tax.field} says {tax_class!r}, for which the field mapping names "
                "no tax; add it under [tax.rates], with an empty list where no tax is due."
            )

    def contact_query(self, account_id: str) -> Query | None:
        """The query for the billing contact of an Account; None: none is looked for."""
        contact = self.mapping.billing_contact
        if contact is None:
            return None
        where = all_of(
            equals(contact.account, account_id),
            Comparison(contact.email, "!=", None),
            OrgCondition(contact.where),
        )
        order = "CreatedDate, Id"
        return Query(contact.through, [contact.email], where=where, order=order, limit=1)

    def contact_email(self, record: Mapping[str, Any]) -> str | None:
        """The address from the answer to :meth:`contact_query`."""
        contact = self.mapping.billing_contact
        return _text(value_at(record, contact.email)) or None if contact else None


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case Decimal() | float():
            return plain(Decimal(str(value)))
        case _:
            return str(value).strip()


def _too_long(metadata: Mapping[str, str]) -> Iterator[str]:
    for name, text in metadata.items():
        if len(text) > METADATA_VALUE_LENGTH:
            yield (
                f"{name!r} is to be copied to Stripe and has {len(text)} characters; "
                f"{METADATA_VALUE_LENGTH} fit."
            )


def org_field_mistakes(mapping: OrgMapping) -> Iterator[str]:
    """Mistakes in what is to be copied to Stripe, whatever the org."""
    if len(mapping.metadata) > (most := METADATA_KEYS - OWN_KEYS):
        yield f"metadata: {len(mapping.metadata)} names are too many; there is room for {most}."
    for name in mapping.metadata:
        if not 0 < len(name) <= METADATA_KEY_LENGTH or set(name) & set("[]"):
            yield (
                f"metadata: {name!r} must have 1 to {METADATA_KEY_LENGTH} characters, "
                "and no square brackets."
            )
        if name.startswith("salesforce_"):
            yield f"metadata: {name!r} begins like our own names, salesforce_; choose another."
    if len(mapping.custom_fields) > MAX_CUSTOM_FIELDS:
        yield (
            f"custom_fields: {len(mapping.custom_fields)} are too many; "
            f"Stripe allows {MAX_CUSTOM_FIELDS}."
        )
    for name in mapping.custom_fields:
        if not 0 < len(name) <= CUSTOM_NAME_LENGTH or ":" in name:
            yield f"custom_fields: {name!r} must have 1 to {CUSTOM_NAME_LENGTH} characters."
    if mapping.tax.rates and not mapping.tax.field:
        yield "tax: say which field the rates go by."
