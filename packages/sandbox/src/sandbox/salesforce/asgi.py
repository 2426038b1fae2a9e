"""The sandbox as an ASGI application: transport around the org."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from sandbox.common import admin as common_admin
from sandbox.common import page_templates
from sandbox.common.faults import Rule
from sandbox.common.request_middleware import Traffic
from sandbox.salesforce import soap
from sandbox.salesforce.bulk_ingest import BulkIngest
from sandbox.salesforce.bulk_query import BulkQuery
from sandbox.salesforce.collections import Collections
from sandbox.salesforce.composite import Composite
from sandbox.salesforce.errors import OAuthError, SalesforceError, not_found
from sandbox.salesforce.http import Answer, Call, Resources
from sandbox.salesforce.limits import Usage
from sandbox.salesforce.metadata_api import MetadataApi
from sandbox.salesforce.notifications import Notifications
from sandbox.salesforce.oauth import Authority, Sessions
from sandbox.salesforce.org import ORGANIZATION_ID, Org
from sandbox.salesforce.pages.routes import Pages
from sandbox.salesforce.query_results import Cursors
from sandbox.salesforce.records import MultipleMatches
from sandbox.salesforce.rest import Rest
from sandbox.salesforce.seed import Seed, seed

if TYPE_CHECKING:
    from sandbox.salesforce.pubsub import PubSub

OLDEST_VERSION, NEWEST_VERSION = 41, 67
"""API versions that are answered, all as the newest; older ones are retired or deprecated."""

METHODS = ["GET", "HEAD", "POST", "PATCH", "PUT", "DELETE"]

MAX_URI_AND_HEADERS = 16_384
"""Bytes of a request's address, and of that with its headers; a longer SOQL has to go another way.

