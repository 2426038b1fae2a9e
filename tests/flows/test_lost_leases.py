"""A run whose turn is over notices that before its next effect: somebody else works on it.

Most effects are one by their keys, so that no end would tell: what Stripe is asked does.
"""

from collections.abc import Callable
from decimal import Decimal
from importlib import import_module
from typing import Any

import pytest
import stripe

from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.errors import Busy
from tasks.runtime.run_name import this_attempt
from tests.conftest import Sandbox
from tests.flows.conftest import Org
from tests.flows.test_amount_due import save_card
from tests.leases import acquire, release

STEPS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "create": ("send_invoice", "ensure_products", {}),
    "fill": ("send_invoice", "create_draft", {}),
    "finalize": ("send_invoice", "check_collectable", {}),
    "mail": ("send_invoice", "finalize", {}),
    "charge": ("send_invoice", "finalize", {}),
    "report": ("record_payment", "check_payment", {"amount": Decimal(100)}),
    "attach": ("record_payment", "report_payment", {"amount": Decimal(100)}),
    "credit": ("credit_invoice", "check_credit", {"amount": Decimal(100)}),
    "void": ("void_invoice", "check_allowed", {}),
    "give up": ("write_off_invoice", "check_allowed", {}),
    "resend": ("resend_invoice", "read_invoice_state", {}),
}
"""By what is not done: the flow, the step before it, and what is asked for."""


@pytest.mark.parametrize("effect", STEPS)
def test_nothing_is_done_to_what_somebody_else_works_on(
    draft: Callable[..., InvoiceOutcome],
    sent: InvoiceOutcome,
    org: Org,
    dashboard: stripe.StripeClient,
    stripe_sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    effect: str,
) -> None:
    """It slept until its lease was over, and another run has it when it goes on."""
    name, step, form = STEPS[effect]
    invoice, charged = sent.name, {}
    if effect == "charge":
        save_card(dashboard)
        charged = {"due_date": None, "options": Options(collection="Charge Automatically")}
    if name == "send_invoice":
        invoice = draft(**charged).name
    record_id, module = org.record(invoice)["Id"], import_module(f"flows.{name}")
    flow, go = getattr(module, name), getattr(module, step)

    def and_sleep(*given: Any, **named: Any) -> Any:
        answer = go(*given, **named)
        release(record_id, this_attempt())
        acquire(record_id, "another run", seconds=3600)
        stripe_sandbox.admin("DELETE", "requests")
        return answer

    monkeypatch.setattr(module, step, and_sleep)
    with pytest.raises(Busy, match="Another run is working on this invoice"):
        flow(invoice, **form)
    asked = stripe_sandbox.admin("GET", "requests")["requests"]
    assert [one["path"] for one in asked if one["method"] != "GET"] == []
