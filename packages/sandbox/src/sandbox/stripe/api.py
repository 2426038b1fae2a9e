"""The API's front: keys, idempotency, validation, one transaction a request, expansion."""

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.common.faults import Rule
from sandbox.common.hosted_invoice_url import dated
from sandbox.stripe import API_VERSION, permissions
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.errors import StripeError, invalid, unauthorized, unrecognized_url
from sandbox.stripe.expansion import expanded
from sandbox.stripe.ids import token
from sandbox.stripe.limits import Limiter
from sandbox.stripe.store import Doc, Page, public
from sandbox.stripe.validation import unflatten, validate

logger = logging.getLogger(__name__)

Params = dict[str, Any]
Handler = Callable[..., "Doc | Listing"]

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.\w+)?")

KEY_LIFETIME = 24 * 3600
"""Seconds an idempotency key is remembered, in sandbox time."""


@dataclass
class Listing:
    """The answer to a list or search request."""

    page: Page
    url: str
    kind: str = "list"
    more: Doc | None = None
    """Further fields beside ``data`` and ``has_more``."""
    of: str = ""
    """What kind of objects they are."""


@dataclass(frozen=True)
class Operation:
    """One operation of the API."""

    method: str
    path: str
    params: str
    handler: Handler
    given: tuple[str, ...]


OPERATIONS: list[Operation] = []


def operation(
    method: str, path: str, params: str, given: tuple[str, ...] = ()
) -> Callable[[Handler], Handler]:
    """Register a handler for an operation.

    The handler is called with the context, the validated parameters and the ids in the path.

    Args:
        method: HTTP method.
        path: Path with placeholders.
        params: The TypedDict in ``stripe.params`` that says what may be sent.
        given: Parameters of that type which the path already carries.
    """

    def register(handler: Handler) -> Handler:
        OPERATIONS.append(Operation(method, path, params, handler, given))
        return handler

    return register