Source: https://help.salesforce.com/s/articleView?id=000386264
"""

_JSON = {"content-type": "application/json;charset=UTF-8"}
_CODES = {
    400: "UNABLE_TO_LOCK_ROW",
    401: "INVALID_SESSION_ID",
    403: "REQUEST_LIMIT_EXCEEDED",
    429: "REQUEST_LIMIT_EXCEEDED",
    500: "UNKNOWN_EXCEPTION",
    503: "SERVER_UNAVAILABLE",
}


class Salesforce:
    """One org served over HTTP; call ``asgi`` for the application.

    Args:
        org: The org.
        base_url: Where the sandbox is reached.
        certificate: PEM file that signs JWT assertions.
        pubsub_port: Where the Pub/Sub API is served, 0 for a free port; None: nowhere.
    """

    def __init__(
        self,
        org: Org,
        base_url: str,
        certificate: Path | None = None,
        pubsub_port: int | None = None,
    ) -> None:
        self.org = org
        self.base_url = base_url
        self.identity_url = f"{base_url}/id/{ORGANIZATION_ID}/{org.user_id}"
        self.sessions = Sessions(org)
        self.authority = Authority(org, base_url, certificate)
        self.usage = Usage(org.clock)
        self.cursors = Cursors(org)
        self.bulk_query = BulkQuery(org)
        self.bulk_ingest = BulkIngest(org)
        self.notifications = Notifications(org)
        self.metadata_api = MetadataApi(org, self.sessions)
        self._resources = Resources(
            [
                *Composite(org, lambda call: self._resources.answer(call)).table(),
                *Collections(org).table(),
                *self.bulk_query.table(),
                *self.bulk_ingest.table(),
                *self.notifications.table(),
                *Rest(org, self.cursors, self.usage, self.identity_url).table(),
            ]
        )
        self.pubsub: PubSub | None = None
        if pubsub_port is not None:
            from sandbox.salesforce.pubsub import PubSub  # gRPC, which no fork should have

            self.pubsub = PubSub(org, self.sessions, pubsub_port)
        self._pages = Pages(org, self.sessions, self.notifications, base_url)
        self.traffic: Traffic

    def reset(self, name: Seed, currency: str | None = None, profiles: Iterable[str] = ()) -> None:
        """Forget records, jobs, locators, faults and counts; seed again. Sessions stay.

        Args:
            name: What is in the org at first.
            currency: The org's only one; None for an org of several.
            profiles: What else it is like.
        """
        self.cursors.clear()
        self.bulk_query.clear()
        self.bulk_ingest.clear()
        self.notifications.clear()
        self.metadata_api.clear()
        self.usage.clear()
        self.org.locks.clear()
        self.org.rules.rules = []
        self.org.use_currency(currency, profiles)
        self.org.use_permission_sets(None)
        self.org.people.clear()
        self.authority.clear()
        self.org.changes.clear()
        self.traffic.faults.configure([])
        self.traffic.log.clear()
        seed(self.org, name)

    def asgi(self, admin_routes: Iterable[Route]) -> Traffic:
        """The application: API, admin endpoints and pages."""
        app = Starlette(
            routes=[
                Route("/services/oauth2/token", self._token, methods=["POST"]),
                Route("/services/oauth2/revoke", self._revoke, methods=["POST"]),
                Route("/services/oauth2/userinfo", self._user_info),
                Route("/id/{organization}/{user}", self._user_info),
                Route("/services/Soap/u/{version}", self._soap, methods=["POST"]),
                Route("/services/data", self._versions),
                *(
                    Route(
                        f"{slash}/services/Soap/m/{{rest:path}}", self._metadata, methods=["POST"]
                    )
                    for slash in ("", "/")
                ),
                *(
                    Route(f"{slash}/services/data/v{{version}}{path}", self._data, methods=METHODS)
                    for slash in ("", "/")  # Salesforce takes it doubled
                    for path in ("/{path:path}", "")
                ),
                page_templates.static(),
            ],
            exception_handlers={Exception: _unknown_exception},
            lifespan=self._lifespan,
        )
        login = Traffic(app, self.org.clock, ["/services/oauth2/"], _oauth_refusal)
        data = ["/services/data", "//services/data", "/services/Soap", "//services/Soap"]
        self.traffic = Traffic(login, self.org.clock, data, _refusal, app_delays=True)
        login.faults, login.log = self.traffic.faults, self.traffic.log
        app.router.routes.extend(common_admin.routes(self.org.clock, self.traffic))
        app.router.routes.extend(admin_routes)
        app.router.routes.extend(self._pages.routes())
        return self.traffic

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        async with self.pubsub.serving() if self.pubsub else nullcontext():
            yield

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        try:
            self.authority.grant(form, request.headers.get("authorization"))
        except OAuthError as error:
            return JSONResponse(error.as_response(), error.status)
        return JSONResponse(
            {
                "access_token": self.sessions.open(),
                "signature": "c2FuZGJveA==",
                "scope": "api id",
                "instance_url": self.base_url,
                "id": self.identity_url,
                "token_type": "Bearer",
                "issued_at": str(int(self.org.clock.time() * 1000)),
                "api_instance_url": self.base_url,
            }
        )

    async def _revoke(self, request: Request) -> Response:
        form = await request.form()
        if self.sessions.end(str(form.get("token", ""))):
            return Response(status_code=200)
        error = OAuthError("unsupported_token_type", "this token type is not supported")
        return JSONResponse(error.as_response(), error.status)

    async def _user_info(self, request: Request) -> Response:
        try:
            self.sessions.check(request.headers.get("authorization"))
        except SalesforceError as error:
            return _response(Answer(403, error.as_response()), {})
        user = self.org.store.get(self.org.sobject("User"), self.org.user_id) or {}
        return JSONResponse(
            {
                "sub": self.identity_url,
                "user_id": self.org.user_id,
                "organization_id": ORGANIZATION_ID,
                "preferred_username": user.get("Username"),
                "username": user.get("Username"),
                "name": user.get("Name"),
                "email": user.get("Email"),
            }
        )

    async def _soap(self, request: Request) -> Response:
        content = await request.body()
        return self._counted(lambda: soap.answer(self.org, self.sessions, content))

    async def _metadata(self, request: Request) -> Response:
        content = await request.body()
        return self._counted(lambda: self.metadata_api.answer(content))

    def _counted(self, answer: Callable[[], Response]) -> Response:
        """An answer of SOAP, whose calls count as any others."""
        try:
            self.usage.spend()
        except SalesforceError as error:
            return soap.refusal(error)
        return answer()

    async def _versions(self, _: Request) -> Response:
        return JSONResponse(
            [
                {"label": f"v{n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
                for n in range(OLDEST_VERSION, NEWEST_VERSION + 1)
            ]
        )

    async def _data(self, request: Request) -> Response:
        if too_long := _too_long(request):
            return too_long
        content = await request.body()
        headers = {"Sforce-Limit-Info": self.usage.header()}
        try:
            token = self.sessions.check(request.headers.get("authorization"))
            self.usage.spend()
            headers["Sforce-Limit-Info"] = self.usage.header()
            with self.org.asked_by(self.org.people.get(self.sessions.whose(token))):
                answer = await self._answer(_call(request, content), request.scope)
        except SalesforceError as error:
            answer = Answer(error.status, error.as_response())
        return _response(answer, headers)

    def _answer_the_user(self, call: Call) -> Answer:
        save_duplicates = call.headers.get("sforce-duplicate-rule-header", "")
        with self.org.asked_by_the_user(), self.org.rules.for_request(save_duplicates):
            return self._resources.answer(call)

    async def _answer(self, call: Call, scope: Scope) -> Answer:
        rule: Rule | None = scope.get("sandbox.fault")
        try:
            return await self.org.locks.run(
                self.org.store,
                lambda: self._answer_the_user(call),
                hold=scope.get("sandbox.delay", 0.0),
                trouble=rule is not None and rule.kind == "row_lock",
            )
        except MultipleMatches as several:
            return Answer(300, several.urls)


def _too_long(request: Request) -> Response | None:
    """The refusal of an address, or of headers beside it, that take too many bytes."""
    address = len(request.scope["path"]) + len(request.scope["query_string"])
    headers = sum(len(name) + len(value) for name, value in request.scope["headers"])
    if address > MAX_URI_AND_HEADERS:
        return PlainTextResponse("URI Too Long", 414)
    if address + headers > MAX_URI_AND_HEADERS:
        return PlainTextResponse("Request Header Fields Too Large", 431)
    return None


def _call(request: Request, content: bytes) -> Call:
    version = request.path_params["version"]
    major = version.removesuffix(".0")
    if not major.isdigit() or not OLDEST_VERSION <= int(major) <= NEWEST_VERSION:
        if major.isdigit() and int(major) < OLDEST_VERSION:
            raise SalesforceError(
                "UNSUPPORTED_API_VERSION",
                f"Invalid Api version specified on URL: v{version}",
                status=410,
            )
        raise not_found()
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if content and kind not in {"application/json", "text/csv"}:
        raise SalesforceError(
            "UNSUPPORTED_MEDIA_TYPE", f"Content type '{kind}' is not supported.", status=415
        )
    return Call(
        method=request.method,
        path="/" + request.path_params.get("path", ""),
        params=request.query_params,
        headers=request.headers,
        content=content,
    )


def _response(answer: Answer, headers: dict[str, str]) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status, headers=headers | dict(answer.headers))
    content = answer.body if isinstance(answer.body, bytes) else orjson.dumps(answer.body)
    lower = {name.lower(): value for name, value in (headers | dict(answer.headers)).items()}
    return Response(content, answer.status, _JSON | lower)


def _refusal(rule: Rule) -> tuple[dict[str, str], bytes]:
    code = rule.code or _CODES.get(rule.status, "UNKNOWN_EXCEPTION")
    error = SalesforceError(code, "ordered by a fault rule", status=rule.status)
    return _JSON, orjson.dumps(error.as_response())


def _oauth_refusal(rule: Rule) -> tuple[dict[str, str], bytes]:
    code = rule.code or ("server_error" if rule.status >= 500 else "invalid_grant")
    error = OAuthError(code, "ordered by a fault rule", rule.status)
    return _JSON, orjson.dumps(error.as_response())


async def _unknown_exception(_: Request, error: Exception) -> Response:
    body: Any = [{"message": f"{type(error).__name__}: {error}", "errorCode": "UNKNOWN_EXCEPTION"}]
    return JSONResponse(body, 500)
