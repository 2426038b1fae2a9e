"""What the code asks of an org is what the package brings."""

from pathlib import Path

from invoicing.domain.salesforce.field_mapping import OrgMapping
from invoicing.domain.salesforce.mapping_validation import mistakes
from invoicing.domain.salesforce.required_schema import OBJECTS
from sandbox.salesforce.describe import describe_sobject
from sandbox.salesforce.schema_loader import load_schema

PACKAGE = Path(__file__).parents[4] / "deployments/salesforce/force-app/main/default"
KINDS = {"double": "number", "string": "text", "textarea": "text", "email": "text", "url": "text"}


def test_every_field_of_the_package_can_be_mapped() -> None:
    """A field added to the package is added to the required schema as well."""
    for folder in set((PACKAGE / "objects").iterdir()) - set(PACKAGE.glob("objects/*__mdt")):
        brought = {path.name.partition(".")[0] for path in folder.glob("fields/*")}
        known = {name for name in OBJECTS[folder.name].fields if name.endswith("__c")}
        assert brought == known, folder.name


def test_the_package_is_what_the_code_asks_for() -> None:
    """Types, lengths, decimals, targets, unique keys and picklist values agree."""
    schema = load_schema(PACKAGE)
    described = {name: describe_sobject(schema, schema.objects[name]) for name in OBJECTS}
    assert mistakes(OrgMapping(), described.get) == []
    for name, asked in OBJECTS.items():
        for field in [f for f in described[name]["fields"] if f["name"].endswith("__c")]:
            ours = asked.fields[field["name"]]
            assert ours.kind == KINDS.get(field["type"], field["type"]), field["name"]
            assert ours.unique == field["unique"], field["name"]
            if ours.kind == "picklist":
                values = [value["value"] for value in field["picklistValues"]]
                assert list(ours.values) == values, field["name"]
            if ours.kind == "text":
                assert ours.length == field["length"], field["name"]
