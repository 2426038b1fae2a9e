"""Pages like Stripe's own dashboard: invoices, customers, payments and events of either mode."""

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.common.hosted_invoice_url import dated
from sandbox.stripe import disputes, invoice_object, lifecycle, mail, refunds
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.errors import StripeError
from sandbox.stripe.objects import invoices
from sandbox.stripe.store import Cursor, Doc, Page
from sandbox.stripe.webhooks import Courier

PAGE_LENGTH = 25

STATUSES = ("draft", "open", "paid", "uncollectible", "void")

LOOKS = {
    "open": "info",
    "paid": "good",
    "past due": "bad",
    "uncollectible": "warn",
    "succeeded": "good",
    "failed": "bad",
    "delivered": "good",
    "lost": "bad",
    "pending": "info",
    "disputed": "bad",
}
"""Status to the colour of its badge."""

Act = Callable[[Context, Doc], Any]

INVOICE_ACTIONS: dict[str, Act] = {
    "finalize": lifecycle.finalize,
    "send": lifecycle.send,
    "void": lifecycle.void,
    "mark_uncollectible": lifecycle.mark_uncollectible,
    "paid_out_of_band": lambda context, invoice: lifecycle.pay_out_of_band(
        context, lifecycle.payable(context, invoice)
    ),
    "delete": lambda context, invoice: invoices.delete(context, {}, invoice["id"]),
}

CHARGE_ACTIONS: dict[str, Act] = {
    "refund": refunds.refund,
    "dispute": disputes.open_dispute,
}


