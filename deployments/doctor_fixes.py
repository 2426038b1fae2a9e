"""What the doctor makes when it is told to: whatever is missing and needs no person to decide."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from deployments.deploy import deploy, work_pool
from invoicing.connectors import stripe
from invoicing.doctor.checks import Wrong
from invoicing.doctor.stripe_checks import (
    endpoint_url,
    found_endpoint,
    has_our_version,
    is_enabled,
    kept_secret,
    missing_types,
)
from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
from invoicing.errors import InvoicingError
from invoicing.settings import settings


def fix() -> Iterator[str]:
    """Make what can be made; what was done, or is in the way, in a sentence each."""
    for make in (webhook_endpoint, work_pool, deploy):
        try:
            yield make()
        except (InvoicingError, Wrong, OSError) as error:
            yield f"Not done: {error}"


def webhook_endpoint() -> str:
    """Let Stripe send events to the receiver; the secret goes where only its owner reads it.

    An endpoint's version cannot be changed, so one of another version gets a neighbour.
    """
    wanted = settings()
    url, found = endpoint_url(wanted), found_endpoint(wanted)
    if found is None or not has_our_version(found):
        return _new_endpoint(url, kept_secret(wanted))
    missing = missing_types(found)
    if is_enabled(found) and not missing:
        return f"The webhook endpoint {found['id']} is as it should be."
    stripe.client().enable_webhook_endpoint(found["id"], [*found["enabled_events"], *missing])
    return f"The webhook endpoint {found['id']} is enabled, and is sent what it needs."


def _new_endpoint(url: str, kept: Path) -> str:
    try:
        opened = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    except FileExistsError:
        raise Wrong(
            f"{kept} holds the secret of an endpoint that was made before. Put it into the "
            "settings, or delete the endpoint in Stripe; then delete the file."
        ) from None
    with os.fdopen(opened, "w", encoding="utf-8") as secret:
        try:
            made = stripe.client().create_webhook_endpoint(url, HANDLED_TYPES)
        except BaseException:
            kept.unlink()
            raise
        secret.write(f"INVOICING_STRIPE__WEBHOOK_SECRETS={made.get('secret', '')}\n")
    return (
        f"The webhook endpoint {made['id']} is made. Its secret is in {kept}, and Stripe will not "
        "give it again: put it into the settings of the receiver, then delete the file."
    )
