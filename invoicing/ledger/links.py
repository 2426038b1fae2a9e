"""Which Salesforce thing is which Stripe thing, and which world both live in."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlmodel import col, select

from invoicing.ledger.database import session
from invoicing.ledger.models import Binding, Customer, InvoiceLink, Product


def binding(stripe_account_id: str, *, livemode: bool) -> Binding | None:
    """The world that a Stripe account and mode were bound to, if they were."""
    with session() as ledger:
        return ledger.get(Binding, (stripe_account_id, livemode))


def bind(org_id: str, stripe_account_id: str, *, livemode: bool) -> None:
    """Remember that this world was verified now."""
    with session() as ledger:
        ledger.merge(
            Binding(
                stripe_account_id=stripe_account_id,
                livemode=livemode,
                org_id=org_id,
                verified_at=datetime.now(UTC),
            )
        )


def link_invoice(stripe_id: str, record_id: str) -> None:
    """Remember that a Stripe invoice belongs to a record."""
    with session() as ledger:
        for stale in ledger.exec(select(InvoiceLink).where(InvoiceLink.record_id == record_id)):
            if stale.stripe_id != stripe_id:
                ledger.delete(stale)
        ledger.flush()
        if ledger.get(InvoiceLink, stripe_id) is None:
            ledger.add(InvoiceLink(stripe_id=stripe_id, record_id=record_id))


def mark_sent(stripe_id: str, sent_at: datetime) -> None:
    """Remember when an invoice was mailed, as a UTC instant."""
    with session() as ledger:
        link = ledger.get_one(InvoiceLink, stripe_id, with_for_update=True)
        link.sent_at = sent_at
        ledger.add(link)


def remember_written(stripe_id: str, status: str, digest: str) -> None:
    """Remember what Salesforce was told last, so that its echo is known as one."""
    with session() as ledger:
        link = ledger.get_one(InvoiceLink, stripe_id, with_for_update=True)
        link.status, link.digest = status, digest
        ledger.add(link)


def invoice_links(stripe_ids: Iterable[str]) -> dict[str, InvoiceLink]:
    """The links of Stripe invoices, as far as they are known, by Stripe id."""
    query = select(InvoiceLink).where(col(InvoiceLink.stripe_id).in_(list(stripe_ids)))
    with session() as ledger:
        return {link.stripe_id: link for link in ledger.exec(query)}


def stripe_id(record_id: str) -> str | None:
    """The Stripe invoice of a record, if one was made."""
    query = select(InvoiceLink.stripe_id).where(InvoiceLink.record_id == record_id)
    with session() as ledger:
        return ledger.exec(query).first()


def customer_of(account_id: str) -> str | None:
    """The Stripe customer that an Account is billed as, if known."""
    query = select(Customer.stripe_id).where(
        Customer.account_id == account_id, col(Customer.is_primary)
    )
    with session() as ledger:
        return ledger.exec(query).first()


def account_of(customer_id: str) -> str | None:
    """The Account of a Stripe customer, if known."""
    with session() as ledger:
        customer = ledger.get(Customer, customer_id)
        return customer.account_id if customer else None


def link_customer(customer_id: str, account_id: str) -> None:
    """Remember a Stripe customer as the primary one of an Account."""
    with session() as ledger:
        for other in ledger.exec(select(Customer).where(Customer.account_id == account_id)):
            other.is_primary = False
            ledger.add(other)
        ledger.flush()
        ledger.merge(Customer(stripe_id=customer_id, account_id=account_id, is_primary=True))


def unlink_customer(customer_id: str) -> None:
    """Forget a customer that no longer exists in Stripe."""
    with session() as ledger:
        customer = ledger.get(Customer, customer_id)
        if customer is not None:
            ledger.delete(customer)


def known_products(product_ids: Iterable[str]) -> dict[str, Product]:
    """The products known to exist in Stripe, by Salesforce product id."""
    query = select(Product).where(col(Product.product_id).in_(list(product_ids)))
    with session() as ledger:
        return {product.product_id: product for product in ledger.exec(query)}


def remember_product(product_id: str, stripe_id: str, name: str) -> None:
    """Remember that a product exists in Stripe under a name."""
    with session() as ledger:
        ledger.merge(Product(product_id=product_id, stripe_id=stripe_id, name=name))
