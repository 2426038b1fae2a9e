"""Salesforce: the calls this project makes, with its errors translated into this project's.

The only module that imports ``simple_salesforce``, and the only one that knows an org's own
names: callers speak of our objects and fields, and the names of an org's field mapping
translate what goes out and what comes back.
"""

import csv
import io
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any, NotRequired, TypedDict, TypeVar
from urllib.parse import urlsplit, urlunsplit
from xml.etree import ElementTree

import msgspec
import orjson
import requests
from more_itertools import chunked
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce as SalesforceClient
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceError,
    SalesforceOperationError,
)

from invoicing.domain.model.fingerprint import fingerprint
from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.domain.salesforce.new_values import NewValues
from invoicing.domain.salesforce.queries import Query, equals, is_in
from invoicing.domain.salesforce.record import INVOICE
from invoicing.errors import (
    EnvironmentMismatch,
    InvoicingError,
    Misconfigured,
    NotFound,
    Rejected,
    Throttled,
    TransientError,
    WriteRefused,
)
from invoicing.ledger.logins import LASTS, Logins
from invoicing.mapping import org_mapping
from invoicing.settings import SALESFORCE_API_VERSION, settings
from invoicing.settings import Salesforce as SalesforceSettings
from invoicing.shapes import convert

T = TypeVar("T")

Record = dict[str, Any]

OUR_NAMES = Names(OrgMapping())

USER_INFO = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header>'
    '<SessionHeader xmlns="urn:partner.soap.sforce.com"><sessionId>{}</sessionId></SessionHeader>'
    '</Header><Body><getUserInfo xmlns="urn:partner.soap.sforce.com"/></Body></Envelope>'
)

COLLECTION = 200
"""The most records of one Collections call."""

GRAPHS, NODES = 75, 500
"""The most graphs of one Composite Graph call, and the most subrequests of all of them."""

BULK_PART = 10_000
"""Rows in a part of a Bulk query's results: a trade of memory against calls."""

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

SCHEMA_CODES = frozenset(["INVALID_FIELD", "INVALID_TYPE", "INVALID_FIELD_FOR_INSERT_UPDATE"])


def _is_transient(status: int) -> bool:
    return status == 429 or status >= 500


class _Transport(HTTPAdapter):
    """Gives every request a time limit, and finds an org that is not at its own domain.

    The SDK always asks ``https://{domain}.salesforce.com``; behind a proxy, or in front of
    a stand-in, the same requests go to another scheme and host. And it takes whatever the
    login is refused with for wrong credentials, also a service that is away.
    """

    def __init__(self, url: str | None, timeout: float) -> None:
        super().__init__()
        self._target = urlsplit(url) if url else None
        self._timeout = timeout

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        if self._target and request.url:
            parts = urlsplit(request.url)
            moved = parts._replace(scheme=self._target.scheme, netloc=self._target.netloc)
            request.url = urlunsplit(moved)
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout
        answer = super().send(request, *args, **kwargs)
        if request.path_url.endswith("/oauth2/token") and _is_transient(answer.status_code):
            raise requests.exceptions.RetryError(f"login: status {answer.status_code}")
        if not kwargs.get("stream") and answer.status_code == 200 and answer.content == b"[]":
            raise requests.exceptions.InvalidJSONError(
                "a list of nothing answers none of our calls"
            )
        return answer


@contextmanager
def _translated_errors(doing: str, *, writing: bool = False) -> Iterator[None]:
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
        raise _by_code(doing, error.status, _errors(error.content), writing=writing) from error
    except SalesforceOperationError as error:
        raise TransientError(
            f"Salesforce's bulk job failed, while trying to {doing}: {error}"
        ) from error
    except msgspec.ValidationError as error:
        raise TransientError(
            f"Salesforce's answer was not what it should be, while trying to {doing}: {error}."
        ) from error
    except requests.exceptions.InvalidJSONError as error:
        raise TransientError(
            f"Salesforce's answer was unreadable, while trying to {doing}."
        ) from error
    except requests.exceptions.RequestException as error:
        raise TransientError(f"Salesforce did not answer, while trying to {doing}.") from error
    except ValueError as error:
        raise TransientError(
            f"Salesforce's answer was unreadable, while trying to {doing}."
        ) from error


