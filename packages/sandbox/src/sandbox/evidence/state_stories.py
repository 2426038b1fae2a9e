"""Stories that bring the sandbox's objects into every state, told with plain HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, get_args

import httpx

from sandbox.stripe.context import LIVE_KEY
from sandbox.stripe.generated_rows import State

KEY = LIVE_KEY
Doc = dict[str, Any]
Story = Callable[["Account"], None]

STORIES: dict[str, Story] = {}
"""Name to story, in the order they are told."""

REACHED = {
    ("invoice", "status"): {"draft", "open", "paid", "void", "uncollectible"},
    ("invoice_payment", "status"): {"open", "paid", "canceled"},
    ("payment_intent", "status"): {
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
        "processing",
        "succeeded",
        "canceled",
    },
    ("payment_method", "type"): {"card", "sepa_debit", "us_bank_account", "bacs_debit"},
    ("charge", "status"): {"pending", "succeeded", "failed"},
    ("credit_note", "status"): {"issued", "void"},
    ("credit_note", "type"): {"pre_payment", "post_payment", "mixed"},
    ("credit_note_line_item", "type"): {"invoice_line_item", "custom_line_item"},
    ("refund", "status"): {"succeeded", "failed"},
    ("dispute", "status"): {"needs_response", "under_review", "won", "lost"},
    ("webhook_endpoint", "status"): {"enabled", "disabled"},
    ("v2.core.event_destination", "status"): {"enabled", "disabled"},
    ("customer_balance_transaction", "type"): {
        "adjustment",
        "applied_to_invoice",
        "credit_note",
        "initial",
        "invoice_overpaid",
        "invoice_too_large",
        "invoice_too_small",
        "unapplied_from_invoice",
    },
    ("balance_transaction", "type"): {"charge", "refund", "refund_failure", "adjustment"},
    ("event", "type"): {
        "invoice.created",
        "invoice.deleted",
        "invoice.finalization_failed",
        "invoice.finalized",
        "invoice.marked_uncollectible",
        "invoice.overpaid",
        "invoice.paid",
        "invoice.payment_action_required",
        "invoice.payment_failed",
        "invoice.payment_succeeded",
        "invoice.sent",
        "invoice.updated",
        "invoice.voided",
        "charge.dispute.closed",
        "charge.dispute.created",
        "charge.pending",
        "charge.refunded",
        "credit_note.voided",
        "customer.deleted",
        "payment_intent.processing",
        "refund.failed",
    },
}
"""States that the stories must have reached, so that none is passed over unseen."""

GENERATED = (
    "balance_transactions",
    "charges",
    "credit_notes",
    "customers",
    "events",
    "invoice_payments",
    "invoiceitems",
    "invoices",
    "payment_intents",
    "prices",
    "products",
    "refunds",
)
"""Lists in which generated objects must be found."""

LISTS = (
    "charges",
    "coupons",
    "credit_notes",
    "customers",
    "disputes",
    "events",
    "invoice_payments",
    "invoiceitems",
    "invoices",
    "payment_intents",
    "payment_methods",
    "prices",
    "products",
    "promotion_codes",
    "refunds",
    "tax_rates",
    "webhook_endpoints",
    "balance_transactions",
)


READ_ONE_BY_ONE = (
    "balance_transactions",
    "coupons",
    "events",
    "invoice_payments",
    "invoiceitems",
    "payment_methods",
    "promotion_codes",
    "tax_rates",
    "webhook_endpoints",
)
"""Lists whose objects are read again by themselves."""

SOME = 10
"""How many objects of a list are read again."""


class StoryError(Exception):
    """A story that did not go as it is told."""


class Account:
    """The sandbox as the stories use it; every answer is shown to somebody.

    Args:
        client: Connected to the sandbox.
        look: Called with every answer.
    """

    def __init__(self, client: httpx.Client, look: Callable[[Doc], None]) -> None:
        self._client = client
        self._look = look

    def post(self, path: str, refused: int = 0, **params: Any) -> Doc:
        """Change something.

        Args:
            path: Below ``/v1/``.
            refused: The status that is expected instead of success.
            params: What is sent, nested as it is meant.
        """
        return self._call("POST", path, refused, data=dict(_flat(params)))

    def get(self, path: str, **params: Any) -> Doc:
        """Read something."""
        return self._call("GET", path, 0, params=dict(_flat(params)) or None)

    def delete(self, path: str) -> Doc:
        """Delete something."""
        return self._call("DELETE", path, 0)

    def v2(self, path: str, **params: Any) -> Doc:
        """Change something of the second API."""
        return self._call("POST", f"/v2/{path}", 0, json=params)

    def act(self, what: str, **order: Any) -> Doc:
        """Let something happen that no caller of the API can do, such as a dispute."""
        answer = self._client.post(f"/_sandbox/{what}", json=order)
        if answer.is_error:
            raise StoryError(f"{what}: {answer.text[:200]}")
        done: Doc = answer.json()
        return done

    def all(self, path: str, **params: Any) -> list[Doc]:
        """Read every page of a list."""
        found: list[Doc] = []
        while True:
            after = {"starting_after": found[-1]["id"]} if found else {}
            page = self.get(path, limit=100, **params, **after)
            found += page["data"]
            if not page["has_more"]:
                return found

    def read_everything(self) -> None:
        """Read every list there is, once all stories are told."""
        for name in LISTS:
            docs = self.all(name)
            for doc in docs[:SOME] if name in READ_ONE_BY_ONE else ():
                self.get(f"{name}/{doc['id']}")
            for doc in docs:
                if doc["object"] == "invoice":
                    self.all(f"invoices/{doc['id']}/lines")
                if doc["object"] == "customer":
                    self.all(f"customers/{doc['id']}/balance_transactions")
                    self.all(f"customers/{doc['id']}/tax_ids")
                    for method in self.all(f"customers/{doc['id']}/payment_methods"):
                        self.get(f"customers/{doc['id']}/payment_methods/{method['id']}")
                if doc["object"] == "credit_note":
                    self.all(f"credit_notes/{doc['id']}/lines")
        for kind, query in {
            "customers": 'email~"example"',
            "invoices": 'status:"paid"',
            "products": 'active:"true"',
            "prices": 'active:"true"',
            "payment_intents": 'status:"succeeded"',
            "charges": "amount>0",
        }.items():
            self.get(f"{kind}/search", query=query, limit=100)
        self.all("payment_records")
        account = self.get("account")
        self.get(f"accounts/{account['id']}")
        following: str | None = "/v2/core/events?limit=100"
        while following:
            page = self.get(following)
            following = page["next_page_url"]
            self.get(f"/v2/core/events/{page['data'][0]['id']}")
        for destination in self.get("/v2/core/event_destinations")["data"]:
            self.get(f"/v2/core/event_destinations/{destination['id']}")

    def customer(self, **details: Any) -> str:
        """Make a customer with an address to mail to, and return its id."""
        made = self.post("customers", name="Globex", email="pay@globex.example", **details)
        return str(made["id"])

    def card(self, customer: str) -> str:
        """Attach a test card, make it the customer's default, and return its id."""
        made = self.post("payment_methods/pm_card_visa/attach", customer=customer)
        settings = {"default_payment_method": made["id"]}
        self.post(f"customers/{customer}", invoice_settings=settings)
        return str(made["id"])

    def draft(self, customer: str, *lines: Doc, **details: Any) -> str:
        """Make a draft and return its id."""
        terms: Doc = {"collection_method": "send_invoice", "days_until_due": 30, "currency": "usd"}
        invoice = self.post("invoices", customer=customer, **terms | details)["id"]
        wanted = list(lines) or [{"amount": 10_000, "description": "Consulting"}]
        self.post(f"invoices/{invoice}/add_lines", lines=wanted)
        return str(invoice)

    def open(self, customer: str, *lines: Doc, **details: Any) -> str:
        """Make an open invoice and return its id."""
        invoice = self.draft(customer, *lines, **details)
        self.post(f"invoices/{invoice}/finalize")
        return invoice

    def paid(self, customer: str, *lines: Doc) -> str:
        """Make an invoice that is paid by card and return its id."""
        invoice = self.open(customer, *lines)
        self.post(f"invoices/{invoice}/pay", payment_method="pm_card_visa")
        return invoice

    def _call(self, method: str, path: str, refused: int, **content: Any) -> Doc:
        where = path if path.startswith("/") else f"/v1/{path}"
        answer = self._client.request(method, where, auth=(KEY, ""), **content)
        if answer.status_code != (refused or 200):
            raise StoryError(f"{method} {where}: {answer.status_code} {answer.text[:300]}")
        done: Doc = answer.json()
        self._look(done)
        return done


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Write nested parameters as form fields."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}[{key}]" if name else key)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}[{index}]")
    else:
        yield name, str(value).lower() if isinstance(value, bool) else str(value)


