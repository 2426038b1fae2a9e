"""Stripe's error answers.

Types and codes are those of https://docs.stripe.com/error-codes; the wording is our own unless a
client is known to read it.
"""

from typing import Any


class StripeError(Exception):
    """An answer other than 200.

    Args:
        message: For a person.
        status: HTTP status.
        kind: Stripe's ``type``.
        code: Stripe's ``code``.
        param: The request parameter it is about, as the client wrote it.
        keep: What was done before the error stays done, as with a declined card.
        stored: An idempotency key remembers this answer. Failed validation is not remembered.
        extra: More fields of the error object.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        keep: bool = False,
        stored: bool = True,
        extra: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.keep = keep
        self.stored = stored
        self.headers = headers or {}
        self.body: dict[str, Any] = {"message": message, "type": kind}
        if code:
            self.body["code"] = code
            self.body["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        if param:
            self.body["param"] = param
        self.body.update(extra or {})


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A request that could never work; an idempotency key does not remember it."""
    return StripeError(message, param=param, code=code, stored=False)


def missing_param(param: str) -> StripeError:
    """A required parameter that was not sent."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def no_such(noun: str, object_id: str, param: str = "id", status: int = 404) -> StripeError:
    """An id that names nothing here. Stripe answers 404 for the path, 400 for a parameter."""
    message = f"No such {noun}: '{object_id}'"
    return StripeError(message, status=status, code="resource_missing", param=param)


def wrong_state(message: str, code: str | None = None, param: str | None = None) -> StripeError:
    """A change the object's state does not allow."""
    return StripeError(message, code=code, param=param)


def unauthorized(message: str) -> StripeError:
    """A key that is missing or unknown."""
    return StripeError(message, status=401, stored=False)


def unrecognized_url(method: str, path: str) -> StripeError:
    """A path Stripe does not have, or this sandbox does not carry."""
    return StripeError(
        f"Unrecognized request URL ({method}: {path}). "
        "If you are trying to list objects, remove the trailing slash. If you are trying to "
        "retrieve an object, make sure you passed a valid (non-empty) identifier in your code.",
        status=404,
        stored=False,
    )