class Api:
    """Answers API requests for a sandbox.

    Args:
        sandbox: The account and its objects.
        happened: Called after every request that may have made events.
    """

    def __init__(self, sandbox: Sandbox, happened: Callable[[], None]) -> None:
        self.sandbox = sandbox
        self._happened = happened
        self.limiter = Limiter(sandbox)
        self._in_flight: set[tuple[bool, str]] = set()

    def routes(self) -> list[Route]:
        """Return a route for every operation, fixed paths before those with placeholders."""
        ordered = sorted(OPERATIONS, key=lambda op: re.sub(r"\{\w+\}", "~", op.path))
        return [Route(op.path, self._endpoint(op), methods=[op.method]) for op in ordered]

    async def not_found(self, request: Request) -> Response:
        """Answer for a path that is not there."""
        return self._failure(unrecognized_url(request.method, request.url.path), _request_id())

    def _endpoint(self, op: Operation) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            request_id = _request_id()
            try:
                return await self._answer(op, request, request_id)
            except StripeError as error:
                return self._failure(error, request_id)

        return endpoint

    async def _answer(self, op: Operation, request: Request, request_id: str) -> Response:
        livemode = self._authenticate(request)
        self._check_headers(request)
        self.limiter.check(livemode, f"{op.method} {op.path}")
        key = request.headers.get("idempotency-key") if request.method == "POST" else None
        call = _Call(op, request, livemode, await request.body(), request_id, key)
        if key is None:
            await _delay(request)
            return self._execute(call)
        replay = self._replayed(call, key)
        if replay is not None:
            return replay
        self._in_flight.add((livemode, key))
        try:
            await _delay(request)
            return self._execute(call)
        finally:
            self._in_flight.discard((livemode, key))

    def _authenticate(self, request: Request) -> bool:
        """Whether a request is one of the live half; refused where its key may not make it."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "basic":
            secret = base64.b64decode(secret).decode().partition(":")[0]
        if not secret:
            raise unauthorized("You did not provide an API key.")
        made = self.sandbox.keys.get(secret)
        if made:
            account, path = self.sandbox.account.id, request.url.path
            permissions.check(made, _masked(secret), account, request.method, path)
            return made.livemode
        livemode = self.sandbox.account.keys.get(secret)
        if livemode is None:
            raise unauthorized(f"Invalid API Key provided: {_masked(secret)}")
        return livemode

    def _check_headers(self, request: Request) -> None:
        """Refuse another account, and what is no API version."""
        account = request.headers.get("stripe-account", self.sandbox.account.id)
        if account != self.sandbox.account.id:
            raise StripeError(
                f"The provided key does not have access to account '{account}' "
                "(or that account does not exist).",
                status=403,
                code="account_invalid",
                stored=False,
            )
        version = request.headers.get("stripe-version", API_VERSION)
        if not VERSION.fullmatch(version):
            raise invalid(f"Invalid Stripe API version: {version}")

    def _replayed(self, call: "_Call", key: str) -> Response | None:
        """Return the remembered answer for an idempotency key, if there is one."""
        if len(key) > 255:
            raise invalid("Idempotency keys can be up to 255 characters long.")
        if (call.livemode, key) in self._in_flight:
            raise StripeError(
                "There is currently another in-progress request using this Idempotent Key "
                f"(that probably means you submitted twice): {key}. Please try again later.",
                status=409,
                kind="idempotency_error",
                code="idempotency_key_in_use",
                stored=False,
            )
        row = self.sandbox.store.connection.execute(
            "SELECT endpoint, digest, request_id, status, body, created FROM idempotency"
            " WHERE livemode = ? AND key = ?",
            (call.livemode, key),
        ).fetchone()
        if row is None or row[5] + KEY_LIFETIME < self.sandbox.clock.time():
            return None
        endpoint, digest, first_request, status, body, _ = row
        if endpoint != call.endpoint:
            raise _reused(key, f"for the same endpoint ('{endpoint}' vs '{call.endpoint}')")
        if digest != call.digest:
            raise _reused(key, "with the same parameters")
        headers = {"Idempotent-Replayed": "true", "Original-Request": first_request}
        return self._response(status, body, call.request_id, key, headers)

    def _execute(self, call: "_Call") -> Response:
        """Run an operation in one transaction and remember its answer with its key."""
        status, body = 200, b""
        try:
            params = call.validated()
            _raise_ordered_failure(call.request)
        except StripeError as error:
            status, body = error.status, self._error_body(error, call)
            if error.stored:
                self._remember(call, status, body)
            return self._response(status, body, call.request_id, call.key)
        context = self.sandbox.context(
            call.livemode, request_id=call.request_id, idempotency_key=call.key
        )
        failure: StripeError | None = None
        try:
            with self.sandbox.store.transaction():
                try:
                    body = dated(_rendered(context, call, params), context.now)
                except StripeError as error:
                    if not error.keep:
                        raise
                    failure = error
        except StripeError as error:
            failure = error
        except Exception:
            logger.exception("%s failed", call.endpoint)
            failure = StripeError("An unknown error occurred", status=500, kind="api_error")
        if failure:
            status, body = failure.status, self._error_body(failure, call)
        if failure is None or failure.stored:
            self._remember(call, status, body)
        if call.request.method != "GET":
            self._happened()
        return self._response(status, body, call.request_id, call.key)

    def _remember(self, call: "_Call", status: int, body: bytes) -> None:
        if call.key is None:
            return
        self.sandbox.store.connection.execute(
            "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                call.livemode,
                call.key,
                call.endpoint,
                call.digest,
                call.request_id,
                status,
                body,
                self.sandbox.clock.time(),
            ),
        )

    def _error_body(self, error: StripeError, call: "_Call") -> bytes:
        mode = "" if call.livemode else "test/"
        log = f"https://dashboard.stripe.com/{mode}logs/{call.request_id}"
        return orjson.dumps({"error": error.body | {"request_log_url": log}})

    def _failure(self, error: StripeError, request_id: str) -> Response:
        body = orjson.dumps({"error": error.body})
        return self._response(error.status, body, request_id, more=error.headers)

    def _response(
        self,
        status: int,
        body: bytes,
        request_id: str,
        key: str | None = None,
        more: dict[str, str] | None = None,
    ) -> Response:
        headers = {"Request-Id": request_id, "Stripe-Version": API_VERSION} | (more or {})
        if key is not None:
            headers = {"Idempotency-Key": key, "Original-Request": request_id} | headers
        return Response(body, status, headers, media_type="application/json")


class _Call:
    """An API request that has been read but not judged."""

    def __init__(
        self,
        op: Operation,
        request: Request,
        livemode: bool,
        body: bytes,
        request_id: str,
        key: str | None,
    ) -> None:
        self.op = op
        self.request = request
        self.livemode = livemode
        self.body = body
        self.request_id = request_id
        self.key = key
        self.endpoint = f"{request.method} {request.url.path}"
        fields = sorted(parse_qsl(body.decode(), keep_blank_values=True))
        self.digest = hashlib.sha256(repr(fields or body).encode()).hexdigest()

    def validated(self) -> Params:
        """Return the parameters, from the query and the form or, in v2, from JSON.

        Raises:
            StripeError: 400 about what is wrong with them.
        """
        query = unflatten(parse_qsl(self.request.url.query, keep_blank_values=True))
        if not self.op.path.startswith("/v2/"):
            form = unflatten(parse_qsl(self.body.decode(), keep_blank_values=True))
            return validate(self.op.params, query | form, self.op.given)
        try:
            values = query | orjson.loads(self.body or b"{}")
        except orjson.JSONDecodeError:
            raise invalid("The request body is not valid JSON.") from None
        page = {"page": values.pop("page")} if "page" in values else {}
        return validate(self.op.params, values, self.op.given) | page


def refusal(rule: Rule) -> tuple[dict[str, str], bytes]:
    """Build the answer of an ordered refusal in Stripe's format."""
    kind = "invalid_request_error" if rule.status < 500 else "api_error"
    code = rule.code or ("rate_limit" if rule.status == 429 else None)
    error = StripeError(f"Ordered by the sandbox: {rule.status}.", kind=kind, code=code)
    headers = {"Content-Type": "application/json", "Request-Id": _request_id()}
    if rule.status == 429:
        headers["Stripe-Rate-Limited-Reason"] = "global-rate"
    return headers, orjson.dumps({"error": error.body})