def story(tell: Story) -> Story:
    """Register a story under what its docstring says."""
    STORIES[(tell.__doc__ or "").rstrip(".")] = tell
    return tell


ADDRESS = {"line1": "1 Main St", "city": "Berlin", "country": "DE", "postal_code": "10115"}


@story
def catalogue(account: Account) -> None:
    """Products, prices, coupons, codes and tax rates are made, changed and deleted."""
    plan = account.post(
        "products",
        name="Support",
        description="By the month",
        images=["https://example.com/a.png"],
        marketing_features=[{"name": "Fast"}],
        metadata={"a": "b"},
        tax_code="txcd_20030000",
        default_price_data={"currency": "usd", "unit_amount": 4900},
    )
    account.post(f"products/{plan['id']}", active=False, unit_label="seat")
    goods = account.post(
        "products",
        name="Box",
        shippable=True,
        package_dimensions={"height": 1, "length": 2, "weight": 3, "width": 4},
    )
    account.delete(f"products/{goods['id']}")
    monthly = {"interval": "month", "usage_type": "licensed"}
    price = account.post(
        "prices", product=plan["id"], currency="eur", unit_amount=1, recurring=monthly
    )
    account.post(f"prices/{price['id']}", active=False, lookup_key="eur", nickname="Euro")
    account.post(
        "prices",
        product_data={"name": "Hours"},
        currency="usd",
        unit_amount_decimal="0.125",
        tax_behavior="exclusive",
    )
    share = account.post("coupons", percent_off="12.5", name="Spring", max_redemptions=5)
    amount = account.post(
        "coupons", amount_off=500, currency="usd", applies_to={"products": [plan["id"]]}
    )
    account.post("coupons", percent_off="10", duration="repeating", duration_in_months=3)
    account.post(f"coupons/{share['id']}", metadata={"a": "b"})
    promotion = {"type": "coupon", "coupon": amount["id"]}
    code = account.post("promotion_codes", promotion=promotion, code="SPRING")
    account.post(f"promotion_codes/{code['id']}", active=False)
    account.post(
        "promotion_codes",
        promotion=promotion,
        customer=account.customer(),
        restrictions={
            "first_time_transaction": True,
            "minimum_amount": 100,
            "minimum_amount_currency": "usd",
        },
    )
    account.delete(f"coupons/{account.post('coupons', percent_off='5')['id']}")
    rate = account.post(
        "tax_rates",
        display_name="VAT",
        percentage="19",
        inclusive=False,
        country="DE",
        jurisdiction="DE",
        tax_type="vat",
        description="Germany",
    )
    account.post(f"tax_rates/{rate['id']}", active=False)
    account.post("tax_rates", display_name="GST", percentage="7.25", inclusive=True)


