"""The package's metadata is the schema: what is added there exists here."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from simple_salesforce.exceptions import SalesforceMoreThanOneRecord

from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from sandbox.salesforce.schema_loader import load_schema

METADATA = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
FIELD = """<?xml version="1.0" encoding="UTF-8"?>
<CustomField xmlns="http://soap.sforce.com/2006/04/metadata">
    <fullName>PO_Number__c</fullName>
    <externalId>true</externalId>
    <label>PO Number</label>
    <length>20</length>
    <type>Text</type>
    <unique>false</unique>
</CustomField>
"""


def with_field(folder: Path, text: str = FIELD) -> Path:
    """A copy of the package with one more field on the invoice."""
    shutil.copytree(METADATA, folder, dirs_exist_ok=True)
    path = folder / "objects/Stripe_Invoice__c/fields/PO_Number__c.field-meta.xml"
    path.write_text(text, encoding="utf-8")
    return folder


def test_a_new_field_needs_no_code_and_keeps_stored_records(
    tmp_path: Path, login: Callable[..., Any], to_sandbox: Callable[[str], requests.Session]
) -> None:
    """Records survive a restart on a file; a field added meanwhile is simply there."""
    data = str(tmp_path / "org.db")
    with running(lambda url: application(open_org(METADATA, data), url)) as url:
        sf = login(session=to_sandbox(url))
        acme = sf.query("SELECT Id FROM Account WHERE Name LIKE 'Acme%'")["records"][0]["Id"]
        first = sf.Stripe_Invoice__c.create({"Account__c": acme, "Currency__c": "USD"})["id"]
    metadata = with_field(tmp_path / "package")
    with running(lambda url: application(open_org(metadata, data), url)) as url:
        sf = login(session=to_sandbox(url))
        assert sf.Stripe_Invoice__c.get(first)["PO_Number__c"] is None
        body = {"Account__c": acme, "Currency__c": "USD", "PO_Number__c": "7"}
        ids = {sf.Stripe_Invoice__c.create(body)["id"] for _ in range(2)}
        names = [f["name"] for f in sf.Stripe_Invoice__c.describe()["fields"]]
        assert "PO_Number__c" in names
        with pytest.raises(SalesforceMoreThanOneRecord) as several:
            sf.Stripe_Invoice__c.get_by_custom_id("PO_Number__c", "7")
        assert {str(one).rpartition("/")[2] for one in several.value.content} == ids
        assert {sf.Stripe_Invoice__c.get(one)["Name"] for one in ids} == {"INV-0002", "INV-0003"}


def test_a_field_type_nobody_knows_is_refused_at_start(tmp_path: Path) -> None:
    """Better than a field that silently behaves otherwise."""
    metadata = with_field(tmp_path, FIELD.replace("<type>Text<", "<type>Hologram<"))
    with pytest.raises(ValueError, match="PO_Number__c: metadata type 'Hologram'"):
        load_schema(metadata)


def test_describe_tells_what_tools_need(sf: Any) -> None:
    """Types, lengths, references, picklists, external ids, child relationships."""
    described = sf.Stripe_Invoice__c.describe()
    fields = {f["name"]: f for f in described["fields"]}
    assert fields["Account__c"]["referenceTo"] == ["Account"]
    assert fields["Account__c"]["relationshipName"] == "Account__r"
    assert fields["Account__c"]["nillable"] is False
    assert (fields["Total__c"]["precision"], fields["Total__c"]["scale"]) == (18, 2)
    assert fields["Sync_State__c"]["picklistValues"][0]["value"] == "Clean"
    key = fields["Stripe_Invoice_Id__c"]
    assert (key["externalId"], key["unique"], key["caseSensitive"]) == (True, True, True)
    children = {c["relationshipName"]: c for c in described["childRelationships"]}
    assert children["Lines__r"]["cascadeDelete"] is True
    names = {o["name"] for o in sf.describe()["sobjects"]}
    assert {"Account", "PricebookEntry", "Stripe_Invoice__c", "Stripe_Invoice_Line__c"} <= names


@pytest.mark.parametrize("constraint", ["Restrict", "Cascade"])
@pytest.mark.parametrize("target", ["Product2", "User"])
def test_no_lookup_holds_back_the_deletion_of_a_product_or_a_user(
    tmp_path: Path, target: str, constraint: str
) -> None:
    """An org refuses the field, and with it the whole deploy; cleared it may be."""
    shutil.copytree(METADATA, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "objects/Stripe_Invoice_Line__c/fields/Product__c.field-meta.xml"
    field = path.read_text(encoding="utf-8").replace(">Product2<", f">{target}<")
    load_schema(tmp_path)
    path.write_text(field.replace(">SetNull<", f">{constraint}<"), encoding="utf-8")
    with pytest.raises(ValueError, match=f"cascade or restrict options to {target}"):
        load_schema(tmp_path)
