"""The sandbox's own endpoints beside the shared ones: mailbox, deliveries, network, reset."""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus
from sqlite3 import IntegrityError
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.common.admin import takes
from sandbox.common.request_middleware import Traffic
from sandbox.stripe import disputes, lifecycle, payments, refunds
from sandbox.stripe.context import Context, Sandbox, Settings
from sandbox.stripe.errors import StripeError, no_such
from sandbox.stripe.generate import Generator, Order
from sandbox.stripe.permissions import Key
from sandbox.stripe.store import Doc, Space, public
from sandbox.stripe.webhooks import Courier, Network, due


class RetryOrder(BaseModel):
    """Which deliveries to attempt again at once; empty for all that are not delivered."""

    model_config = ConfigDict(extra="forbid")

    event: str | None = None
    endpoint: str | None = None
    delivered_too: bool = False


class DisputeOrder(BaseModel):
    """Which payment the cardholder disputes."""

    model_config = ConfigDict(extra="forbid")

    invoice: str | None = None
    charge: str | None = None
    reason: str = "fraudulent"
    amount: int | None = None
    currency: str | None = None
    """Of the dispute, where its bank converted the amount."""

    inquiry: bool = False
    """Whether the bank only asks, and withdraws nothing."""


class ChargeOrder(BaseModel):
    """Which invoice was paid as those before payment intents were."""

    model_config = ConfigDict(extra="forbid")

    invoice: str


class UnapplyOrder(BaseModel):
    """Which paid invoice somebody takes a payment off."""

    model_config = ConfigDict(extra="forbid")

    invoice: str


class DisputeVerdict(BaseModel):
    """How a dispute ends."""

    model_config = ConfigDict(extra="forbid")

    dispute: str
    status: Literal["won", "lost", "warning_closed"]


class DebitOutcome(BaseModel):
    """What becomes of a bank debit that is under way."""

    model_config = ConfigDict(extra="forbid")

    payment_intent: str | None = None
    invoice: str | None = None
    failure: str | None = None
    """Why it failed, as a charge's ``failure_code``; nothing if it succeeded."""


class RefundFailure(BaseModel):
    """Which refund the bank returns."""

    model_config = ConfigDict(extra="forbid")

    refund: str


def routes(sandbox: Sandbox, courier: Courier, traffic: Traffic) -> list[Route]:
    """Return the routes under ``/_sandbox/``."""

    async def mail(request: Request) -> Response:
        return _listed(sandbox, "mail", dict(request.query_params))

    async def deliveries(request: Request) -> Response:
        return _listed(sandbox, "delivery", dict(request.query_params))

    @takes(RetryOrder)
    async def retry(order: RetryOrder) -> Response:
        count = sum(_requeue(sandbox, space, order) for space in _spaces(sandbox))
        courier.wake()
        return JSONResponse({"requeued": count})

    async def get_network(_: Request) -> Response:
        return JSONResponse(courier.network.model_dump())

    @takes(Network)
    async def set_network(network: Network) -> Response:
        courier.configure(network)
        courier.wake()
        return JSONResponse(courier.network.model_dump())

    async def get_settings(_: Request) -> Response:
        return JSONResponse(sandbox.settings.model_dump())

    @takes(Settings)
    async def set_settings(settings: Settings) -> Response:
        sandbox.settings = settings
        return JSONResponse(settings.model_dump())

    @takes(Key)
    async def make_key(key: Key) -> Response:
        sandbox.keys[key.key] = key
        return JSONResponse(key.model_dump())

    @takes(Order)
    async def generate(order: Order) -> Response:
        started = time.perf_counter()
        try:
            with sandbox.store.transaction():
                made = Generator(sandbox.context(order.livemode), order).run()
        except IntegrityError:
            said = f"Data of seed {order.seed} are here already; take another seed, or reset first."
            return JSONResponse({"error": said}, HTTPStatus.CONFLICT)
        return JSONResponse(made | {"seconds": round(time.perf_counter() - started, 3)})

    @takes(DisputeOrder)
    async def dispute(order: DisputeOrder) -> Response:
        return acted(lambda: _dispute(sandbox, order))

    @takes(ChargeOrder)
    async def charge(order: ChargeOrder) -> Response:
        return acted(lambda: _charge(sandbox, order))

    @takes(UnapplyOrder)
    async def unapply(order: UnapplyOrder) -> Response:
        return acted(lambda: payments.unapply(*_found(sandbox, "invoice", order.invoice)))

    @takes(DebitOutcome)
    async def end_debit(outcome: DebitOutcome) -> Response:
        return acted(lambda: _end_debit(sandbox, outcome))

    @takes(DisputeVerdict)
    async def close_dispute(verdict: DisputeVerdict) -> Response:

        def close() -> Doc:
            context, found = _found(sandbox, "dispute", verdict.dispute)
            return disputes.close_dispute(context, found, verdict.status)

        return acted(close)

    @takes(RefundFailure)
    async def fail_refund(failure: RefundFailure) -> Response:
        return acted(lambda: refunds.fail(*_found(sandbox, "refund", failure.refund)))

    def acted(act: Callable[[], Doc]) -> Response:
        """Do something in one transaction and answer with its object, or with Stripe's error."""
        try:
            with sandbox.store.transaction():
                doc = act()
        except StripeError as error:
            return JSONResponse({"error": error.body}, error.status)
        courier.wake()
        return JSONResponse(public(doc))

    async def reset(_: Request) -> Response:
        sandbox.store.clear()
        sandbox.clock.reset()
        sandbox.settings = Settings()
        sandbox.keys.clear()
        traffic.reset()
        courier.configure(Network())
        return JSONResponse({"reset": True})

    async def settle(_: Request) -> Response:
        """Answer once no delivery is due any more."""
        while any(due(sandbox, space, 1) for space in _spaces(sandbox)):
            await asyncio.sleep(0.01)
        return JSONResponse({"settled": True})

    return [
        Route("/_sandbox/mail", mail, methods=["GET"]),
        Route("/_sandbox/deliveries", deliveries, methods=["GET"]),
        Route("/_sandbox/deliveries/retry", retry, methods=["POST"]),
        Route("/_sandbox/deliveries/settle", settle, methods=["POST"]),
        Route("/_sandbox/webhooks", get_network, methods=["GET"]),
        Route("/_sandbox/webhooks", set_network, methods=["POST"]),
        Route("/_sandbox/charges", charge, methods=["POST"]),
        Route("/_sandbox/debits", end_debit, methods=["POST"]),
        Route("/_sandbox/disputes", dispute, methods=["POST"]),
        Route("/_sandbox/disputes/close", close_dispute, methods=["POST"]),
        Route("/_sandbox/payments/unapply", unapply, methods=["POST"]),
        Route("/_sandbox/refunds/fail", fail_refund, methods=["POST"]),
        Route("/_sandbox/settings", get_settings, methods=["GET"]),
        Route("/_sandbox/settings", set_settings, methods=["POST"]),
        Route("/_sandbox/keys", make_key, methods=["POST"]),
        Route("/_sandbox/generate", generate, methods=["POST"]),
        Route("/_sandbox/reset", reset, methods=["POST"]),
    ]