@story
def customers(account: Account) -> None:
    """Customers with everything, with nothing, and deleted ones; their tax ids and balances."""
    whole = account.customer(
        address=ADDRESS,
        shipping={"name": "Gate 3", "phone": "1", "address": ADDRESS},
        phone="+49 30 1",
        description="Large",
        preferred_locales=["de"],
        tax_exempt="reverse",
        business_name="Globex Corporation",
        individual_name="Ann",
        invoice_settings={
            "custom_fields": [{"name": "PO", "value": "1"}],
            "footer": "Thanks",
            "rendering_options": {"amount_tax_display": "exclude_tax"},
        },
        tax_id_data=[{"type": "eu_vat", "value": "DE123456789"}],
        metadata={"a": "b"},
    )
    account.card(whole)
    tax_id = account.post(f"customers/{whole}/tax_ids", type="gb_vat", value="GB123456789")
    account.get(f"customers/{whole}/tax_ids/{tax_id['id']}")
    account.delete(f"customers/{whole}/tax_ids/{tax_id['id']}")
    account.post(f"customers/{whole}", business_name="", individual_name="", shipping="")
    account.post(
        f"customers/{whole}/balance_transactions", amount=-500, currency="usd", description="Gift"
    )
    account.post("customers")
    gone = account.customer()
    account.draft(gone)
    account.delete(f"customers/{gone}")
    account.get(f"customers/{gone}")


