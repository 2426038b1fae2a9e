"""What the org says about its objects: global describe and sObject describe."""

from __future__ import annotations

from typing import Any

from sandbox.salesforce.org import DATA_PATH
from sandbox.salesforce.schema import ChildRelationship, Field, Schema, SObject

_SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "boolean": "xsd:boolean",
    "int": "xsd:int",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
}


def _url(sobject: SObject) -> str:
    return f"{DATA_PATH}/sobjects/{sobject.name}"


def describe_global(schema: Schema) -> dict[str, Any]:
    """Every object, in short."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [object_summary(sobject) for sobject in schema],
    }


def object_summary(sobject: SObject) -> dict[str, Any]:
    """One object, in short."""
    url = _url(sobject)
    return {
        "activateable": False,
        "createable": "create" not in sobject.refused,
        "custom": sobject.custom,
        "customSetting": False,
        "deletable": not sobject.undeletable and "delete" not in sobject.refused,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "hasSubtypes": False,
        "isSubtype": False,
        "keyPrefix": sobject.prefix,
        "label": sobject.label,
        "labelPlural": sobject.plural,
        "layoutable": True,
        "mergeable": sobject.mergeable,
        "mruEnabled": True,
        "name": sobject.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "undeletable": not sobject.undeletable,
        "updateable": "update" not in sobject.refused,
        "urls": {
            "sobject": url,
            "describe": f"{url}/describe",
            "rowTemplate": f"{url}/{{ID}}",
        },
    }


def describe_sobject(schema: Schema, sobject: SObject) -> dict[str, Any]:
    """One object with its fields and child relationships.

    A record type is available to the user who asks, or not; the sandbox withholds none.
    Source: User Interface API Developer Guide, "Record Type Info"
    """
    return object_summary(sobject) | {
        "fields": [_field(f) for f in sobject.fields.values()],
        "childRelationships": [_child(c) for c in schema.children(sobject.name)],
        "recordTypeInfos": [
            {
                "active": True,
                "available": True,
                "defaultRecordTypeMapping": at == 0,
                "developerName": name,
                "master": False,
                "name": name.replace("_", " "),
                "recordTypeId": record_type,
                "urls": {"layout": f"{_url(sobject)}/describe/layouts/{record_type}"},
            }
            for at, (name, record_type) in enumerate(sobject.record_types.items())
        ],
        "supportedScopes": [{"label": f"All {sobject.plural.lower()}", "name": "everything"}],
    }


def describe_layouts(sobject: SObject) -> dict[str, Any]:
    """The page layouts of an object: one, of all its fields in one column."""
    rows = [
        {
            "numItems": 1,
            "layoutItems": [
                {
                    "editableForNew": f.createable,
                    "editableForUpdate": f.updateable,
                    "label": f.label,
                    "layoutComponents": [
                        {"details": _field(f), "type": "Field", "value": f.name, "tabOrder": at}
                    ],
                    "placeholder": False,
                    "required": f.required,
                }
            ],
        }
        for at, f in enumerate(sobject.fields.values())
    ]
    section = {"columns": 1, "heading": sobject.label, "layoutRows": rows, "rows": len(rows)}
    layout = {"id": None, "detailLayoutSections": [section], "editLayoutSections": [section]}
    return {"layouts": [layout], "recordTypeMappings": [], "recordTypeSelectorRequired": [False]}


def _child(relation: ChildRelationship) -> dict[str, Any]:
    return {
        "cascadeDelete": relation.field.on_delete == "cascade",
        "childSObject": relation.child,
        "deprecatedAndHidden": False,
        "field": relation.field.name,
        "junctionIdListNames": [],
        "junctionReferenceTo": [],
        "relationshipName": relation.name,
        "restrictedDelete": relation.field.on_delete == "restrict",
    }


def _field(f: Field) -> dict[str, Any]:
    decimal = f.type in {"double", "currency", "percent"}
    return {
        "aggregatable": f.filterable and f.type != "boolean",
        "aiPredictionField": False,
        "autoNumber": f.auto_number is not None,
        "byteLength": f.length * 3 if f.type not in {"id", "reference"} else 18,
        "calculated": f.calculated,
        "calculatedFormula": f.formula or None,
        "cascadeDelete": f.on_delete == "cascade",
        "caseSensitive": f.case_sensitive,
        "compoundFieldName": None,
        "controllerName": None,
        "createable": f.createable,
        "custom": f.custom,
        "defaultValue": f.default,
        "defaultValueFormula": None,
        "defaultedOnCreate": f.default is not None or (not f.createable and f.name != "IsDeleted"),
        "dependentPicklist": False,
        "deprecatedAndHidden": False,
        "digits": f.precision if f.type == "int" else 0,
        "displayLocationInDecimal": False,
        "encrypted": False,
        "externalId": f.external_id,
        "extraTypeInfo": "plaintextarea" if f.type == "textarea" else None,
        "filterable": f.filterable,
        "filteredLookupInfo": None,
        "formulaTreatNullNumberAsZero": f.blank_as_zero,
        "groupable": f.filterable and not decimal and f.type != "datetime",
        "highScaleNumber": False,
        "htmlFormatted": False,
        "idLookup": f.type == "id" or f.external_id,
        "inlineHelpText": f.help or None,
        "label": f.label,
        "length": f.length,
        "mask": None,
        "maskType": None,
        "name": f.name,
        "nameField": f.name == "Name",
        "namePointing": False,
        "nillable": not (f.required or f.type in {"id", "boolean"} or f.auto_number),
        "permissionable": bool(f.granted_as),
        "picklistValues": [
            {
                "active": True,
                "defaultValue": value == f.default,
                "label": value,
                "validFor": None,
                "value": value,
            }
            for value in f.values
        ],
        "polymorphicForeignKey": False,
        "precision": f.precision if decimal else 0,
        "queryByDistance": False,
        "referenceTargetField": None,
        "referenceTo": list(f.to),
        "relationshipName": f.relationship,
        "relationshipOrder": 0 if f.master else None,
        "restrictedDelete": f.on_delete == "restrict",
        "restrictedPicklist": f.restricted,
        "scale": f.scale,
        "searchPrefilterable": False,
        "soapType": _SOAP_TYPES.get(f.type, "xsd:string"),
        "sortable": f.filterable,
        "type": f.type,
        "unique": f.unique,
        "updateable": f.updateable,
        "writeRequiresMasterRead": False,
    }
