"""The SDK's errors, and those in answers, translated by what has to happen next."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import msgspec
import requests
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceOperationError,
)

from invoicing.errors import (
    EnvironmentMismatch,
    InvoicingError,
    NotFound,
    Rejected,
    Throttled,
    TransientError,
    WriteRefused,
)

TRANSIENT_CODES = frozenset(
    [
        "UNABLE_TO_LOCK_ROW",
        "SERVER_UNAVAILABLE",
        "QUERY_TIMEOUT",
        "UNKNOWN_EXCEPTION",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "PROCESSING_HALTED",
    ]
)


SESSION_ENDED = "INVALID_SESSION_ID"


LOGIN_LIMIT = "login rate exceeded"
"""Source: https://help.salesforce.com/s/articleView?id=000381578, n8n-io/n8n#32325."""


THROTTLED_CODES = frozenset(["REQUEST_LIMIT_EXCEEDED", "TOO_MANY_REQUESTS"])


DAILY_LIMIT = "TotalRequests"
"""In the message, where not too many calls at once are meant but those of a day.

Source: SalesforceLabs/OrgCheck#181 (calls of a day), SalesforceLabs/OrgCheck#432 (at once).
"""


NOT_FOUND_CODES = frozenset(["NOT_FOUND", "ENTITY_IS_DELETED"])


RACE_CODE = "DUPLICATE_VALUE"
"""Passes for whoever creates, because another was faster; on an update it is final."""


RULE_CODE = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
"""A validation rule, or a trigger that refuses: the message is theirs, and free text."""


PASSING_INSIDE = re.compile(
    r"UNABLE_TO_LOCK_ROW|QUERY_TIMEOUT|SERVER_UNAVAILABLE|REQUEST_RUNNING_TOO_LONG"
    r"|System\.LimitException"
)
"""What passes with time stands inside another error's message, where a trigger or flow met it.

Source: https://github.com/SFDO-Community/declarative-lookup-rollup-summaries/issues/1241
"""


NO_RIGHT = re.compile(r"entity type cannot be (inserted|updated): (.*)")
"""The message where the user may not create, or not change, records of an object at all; the code
beside it is that of a trigger which broke.

Source: https://github.com/kerryland/stuntbyte-sftools, its GrantTests
"""

RIGHTS = {"inserted": "create", "updated": "change"}


SCHEMA_CODES = frozenset(["INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE"])


UNREADABLE = "Salesforce's answer was unreadable, while trying to {doing}."

PASSING: Mapping[type[Exception], str] = {
    SalesforceOperationError: "Salesforce's bulk job failed, while trying to {doing}: {error}",
    msgspec.ValidationError: (
        "Salesforce's answer was not what it should be, while trying to {doing}: {error}."
    ),
    requests.exceptions.InvalidJSONError: UNREADABLE,
    requests.exceptions.RequestException: "Salesforce did not answer, while trying to {doing}.",
    ElementTree.ParseError: UNREADABLE,
    ValueError: UNREADABLE,
}
"""What passes with time, and its message; the first that fits counts."""


class SessionEnded(TransientError):
    """The session is over; the next one may do better."""


def is_transient(status: int) -> bool:
    """Whether an answer of this HTTP status may be another one later."""
    return status == 429 or status >= 500


@contextmanager
def translated_errors(doing: str, *, writing: bool = False) -> Iterator[None]:
    """Translate the SDK's errors by what has to happen next."""
    try:
        yield
    except SalesforceAuthenticationFailed as error:
        if isinstance(error.__cause__, ValueError):
            raise TransientError("Salesforce's answer to the login was unreadable.") from error
        if LOGIN_LIMIT in f"{error.code} {error.auth_message}".lower().replace("_", " "):
            raise Throttled(
                "Salesforce's logins of this hour are used up; they come back by themselves."
            ) from error
        said = str(error.auth_message or error.code)
        which = "AUDIENCE: login, test, or My Domain" if "audience" in said else " settings"
        raise EnvironmentMismatch(
            f"Salesforce does not accept the login ({said}); check the "
            f"INVOICING_SALESFORCE__{which}."
        ) from error
    except SalesforceError as error:
        raise by_code(doing, error.status, errors_of(error.content), writing=writing) from error
    except tuple(PASSING) as error:
        said = next(said for kind, said in PASSING.items() if isinstance(error, kind))
        raise TransientError(said.format(doing=doing, error=error)) from error


