"""Send To Customer asks about a small amount where Stripe would collect none, and nowhere else."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from invoicing.domain.model.amount_due import collection_problems
from invoicing.domain.model.money import CURRENCIES, Money, smallest_charge
from sandbox.salesforce.flow_definition import read_flow
from sandbox.salesforce.formula import read_formula

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
FLOW = read_flow(PACKAGE / "flows/Invoice_Send_To_Customer.flow-meta.xml")


def asks(due: Money, subtotal: Decimal) -> bool:
    """Whether the screen asks, for a draft that was previewed to be due with so much."""
    names: dict[str, Any] = {
        "Get_Invoice.Currency__c": due.currency.lower(),
        "Get_Invoice.Draft_Subtotal__c": subtotal,
        "Get_Invoice.Previewed_Amount_Due__c": due.decimal,
    }
    for name in ("Known_Due", "Least_Text", "Is_Small"):
        names[name] = read_formula(FLOW.resources[name].text("expression")).worked_out(names)
    return bool(names["Is_Small"])


@pytest.mark.parametrize("currency", sorted(CURRENCIES))
def test_the_screen_asks_exactly_where_sending_would_refuse(currency: str) -> None:
    """Just below the least that Stripe collects, at it, and where nothing is due."""
    least = smallest_charge(currency).minor
    for minor in {0, 1, max(least - 1, 0), least, least + 1}:
        due = Money(currency, minor)
        refused = bool(collection_problems(due, small_amount_is_meant=False))
        assert asks(due, Decimal(1000)) == refused