def _spaces(sandbox: Sandbox) -> list[Space]:
    return [sandbox.store.space(False), sandbox.store.space(True)]


def _found(sandbox: Sandbox, kind: str, object_id: str) -> tuple[Context, Doc]:
    """Return an object of either mode with a context of that mode."""
    for livemode in (True, False):
        context = sandbox.context(livemode)
        found = context.space.get(kind, object_id)
        if found:
            return context, found
    raise no_such(kind, object_id)


def _charge(sandbox: Sandbox, order: ChargeOrder) -> Doc:
    """Let an open invoice be paid by a charge without a payment intent."""
    context, invoice = _found(sandbox, "invoice", order.invoice)
    lifecycle.require_status(invoice, ("open", "uncollectible"), "pay")
    return payments.charge_without_intent(context, invoice)


def _end_debit(sandbox: Sandbox, outcome: DebitOutcome) -> Doc:
    """End a payment that is under way, or the one of an invoice."""
    intent_id = outcome.payment_intent
    if outcome.invoice:
        context, invoice = _found(sandbox, "invoice", outcome.invoice)
        payment = payments.default_payment(context, invoice)
        intent_id = payment["payment"]["payment_intent"] if payment else None
    return payments.end_debit(*_found(sandbox, "payment_intent", intent_id or ""), outcome.failure)


def _dispute(sandbox: Sandbox, order: DisputeOrder) -> Doc:
    """Dispute a charge, or the newest charge of an invoice."""
    if order.charge:
        return _opened(*_found(sandbox, "charge", order.charge), order)
    context, invoice = _found(sandbox, "invoice", order.invoice or "")
    for payment in context.space.find("invoice_payment", {"invoice": invoice["id"]})[::-1]:
        intent = context.space.get("payment_intent", payment["payment"].get("payment_intent", ""))
        if intent and intent["status"] == "succeeded":
            charge = context.require("charge", intent["latest_charge"])
            return _opened(context, charge, order)
    raise no_such("charge", f"of {invoice['id']}")


def _opened(context: Context, charge: Doc, order: DisputeOrder) -> Doc:
    return disputes.open_dispute(
        context,
        charge,
        order.reason,
        amount=order.amount,
        currency=order.currency,
        inquiry=order.inquiry,
    )


def _listed(sandbox: Sandbox, kind: str, filters: dict[str, Any]) -> Response:
    """Return everything of a kind from both modes, newest first."""
    docs: list[Doc] = []
    for space in _spaces(sandbox):
        docs.extend(doc | {"livemode": space.livemode} for doc in space.find(kind, filters)[::-1])
    docs.sort(key=lambda doc: doc["created"], reverse=True)
    return Response(orjson.dumps({"data": docs}), media_type="application/json")


def _requeue(sandbox: Sandbox, space: Space, order: RetryOrder) -> int:
    filters = {name: value for name in ("event", "endpoint") if (value := getattr(order, name))}
    chosen = [
        delivery
        for delivery in space.find("delivery", filters)
        if order.delivered_too or delivery["state"] != "delivered"
    ]
    for delivery in chosen:
        delivery |= {"state": "pending", "next_attempt": sandbox.clock.time()}
        space.update("delivery", delivery)
    return len(chosen)