def errors_of(content: Any) -> list[Mapping[str, Any]]:
    """The errors that an answer lists."""
    return [one for one in content if isinstance(one, Mapping)] if isinstance(content, list) else []


def by_code(
    doing: str,
    status: int,
    errors: Sequence[Mapping[str, Any]],
    *,
    writing: bool = False,
    racing: bool = False,
) -> InvoicingError:
    """The error of an answer, by all that it says, wherever in it that stands.

    Args:
        doing: What was tried.
        status: The HTTP status.
        errors: All errors of the answer.
        writing: Whether records were to be written, which an org's own rules may refuse.
        racing: Whether records were to be created, which another run may have done at once.
    """
    codes = {_code(error) for error in errors}
    said = "; ".join(map(_reason, errors)) or f"status {status}"
    inside = any(
        PASSING_INSIDE.search(str(e.get("message"))) for e in errors if _code(e) != RULE_CODE
    )
    if codes & THROTTLED_CODES and any(DAILY_LIMIT in str(e.get("message")) for e in errors):
        return Throttled(
            f"Salesforce's calls of 24 hours are used up, while trying to {doing}; they come back "
            "by and by, as those of a day ago are forgotten."
        )
    if codes & THROTTLED_CODES or status == 429:
        return Throttled(f"Salesforce's limits are used up, while trying to {doing}: {said}")
    if SESSION_ENDED in codes:
        return SessionEnded(f"Salesforce ended the session, while trying to {doing}: {said}")
    if codes & TRANSIENT_CODES or inside or status >= 500 or (racing and RACE_CODE in codes):
        return TransientError(f"Salesforce failed, while trying to {doing}: {said}", answered=True)
    if codes & SCHEMA_CODES:
        return EnvironmentMismatch(
            f"Salesforce lacks what this project needs, while trying to {doing}: {said} "
            "Deploy deployments/salesforce to the org and assign its permissions, or correct the "
            "field mapping: python -m invoicing.mapping names what is missing."
        )
    if codes & NOT_FOUND_CODES or status == 404 or any(map(_names_nothing, errors)):
        return NotFound(f"Salesforce refused to {doing}: {said}")
    kind = WriteRefused if writing else Rejected
    return kind(f"Salesforce refused to {doing}: {said}")


def _code(error: Mapping[str, Any]) -> str:
    return str(error.get("errorCode") or error.get("statusCode"))


def _names_nothing(error: Mapping[str, Any]) -> bool:
    """Whether a record is missing: by the same code, an org also refuses owners."""
    named = str(error.get("message")).lower().startswith("invalid cross reference id")
    return named and _code(error) == "INVALID_CROSS_REFERENCE_KEY"


def _reason(error: Mapping[str, Any]) -> str:
    """Why something was refused, in words that name the rule and the fields, as far as it says."""
    message = str(error.get("message"))
    fields = ", ".join(map(shown, error.get("fields") or ()))
    match _code(error):
        case "FIELD_CUSTOM_VALIDATION_EXCEPTION":
            return f"a validation rule{fields and ' on ' + fields} says “{message}”"
        case "DUPLICATES_DETECTED":
            rule = (error.get("duplicateResult") or {}).get("duplicateRule")
            return f"the duplicate rule{(rule and ' ' + rule) or ''} says “{message}”"
        case "ENTITY_IS_LOCKED":
            return "it is locked, as a record is while its approval is under way"
        case "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY" if lacking := NO_RIGHT.match(message):
            done, records = lacking.groups()
            return (
                f"the integration user may not {RIGHTS[done]} records of {records}; assign it the "
                "permission set Invoice Integration"
            )
        case _:
            return message


def shown(name: str) -> str:
    """An object or a field of the org, as people read it."""
    return name.removesuffix("__c").rpartition("__")[2].replace("_", " ")
