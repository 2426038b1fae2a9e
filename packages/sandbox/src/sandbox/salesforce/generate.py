"""Fill the org with a generated data set, past the checks of single records for speed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

from sandbox.common import made_up_business
from sandbox.common.hosted_invoice_url import READ, dated, page_name
from sandbox.common.made_up_business import DAY, PlannedInvoice
from sandbox.salesforce import computed
from sandbox.salesforce.ids import make_id
from sandbox.salesforce.namespace import prefixed
from sandbox.salesforce.org import Org
from sandbox.salesforce.records import auto_number
from sandbox.salesforce.values import stamp

Values = dict[str, Any]

ACCOUNT = "acct_1SandboxAcme"
"""The Stripe account that bills."""

_DECIMALS = {"USD": 2, "EUR": 2, "JPY": 0}


@dataclass(frozen=True)
class Size:
    """How large a data set is; ``days`` is how far back its first invoice lies."""

    accounts: int
    invoices: int
    lines: int = 1
    days: int = 365
    drift: float = 0


def generate(org: Org, seed: int, size: Size) -> dict[str, int]:
    """Add accounts, and their invoices in all states, to what the org has.

    The same seed and size give the same data set. Drafts have no Stripe id.

    Returns:
        How many records of each object were added.
    """
    generator = _Generator(org, seed, size)
    with org.store.transaction():
        added = {
            "Account": _write(org, "Account", generator.accounts()),
            "Stripe_Invoice__c": _write(org, "Stripe_Invoice__c", generator.invoices()),
            "Stripe_Invoice_Line__c": _write(org, "Stripe_Invoice_Line__c", generator.lines()),
        }
        computed.recalculate(org.store, org.schema, [org.sobject(name).name for name in added])
    return added


def _write(org: Org, name: str, records: Iterator[Values]) -> int:
    """Insert a stream of records that all have the same fields; returns their number."""
    first = next(records, None)
    if first is None:
        return 0
    rows = (tuple(record.values()) for record in chain([first], records))
    names = [prefixed(field, org.namespace) for field in first]
    return org.store.insert_many(org.sobject(name), names, rows)


class _Generator:
    """The data set as records of the org."""

    def __init__(self, org: Org, seed: int, size: Size) -> None:
        self._org = org
        self._seed = seed
        self._size = size
        self._now = org.clock.now()
        self._customers = list(made_up_business.accounts(seed, size.accounts))
        self._first_account = org.store.next_number("Account", size.accounts)
        self._first_invoice = org.store.next_number(
            org.sobject("Stripe_Invoice__c").name, size.invoices
        )

    def accounts(self) -> Iterator[Values]:
        """The customers as Accounts."""
        for customer in self._customers:
            yield {
                "Id": self._account_id(customer.number),
                "Name": customer.name,
                "CurrencyIsoCode": customer.currency,
                "Invoice_Email__c": customer.email,
                "Stripe_Customer_Id__c": customer.customer_id,
                "OwnerId": self._org.user_id,
                **self._audit(self._now),
            }

    def invoices(self) -> Iterator[Values]:
        """The invoices as records."""
        names = self._names("Stripe_Invoice__c", self._size.invoices)
        for planned in self._planned():
            yield {
                "Id": self._invoice_id(planned.number),
                "Name": next(names),
                "OwnerId": self._org.user_id,
                "CurrencyIsoCode": planned.currency,
                "Account__c": self._account_id(planned.account),
                "Local_Key__c": f"gen-{self._seed}-{planned.number}",
                "Currency__c": planned.currency,
                "Description__c": None if planned.stripe_id else f"Services {planned.number}",
                **self._amounts(planned),
                **self._states(planned),
                **self._stripe(planned),
                **self._times(planned),
            }

    def lines(self) -> Iterator[Values]:
        """The lines of the invoices; together they bill an invoice's whole quantity."""
        most = self._size.lines
        total = self._size.invoices * most
        if not total:
            return
        sobject = self._org.sobject("Stripe_Invoice_Line__c")
        number = self._org.store.next_number(sobject.name, total)
        names = self._names(sobject.name, total)
        for planned in self._planned():
            for position in range(min(most, planned.quantity)):
                quantity = planned.quantity // most + (position < planned.quantity % most)
                yield {
                    "Id": make_id(sobject.prefix, number),
                    "Name": next(names),
                    "CurrencyIsoCode": planned.currency,
                    "Invoice__c": self._invoice_id(planned.number),
                    "Local_Key__c": (
                        planned.line_id
                        if planned.stripe_id and position == 0
                        else f"gen-{self._seed}-{planned.number}-{position + 1}"
                    ),
                    "Description__c": made_up_business.WORK,
                    "Position__c": float(position + 1),
                    "Quantity__c": float(quantity),
                    "Unit_Price__c": _major(planned.unit_price, planned.currency),
                    "Amount__c": _major(planned.unit_price * quantity, planned.currency),
                    **self._audit(planned.created),
                }
                number += 1

    def _planned(self) -> Iterator[PlannedInvoice]:
        return made_up_business.invoices(
            self._seed,
            self._customers,
            self._size.invoices,
            now=self._now,
            days=self._size.days,
            drift=self._size.drift,
        )

    def _names(self, sobject: str, count: int) -> Iterator[str]:
        named = self._org.sobject(sobject)
        display_format = named.fields["Name"].auto_number or "{0}"
        first = self._org.store.next_number(f"{named.name}.Name", count)
        return (auto_number(display_format, first + n) for n in range(count))

    def _account_id(self, number: int) -> str:
        return _account_record_id(self._org.sobject("Account").prefix, self._first_account + number)

    def _invoice_id(self, number: int) -> str:
        return make_id(self._org.sobject("Stripe_Invoice__c").prefix, self._first_invoice + number)

    def _audit(self, created: int) -> Values:
        moment, user = _moment(created), self._org.user_id
        return {
            "CreatedDate": moment,
            "CreatedById": user,
            "LastModifiedDate": moment,
            "LastModifiedById": user,
            "SystemModstamp": moment,
        }

    def _amounts(self, planned: PlannedInvoice) -> Values:
        total, paid = (_major(n, planned.currency) for n in (planned.total, planned.paid))
        sent = planned.status != "draft"
        return {
            "Subtotal__c": total if sent else None,
            "Tax__c": 0.0 if sent else None,
            "Total__c": total if sent else None,
            "Amount_Due__c": total if sent else None,
            "Amount_Paid__c": paid if sent else None,
            "Amount_Remaining__c": (
                _major(planned.total - planned.paid, planned.currency) if sent else None
            ),
        }

    def _states(self, planned: PlannedInvoice) -> Values:
        part = "Partly Paid" if planned.paid else "Unpaid"
        status = "draft" if planned.behind else planned.status
        return {
            "Status__c": status.capitalize(),
            "Payment_State__c": "Paid" if planned.status == "paid" else part,
            "Sync_State__c": "Clean",
            "Is_Overdue__c": int(
                planned.status == "open" and planned.due // DAY < self._now // DAY
            ),
            "Livemode__c": 1,
        }

    def _stripe(self, planned: PlannedInvoice) -> Values:
        sent = planned.stripe_id is not None
        customer = self._customers[planned.account].customer_id
        link = None
        if planned.stripe_id:
            name = page_name(ACCOUNT, planned.stripe_id, livemode=True)
            path = f"https://invoice.stripe.com/i/{ACCOUNT}/{name}{READ}"
            link = dated(path.encode(), self._now).decode()
        return {
            "Stripe_Invoice_Id__c": planned.stripe_id,
            "Stripe_Customer_Id__c": customer if sent else None,
            "Stripe_Account_Id__c": ACCOUNT if sent else None,
            "Hosted_Invoice_URL__c": link,
            "Invoice_PDF__c": f"{link}/pdf" if link else None,
            "Number__c": planned.document_number if sent else None,
        }

    def _times(self, planned: PlannedInvoice) -> Values:
        settled = planned.settled
        sent = _moment(planned.created) if planned.status != "draft" else None
        last = settled if planned.status in {"paid", "void", "uncollectible"} else planned.created
        return {
            **self._audit(planned.created),
            "LastModifiedDate": _moment(last),
            "SystemModstamp": _moment(last),
            "Due_Date__c": _moment(planned.due)[:10],
            "Finalized_At__c": sent,
            "Sent_At__c": sent,
            "Last_Synced_At__c": _moment(last) if sent else None,
            "Paid_At__c": _moment(settled) if planned.status == "paid" else None,
            "Voided_At__c": _moment(settled) if planned.status == "void" else None,
            "Uncollectible_At__c": (
                _moment(settled) if planned.status == "uncollectible" else None
            ),
        }


_account_record_id = lru_cache(maxsize=200_000)(make_id)


@lru_cache(maxsize=100_000)
def _moment(seconds: int) -> str:
    return stamp(datetime.fromtimestamp(seconds, UTC))


def _major(minor: int, currency: str) -> float:
    return float(minor / 10 ** _DECIMALS[currency])
