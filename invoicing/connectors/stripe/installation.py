"""The account itself, what its key may do, and its webhook endpoints."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import stripe

from invoicing.connectors.stripe.connection import Connection
from invoicing.connectors.stripe.errors import translated_errors
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_all
from invoicing.domain.stripe.resources import Account, TaxSettings, WebhookEndpoint
from invoicing.errors import Rejected
from invoicing.settings import STRIPE_API_VERSION


class Installation(Connection):
    """What an installation finds and sets up in an account."""

    def account(self) -> Account:
        """The account that the key belongs to."""
        return read("read the account", Account, self._v1.accounts.retrieve_current)

    def tax_settings(self) -> TaxSettings:
        """Whether Stripe Tax is set up."""
        return read("read the settings of Stripe Tax", TaxSettings, self._v1.tax.settings.retrieve)

    def try_call(self, method: str, path: str) -> str | None:
        """Why the key may not make calls of a kind, in Stripe's words; None if it may.

        The call is made, so it has to be one that does nothing: a list, or a write that cannot
        succeed, because it names nothing that exists or lacks what it needs.
        """
        params = {"limit": 1} if method == "get" else {}
        with suppress(Rejected), translated_errors("find out what the key may do"):
            try:
                self._client.raw_request(method, path, **params)
            except stripe.PermissionError as error:
                return error.user_message or str(error)
        return None

    def webhook_endpoints(self) -> list[WebhookEndpoint]:
        """The account's webhook endpoints in the key's mode."""
        return read_all(
            "list webhook endpoints",
            WebhookEndpoint,
            self._v1.webhook_endpoints.list,
            {"limit": PAGE_SIZE},
        )

    def create_webhook_endpoint(self, url: str, types: Sequence[str]) -> WebhookEndpoint:
        """Make a webhook endpoint in this project's version; only this answer has its secret."""
        params: Any = {"url": url, "enabled_events": types, "api_version": STRIPE_API_VERSION}
        return read(
            "create the webhook endpoint",
            WebhookEndpoint,
            self._v1.webhook_endpoints.create,
            params,
        )

    def enable_webhook_endpoint(self, endpoint_id: str, types: Sequence[str]) -> None:
        """Let an endpoint be sent events of these types."""
        params: Any = {"enabled_events": types, "disabled": False}
        with translated_errors("update the webhook endpoint"):
            self._v1.webhook_endpoints.update(endpoint_id, params)
