"""What a request asks a flow to do, and what it says when it is over."""

from typing import Any

import pytest

from invoicing.domain.salesforce.field_mapping import Names, OrgMapping
from invoicing.domain.salesforce.request_record import (
    REQUEST,
    RequestState,
    answer,
    open_key,
    run_parameters,
)
from invoicing.errors import Rejected

INVOICE = "a00000000000001AAA"


def asked(action: str, given: str = "") -> dict[str, Any]:
    """What a request with the right key asks its flow."""
    return run_parameters("a02000000000001AAA", action, INVOICE, open_key(INVOICE, action), given)


def test_a_value_is_whatever_stands_after_the_first_colon() -> None:
    """Texts may have colons; what is empty is left to the flow."""
    given = asked("Record Payment", "amount: \r\n reference :  Ref: 7:3 \n\npaid_by: cash")
    assert given == {
        "invoice": INVOICE,
        "request_id": "a02000000000001AAA",
        "reference": "Ref: 7:3",
        "paid_by": "cash",
    }


def test_a_flow_that_does_not_take_a_request_id_gets_none() -> None:
    """What may be done twice without harm needs no name for it."""
    assert asked("Sync") == {"invoice": INVOICE}


@pytest.mark.parametrize("given", ["invoice: INV-0001", "request_id: other", "amount: 1\nx: y"])
def test_a_request_is_about_its_own_invoice(given: str) -> None:
    """Nobody smuggles in another invoice, or another request's name."""
    with pytest.raises(Rejected, match="does not take"):
        asked("Record Payment", given)


def test_lines_are_credited_whole_by_quantity_or_by_amount() -> None:
    """As they are typed into one field; what is not understood is said with what is."""
    given = asked("Credit", "amount: \nlines: 1; 2 quantity 3;4 amount 50.00\ngive_back: refund")
    assert given["give_back"] == "refund"
    assert given["lines"] == [
        {"line": 1},
        {"line": 2, "quantity": "3"},
        {"line": 4, "amount": "50.00"},
    ]
    with pytest.raises(Rejected, match="not as 2 half"):
        asked("Credit", "lines: 1; 2 half")


def test_a_small_amount_that_is_meant_is_a_tick() -> None:
    """Send takes it as yes or no; nothing written is no."""
    assert asked("Send", "small_amount_is_meant: true")["small_amount_is_meant"] is True
    assert asked("Send") == {"invoice": INVOICE}
    with pytest.raises(Rejected, match="written as true or false, not as yes"):
        asked("Send", "small_amount_is_meant: yes")


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Lines without a colon, and names that are not known."""
    with pytest.raises(Rejected) as error:
        asked("Sync", "now\nfast: yes")
    assert error.value.reasons == [
        "1 parameter without a value: now. Write a name, a colon and a value on each line.",
        "Sync does not take fast; it takes no parameters.",
    ]


def test_an_action_of_another_version() -> None:
    """A package newer than the worker, or a value that somebody added."""
    with pytest.raises(Rejected, match="called Dispute"):
        asked("Dispute")


def test_a_long_outcome_fits_its_field() -> None:
    """And whoever asked may ask again."""
    said = answer(RequestState.FAILED, "x" * 5000, "https://prefect.example.com/" + "y" * 300)
    assert said == {"State__c": "Failed", "Outcome__c": "x" * 4000, "Open_Key__c": None}


def test_an_org_with_invoices_of_its_own_has_requests_only_where_it_names_them() -> None:
    """The package's buttons are on the package's invoices."""
    own = {"Stripe_Invoice__c": {"name": "Document__c"}}
    assert Names(OrgMapping()).keeps(REQUEST)
    assert not Names(OrgMapping.model_validate({"objects": own})).keeps(REQUEST)
    named = own | {REQUEST: {"name": "Order__c"}}
    assert Names(OrgMapping.model_validate({"objects": named})).keeps(REQUEST)
