"""Every mistake of a field mapping is named at once, with the nearest name that exists."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from invoicing.domain.salesforce.field_mapping import OrgMapping
from invoicing.domain.salesforce.mapping_validation import Description, mistakes, own_mistakes
from sandbox.salesforce.describe import describe_sobject
from sandbox.salesforce.schema_loader import load_schema

ORG = Path(__file__).parents[3] / "orgs/billing"
INVOICE, LINE = "Stripe_Invoice__c", "Stripe_Invoice_Line__c"


@pytest.fixture
def toml() -> dict[str, Any]:
    """The mapping that fits, to be spoiled."""
    return tomllib.loads((ORG / "mapping.toml").read_text())


def described() -> dict[str, Description]:
    """What the org says of all its objects."""
    schema = load_schema(ORG)
    return {name: describe_sobject(schema, sobject) for name, sobject in schema.objects.items()}


def problems(toml: dict[str, Any], org: dict[str, Description] | None = None) -> list[str]:
    """What is wrong with a mapping of the org."""
    mapping = OrgMapping.model_validate(toml)
    return own_mistakes(mapping) + mistakes(mapping, (org or described()).get, described)


def test_the_example_in_the_documentation_makes_sense() -> None:
    """Every name on its left side is ours, and nothing needed is left out."""
    page = (Path(__file__).parents[4] / "docs/field-mapping.md").read_text(encoding="utf-8")
    example = page.split("```toml")[1].split("```")[0]
    assert own_mistakes(OrgMapping.model_validate(tomllib.loads(example))) == []


def test_the_org_fits_its_mapping(toml: dict[str, Any]) -> None:
    """Nothing to complain of."""
    assert problems(toml) == []


@pytest.mark.parametrize(
    ("field", "theirs", "said"),
    [
        ("Total__c", "Groß__c", "no such field, or it is hidden from us; did you mean 'Gross__c'?"),
        ("Total__c", "Memo__c", "is of type textarea, and a number is needed."),
        ("Due_Date__c", "Mailed_At__c", "is of type datetime, and a date is needed."),
        ("Account__c", "Recipient__c", "points at Contact, and Account is needed."),
        ("Number__c", "Cost_Center__c", "holds 40 characters, and 255 are needed."),
        ("Local_Key__c", "Order_Reference__c", "must be an external id, unique and case-sens"),
        ("Currency__c", "CreatedById", "is of type reference, and a text is needed."),
        ("Sent_At__c", "CreatedDate", "cannot be written: it is computed, or read-only"),
        ("Sent_At__c", "Mailed__c", "did you mean 'Mailed_At__c'?"),
    ],
)
def test_a_field_that_does_not_fit_is_named(
    toml: dict[str, Any], field: str, theirs: str, said: str
) -> None:
    """Missing, of a wrong type, too short, not unique, read-only."""
    toml["objects"][INVOICE]["fields"][field] = theirs
    found = [line for line in problems(toml) if f"(for our {field})" in line]
    assert len(found) == 1
    assert said in found[0]


def test_a_quantity_that_would_be_rounded_is_named(toml: dict[str, Any]) -> None:
    """Two decimals are too few for quantities."""
    toml["objects"][LINE]["fields"] |= {"Quantity__c": "Sum__c", "Amount__c": ""}
    [said] = [line for line in problems(toml) if "decimals" in line]
    assert said == (
        "Billing_Position__c.Sum__c (for our Quantity__c) keeps 2 decimals, and 6 are needed."
    )


def test_words_that_the_org_does_not_have_are_named(toml: dict[str, Any]) -> None:
    """A value that is misspelt is missing, and the right one then means nothing."""
    toml["objects"][INVOICE]["values"]["Status__c"]["Paid"] = "Gezahlt"
    assert problems(toml) == [
        "Billing_Document__c.State__c (for our Status__c) offers no value 'Gezahlt' for our "
        "'Paid'; did you mean 'Bezahlt'?",
        "Billing_Document__c.State__c (for our Status__c) offers 'Bezahlt', which is none of "
        "ours; say which of ours it means.",
    ]


def test_a_word_that_means_two_things_is_named(toml: dict[str, Any]) -> None:
    """What is paid would be read as a draft; one word twice for the same is none."""
    words = toml["objects"][INVOICE]["values"]["Status__c"]
    words["Draft"] = ["Entwurf", "Entwurf", "In Prüfung"]
    assert problems(toml) == []
    words["Draft"] += ["Bezahlt"]
    assert problems(toml) == [
        "Billing_Document__c.State__c (for our Status__c) has 'Bezahlt' for our 'Draft' and "
        "'Paid'; a word of the org means one of ours."
    ]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("Recipient__c", "email: Recipient__c is of type reference, and an address is needed."),
        ("Gross__c", "email: Gross__c is of type double, and an address is needed."),
        ("Recipient__r.Emial", "email: Contact has no field 'Emial', or hides it; did you mean"),
    ],
)
def test_a_field_that_holds_no_address_is_named(toml: dict[str, Any], path: str, said: str) -> None:
    """Nobody would get the invoice."""
    [problem] = problems(toml | {"email": [path]})
    assert problem.startswith(said)


def test_a_missing_object_and_a_missing_relationship_are_named(toml: dict[str, Any]) -> None:
    """Both with what they are really called."""
    toml["objects"][INVOICE]["children"]["Lines__r"] = "Lines__r"
    toml["objects"][LINE]["name"] = "Billing_Positions__c"
    assert problems(toml)[-1] == (
        f"{LINE}: the org has no object 'Billing_Positions__c', or hides it; did you mean "
        "'Billing_Position__c'?"
    )
    toml["objects"][LINE]["name"] = "Billing_Position__c"
    assert problems(toml) == [
        "Billing_Document__c has no child relationship 'Lines__r' (for our Lines__r); it is "
        "called 'Positions__r'."
    ]


def test_rights_that_are_missing_are_named(toml: dict[str, Any]) -> None:
    """And fields that the org demands, and that nobody fills."""
    org = described()
    document = dict(org["Billing_Document__c"]) | {"createable": False}
    region = {
        **next(field for field in document["fields"] if field["name"] == "Cost_Center__c"),
        "name": "Region__c",
        "nillable": False,
    }
    document["fields"] = [*document["fields"], region]
    assert problems(toml, org | {"Billing_Document__c": document}) == [
        "Billing_Document__c: the integration user may not create its records.",
        "Billing_Document__c.Region__c is required by the org, and nothing here fills it; give "
        "it a default value, or a value in [objects.Stripe_Invoice__c.new].",
    ]


def test_names_that_are_not_ours_are_named(toml: dict[str, Any]) -> None:
    """The left side is checked too: our names, what cannot be left out, what is mapped twice."""
    invoice = toml["objects"][INVOICE]
    invoice["fields"] |= {"Totl__c": "Gross__c", "Status__c": "", "Sent_At__c": "Settled_At__c"}
    invoice["values"]["Stauts__c"] = {"Draft": "x"}
    invoice["values"]["Status__c"]["Drafts"] = "x"
    toml["objects"]["Acount"] = {}
    assert problems(toml) == [
        f"{INVOICE}.Status__c cannot be left out; map it to a field of the org.",
        f"{INVOICE}: we have no field 'Totl__c'; did you mean 'Total__c'?",
        f"{INVOICE}.Status__c: we have no value 'Drafts'; did you mean 'Draft'?",
        f"{INVOICE}: we have no picklist 'Stauts__c'; did you mean 'Status__c'?",
        f"{INVOICE}: two of our fields are mapped to 'Gross__c'.",
        f"{INVOICE}: two of our fields are mapped to 'Settled_At__c'.",
        "objects: we have no 'Acount'; did you mean 'Account'?",
    ]


def test_a_package_that_was_installed_under_a_namespace_is_recognised() -> None:
    """And the setting that is missing is named."""
    there = ["acme__Stripe_Invoice__c", "Account"]
    wrong = mistakes(OrgMapping(), lambda _: None, lambda: there)
    told = next(one for one in wrong if INVOICE in one)
    assert told == (
        "Stripe_Invoice__c: the org has no object 'Stripe_Invoice__c', or hides it; it has "
        "acme__Stripe_Invoice__c, of an installed package: "
        "set INVOICING_SALESFORCE__NAMESPACE=acme."
    )