class Dashboard:
    """The dashboard's pages."""

    def __init__(self, sandbox: Sandbox, courier: Courier) -> None:
        self.sandbox = sandbox
        self.courier = courier

    def routes(self) -> list[Route]:
        """Return the routes of the dashboard."""
        root = "/dashboard/{mode}"
        return [
            Route("/dashboard", self.home, methods=["GET"]),
            Route(f"{root}/invoices", self.invoices, methods=["GET"]),
            Route(f"{root}/invoices/{{id}}", self.invoice, methods=["GET"]),
            Route(f"{root}/invoices/{{id}}", self.act_on_invoice, methods=["POST"]),
            Route(f"{root}/customers", self.customers, methods=["GET"]),
            Route(f"{root}/customers/{{id}}", self.customer, methods=["GET"]),
            Route(f"{root}/payments", self.payments, methods=["GET"]),
            Route(f"{root}/payments/{{id}}", self.payment, methods=["GET"]),
            Route(f"{root}/payments/{{id}}", self.act_on_payment, methods=["POST"]),
            Route(f"{root}/events", self.events, methods=["GET"]),
            Route(f"{root}/events/{{id}}", self.event, methods=["GET"]),
        ]

    async def home(self, _: Request) -> Response:
        """Go to the invoices of live mode."""
        return RedirectResponse("/dashboard/live/invoices", 303)

    async def invoices(self, request: Request) -> Response:
        """List invoices, of one status if asked."""
        status = request.query_params.get("status")
        filters = {"status": status} if status in STATUSES else {}
        space = self._context(request).space
        counts = {name: space.count("invoice", {"status": name}) for name in STATUSES}
        return self._list(request, "invoice", "invoices", filters, counts=counts, chosen=status)

    async def invoice(self, request: Request, error: str | None = None) -> Response:
        """Show an invoice with what belongs to it."""
        context = self._context(request)
        invoice = context.space.get("invoice", request.path_params["id"])
        if invoice is None:
            return self._missing()
        of_invoice = {"invoice": invoice["id"]}
        return self._page(
            request,
            "dashboard_invoice.html",
            402 if error else 200,
            invoice=invoice,
            lines=invoice_object.all_lines(invoice),
            payments=context.space.find("invoice_payment", of_invoice),
            notes=context.space.find("credit_note", of_invoice),
            events=self._events_of(context, invoice["id"]),
            raw=_pretty(invoice),
            error=error,
        )

    async def act_on_invoice(self, request: Request) -> Response:
        """Do what one of the buttons says."""
        form = await request.form()
        action = INVOICE_ACTIONS.get(str(form.get("action")))
        context = self._context(request)
        invoice = context.space.get("invoice", request.path_params["id"])
        if invoice is None or action is None:
            return self._missing()
        error = self._act(context, invoice, action)
        if error:
            return await self.invoice(request, error)
        gone = context.space.get("invoice", invoice["id"]) is None
        mode = request.path_params["mode"]
        return RedirectResponse(f"/dashboard/{mode}/invoices" if gone else request.url.path, 303)

    async def customers(self, request: Request) -> Response:
        """List customers."""
        return self._list(request, "customer", "customers", {"_.deleted": False})

    async def customer(self, request: Request) -> Response:
        """Show a customer and its invoices."""
        context = self._context(request)
        customer = context.space.get("customer", request.path_params["id"])
        if customer is None or customer.get("deleted"):
            return self._missing()
        page = context.space.page("invoice", {"customer": customer["id"]}, limit=100)
        return self._page(
            request,
            "dashboard_customer.html",
            customer=customer,
            invoices=_docs(page),
            events=self._events_of(context, customer["id"]),
            raw=_pretty(customer),
        )

    async def payments(self, request: Request) -> Response:
        """List payment intents."""
        return self._list(request, "payment_intent", "payments", {})

    async def payment(self, request: Request, error: str | None = None) -> Response:
        """Show a payment intent and its charges."""
        context = self._context(request)
        intent = context.space.get("payment_intent", request.path_params["id"])
        if intent is None:
            return self._missing()
        found = context.space.find("invoice_payment", {"payment.payment_intent": intent["id"]})
        return self._page(
            request,
            "dashboard_payment.html",
            402 if error else 200,
            intent=intent,
            charges=context.space.find("charge", {"payment_intent": intent["id"]}),
            refunds=context.space.find("refund", {"payment_intent": intent["id"]}),
            invoices=[payment["invoice"] for payment in found],
            events=self._events_of(context, intent["id"]),
            raw=_pretty(intent),
            error=error,
        )

    async def act_on_payment(self, request: Request) -> Response:
        """Refund or dispute the payment's charge."""
        form = await request.form()
        action = CHARGE_ACTIONS.get(str(form.get("action")))
        context = self._context(request)
        charge = context.space.get("charge", str(form.get("charge")))
        if charge is None or action is None:
            return self._missing()
        error = self._act(context, charge, action)
        if error:
            return await self.payment(request, error)
        return RedirectResponse(request.url.path, 303)

    async def events(self, request: Request) -> Response:
        """List events."""
        return self._list(request, "event", "events", {})

    async def event(self, request: Request) -> Response:
        """Show an event and its deliveries."""
        context = self._context(request)
        event = context.space.get("event", request.path_params["id"])
        if event is None:
            return self._missing()
        deliveries = context.space.find("delivery", {"event": event["id"]})
        return self._page(
            request, "dashboard_event.html", event=event, deliveries=deliveries, raw=_pretty(event)
        )

    def _act(self, context: Context, doc: Doc, act: Act) -> str | None:
        """Do something in one transaction and return why it could not be done, if so."""
        try:
            with self.sandbox.store.transaction():
                act(context, doc)
        except StripeError as error:
            return str(error)
        self.courier.wake()
        return None

    def _list(
        self, request: Request, kind: str, name: str, filters: dict[str, Any], **more: Any
    ) -> Response:
        after = request.query_params.get("after")
        page = self._context(request).space.page(
            kind, filters, limit=PAGE_LENGTH, cursor=Cursor(after) if after else None
        )
        docs = _docs(page)
        following = docs[-1]["id"] if page and page.has_more else None
        return self._page(
            request, f"dashboard_{name}.html", docs=docs, following=following, after=after, **more
        )

    def _events_of(self, context: Context, object_id: str) -> list[Doc]:
        return context.space.find("event", {"_.object": object_id})[::-1]

    def _context(self, request: Request) -> Context:
        return self.sandbox.context(request.path_params["mode"] != "test")

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        mode = request.path_params["mode"]
        html = mail.TEMPLATES.get_template(template).render(
            account=self.sandbox.account,
            root=f"/dashboard/{mode}",
            mode=mode,
            now=self.sandbox.clock.time(),
            looks=LOOKS,
            path=request.url.path,
            **values,
        )
        return HTMLResponse(dated(html.encode(), self.sandbox.clock.now()), status)

    def _missing(self) -> Response:
        return HTMLResponse(mail.TEMPLATES.get_template("missing.html").render(), 404)


def _docs(page: Page | None) -> list[Doc]:
    return [orjson.loads(body) for body in page.bodies] if page else []


def _pretty(doc: Doc) -> str:
    shown = {name: value for name, value in doc.items() if name != "_"}
    return orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode()
