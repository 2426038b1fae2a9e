"""Validation rules of a package, held to by whoever saves: programs and people."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox.common.serve import running
from sandbox.salesforce import deletion, records
from sandbox.salesforce.app import application
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.org import Org, open_org
from sandbox.salesforce.seed import seed

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
ACME = "001Hs0000000001IAA"
INVOICE = "Stripe_Invoice__c"
RULE = """<ValidationRule xmlns="http://soap.sforce.com/2006/04/metadata">
    <fullName>{name}</fullName>
    <active>{active}</active>
    <errorConditionFormula>{formula}</errorConditionFormula>
    <errorDisplayField>{field}</errorDisplayField>
    <errorMessage>{message}</errorMessage>
</ValidationRule>
"""
SENT = (
    "NOT($Permission.Change_Sent) &amp;&amp; NOT(ISNEW()) "
    '&amp;&amp; NOT(ISPICKVAL(PRIORVALUE(Status__c), "Draft")) &amp;&amp; ISCHANGED(Footer__c)'
)
PAST = "ISNEW() &amp;&amp; Due_Date__c &lt; TODAY()"
ACCOUNT = 'Account__r.Type = "Prospect"'
GRANT = """    <customPermissions>
        <enabled>true</enabled>
        <name>Change_Sent</name>
    </customPermissions>
    <description>"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The package with other rules than its own, one of which the integration user may break."""
    own = shutil.copytree(METADATA, tmp_path / "package")
    folder = own / f"objects/{INVOICE}/validationRules"
    shutil.rmtree(folder)
    folder.mkdir()
    for name, formula, field, message, active in (
        ("Sent", SENT, "Footer__c", "Only a draft can be changed.", "true"),
        ("Past", PAST, "Due_Date__c", "This day has passed.", "true"),
        ("Prospect", ACCOUNT, "Account__c", "Prospects are not billed.", "true"),
        ("Asleep", "TRUE", "Name", "Never.", "false"),
    ):
        text = RULE.format(name=name, formula=formula, field=field, message=message, active=active)
        (folder / f"{name}.validationRule-meta.xml").write_text(text, encoding="utf-8")
    sets = own / "permissionsets/Invoice_Integration.permissionset-meta.xml"
    text = sets.read_text(encoding="utf-8").replace("    <description>", GRANT, 1)
    sets.write_text(text, encoding="utf-8")
    return own


@pytest.fixture
def org(package: Path) -> Org:
    """The demo org with the package."""
    opened = open_org(package)
    seed(opened)
    return opened


def invoice(org: Org, **more: Any) -> str:
    """An invoice on Acme."""
    body = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2099-12-24", **more}
    return records.create(org, org.sobject(INVOICE), body)


def test_what_a_rule_does_not_allow_is_not_saved(org: Org) -> None:
    """Its message, its field, and the code that programs look for; nothing is written."""
    with pytest.raises(SalesforceError, match="This day has passed") as refused:
        invoice(org, Due_Date__c="2020-01-01")
    assert refused.value.code == "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    assert refused.value.fields == ["Due_Date__c"]
    assert org.store.where(org.sobject(INVOICE), "1 = 1", []) == []
    records.update(org, org.sobject("Account"), ACME, {"Type": "Prospect"})
    with pytest.raises(SalesforceError, match="Prospects are not billed"):
        invoice(org)


def test_people_are_kept_from_what_the_integration_may(org: Org) -> None:
    """On the page the rule speaks beside its field; the integration user has the permission."""
    sent = invoice(org, Status__c="Open")
    with running(lambda url: application(org, url)) as url:
        edit = f"{url}/lightning/r/{INVOICE}/{sent}/edit"
        form = {"Account__c": ACME, "Currency__c": "USD", "Due_Date__c": "2099-12-24"}
        answer = requests.post(edit, data=form | {"Footer__c": "Thanks"}, timeout=60)
        assert answer.status_code == 400
        assert "Only a draft can be changed." in answer.text
        assert requests.post(edit, data=form | {"Description__c": "Work"}, timeout=60).ok
    records.update(org, org.sobject(INVOICE), sent, {"Footer__c": "Thank you"})
    [row] = org.store.where(org.sobject(INVOICE), "1 = 1", [])
    assert (row["Footer__c"], row["Description__c"]) == ("Thank you", "Work")


def test_who_changed_it_is_the_person_at_the_page(org: Org) -> None:
    """Records say whether a person or a program made and changed them."""
    made = invoice(org)
    with running(lambda url: application(org, url)) as url:
        form = {"Account__c": ACME, "Currency__c": "USD", "PO_Number__c": "17"}
        requests.post(f"{url}/lightning/r/{INVOICE}/{made}/edit", data=form, timeout=60)
    [row] = org.store.where(org.sobject(INVOICE), "1 = 1", [])
    names = {user["Id"]: user["Name"] for user in org.store.where(org.sobject("User"), "1 = 1", [])}
    assert names[row["CreatedById"]] == "Integration User"
    assert names[row["LastModifiedById"]] == "Dana Whitfield"


LINE = "Stripe_Invoice_Line__c"
FEWER = "Draft_Lines__c &lt; PRIORVALUE(Draft_Lines__c)"


def test_a_rule_of_the_master_refuses_what_is_done_to_its_details(package: Path) -> None:
    """A deletion lowers a count on the master, whose rule speaks then; its own deletion is free."""
    text = RULE.format(
        name="Fewer", formula=FEWER, field="Draft_Lines__c", message="Lines stay.", active="true"
    )
    path = package / f"objects/{INVOICE}/validationRules/Fewer.validationRule-meta.xml"
    path.write_text(text, encoding="utf-8")
    org = open_org(package)
    seed(org)
    parent, lines = invoice(org), org.sobject(LINE)
    body = {"Invoice__c": parent, "Quantity__c": 1, "Unit_Price__c": 5}
    first = records.create(org, lines, body)
    records.update(org, lines, first, {"Unit_Price__c": 4})
    with pytest.raises(SalesforceError, match="Lines stay"):
        deletion.delete(org, lines, first)
    [row] = org.store.where(org.sobject(INVOICE), "1 = 1", [])
    assert (row["Draft_Lines__c"], row["Draft_Subtotal__c"]) == (1, 4)
    deletion.delete(org, org.sobject(INVOICE), parent)
    assert org.store.where(lines, "IsDeleted = 0", []) == []
