"""Whether a webhook's body is Stripe's own."""

import time
from collections.abc import Sequence

import stripe

TOLERANCE_SECONDS = 300
"""How far the clocks of Stripe and of the receiver may be apart, either way."""


def verified_event(body: bytes, signature: str, secrets: Sequence[str]) -> str | None:
    """Say why an event body is not genuine; None when one of the secrets signed it just now.

    The SDK looks for signatures that are too old only; one from the future, which could be
    replayed for as long as it is ahead, is no better.
    Source: https://docs.stripe.com/webhooks#verify-manually
    """
    if not signature.isascii():
        return "it has letters that no signature has"
    reason = "no signing secret is configured"
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(body, signature, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError) as error:
            reason = str(error)
            continue
        stamp = next(part for part in signature.split(",") if part.startswith("t="))
        ahead = int(stamp.split("=")[1]) - time.time()
        return f"it was signed {ahead:.0f} s in the future" if ahead > TOLERANCE_SECONDS else None
    return reason
