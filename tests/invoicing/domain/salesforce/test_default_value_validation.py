"""What new records are to have beside our fields is held to the org before anything is raised."""

from pathlib import Path
from typing import Any

import pytest

from invoicing.domain.salesforce.field_mapping import OrgMapping
from invoicing.domain.salesforce.mapping_validation import mistakes, own_mistakes
from sandbox.salesforce.describe import describe_sobject
from sandbox.salesforce.schema_loader import load_schema
from tests.orgs.documented_example import documented_example

ORG = Path(__file__).parents[3] / "orgs/documented"
INVOICE = "Stripe_Invoice__c"


def problems(changes: dict[str, Any], *without: str, on: str = INVOICE) -> list[str]:
    """What is wrong with the documentation's example after a change of its new values."""
    example = documented_example()
    new = example["objects"].setdefault(on, {}).setdefault("new", {})
    new.update(changes)
    for name in without:
        del new[name]
    schema = load_schema(ORG)
    org = {name: describe_sobject(schema, sobject) for name, sobject in schema.objects.items()}
    mapping = OrgMapping.model_validate(example)
    return own_mistakes(mapping) + mistakes(mapping, org.get, org.keys)


def test_the_example_of_the_documentation_fits_its_org() -> None:
    """As it stands there, CurrencyIsoCode for the currency with it."""
    assert problems({}) == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Orgin__c", "Stripe", "there is no such field, or it is hidden from us; did you mean"),
        ("Origin__c", "Strip", "offers no value 'Strip'; did you mean 'Stripe'?"),
        ("Origin__c", True, "is of type picklist, which does not take True."),
        ("Tax__c", 19, "is filled already, by our Tax__c."),
        ("CreatedDate", {"today": True}, "cannot be written"),
        ("Cost_Center__c", "a text of more than 20", "holds 20 characters"),
        ("Cost_Center__c", {"today": True}, "is of type string, which takes no day."),
        (
            "Cost_Center__c",
            {"from": "Account.Region__c"},
            "characters, and Account.Region__c 40",
        ),
        ("Cost_Center__c", {"from": "Account.Regoin__c"}, "did you mean 'Region__c'?"),
        ("Cost_Center__c", {"from": "Contact.Email"}, "only invoices copy, from Account.… or Opp"),
        ("Cost_Center__c", {}, "say one of from, record_type and today."),
        ("Dated__c", "tomorrow", "takes a date such as 2027-01-31"),
        ("Dated__c", {"from": "Account.Region__c"}, "is of type date, and Account.Region__c of"),
        ("OwnerId", {"from": "Account.ParentId"}, "points at User, and Account.ParentId does not"),
        ("OwnerId", "somebody", "takes the id of a record, and 'somebody' is none."),
        ("RecordTypeId", {"record_type": "Customer_Doc"}, "there is no record type 'Customer_Doc'"),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: Any, said: str) -> None:
    """Each in words, and nothing else with it."""
    [problem] = problems({name: value})
    assert said in problem


@pytest.mark.parametrize("number", [0.125, 1e16, -1e16])
def test_a_number_that_would_be_rounded_or_refused_is_named(number: float) -> None:
    """Of a field that keeps sixteen digits and two decimals."""
    line = "Stripe_Invoice_Line__c"
    assert problems({"Weight__c": 0.25}, on=line) == []
    [problem] = problems({"Weight__c": number}, on=line)
    assert problem == (
        "Billing_Position__c.Weight__c of new records keeps 16 digits and 2 decimals, and "
        f"{number!r} has more."
    )


def test_what_the_org_demands_is_asked_for() -> None:
    """Without its value, a field that the org requires is missed."""
    [problem] = problems({}, "Dated__c")
    assert problem.startswith("Billing_Document__c.Dated__c is required by the org")


def test_lines_take_constants_and_other_objects_nothing() -> None:
    """A copy is the invoice's; the Account is not made by us."""
    line = "Stripe_Invoice_Line__c"
    [problem] = problems({"Name": {"from": "Account.Site"}}, on=line)
    assert "cannot be written" in problem
    [problem] = problems({"Site": "Web"}, on="Account")
    assert problem.startswith("Account.new: only invoices and their lines are made with")