def _errors(content: Any) -> list[Mapping[str, Any]]:
    if isinstance(content, list):
        return [error for error in content if isinstance(error, Mapping)]
    return []


def _by_code(
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
    inside = any(PASSING_INSIDE.search(str(e.get("message"))) for e in errors if not _is_rule(e))
    if codes & THROTTLED_CODES and any(DAILY_LIMIT in str(e.get("message")) for e in errors):
        return Throttled(
            f"Salesforce's calls of 24 hours are used up, while trying to {doing}; they come back "
            "by and by, as those of a day ago are forgotten."
        )
    if codes & THROTTLED_CODES or status == 429:
        return Throttled(f"Salesforce's limits are used up, while trying to {doing}: {said}")
    if SESSION_ENDED in codes:
        return _SessionEnded(f"Salesforce ended the session, while trying to {doing}: {said}")
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


def _is_rule(error: Mapping[str, Any]) -> bool:
    return _code(error) == RULE_CODE


def _reason(error: Mapping[str, Any]) -> str:
    """Why something was refused, in words that name the rule and the fields, as far as it says."""
    message = str(error.get("message"))
    fields = ", ".join(map(_shown, error.get("fields") or ()))
    match _code(error):
        case "FIELD_CUSTOM_VALIDATION_EXCEPTION":
            return f"a validation rule{fields and ' on ' + fields} says “{message}”"
        case "DUPLICATES_DETECTED":
            rule = (error.get("duplicateResult") or {}).get("duplicateRule")
            return f"the duplicate rule{(rule and ' ' + rule) or ''} says “{message}”"
        case "ENTITY_IS_LOCKED":
            return "it is locked, as a record is while its approval is under way"
        case _:
            return message


def _shown(name: str) -> str:
    """An object or a field of the org, as people read it."""
    return name.removesuffix("__c").rpartition("__")[2].replace("_", " ")


class _SessionEnded(TransientError):
    """The session is over; the next one may do better."""


class _Client(SalesforceClient):
    """The SDK's client, whose login is one that processes share.

    The SDK logs in anew where a plain call says that the session has ended; its Bulk handlers, and
    calls that it does not know, do not (simple-salesforce#619), so before those it is renewed.
    """

    def __init__(self, logins: Logins | None, **options: Any) -> None:
        self._logins = logins
        self._opened = 0.0
        self.session_id = ""
        super().__init__(**options)

    def _refresh_session(self) -> None:
        log_in = self._salesforce_login_partial
        if self._logins and log_in:
            login = self._logins.shared(self.session_id, log_in)
            self.session_id, self.sf_instance = login.token, login.host
            self._generate_headers()
        else:
            super()._refresh_session()
        self._opened = time.monotonic()

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Have a session that does not end meanwhile; one that ended even so is not used again."""
        if time.monotonic() - self._opened > LASTS.total_seconds():
            with _translated_errors("log in"):
                self._refresh_session()
        try:
            yield
        except _SessionEnded:
            self._opened = -LASTS.total_seconds()
            raise


class _Page(TypedDict):
    """A part of what a query finds."""

    done: bool
    records: list[Record]
    totalSize: int
    nextRecordsUrl: NotRequired[str]


class _Named(TypedDict):
    name: str


class _Objects(TypedDict):
    """The objects of the org."""

    sobjects: list[_Named]


class _RowResult(TypedDict):
    """How one record of a collection was written."""

    success: bool
    errors: list[Record]


class _NodeAnswer(TypedDict):
    referenceId: str
    body: Any


class _GraphResponse(TypedDict):
    compositeResponse: list[_NodeAnswer]


class _Graph(TypedDict):
    """How one graph was written."""

    graphId: str
    isSuccessful: bool
    graphResponse: _GraphResponse


class _Graphs(TypedDict):
    graphs: list[_Graph]


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """What an org says of itself.

    Attributes:
        id: Its 18 characters.
        multi_currency: Whether each of its records has a currency of its own.
        currency: Its only one; of several, the one of our user's new records. Empty if unsaid.
        user_id: Who is logged in.
    """

    id: str
    multi_currency: bool
    currency: str
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A login at an org, for its other APIs.

    Attributes:
        token: Proves who we are.
        instance_url: Where the org is.
        org_id: Its 18 characters.
        user_id: Who we are there.
    """

    token: str
    instance_url: str
    org_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row of a collection was not written."""

    index: int
    error: InvoicingError


@dataclass(frozen=True, slots=True)
class GraphError:
    """Why nothing of a graph was written, and the subrequest that was refused."""

    reference: str
    error: InvoicingError


class Salesforce:
    """One Salesforce org."""

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
        self._names = Names(mapping) if mapping else None
        self._types: dict[str, dict[str, str]] = {}
        session = requests.Session()
        session.mount("https://", _Transport(settings.url, settings.timeout_seconds))
        # A rule that only alerts asks whoever types; there is nobody here who could answer.
        session.headers["Sforce-Duplicate-Rule-Header"] = "allowSave=true"
        with _translated_errors("log in"):
            self._client = _Client(
                logins,
                **_credentials(settings),
                version=SALESFORCE_API_VERSION,
                session=session,
                parse_float=Decimal,
                object_pairs_hook=dict,
            )

    def _call(
        self, doing: str, path: str, shape: type[T], method: str = "GET", body: Any = None
    ) -> T:
        """Make a call; its answer must have a shape."""
        extra: dict[str, Any] = {} if body is None else {"data": orjson.dumps(body)}
        with _translated_errors(doing, writing=method != "GET"):
            try:
                answer = self._client.restful(path, method=method, **extra)
            except TypeError as error:  # the SDK asks for the length of whatever came
                raise ValueError("neither an object nor a list") from error
            return convert(answer, shape)

    def org(self) -> OrgFacts:
        """What the org says of itself to whoever is logged in; one call.

        An org of one currency says which it is nowhere else: in it, no record has a currency.
        Source: SOAP API Developer Guide, "getUserInfoResult"

        Raises:
            EnvironmentMismatch: the user may not ask.
        """
        doing = "ask the org what it is"
        url = f"https://{self._client.sf_instance}/services/Soap/u/{SALESFORCE_API_VERSION}"
        with self._client.renewed():
            headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
            body = USER_INFO.format(self._client.session_id).encode()
            with _translated_errors(doing):
                answer = self._client.session.post(url, data=body, headers=headers)
                said = _texts(answer.content)
            if "organizationId" not in said:
                why = said.get("faultstring") or f"status {answer.status_code}"
                raise _soap_kind(said, answer.status_code)(f"Salesforce refused to {doing}: {why}")
        several = said.get("organizationMultiCurrency") == "true"
        own = said.get("userDefaultCurrencyIsoCode" if several else "orgDefaultCurrencyIsoCode")
        return OrgFacts(said["organizationId"], several, own or "", said.get("userId", ""))

    def session(self) -> Session:
        """This login, for the org's other APIs; one call."""
        org = self.org()
        url = f"https://{self._client.sf_instance}"
        return Session(str(self._client.session_id), url, org.id, org.user_id)

    def describe(self, sobject: str) -> Record | None:
        """The org's describe of one of its objects, by the org's own name; None if it has none."""
        try:
            return self._call("read the schema", f"sobjects/{sobject}/describe", Record)
        except NotFound:
            return None

    def object_names(self) -> list[str]:
        """The API names of all objects that the org shows us."""
        answer = self._call("read the schema", "sobjects/", _Objects)
        return [sobject["name"] for sobject in answer["sobjects"]]

    def own_object(self, ours: str) -> str:
        """The org's name of an object of ours."""
        return self._sobject(ours)

    def own_field(self, sobject: str, ours: str) -> str | None:
        """The org's name of a field of ours; None where it keeps none."""
        return (self._names or OUR_NAMES).path(sobject, ours)

    def _sobject(self, ours: str) -> str:
        return self._names.sobject(ours) if self._names else ours

    def _fields(self, sobject: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._names.fields(sobject, values) if self._names else values

    def query(self, query: Query, *, deleted: bool = False) -> list[Record]:
        """All records that a query finds, each with all of its children.

        Args:
            query: The query.
            deleted: Find those in the recycle bin, and those that were merged away, as well.

        A batch may end anywhere, and children count: a list of children that was cut names its
        rest, which is fetched here.
        Source: REST API Developer Guide, "Query Options Header" (child objects count, and no size
        is guaranteed); SOQL and SOSL Reference, "Change the Batch Size in Queries"

        Raises:
            TransientError: fewer children came than were announced.
        """
        soql = query.build(self._names or OUR_NAMES).soql
        with _translated_errors("read records"):
            found = self._whole(self._client.query(soql, include_deleted=deleted))["records"]
            for record in found:
                for value in record.values():
                    if isinstance(value, dict) and "records" in value:
                        self._complete(value)
        return [self._names.record(row) for row in found] if self._names else found

    def aggregate(self, query: Query) -> list[Decimal]:
        """The numbers of a query of aggregates, in the order asked; 0 where there are no rows.

        Source: SOQL and SOSL Reference, "GROUP BY", on aliases (expr0, expr1, …)
        """
        soql = query.build(self._names or OUR_NAMES).soql
        with _translated_errors("add up records"):
            [row] = self._whole(self._client.query(soql))["records"]
        return [Decimal(str(row[f"expr{at}"] or 0)) for at, _ in enumerate(query.fields)]

    def _whole(self, answer: object) -> _Page:
        """A first page with the records of those after it: as many as it announces."""
        page = last = convert(answer, _Page)
        while not last["done"]:
            following = last.get("nextRecordsUrl")
            if not following:
                raise TransientError("Salesforce's answer does not say where it goes on.")
            more = self._client.query_more(following, identifier_is_url=True)
            last = convert(more, _Page)
            page["records"] += last["records"]
        came, announced = len(page["records"]), page["totalSize"]
        if came != announced:
            raise TransientError(f"Salesforce gave {came} of {announced} records; ask again.")
        return page

    def _complete(self, children: dict[str, Any]) -> None:
        """Fetch what a list of child records was cut by."""
        children["records"] = self._whole(children)["records"]

    def bulk_query(self, query: Query) -> Iterator[list[str]]:
        """The rows of a large query one by one, values as CSV text in the query's order.

        Bulk API 2.0 query: one job, read in parts, of which one is in memory at a time. What
        the org does not keep is an empty text.
        """
        asked = query.build(self._names or OUR_NAMES)
        with self._client.renewed(), _translated_errors("read records in bulk"):
            sobject = getattr(self._client.bulk2, "query")  # noqa: B009  (any name will do)
            for part in sobject.query(asked.soql, max_records=BULK_PART, wait=0.2):
                # StringIO takes four bytes for each character.
                rows = csv.reader(io.TextIOWrapper(io.BytesIO(part.encode()), "utf-8", newline=""))
                next(rows, None)
                yield from map(asked.row, rows) if self._names else rows

    def bulk_update(self, sobject: str, records: Iterable[Mapping[str, Any]]) -> list[RowError]:
        """Set fields of very many records by one Bulk API 2.0 job; each carries its ``Id``.

        None clears a field, and one that a record lacks is left alone. Returns the rows that
        failed, or were not tried.
        Source: https://developer.salesforce.com/docs/atlas.en-us.api_asynch.meta/api_asynch/
        datafiles_prepare_csv.htm
        """
        return self._bulk("update", sobject, "Id", "Id", records)

    def bulk_upsert(
        self, sobject: str, external_id: str, records: Sequence[Mapping[str, Any]]
    ) -> list[RowError]:
        """Create or update very many records by an external id, as :meth:`bulk_update` does.

        Nothing is written, and nothing fails, where the org does without the object.
        """
        key = self._external_id(sobject, external_id)
        if key is None:
            return []
        return self._bulk("upsert", sobject, external_id, key, records, external_id_field=key)

    def _bulk(
        self,
        operation: str,
        sobject: str,
        key: str,
        column: str,
        records: Iterable[Mapping[str, Any]],
        **options: Any,
    ) -> list[RowError]:
        """Write by one job. ``key`` names a record here, and ``column`` in the org's results."""
        keys: list[str] = []
        rows: list[dict[str, Any]] = []
        for record in records:  # made one by one, so that only these values stay
            keys.append(record[key])
            fields = self._fields(sobject, record)
            rows.append({name: _csv_value(value) for name, value in fields.items()})
        failed: dict[str, InvoicingError] = {}
        with self._client.renewed(), _translated_errors("write records in bulk"):
            bulk = getattr(self._client.bulk2, self._sobject(sobject))
            for job in getattr(bulk, operation)(records=rows, wait=0.2, **options):
                for results in (bulk.get_failed_records, bulk.get_unprocessed_records):
                    for row in csv.DictReader(io.StringIO(results(job["job_id"]))):
                        failed[row[column]] = _bulk_error(
                            self._writing(sobject), row.get("sf__Error"), operation == "upsert"
                        )
        return [RowError(index, failed[name]) for index, name in enumerate(keys) if name in failed]

    def delete(self, sobject: str, record_id: str) -> None:
        """Delete one record with its details; NotFound if there is none."""
        path = f"sobjects/{self._sobject(sobject)}/{record_id}"
        self._call(f"delete the {_shown(self._sobject(sobject))}", path, object, "DELETE")

    def update(self, sobject: str, record_id: str, fields: Mapping[str, Any]) -> None:
        """Set fields of one record."""
        path = f"sobjects/{self._sobject(sobject)}/{record_id}"
        written = self._fields(sobject, fields)
        self._call(self._writing(sobject), path, object, "PATCH", written)

    def _writing(self, sobject: str) -> str:
        """What is done to records of one of our objects, as people know it."""
        return f"write the {_shown(self._sobject(sobject))}"

    def update_many(self, sobject: str, records: Sequence[Mapping[str, Any]]) -> list[RowError]:
        """Set fields of many records; each carries its ``Id``. Returns the rows that failed."""
        return self._collections("composite/sobjects", sobject, records)

    def _external_id(self, sobject: str, field: str) -> str | None:
        """The org's name of an external id, or nothing where it does without the object."""
        if self._names is None:
            return field
        return self._names.path(sobject, field) if self._names.keeps(sobject) else None

    def has(self, sobject: str) -> bool:
        """Whether the org has an object of ours."""
        return self._names is None or self._names.keeps(sobject)

    def keeps(self, sobject: str, field: str) -> bool:
        """Whether the org has a field of ours."""
        return self._names is None or self._names.path(sobject, field) is not None

    def upsert_many(
        self, sobject: str, external_id: str, records: Sequence[Mapping[str, Any]]
    ) -> list[RowError]:
        """Create or update many records by an external id. Returns the rows that failed.

        Nothing is written, and nothing fails, where the org does without the object.
        """
        key = self._external_id(sobject, external_id)
        if key is None:
            return []
        path = f"composite/sobjects/{self._sobject(sobject)}/{key}"
        return self._collections(path, sobject, records, racing=True)

    def _row_error(self, sobject: str, errors: Sequence[Record], *, racing: bool) -> InvoicingError:
        return _by_code(self._writing(sobject), 200, errors, writing=True, racing=racing)

    def _collections(
        self,
        path: str,
        sobject: str,
        records: Sequence[Mapping[str, Any]],
        *,
        racing: bool = False,
    ) -> list[RowError]:
        failed: list[RowError] = []
        for start, some in zip(count(step=COLLECTION), chunked(records, COLLECTION), strict=False):
            rows = [
                {"attributes": {"type": self._sobject(sobject)}, **self._fields(sobject, record)}
                for record in some
            ]
            body = {"allOrNone": False, "records": rows}
            results = self._call("write records", path, list[_RowResult], "PATCH", body)
            failed += [
                RowError(start + i, self._row_error(sobject, result["errors"], racing=racing))
                for i, result in enumerate(results)
                if not result["success"]
            ]
        return failed

    def write_graph(self, requests: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Write several records in one call, all or none.

        Args:
            requests: Composite subrequests, each with ``method``, ``path`` (below the
                version), ``referenceId`` and ``body``; later ones may refer to earlier ones.

        Returns:
            The answers' bodies by reference id.

        Raises:
            Rejected: with every reason that Salesforce gave; nothing was written.
        """
        [answer] = self.write_graphs([requests])
        if isinstance(answer, GraphError):
            raise answer.error
        return answer

    def write_graphs(
        self, graphs: Sequence[Sequence[Mapping[str, Any]]]
    ) -> list[dict[str, Any] | GraphError]:
        """Write several graphs in one call, each all or none; at most 500 nodes in 75 graphs.

        Args:
            graphs: Subrequests, as :meth:`write_graph` takes them.

        Returns:
            For each graph the answers' bodies by reference id, or why nothing of it was written.

        Source: https://developer.salesforce.com/docs/atlas.en-us.api_rest.meta/api_rest/
        resources_composite_graph_limits.htm
        """
        root = f"/services/data/v{SALESFORCE_API_VERSION}/"
        graphs = self._filled(graphs)
        asked = {
            f"graph{number}": [self._node(request, root) for request in requests]
            for number, requests in enumerate(graphs)
        }
        body = {"graphs": [{"graphId": id_, "compositeRequest": n} for id_, n in asked.items()]}
        path = "composite/graph"
        said = self._call("write the invoice", path, _Graphs, "POST", body)["graphs"]
        written = {
            node["referenceId"]: self._writing(node["path"].split("/")[1])
            for nodes in graphs
            for node in nodes
        }
        by_id = {graph["graphId"]: _graph_answer(graph, written) for graph in said}
        if by_id.keys() != asked.keys():
            raise TransientError("Salesforce did not say how each of the records was written.")
        return [by_id[id_] for id_ in asked]

    def _filled(
        self, graphs: Sequence[Sequence[Mapping[str, Any]]]
    ) -> Sequence[Sequence[Mapping[str, Any]]]:
        """Graphs whose new records have what the field mapping adds to our fields."""
        if self._names is None:
            return graphs
        new = NewValues(self._names)
        made = [
            (request["path"].split("/")[1], request["body"])
            for requests in graphs
            for request in requests
            if request["method"] == "POST"
        ]
        if not any(new.wanted(sobject) for sobject in {sobject for sobject, _ in made}):
            return graphs
        paths = new.sources(INVOICE)
        parents = {
            start: {
                row["Id"]: row
                for row in self.query(Query(start, ["Id", *paths[start]], where=is_in("Id", ids)))
            }
            for start, ids in new.parents(made).items()
            if ids
        }
        today = datetime.now(settings().business.zone).date()

        def filled(request: Mapping[str, Any]) -> Mapping[str, Any]:
            sobject = request["path"].split("/")[1]
            if request["method"] != "POST" or not new.wanted(sobject):
                return request
            of = self._record_types(sobject).get
            return {**request, "body": new.filled(sobject, request["body"], parents, of, today)}

        return [[filled(request) for request in requests] for requests in graphs]

    def _record_types(self, sobject: str) -> dict[str, str]:
        """The ids of an object's record types, by their developer names; asked for once."""
        if sobject not in self._types:
            described = self.describe(self._sobject(sobject)) or {"recordTypeInfos": []}
            self._types[sobject] = {
                info["developerName"]: info["recordTypeId"] for info in described["recordTypeInfos"]
            }
        return self._types[sobject]

    def _node(self, request: Mapping[str, Any], root: str) -> dict[str, Any]:
        resource, sobject, *rest = request["path"].split("/")
        path = "/".join([resource, self._sobject(sobject), *rest])
        node = {
            "method": request["method"],
            "url": root + path,
            "referenceId": request["referenceId"],
        }
        if "body" in request:
            node["body"] = self._fields(sobject, request["body"])
        return node

    def notify(self, kind: str, user_id: str, title: str, body: str, target: str) -> None:
        """Tell a user something, by the platform's own notifications; two calls.

        Args:
            kind: The name of the custom notification type.
            user_id: Who is told.
            title: At most 250 characters are shown.
            body: At most 750.
            target: The record that a click leads to.

        Raises:
            EnvironmentMismatch: the org has no such type.
            Rejected: our user may not, or the user cannot be told.

        Source: https://developer.salesforce.com/docs/atlas.en-us.262.0.pushImplGuide.meta/
        pushImplGuide/actions_obj_custom_notification.htm
        """
        types = self.query(
            Query("CustomNotificationType", ["Id"], where=equals("DeveloperName", kind))
        )
        if not types:
            raise EnvironmentMismatch(
                f"Salesforce has no notification type {kind}. Deploy deployments/salesforce."
            )
        asked = {
            "customNotifTypeId": types[0]["Id"],
            "recipientIds": [user_id],
            "title": title[:250],
            "body": body[:750],
            "targetId": target,
        }
        path = "actions/standard/customNotificationAction"
        self._call("notify a user", path, object, "POST", {"inputs": [asked]})

    def api_usage(self) -> float:
        """Share of the day's API calls that are used, as the last answer said; costs one call.

        Every answer says it to everybody. The resource ``limits`` says it to whoever may View Setup
        and Configuration, which an integration user needs for nothing else.
        Source: REST API Developer Guide, "Limit Info Header"

        Raises:
            TransientError: the answer did not say it.
        """
        doing = "read how many calls are used"
        self._call(doing, "", Record)
        usage = self._client.api_usage.get("api-usage")
        if usage is None:
            raise TransientError(f"Salesforce did not say it, while trying to {doing}.")
        return float(usage.used) / usage.total if usage.total else 1.0


def _texts(xml: bytes) -> dict[str, str]:
    """The texts of a SOAP answer, by the local names of their elements."""
    try:
        nodes = ElementTree.fromstring(xml).iter()  # noqa: S314  our own org's answer
    except ElementTree.ParseError as error:
        raise ValueError("no XML") from error
    return {node.tag.rpartition("}")[2]: node.text for node in nodes if node.text}


def _soap_kind(said: Mapping[str, str], status: int) -> type[InvoicingError]:
    """The kind of error that a refused SOAP call is; its faults all come with status 500."""
    code = said.get("faultcode", "").rpartition(":")[2]
    if code == SESSION_ENDED:
        return _SessionEnded
    passing = code in TRANSIENT_CODES | THROTTLED_CODES if code else _is_transient(status)
    return TransientError if passing else EnvironmentMismatch


def _graph_answer(graph: _Graph, doing: Mapping[str, str]) -> dict[str, Any] | GraphError:
    answers = graph["graphResponse"]["compositeResponse"]
    if graph["isSuccessful"]:
        return {answer["referenceId"]: answer["body"] for answer in answers}
    errors = [(a["referenceId"], error) for a in answers for error in _errors(a["body"])]
    own = [told for told in errors if told[1].get("errorCode") != "PROCESSING_HALTED"] or errors
    reference = own[0][0] if own else ""
    what, reasons = doing.get(reference, "write the invoice"), [error for _, error in own]
    return GraphError(reference, _by_code(what, 400, reasons, writing=True, racing=True))


def _csv_value(value: Any) -> Any:
    if value is None:
        return "#N/A"
    return str(value).lower() if isinstance(value, bool) else value


def _bulk_error(doing: str, said: str | None, racing: bool) -> InvoicingError:
    """The error of a row, which says code, message and fields: ``CODE:message:Field__c --``."""
    code, _, rest = (said or "SERVER_UNAVAILABLE:The row was not tried.").partition(":")
    message, _, fields = (
        rest.removesuffix("--").rpartition(":") if rest.endswith("--") else (rest, "", "")
    )
    named = [name.strip() for name in fields.split(",") if name.strip()]
    error = {"statusCode": code, "message": message, "fields": named}
    return _by_code(doing, 200, [error], writing=True, racing=racing)


def _credentials(org: SalesforceSettings) -> dict[str, Any]:
    """What the SDK logs in with, in its own words."""
    key = {"consumer_key": org.consumer_key.get_secret_value()}
    if org.consumer_secret:
        secret = org.consumer_secret.get_secret_value()
        return {**key, "consumer_secret": secret, "domain": org.domain}
    return {
        **key,
        "username": org.username,
        "privatekey_file": str(org.private_key_file),
        "domain": org.jwt_audience,
        "instance_url": org.domain,
    }


def _logins(org: SalesforceSettings) -> Logins:
    """Where the login of the settings is shared.

    Raises:
        Misconfigured: the private key cannot be read.
    """
    if org.consumer_secret:
        credential = org.consumer_secret.get_secret_value().encode()
    else:
        try:
            credential = Path(str(org.private_key_file)).read_bytes()
        except OSError as error:
            raise Misconfigured(f"INVOICING_SALESFORCE__PRIVATE_KEY_FILE: {error}.") from None
    key = org.consumer_key.get_secret_value()
    return Logins(fingerprint([org.domain, org.url, key, org.username]), credential)


@lru_cache(maxsize=1)
def client() -> Salesforce:
    """The org of the settings, with the login that all processes share."""
    org = settings().salesforce
    return Salesforce(org, org_mapping(), _logins(org))
