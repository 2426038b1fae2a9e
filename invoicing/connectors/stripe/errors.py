"""The SDK's errors, translated by what has to happen next."""

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import stripe

from invoicing.domain.model.wording import of_the_customer
from invoicing.errors import (
    Conflict,
    EnvironmentMismatch,
    NotFound,
    Rejected,
    Throttled,
    TransientError,
)

ERROR_TEXTS = {
    "invoice_payment_intent_requires_action": "the customer has to confirm the payment with "
    "their bank. Give them the invoice's payment page; sending the invoice again tries to charge "
    "it again."
}
"""Refusals that Stripe explains to programmers, by their codes."""


class AlreadyThere(Rejected):
    """Something has this id already."""


KINDS = {"resource_missing": NotFound, "resource_already_exists": AlreadyThere}
"""What a refusal is by its code, if it is a kind of its own."""


@contextmanager
def translated_errors(doing: str) -> Iterator[None]:
    """Translate the SDK's errors, and answers of another shape, by what has to happen next.

    Source of the classes: https://docs.stripe.com/error-handling
    """
    try:
        yield
    except stripe.AuthenticationError as error:
        expired = "api_key_expired" in str(error.http_body)
        why = "says that the API key has expired" if expired else "does not accept the API key"
        raise EnvironmentMismatch(f"Stripe {why}; check INVOICING_STRIPE__API_KEY.") from error
    except stripe.PermissionError as error:
        raise EnvironmentMismatch(
            f"The Stripe key may not {doing}: {error.user_message}; widen its permissions."
        ) from error
    except stripe.RateLimitError as error:
        raise Throttled(f"Stripe asks for a slower pace, while trying to {doing}.") from error
    except stripe.APIConnectionError as error:
        raise TransientError(f"Stripe did not answer, while trying to {doing}.") from error
    except stripe.IdempotencyError as error:
        raise Conflict(
            f"Stripe was asked before to {doing}, in another way under the same key, so nothing "
            "was done; look at it in Stripe's dashboard."
        ) from error
    except stripe.StripeError as error:
        status = error.http_status or 0
        if status == 409:
            raise TransientError(
                f"Stripe is still busy with it, while trying to {doing}."
            ) from error
        if status >= 500:
            replayed = "idempotent-replayed" in {name.lower() for name in error.headers or {}}
            raise TransientError(
                f"Stripe failed ({status}), while trying to {doing}.",
                answered=True,
                replayed=replayed,
            ) from error
        body = error.json_body
        if status < 400 or not (isinstance(body, dict) and "error" in body):
            raise TransientError(
                f"Stripe's answer was unreadable, while trying to {doing}."
            ) from error
        kind = KINDS.get(error.code or "", Rejected)
        said = of_the_customer(error.user_message or str(error))
        reason = ERROR_TEXTS.get(error.code or "") or said
        raise kind(f"Stripe refused to {doing}: {reason}") from error
    except msgspec.MsgspecError as error:
        raise TransientError(
            f"Stripe's answer was not what it should be, while trying to {doing}: {error}."
        ) from error
