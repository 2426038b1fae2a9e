"""Pages for people: the customer's invoice page, and the mailbox."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.common.hosted_invoice_url import dated, page_name
from sandbox.stripe import (
    invoice_object,
    lifecycle,
    mail,
    money,
    payment_methods,
    payments,
    pdf,
    three_d_secure,
)
from sandbox.stripe.cards import BY_NUMBER, CARDS
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.store import Doc
from sandbox.stripe.webhooks import Courier

MOCK_VERSION = "0.200.0"
"""What the SDK's own tests look for to know that something answers."""


class Pages:
    """All pages of the sandbox."""

    def __init__(self, sandbox: Sandbox, courier: Courier) -> None:
        self.sandbox = sandbox
        self.courier = courier

    def routes(self) -> list[Route]:
        """Return the routes of the pages."""
        return [
            Route("/", self.index, methods=["GET"]),
            Route("/mail", self.mailbox, methods=["GET"]),
            Route("/mail/{mail}", self.letter, methods=["GET"]),
            Route("/i/{account}/{token}", self.invoice, methods=["GET"]),
            Route("/i/{account}/{token}", self.pay, methods=["POST"]),
            Route("/i/{account}/{token}/pdf", self.invoice_pdf, methods=["GET"]),
            Route("/3ds/{secret}", self.bank, methods=["GET"]),
            Route("/3ds/{secret}", self.confirm, methods=["POST"]),
            Route("/cn/{account}/{note}/pdf", self.credit_note_pdf, methods=["GET"]),
        ]

    async def index(self, _: Request) -> Response:
        """Say what this is and where to go."""
        counts = {
            mode: {
                kind: self.sandbox.store.space(live).count(kind)
                for kind in ("customer", "invoice", "event", "webhook_endpoint")
            }
            for mode, live in (("Live", True), ("Test", False))
        }
        page = self._page("index.html", counts=counts, now=self.sandbox.clock.time())
        page.headers["Stripe-Mock-Version"] = MOCK_VERSION
        return page

    async def mailbox(self, _: Request) -> Response:
        """List the e-mails, newest first."""
        letters = self.sandbox.store.space(True).find("mail", {})
        return self._page("mailbox.html", letters=letters[::-1])

    async def letter(self, request: Request) -> Response:
        """Show one e-mail as it was sent."""
        letter = self.sandbox.store.space(True).get("mail", request.path_params["mail"])
        if letter is None:
            return self._page("missing.html", 404)
        return self._page("letter.html", letter=letter)

    async def invoice(self, request: Request) -> Response:
        """Show the customer an invoice and let it be paid."""
        found = self._invoice(request)
        if found is None:
            return self._page("missing.html", 404)
        context, invoice = found
        error = None
        if request.query_params.get("confirmed") == "0":
            error = three_d_secure.failure().body["message"]
        return self._hosted(
            invoice,
            paid=request.query_params.get("paid") == "1",
            error=error,
            confirm=three_d_secure.waiting(context, invoice),
        )

    async def pay(self, request: Request) -> Response:
        """Take the customer's payment, all or a part."""
        found = self._invoice(request)
        if found is None:
            return self._page("missing.html", 404)
        context, invoice = found
        form = await request.form()
        try:
            card = BY_NUMBER.get(str(form.get("card", "")).replace(" ", ""))
            if card is None:
                raise invalid("Your card number is incorrect. Use one of the test cards.")
            amount = self._amount(str(form.get("amount", "")), invoice)
            with self.sandbox.store.transaction():
                failure = _try_to_pay(context, invoice, card.number, amount)
            if failure and failure.body.get("code") == three_d_secure.REQUIRED:
                return RedirectResponse(str(three_d_secure.waiting(context, invoice)), 303)
            if failure:
                raise failure
        except StripeError as error:
            found = self._invoice(request)
            latest = found[1] if found else invoice
            return self._hosted(latest, 402, error=error.body["message"])
        finally:
            self.courier.wake()
        return RedirectResponse(f"{request.url.path}?paid=1", 303)

    async def bank(self, request: Request) -> Response:
        """Ask the payer to confirm a payment, as their bank would."""
        found = self._intent(request)
        if found is None:
            return self._page("missing.html", 404)
        context, intent = found
        method = intent["payment_method"]
        card = payment_methods.instrument_of(context, method) if method else None
        return self._page("authenticate.html", intent=intent, card=card)

    async def confirm(self, request: Request) -> Response:
        """Take the payer's answer, and lead back to the invoice."""
        found = self._intent(request)
        if found is None:
            return self._page("missing.html", 404)
        context, intent = found
        confirmed = (await request.form()).get("answer") == "complete"
        if intent["status"] == "requires_action":
            with self.sandbox.store.transaction():
                payments.authenticated(context, intent, confirmed=confirmed)
            self.courier.wake()
        paid = context.space.find("invoice_payment", {"payment.payment_intent": intent["id"]})
        if not paid:
            return RedirectResponse(request.url.path, 303)
        invoice = context.require("invoice", paid[0]["invoice"])
        came = "paid=1" if confirmed else "confirmed=0"
        return RedirectResponse(f"{invoice['hosted_invoice_url']}?{came}", 303)

    async def invoice_pdf(self, request: Request) -> Response:
        """Return the invoice as a PDF."""
        found = self._invoice(request)
        if found is None:
            return self._page("missing.html", 404)
        name = f"Invoice-{found[1]['number']}.pdf"
        return _pdf(name, pdf.render(found[1], self.sandbox.account))

    async def credit_note_pdf(self, request: Request) -> Response:
        """Return a credit note as a PDF."""
        for livemode in (True, False):
            space = self.sandbox.store.space(livemode)
            note = space.get("credit_note", request.path_params["note"])
            if note:
                body = pdf.render_credit_note(note, self.sandbox.account)
                return _pdf(f"CreditNote-{note['number']}.pdf", body)
        return self._page("missing.html", 404)

    def _invoice(self, request: Request) -> tuple[Context, Doc] | None:
        """Return the invoice a link is about."""
        token, account = request.path_params["token"], self.sandbox.account.id
        context = self.sandbox.context(token.startswith("live_"))
        name = token[: len(page_name(account, "", livemode=context.livemode))]
        found = context.space.find("invoice", {"_.token": name})
        if not found or request.path_params["account"] != account:
            return None
        return context, found[0]

    def _intent(self, request: Request) -> tuple[Context, Doc] | None:
        """Return the payment whose secret a link carries."""
        secret = request.path_params["secret"]
        for livemode in (True, False):
            context = self.sandbox.context(livemode)
            intent = context.space.get("payment_intent", secret.split("_secret_")[0])
            if intent and intent["client_secret"] == secret:
                return context, intent
        return None

    def _amount(self, text: str, invoice: Doc) -> int | None:
        """Read an amount typed in major units; empty means all that remains."""
        if not text.strip() or not self.sandbox.settings.partial_payments:
            return None
        return money.parsed(text, invoice["currency"])

    def _hosted(self, invoice: Doc, status: int = 200, **more: Any) -> Response:
        return self._page(
            "hosted_invoice.html",
            status,
            invoice=invoice,
            lines=invoice_object.all_lines(invoice),
            cards=CARDS,
            partial=self.sandbox.settings.partial_payments,
            overdue=bool(invoice["due_date"]) and invoice["due_date"] < self.sandbox.clock.time(),
            **more,
        )

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        html = mail.TEMPLATES.get_template(template).render(
            account=self.sandbox.account, base_url=self.sandbox.base_url, **values
        )
        return HTMLResponse(dated(html.encode(), self.sandbox.clock.now()), status)


def _pdf(name: str, body: bytes) -> Response:
    headers = {"Content-Disposition": f'inline; filename="{name}"'}
    return Response(body, media_type="application/pdf", headers=headers)


def _try_to_pay(
    context: Context, invoice: Doc, number: str, amount: int | None
) -> StripeError | None:
    """Pay, and return the error of a declined card, whose record is to stay."""
    card = BY_NUMBER[number]
    try:
        payable = lifecycle.payable(context, invoice)
        lifecycle.pay(context, payable, card, card.token, amount, off_session=False)
    except StripeError as error:
        if not error.keep:
            raise
        return error
    return None
