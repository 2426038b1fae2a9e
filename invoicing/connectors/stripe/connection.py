"""The SDK's clients for one account."""

import stripe

from invoicing.connectors.stripe.raw_bodies import KeptBodies
from invoicing.settings import STRIPE_API_VERSION
from invoicing.settings import Stripe as StripeSettings


class Connection:
    """One Stripe account, and the key to it."""

    def __init__(self, settings: StripeSettings) -> None:
        """Prepare the clients; nothing is sent yet."""
        self._bodies = KeptBodies(settings.base_url, settings.timeout_seconds)
        self._pages = _sdk(settings, self._bodies)
        self._client = _sdk(settings, stripe.RequestsClient(timeout=settings.timeout_seconds))
        self._v1 = self._client.v1


def idempotent(key: str) -> stripe.RequestOptions:
    """What makes Stripe do something once, however often it is asked with the key."""
    return {"idempotency_key": key}


def _sdk(settings: StripeSettings, transport: stripe.HTTPClient) -> stripe.StripeClient:
    base = settings.base_url
    return stripe.StripeClient(
        settings.api_key.get_secret_value(),
        stripe_version=STRIPE_API_VERSION,
        base_addresses={"api": base, "connect": base, "files": base, "meter_events": base},
        max_network_retries=0,
        http_client=transport,
    )
