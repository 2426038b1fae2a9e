"""A profile: an org in which an Account may be a person.

An Account with a last name is one, and is called by its names. Source: Salesforce Help, "Person
Account Fields"; Object Reference, "Account" (IsPersonAccount, PersonEmail).
"""

from __future__ import annotations

from dataclasses import replace

from sandbox.salesforce.schema import Field, Schema
from sandbox.salesforce.store import Row

FIELDS = (
    Field(name="FirstName", type="string", label="First Name", length=40),
    Field(name="LastName", type="string", label="Last Name", length=80),
    Field(
        name="IsPersonAccount",
        type="boolean",
        label="Is Person Account",
        read_only=True,
        default=False,
    ),
    Field(name="PersonEmail", type="email", label="Email", length=80, granted_as="PersonEmail"),
)


def with_person_accounts(schema: Schema) -> Schema:
    """The org with Accounts that may be people."""
    account = schema.objects["Account"]
    more = {field.name: field for field in FIELDS}
    return Schema(
        {**schema.objects, "Account": replace(account, fields={**account.fields, **more})}
    )


def named(row: Row) -> Row:
    """What follows from an Account's own names, where it is a person's."""
    if not row.get("LastName"):
        return {}
    name = " ".join(filter(None, (row.get("FirstName"), row["LastName"])))
    return {"Name": name, "IsPersonAccount": 1}