@story
def drafts(account: Account) -> None:
    """Drafts of every make: many lines, taxes, discounts, items, terms; changed and deleted."""
    customer = account.customer(address=ADDRESS)
    rate = account.post("tax_rates", display_name="VAT", percentage="19", inclusive=False)["id"]
    inside = account.post("tax_rates", display_name="VAT", percentage="7", inclusive=True)["id"]
    coupon = account.post("coupons", percent_off="10")["id"]
    promotion = {"type": "coupon", "coupon": coupon}
    code = account.post("promotion_codes", promotion=promotion)["id"]
    price = account.post(
        "prices", product_data={"name": "Hours"}, currency="usd", unit_amount=12_500
    )["id"]
    given = {
        "amount": 7,
        "taxable_amount": 100,
        "tax_rate_data": {
            "display_name": "City",
            "percentage": "7",
            "inclusive": False,
            "tax_type": "sales_tax",
        },
    }
    draft = account.draft(
        customer,
        {"pricing": {"price": price}, "quantity": 2, "tax_rates": [inside]},
        {"amount": 1_000, "description": "Travel", "discounts": [{"coupon": coupon}]},
        {"amount": 100, "description": "Fee", "tax_amounts": [given]},
        {
            "price_data": {
                "currency": "usd",
                "product_data": {"name": "Book"},
                "unit_amount_decimal": "12.5",
            },
            "quantity_decimal": "1.5",
            "period": {"start": 1_700_000_000, "end": 1_710_000_000},
            "metadata": {"a": "b"},
        },
        {"amount": -50, "description": "Goodwill"},
        default_tax_rates=[rate],
        discounts=[{"promotion_code": code}],
        custom_fields=[{"name": "PO", "value": "7"}],
        footer="Thanks",
        description="Memo",
        metadata={"a": "b"},
        rendering={"amount_tax_display": "include_inclusive_tax", "pdf": {"page_size": "a4"}},
        shipping_details={"name": "Gate 3", "address": ADDRESS},
        payment_settings={
            "payment_method_types": ["card"],
            "payment_method_options": {"card": {"request_three_d_secure": "any"}},
        },
    )
    lines = account.get(f"invoices/{draft}/lines")["data"]
    account.post(f"invoices/{draft}/lines/{lines[1]['id']}", description="By train")
    account.post(f"invoices/{draft}/update_lines", lines=[{"id": lines[0]["id"], "quantity": 3}])
    account.post(
        f"invoices/{draft}/remove_lines", lines=[{"id": lines[2]["id"], "behavior": "unassign"}]
    )
    account.post(f"invoices/{draft}", footer="", discounts="")
    account.post(f"invoices/{draft}/finalize")
    many = [{"amount": n + 1, "description": f"Line {n}"} for n in range(12)]
    account.draft(customer, *many, collection_method="send_invoice")
    item = account.post(
        "invoiceitems", customer=customer, currency="usd", amount=700, description="Pending",
        discounts=[{"coupon": coupon}], tax_rates=[rate], metadata={"a": "b"},
    )  # fmt: skip
    account.post(f"invoiceitems/{item['id']}", description="Still pending")
    gone = account.post("invoiceitems", customer=customer, currency="usd", amount=1)
    account.delete(f"invoiceitems/{gone['id']}")
    account.post("invoices", customer=customer, pending_invoice_items_behavior="include")
    account.post("invoices", customer=customer, automatically_finalizes_at=4_000_000_000)
    account.delete(f"invoices/{account.draft(customer)}")
    account.open(customer, automatic_tax={"enabled": True})
    nowhere = account.draft(account.customer(), automatic_tax={"enabled": True})
    account.post(f"invoices/{nowhere}/finalize", refused=400)
    account.get(f"invoices/{nowhere}")
    account.post(
        "invoices/create_preview",
        customer=customer,
        currency="usd",
        invoice_items=[{"amount": 1_000, "description": "Preview", "currency": "usd"}],
        discounts=[{"coupon": coupon}],
        automatic_tax={"enabled": True},
    )
    account.post(
        "invoices/create_preview",
        customer_details={"address": ADDRESS, "tax_exempt": "exempt"},
        invoice_items=[{"amount": 1_000, "currency": "eur"}],
    )


