"""A call to one org, in its own names."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

import orjson
import requests

from invoicing.connectors.salesforce.errors import shown, translated_errors
from invoicing.connectors.salesforce.login import Client, Transport, credentials
from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.ledger.logins import Logins
from invoicing.settings import SALESFORCE_API_VERSION
from invoicing.settings import Salesforce as SalesforceSettings
from invoicing.typed_answers import convert

T = TypeVar("T")


Record = dict[str, Any]


SAVE_DUPLICATES = {"Sforce-Duplicate-Rule-Header": "allowSave=true"}
"""The header that passes duplicate rules which only alert."""


class Connection:
    """One Salesforce org, and our login there."""

    def __init__(
        self,
        settings: SalesforceSettings,
        mapping: OrgMapping | None = None,
        logins: Logins | None = None,
    ) -> None:
        """Log in, or take the login that others have.

        Args:
            settings: Where the org is, and who we are there.
            mapping: The org's names for our objects and fields, where they differ.
            logins: Where the login is shared; without it, this one is nobody else's.

        Raises:
            EnvironmentMismatch: the org does not accept the login.
            TransientError: the org did not answer.
        """
        self._names = Names(mapping or OrgMapping())
        self._renames = mapping is not None
        self._types: dict[str, dict[str, str]] = {}
        session = requests.Session()
        session.mount("https://", Transport(settings.url, settings.timeout_seconds))
        # A rule that only alerts asks whoever types; there is nobody here who could answer.
        session.headers.update(SAVE_DUPLICATES)
        with translated_errors("log in"):
            self._client = Client(
                logins,
                **credentials(settings),
                version=SALESFORCE_API_VERSION,
                session=session,
                parse_float=Decimal,
                object_pairs_hook=dict,
            )

    def _call(
        self,
        doing: str,
        path: str,
        shape: type[T],
        method: str = "GET",
        body: Any = None,
        *,
        reading: bool = False,
    ) -> T:
        """Make a call; its answer must have a shape. With a body, it writes unless it is said."""
        extra: dict[str, Any] = {} if body is None else {"data": orjson.dumps(body)}
        with translated_errors(doing, writing=method != "GET" and not reading):
            try:
                answer = self._client.restful(path, method=method, **extra)
            except TypeError as error:  # the SDK asks for the length of whatever came
                raise ValueError("neither an object nor a list") from error
            return convert(answer, shape)

    def own_object(self, ours: str) -> str:
        """The org's name of an object of ours."""
        return self._names.sobject(ours)

    def own_field(self, sobject: str, ours: str) -> str | None:
        """The org's name of a field of ours; None where it keeps none."""
        return self._names.path(sobject, ours)

    def has(self, sobject: str) -> bool:
        """Whether the org has an object of ours."""
        return self._names.keeps(sobject)

    def keeps(self, sobject: str, field: str) -> bool:
        """Whether the org has a field of ours."""
        return self._names.path(sobject, field) is not None

    def _fields(self, sobject: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._names.fields(sobject, values) if self._renames else values

    def _external_id(self, sobject: str, field: str) -> str | None:
        """The org's name of an external id, or nothing where it does without the object."""
        return self._names.path(sobject, field) if self._names.keeps(sobject) else None

    def _writing(self, sobject: str) -> str:
        """What is done to records of one of our objects, as people know it."""
        return f"write the {shown(self.own_object(sobject))}"
