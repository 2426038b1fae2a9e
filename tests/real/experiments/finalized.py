"""What may be changed after finalization, and what cannot be finalized."""

from collections.abc import Callable
from typing import Any

from invoicing.domain.stripe.canonical_page_links import page_of
from invoicing.domain.stripe.header_facts import checksums, header_of, other_parts
from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import Account, attempt, figures

CHANGES: dict[str, Any] = {
    "auto_advance=false": {"auto_advance": False},
    "auto_advance=true": {"auto_advance": True},
    "collection_method": {"collection_method": "charge_automatically"},
    "custom_fields": {"custom_fields": [{"name": "PO", "value": "1"}]},
    "days_until_due": {"days_until_due": 90},
    "default_payment_method": {},
    "description": {"description": "Other"},
    "footer": {"footer": "Other"},
    "metadata": {"metadata": {"seen": "1"}},
    "number": {"number": "CHECK-REAL-1"},
    "page_size": {"rendering": {"pdf": {"page_size": "a4"}}},
    "payment_settings": {"payment_settings": {"payment_method_types": ["card"]}},
}


@experiment
def changes_after_finalization(account: Account) -> Observed:
    """Metadata, payment settings, methods and page size can change, auto_advance while open."""
    customer = account.customer()
    card = account.card(customer)
    invoices = account.v1.invoices
    ways: dict[str, Callable[[], Any]] = {
        "open": lambda: account.open(customer, 10_000),
        "paid": lambda: account.paid(customer, 10_000),
        "void": lambda: invoices.void_invoice(account.open(customer, 10_000).id),
        "uncollectible": lambda: invoices.mark_uncollectible(account.open(customer, 10_000).id),
    }

    def outcome(invoice: Any, change: dict[str, Any]) -> str:
        params = change or {"default_payment_method": card}
        return attempt(lambda: invoices.update(invoice.id, params))

    def outcomes(invoice: Any) -> dict[str, str]:
        return {name: outcome(invoice, change) for name, change in CHANGES.items()}

    return {state: outcomes(make()) for state, make in ways.items()}


@experiment
def header_after_finalization(account: Account) -> Observed:
    """Finalization itself changes nothing of the header but number, date of issue and links."""
    more: dict[str, Any] = {"footer": "Thank you", "custom_fields": [{"name": "PO", "value": "1"}]}
    draft = account.draft(account.customer(), 10_000, description="Work", **more)
    account.pass_time(15)
    headers = [
        checksums(header_of(one.to_dict(), {})) for one in (draft, account.finalize(draft.id))
    ]
    return {"changed": other_parts(headers[1], headers[0])}


@experiment
def defaults_of_a_customer(account: Account) -> Observed:
    """Footer and custom fields are as the order says, empty included; else the customer's."""
    defaults = {"footer": "Thank you", "custom_fields": [{"name": "Vendor", "value": "4711"}]}
    customer = account.customer(invoice_settings=defaults)

    def texts(invoice: Any) -> list[Any]:
        fields = invoice.custom_fields or ()
        return [invoice.footer, [(one.name, one.value) for one in fields]]

    def before_and_after(**params: Any) -> list[Any]:
        draft = account.draft(customer, 10_000, **params)
        return [texts(draft), texts(account.finalize(draft.id))]

    return {
        "nothing said": before_and_after(),
        "said to be empty": before_and_after(footer="", custom_fields=""),
    }


@experiment
def empty_draft(account: Account) -> Observed:
    """A draft without lines is paid at once when it is finalized, over nothing."""
    draft = account.draft(account.customer())
    return {
        "finalized": attempt(lambda: account.finalize(draft.id)),
        "invoice": figures(account.v1.invoices.retrieve(draft.id)),
    }


@experiment
def finalized_after_the_due_date(account: Account) -> Observed:
    """A draft whose due date has passed cannot be finalized."""
    customer = account.customer()
    now = account.draft(customer).created
    draft = account.draft(customer, 10_000, due_date=now + 10)
    account.pass_time(15)
    return {
        "finalized": attempt(lambda: account.finalize(draft.id)),
        "invoice": figures(account.v1.invoices.retrieve(draft.id)),
    }


@experiment
def links_of_two_readings(account: Account) -> Observed:
    """Each reading of an invoice gives another link to its page and PDF; what they name stays."""
    invoice = account.draft(account.customer(), 10_000)
    first = account.finalize(invoice.id)
    account.pass_time(2)
    second = account.v1.invoices.retrieve(invoice.id)
    links = [str(one.hosted_invoice_url) for one in (first, second)]
    documents = [str(one.invoice_pdf) for one in (first, second)]
    return {
        "the same link": links[0] == links[1],
        "the same page": page_of(links[0]) == page_of(links[1]),
        "the same document": page_of(documents[0]) == page_of(documents[1]),
        "the page is the document": page_of(links[0]) == page_of(documents[0]),
    }