@story
def sent_and_paid(account: Account) -> None:
    """Invoices are sent and paid: by card, in parts, out of band, by intent, by record."""
    customer = account.customer()
    sent = account.draft(customer)
    account.post(f"invoices/{sent}/send")
    account.post(f"invoices/{sent}", auto_advance=False, metadata={"a": "b"})
    account.post(f"invoices/{sent}/pay", payment_method="pm_card_visa")
    account.post(f"invoices/{account.open(customer)}/pay", paid_out_of_band=True)
    account.open(customer, {"amount": 0, "description": "Nothing"})
    partly = account.open(customer)
    intent = account.post("payment_intents", customer=customer, amount=4_000, currency="usd")["id"]
    account.post(f"invoices/{partly}/attach_payment", payment_intent=intent)
    account.post(f"payment_intents/{intent}", description="A part", metadata={"a": "b"})
    account.post(f"payment_intents/{intent}/confirm", payment_method="pm_card_mastercard")
    account.get(f"invoices/{partly}")
    record = _record(account, customer, 7_000)
    account.post(f"invoices/{partly}/attach_payment", payment_record=record)
    account.get("invoice_payments", payment={"type": "payment_record", "payment_record": record})
    account.post(
        "payment_records/report_payment",
        amount_requested={"currency": "usd", "value": 100},
        payment_method_details={"type": "custom", "custom": {"display_name": "Cash"}},
        initiated_at=1_700_000_000,
        outcome="failed",
        failed={"failed_at": 1_700_000_100},
    )
    account.card(customer)
    automatic = account.post("invoices", customer=customer, currency="usd")["id"]
    account.post(f"invoices/{automatic}/add_lines", lines=[{"amount": 900}])
    account.post(f"invoices/{automatic}/pay")


def _record(account: Account, customer: str, value: int) -> str:
    record = account.post(
        "payment_records/report_payment",
        amount_requested={"currency": "usd", "value": value},
        customer_details={"customer": customer, "email": "pay@globex.example"},
        payment_method_details={"type": "custom", "custom": {"display_name": "Transfer"}},
        processor_details={"type": "custom", "custom": {"payment_reference": "1"}},
        initiated_at=1_700_000_000,
        outcome="guaranteed",
        guaranteed={"guaranteed_at": 1_700_000_100},
        description="Bank transfer",
        metadata={"a": "b"},
    )
    account.get(f"payment_records/{record['id']}")
    return str(record["id"])


@story
def refused_payments(account: Account) -> None:
    """Cards are declined or ask for confirmation; intents are canceled."""
    customer = account.customer()
    for token in ("pm_card_visa_chargeDeclined", "pm_card_chargeDeclinedExpiredCard"):
        account.post(f"invoices/{account.open(customer)}/pay", refused=402, payment_method=token)
    asked = account.open(customer)
    token = "pm_card_authenticationRequired"  # noqa: S105
    account.post(f"invoices/{asked}/pay", refused=402, payment_method=token)
    account.get(f"invoices/{asked}", expand=["payments.data.payment.payment_intent"])
    intent = account.post("payment_intents", amount=100, currency="usd", payment_method=token)["id"]
    account.post(f"payment_intents/{intent}/confirm")
    account.post(f"payment_intents/{intent}/cancel", cancellation_reason="abandoned")
    ready = account.post(
        "payment_intents", amount=100, currency="usd", payment_method="pm_card_visa"
    )
    account.post(f"payment_intents/{ready['id']}/confirm")
    account.post(f"charges/{account.get('charges')['data'][0]['id']}", description="Noted")
    method = account.post("payment_methods", type="card", card={"token": "tok_visa"})
    account.post(f"payment_methods/{method['id']}/attach", customer=customer)
    account.post(f"payment_methods/{method['id']}", metadata={"a": "b"})
    account.post(f"payment_methods/{method['id']}/detach")


