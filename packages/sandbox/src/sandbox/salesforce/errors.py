"""Salesforce's errors, as exceptions that know their wire form.

SalesforceError
└── OAuthError      the token endpoint's own, differently shaped errors
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class SalesforceError(Exception):
    """One error as Salesforce reports it: a code, a sentence, the fields concerned."""

    def __init__(
        self,
        code: str,
        message: str,
        fields: Sequence[str] | None = None,
        *,
        status: int = 400,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = None if fields is None else list(fields)
        self.status = status
        self.more = dict(more or {})

    def as_response(self) -> list[dict[str, Any]]:
        """The body of an error answer: a list, even for one error."""
        error: dict[str, Any] = {"message": self.message, "errorCode": self.code}
        if self.fields is not None:
            error["fields"] = self.fields
        return [self.more | error]

    def as_row_error(self) -> dict[str, Any]:
        """The error inside one row's result of a Collections request."""
        return {"statusCode": self.code, "message": self.message, "fields": self.fields or []}


class OAuthError(Exception):
    """An error of the token endpoint (RFC 6749 form, Salesforce's descriptions)."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description
        self.status = status

    def as_response(self) -> dict[str, str]:
        """The body of the answer."""
        return {"error": self.error, "error_description": self.description}


def not_found(message: str = "The requested resource does not exist") -> SalesforceError:
    """404 for a path, an object or a record that is not there."""
    return SalesforceError("NOT_FOUND", message, status=404)


def invalid_session() -> SalesforceError:
    """401 for a missing, unknown or expired access token."""
    return SalesforceError("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def deleted() -> SalesforceError:
    """404 for a record that lies in the recycle bin."""
    return SalesforceError("ENTITY_IS_DELETED", "entity is deleted", [], status=404)


def json_error(message: str) -> SalesforceError:
    """400 for a body that is not the JSON the resource expects."""
    return SalesforceError("JSON_PARSER_ERROR", message)
