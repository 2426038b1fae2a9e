"""Webhook endpoints: the path of each Stripe account."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from invoicing.errors import Misconfigured
from invoicing.settings import Settings

PATH = "/webhooks/stripe"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One Stripe account in one mode, and the secrets that sign its events."""

    account_id: str
    livemode: bool
    secrets: tuple[str, ...]


def endpoints_by_path(settings: Settings) -> Mapping[str, Endpoint]:
    """All endpoints of the settings: that of the account of ``stripe``, and any others.

    Raises:
        Misconfigured: there is none with a signing secret, or two share a path.
    """
    given = [
        (path_of(other.token), other.account_id, other.livemode, other.secrets)
        for other in settings.receiver.endpoints
    ]
    own = settings.stripe
    if own.webhook_secrets:
        path = path_of(settings.receiver.token)
        given.append((path, own.account_id, own.livemode, own.webhook_secrets))
    found = {
        path: Endpoint(account, livemode, tuple(each.get_secret_value() for each in secrets))
        for path, account, livemode, secrets in given
    }
    if not found:
        raise Misconfigured(
            "No webhook endpoint has a signing secret; set INVOICING_STRIPE__WEBHOOK_SECRETS."
        )
    if len(found) < len(given):
        raise Misconfigured("Two webhook endpoints have the same token.")
    return found


def path_of(token: SecretStr | None) -> str:
    """The path of an endpoint, by its token if it has one."""
    return f"{PATH}/{token.get_secret_value()}" if token else PATH