@story
def debited(account: Account) -> None:
    """Banks are debited: it takes days, succeeds, fails, is tried again, and is disputed."""
    accounts = {
        "eur": ("pm_success_de", "sepa_debit"),
        "usd": ("pm_usBankAccount_success", "us_bank_account"),
        "gbp": ("pm_bacsDebit_success", "bacs_debit"),
    }
    for currency, (token, kind) in accounts.items():
        customer = account.customer()
        made = account.post(f"payment_methods/{token}/attach", customer=customer)
        account.get(f"payment_methods/{made['id']}")
        for failure in (None, "insufficient_funds"):
            invoice = account.open(customer, currency=currency)
            payment = {"payment_method": made["id"], "expand": ["payments"]}
            paying = account.post(f"invoices/{invoice}/pay", **payment)
            intent = paying["payments"]["data"][0]["payment"]["payment_intent"]
            account.get(f"payment_intents/{intent}", expand=["latest_charge"])
            account.get("charges", payment_intent=intent)
            account.act("debits", invoice=invoice, **({"failure": failure} if failure else {}))
            account.get(f"payment_intents/{intent}", expand=["latest_charge"])
            account.get(f"invoices/{invoice}", expand=["payments"])
        if kind == "sepa_debit":
            account.act("disputes", invoice=account.all("invoices", status="paid")[0]["id"])


@story
def out_of_bounds(account: Account) -> None:
    """Too little or too much to charge goes onto the balance, and so does what is paid too much."""
    account.post("customers", balance=-500)
    for amount in (30, 100_000_000, -1_000):
        customer = account.customer()
        invoice = account.open(customer, {"amount": amount, "description": "Consulting"})
        account.get(f"invoices/{invoice}")
        for entry in account.all(f"customers/{customer}/balance_transactions"):
            path = f"customers/{customer}/balance_transactions/{entry['id']}"
            account.get(path)
            account.post(path, description="Noted", metadata={"a": "b"})


@story
def without_an_intent(account: Account) -> None:
    """A card is charged the old way, refunded, and disputed in another currency."""
    customer = account.customer()
    for back in ("refunds", "disputes"):
        charge = account.post(
            "charges", amount=5_000, currency="usd", source="tok_visa", customer=customer
        )
        account.get(f"charges/{charge['id']}", expand=["refunds"])
        if back == "refunds":
            account.post("refunds", charge=charge["id"])
        else:
            account.act("disputes", charge=charge["id"], amount=4_600, currency="eur")
    refund = account.all("refunds")[0]["id"]
    account.post(f"refunds/{refund}/cancel", refused=400)


@story
def ended(account: Account) -> None:
    """Invoices are voided, written off, paid after all, and revised."""
    customer = account.customer()
    account.post(f"customers/{customer}/balance_transactions", amount=-500, currency="usd")
    account.post(f"invoices/{account.open(customer)}/void")
    lost = account.open(customer)
    account.post(f"invoices/{lost}/mark_uncollectible")
    late = account.open(customer)
    account.post(f"invoices/{late}/mark_uncollectible")
    account.post(f"invoices/{late}/pay", payment_method="pm_card_visa")
    wrong = account.open(customer)
    better = account.post("invoices", from_invoice={"invoice": wrong, "action": "revision"})["id"]
    account.post(f"invoices/{better}", description="Corrected")
    account.post(f"invoices/{better}/finalize")
    account.get(f"invoices/{wrong}")


@story
def credited(account: Account) -> None:
    """Credit notes before and after payment, mixed, by line, to card, balance and nowhere."""
    customer = account.customer()
    opened = account.open(customer)
    note = account.post("credit_notes", invoice=opened, amount=1_000, reason="duplicate", memo="A")
    account.post(f"credit_notes/{note['id']}", memo="B", metadata={"a": "b"})
    account.post(f"credit_notes/{note['id']}/void")
    rate = account.post("tax_rates", display_name="VAT", percentage="19", inclusive=False)["id"]
    coupon = account.post("coupons", percent_off="10")["id"]
    taxed = {
        "amount": 10_000,
        "description": "Taxed",
        "tax_rates": [rate],
        "discounts": [{"coupon": coupon}],
    }
    paid = account.paid(customer, taxed, {"amount": 2_000, "description": "Plain"})
    lines = account.get(f"invoices/{paid}/lines")["data"]
    by_line = [{"type": "invoice_line_item", "invoice_line_item": lines[0]["id"], "amount": 1_000}]
    account.get("credit_notes/preview", invoice=paid, lines=by_line, out_of_band_amount=1_071)
    account.get("credit_notes/preview/lines", invoice=paid, lines=by_line, out_of_band_amount=1_071)
    account.post("credit_notes", invoice=paid, lines=by_line, refund_amount=1_071)
    account.post("credit_notes", invoice=paid, amount=500, credit_amount=500)
    account.post("credit_notes", invoice=paid, amount=300, out_of_band_amount=300)
    custom = {
        "type": "custom_line_item",
        "description": "Goodwill",
        "unit_amount": 100,
        "quantity": 2,
        "tax_rates": [rate],
    }
    account.post("credit_notes", invoice=paid, lines=[custom], credit_amount=238)
    customer = account.customer()
    partly = account.open(customer)
    intent = account.post("payment_intents", customer=customer, amount=6_000, currency="usd")["id"]
    account.post(f"invoices/{partly}/attach_payment", payment_intent=intent)
    account.post(f"payment_intents/{intent}/confirm", payment_method="pm_card_visa")
    account.post("credit_notes", invoice=partly, amount=5_000, refund_amount=1_000)


