"""Customers, with their balances and tax ids."""

import stripe

from invoicing.connectors.stripe.connection import Connection, idempotent
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_all, read_if_there
from invoicing.domain.model.money import Money
from invoicing.domain.stripe.resources import Customer, TaxId
from invoicing.errors import Rejected


class Customers(Connection):
    """The customers of an account."""

    def customer(self, customer_id: str) -> Customer | None:
        """A customer, or None when it was deleted or never was."""
        return read_if_there(
            "read the customer", Customer, self._v1.customers.retrieve, customer_id
        )

    def owed_before(self, customer: Customer, currency: str) -> Money:
        """What a customer owes from before in a currency; credit is below zero.

        A customer shows the balance in its own currency, and the others where they are asked
        for, with credit above zero.
        """
        code = currency.lower()
        if (customer.get("currency") or code) == code:
            return Money(currency, customer.get("balance") or 0)
        found = read(
            "read the customer's balances",
            Customer,
            self._v1.customers.retrieve,
            customer["id"],
            {"expand": ["invoice_credit_balance"]},
        )
        credit = found.get("invoice_credit_balance") or {}
        return Money(currency, -credit.get(code, 0))

    def customers_by_email(self, email: str) -> list[Customer]:
        """All customers with exactly this e-mail address; read-after-write, unlike Search."""
        return read_all(
            "look for the customer",
            Customer,
            self._v1.customers.list,
            {"email": email, "limit": PAGE_SIZE},
        )

    def search_customers(self, email: str) -> list[Customer]:
        """All customers with an e-mail address in any case, a minute late.

        None where the account's country has no search: https://docs.stripe.com/search
        """
        quoted = email.replace("\\", "\\\\").replace('"', '\\"')
        try:
            return read_all(
                "search for the customer",
                Customer,
                self._v1.customers.search,
                {"query": f'email:"{quoted}"', "limit": PAGE_SIZE},
            )
        except Rejected:
            return []

    def tax_ids(self, customer_id: str) -> list[TaxId]:
        """The tax ids that a customer's invoices carry."""
        return read_all(
            "read the customer's tax ids",
            TaxId,
            self._v1.customers.tax_ids.list,
            customer_id,
            {"limit": PAGE_SIZE},
        )

    def create_customer(self, params: "stripe.params.CustomerCreateParams", key: str) -> Customer:
        """Create a customer."""
        return read(
            "create the customer", Customer, self._v1.customers.create, params, idempotent(key)
        )

    def update_customer(
        self, customer_id: str, params: "stripe.params.CustomerUpdateParams", key: str | None = None
    ) -> Customer:
        """Set fields of a customer; without a key, a late one overwrites what came after it."""
        return read(
            "update the customer",
            Customer,
            self._v1.customers.update,
            customer_id,
            params,
            idempotent(key) if key else None,
        )
