"""Records go out under the org's names and come back under ours."""

import tomllib
from pathlib import Path

import pytest

from invoicing.domain.salesforce.field_mapping import Names, OrgMapping, with_namespace
from invoicing.errors import Rejected

FILE = Path(__file__).parents[3] / "orgs/billing/mapping.toml"
NAMES = Names(OrgMapping.model_validate(tomllib.loads(FILE.read_text())))


def test_a_record_goes_out_in_the_orgs_names_and_words() -> None:
    """What the org does not keep is left out."""
    ours = {"Status__c": "Draft", "Account__c": "001", "Livemode__c": True, "Name": "x"}
    assert NAMES.fields("Stripe_Invoice__c", ours) == {
        "State__c": "Entwurf",
        "Customer__c": "001",
        "Name": "x",
    }


def test_a_record_comes_back_with_its_parents_and_children() -> None:
    """Including a field of the org that happens to have a name of ours."""
    theirs = {
        "attributes": {"type": "Billing_Document__c"},
        "State__c": "In Prüfung",
        "Description__c": "internal",
        "Recipient__r": None,
        "Customer__r": {"attributes": {"type": "Account"}, "Billing_Mail__c": "a@b.example.com"},
        "Positions__r": {"done": True, "records": [{"Number__c": 1, "Article__r": {"Name": "A"}}]},
    }
    ours = NAMES.record(theirs)
    assert ours["Status__c"] == "Draft"
    assert ours["~Description__c"] == "internal"
    assert ours["Bill_To__r"] is None
    assert ours["Account__r"]["Invoice_Email__c"] == "a@b.example.com"
    [line] = ours["Lines__r"]["records"]
    assert (line["Position__c"], line["Product__r"]["Name"]) == (1, "A")


def test_what_is_not_kept_reads_as_nothing() -> None:
    """And a field that was never asked for is still a mistake of ours."""
    ours = NAMES.record({"attributes": {"type": "Billing_Document__c"}, "Id": "a01"})
    assert ours["Livemode__c"] is None
    assert "Livemode__c" not in ours
    with pytest.raises(KeyError):
        ours["Total__c"]


def test_what_people_ask_for_never_gets_lost() -> None:
    """A discount that cannot be kept is refused; what says nothing is no discount."""
    harmless = {"Discount_Percent__c": None, "Collection_Method__c": "Send Invoice"}
    assert NAMES.fields("Stripe_Invoice__c", harmless) == {}
    with pytest.raises(Rejected, match="keeps no 'discount percent'"):
        NAMES.fields("Stripe_Invoice__c", {"Discount_Percent__c": 10.0})


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("Customer__r.Billing_Mail__c", "Account__r.Invoice_Email__c"),
        ("Cost_Center__c", "Cost_Center__c"),
        ("Description__c", "~Description__c"),
        ("Customer__r.Parent.Name", "Account__r.Parent.Name"),
    ],
)
def test_a_path_in_the_orgs_names_is_found_again(theirs: str, ours: str) -> None:
    """Extra fields are named by the org, and read back under the name they are asked by."""
    assert NAMES.our_path("Stripe_Invoice__c", theirs) == ours
    assert NAMES.path("Stripe_Invoice__c", ours) == theirs


def installed(text: str = "") -> Names:
    """The names of an org whose package has the namespace acme, with a field mapping."""
    return Names(with_namespace(OrgMapping.model_validate(tomllib.loads(text)), "acme"))


def test_what_the_package_brings_has_its_namespace() -> None:
    """Objects, fields, relationships, children; what is Salesforce's own has none."""
    names = installed()
    assert names.sobject("Stripe_Invoice__c") == "acme__Stripe_Invoice__c"
    assert names.sobject("Account") == "Account"
    path = names.path("Stripe_Invoice__c", "Account__r.Invoice_Email__c")
    assert path == "acme__Account__r.acme__Invoice_Email__c"
    assert names.path("Stripe_Invoice__c", "Account__r.Name") == "acme__Account__r.Name"
    theirs = {
        "attributes": {"type": "acme__Stripe_Invoice__c"},
        "acme__Status__c": "Draft",
        "Status__c": "of the org's own",
        "acme__Lines__r": {"done": True, "records": [{"acme__Quantity__c": 2}]},
    }
    ours = names.record(theirs)
    assert (ours["Status__c"], ours["~Status__c"]) == ("Draft", "of the org's own")
    assert ours["Lines__r"]["records"] == [{"Quantity__c": 2}]
    assert names.fields("Stripe_Invoice__c", {"Status__c": "Open"}) == {"acme__Status__c": "Open"}


def test_a_mapping_says_other_names_beside_a_namespace() -> None:
    """A field of the org's own, one that is not kept, and one of the package by its whole name."""
    names = installed(
        """
        [objects.Account.fields]
        Invoice_Email__c = "Billing_Mail__c"
        Stripe_Customer_Email__c = ""
        Stripe_Customer_Name__c = "acme__Stripe_Customer_Name__c"
        """
    )
    fields = ("Invoice_Email__c", "Stripe_Customer_Email__c", "Stripe_Customer_Name__c")
    told = [names.path("Account", field) for field in fields]
    assert told == ["Billing_Mail__c", None, "acme__Stripe_Customer_Name__c"]
    assert names.path("Account", "Stripe_Customer_Id__c") == "acme__Stripe_Customer_Id__c"


def test_an_object_of_the_orgs_own_has_nothing_of_the_package() -> None:
    """Neither prefixes nor requests, unless an object is named for these."""
    own = '[objects.Stripe_Invoice__c]\nname = "Bill__c"\n'
    names = installed(own)
    assert names.path("Stripe_Invoice__c", "Status__c") == "Status__c"
    assert not names.keeps("Stripe_Invoice_Request__c")
    named = installed(own + '[objects.Stripe_Invoice_Request__c]\nname = "Ask__c"\n')
    assert named.keeps("Stripe_Invoice_Request__c")
    assert installed().keeps("Stripe_Invoice_Request__c")


def test_left_out_fields_stay_out_under_a_namespace() -> None:
    """Where a mapping lists all that is kept."""
    names = installed(
        """
        [objects.Stripe_Invoice__c]
        leave_out_others = true
        [objects.Stripe_Invoice__c.fields]
        Status__c = "acme__Status__c"
        """
    )
    assert names.path("Stripe_Invoice__c", "Footer__c") is None
    assert names.path("Stripe_Invoice__c", "Status__c") == "acme__Status__c"