@story
def taken_back(account: Account) -> None:
    """Payments are refunded, refunds fail, and cardholders dispute."""
    customer = account.customer()
    paid = account.paid(customer)
    expand = ["payments.data.payment.payment_intent"]
    payments = account.get(f"invoices/{paid}", expand=expand)["payments"]["data"]
    intent = payments[0]["payment"]["payment_intent"]["id"]
    part = account.post("refunds", payment_intent=intent, amount=100, reason="duplicate")
    account.post(f"refunds/{part['id']}", metadata={"a": "b"})
    account.act("refunds/fail", refund=part["id"])
    account.get(f"refunds/{part['id']}")
    account.post("refunds", payment_intent=intent)
    for verdict in ("won", "lost"):
        dispute = account.act("disputes", invoice=account.paid(customer))["id"]
        account.get(f"disputes/{dispute}")
        evidence = {"customer_name": "Globex", "product_description": "Consulting"}
        account.post(f"disputes/{dispute}", evidence=evidence, metadata={"a": "b"})
        account.act("disputes/close", dispute=dispute, status=verdict)
        account.get(f"disputes/{dispute}")
    account.act("disputes", invoice=account.paid(customer), reason="general")
    given_up = account.act("disputes", invoice=account.paid(customer))["id"]
    account.post(f"disputes/{given_up}/close")


@story
def listeners(account: Account) -> None:
    """Webhook endpoints and event destinations are made, changed, disabled and deleted."""
    url = "https://listener.example/hook"
    events = ["invoice.paid", "invoice.sent"]
    first = account.post(
        "webhook_endpoints", url=url, enabled_events=["*"], api_version="2026-10-28.endive"
    )
    account.delete(f"webhook_endpoints/{first['id']}")
    second = account.post("webhook_endpoints", url=url, enabled_events=events, description="A")
    account.post(f"webhook_endpoints/{second['id']}", disabled=True, metadata={"a": "b"})
    made = account.v2(
        "core/event_destinations",
        name="A",
        type="webhook_endpoint",
        event_payload="thin",
        enabled_events=["v1.invoice.paid"],
        webhook_endpoint={"url": url},
        include=["webhook_endpoint.url", "webhook_endpoint.signing_secret"],
    )
    path = f"core/event_destinations/{made['id']}"
    account.v2(path, name="B", metadata={"a": "b"})
    account.v2(f"{path}/ping")
    account.v2(f"{path}/disable")
    account.v2(f"{path}/enable")
    account.v2(
        "core/event_destinations",
        name="C",
        type="webhook_endpoint",
        event_payload="snapshot",
        snapshot_api_version="2026-10-28.endive",
        enabled_events=["invoice.paid"],
        webhook_endpoint={"url": url},
    )
    snapshot = account.get("/v2/core/event_destinations")["data"][0]
    account.v2(f"core/event_destinations/{snapshot['id']}/disable")
    account.delete(f"/v2/core/event_destinations/{made['id']}")


@story
def taxed(account: Account) -> None:
    """Stripe Tax before it knows where the company sits, and after."""
    for lacks in (["head_office"], []):
        account.act("settings", tax_lacks=lacks)
        account.get("tax/settings")


@story
def generated(account: Account) -> None:
    """A generated data set of every state, with everything behind it."""
    states = dict.fromkeys(get_args(State), 1)
    account.act("generate", seed=3, customers=5, invoices=90, days=20, states=states)
    account.act("generate", seed=4, customers=5, invoices=40, days=20, business=True)
    for name in GENERATED:
        if not any("_1Gen0003" in doc["id"] for doc in account.all(name)):
            raise StoryError(f"nothing of {name} was generated")
    account.all("invoices", expand=["data.payments.data.payment.payment_intent"])
