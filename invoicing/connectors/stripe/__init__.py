"""Stripe: the calls this project makes, with its errors translated into this project's.

The only package that imports ``stripe``. Retries are not the SDK's here but the caller's,
because only the caller knows what a lost answer means; every call that changes something
takes the idempotency key that the ledger keeps for it.

What is asked has the SDK's types. What is answered is held to the types of
:mod:`invoicing.domain.stripe.resources`, and is a passing failure where it does not have them.
"""

from functools import lru_cache

from invoicing.connectors.stripe.catalogue import Catalogue
from invoicing.connectors.stripe.credits_and_refunds import CreditsAndRefunds
from invoicing.connectors.stripe.customers import Customers
from invoicing.connectors.stripe.events import Events
from invoicing.connectors.stripe.installation import Installation
from invoicing.connectors.stripe.invoice_lists import InvoiceLists
from invoicing.connectors.stripe.payments import Payments
from invoicing.settings import settings


class Stripe(Customers, Catalogue, InvoiceLists, Payments, CreditsAndRefunds, Events, Installation):
    """One Stripe account."""


@lru_cache(maxsize=1)
def client() -> Stripe:
    """The account of the settings, one client per process."""
    return Stripe(settings().stripe)