def _rendered(context: Context, call: _Call, params: Params) -> bytes:
    expand = params.pop("expand", [])
    answer = call.op.handler(context, params, *call.request.path_params.values())
    if isinstance(answer, Listing):
        return _list_body(context, answer, expand)
    doc = public(answer)
    return orjson.dumps(expanded(context, doc, expand) if expand else doc)


def _list_body(context: Context, listing: Listing, expand: list[str]) -> bytes:
    """Join the bodies as they are; only an expanded list is rendered anew."""
    bodies = listing.page.bodies
    if expand:
        envelope = {"object": "list", "data": [orjson.loads(body) for body in bodies]}
        bodies = [
            orjson.dumps(doc) for doc in expanded(context, envelope, expand, listing.of)["data"]
        ]
    rest = {"has_more": listing.page.has_more, "url": listing.url} | (listing.more or {})
    head = f'{{"object":"{listing.kind}","data":['.encode()
    return head + b",".join(bodies) + b"]," + orjson.dumps(rest)[1:]


async def _delay(request: Request) -> None:
    await asyncio.sleep(request.scope.get("sandbox.delay", 0))


def _raise_ordered_failure(request: Request) -> None:
    rule: Rule | None = request.scope.get("sandbox.fault")
    if rule and rule.kind == "error":
        raise StripeError("Ordered by the sandbox.", status=rule.status, kind="api_error")


def _reused(key: str, how: str) -> StripeError:
    return StripeError(
        f"Keys for idempotent requests can only be used {how} they were first used with. "
        f"Try using a key other than '{key}' if you meant to execute a different request.",
        kind="idempotency_error",
        stored=False,
    )


def _masked(secret: str) -> str:
    return secret[:8] + "*" * max(0, len(secret) - 12) + secret[-4:] if len(secret) > 12 else "****"


def _request_id() -> str:
    return f"req_{token(14)}"
