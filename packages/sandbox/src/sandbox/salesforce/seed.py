"""The org's first records: what every org has, and the demo data set.

Records are created in file order, so the same seed always gives the same ids.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from sandbox.salesforce import custom_metadata, records
from sandbox.salesforce.org import PERSON_ID, STANDARD_PRICEBOOK_ID, Org

Seed = Literal["empty", "demo"]


def seed(org: Org, name: Seed = "demo") -> None:
    """Empty the org and fill it again.

    Args:
        org: The org.
        name: ``empty`` has the organization, its users, currencies and standard price book;
            ``demo`` also accounts, contacts, products with prices and opportunities, and whoever
            clicks on its pages is a member of each public group.
    """
    path = Path(__file__).with_name("demo_org.toml")
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    org.store.clear(org.schema)
    with org.store.transaction():
        _basics(org, data)
        if name == "demo":
            for account in data["account"]:
                _account(org, account)
            for product in data["product"]:
                _product(org, product)
            for opportunity in data["opportunity"]:
                _opportunity(org, opportunity)
            for group in org.store.where(org.sobject("Group"), "1 = 1", []):
                member = {"GroupId": group["Id"], "UserOrGroupId": PERSON_ID}
                _create(org, "GroupMember", member)


def is_empty(org: Org) -> bool:
    """Whether the org has never been seeded."""
    return org.store.one("SELECT 1 FROM User") is None


def _create(org: Org, sobject: str, values: dict[str, Any]) -> str:
    if "BillingCountryCode" in org.sobject(sobject).fields:
        for part in ("BillingCountry", "BillingState"):
            values = {f"{name}Code" if name == part else name: v for name, v in values.items()}
    return records.create(org, org.sobject(sobject), org.own_values(sobject, values))


def _basics(org: Org, data: dict[str, Any]) -> None:
    for user in (data["user"], data["person"]):
        _create(org, "User", {**user, "IsActive": True})
    _create(org, "Organization", data["organization"])
    for sobject in org.schema:
        for name, record_type in sobject.record_types.items():
            kind = {"DeveloperName": name, "Name": name.replace("_", " "), "IsActive": 1}
            row = {"Id": record_type, "SobjectType": sobject.name, "IsDeleted": 0, **kind}
            org.store.insert(org.sobject("RecordType"), row | records.stamps(org, creating=True))
    add_described(org)
    if org.currency is None:
        for currency in data["currency"]:
            _create(org, "CurrencyType", {"IsActive": True, **currency})
    _create(org, "Pricebook2", {"Name": "Standard Price Book", "IsActive": True})
    org.store.update(org.sobject("Pricebook2"), STANDARD_PRICEBOOK_ID, {"IsStandard": 1})


def add_described(org: Org) -> None:
    """Add the records that the metadata describes and that are not there yet."""
    custom_metadata.deploy(org)
    types = {name: {"MasterLabel": label} for name, label in org.notification_types.items()}
    groups = {name: {"Name": label, "Type": "Regular"} for name, label in org.groups.items()}
    for sobject, described in (("CustomNotificationType", types), ("Group", groups)):
        for name, values in described.items():
            if org.store.find(org.sobject(sobject), "DeveloperName", name) is None:
                _create(org, sobject, {"DeveloperName": name, **values})


def _account(org: Org, spec: dict[str, Any]) -> None:
    contacts = spec.pop("contacts")
    account_id = _create(org, "Account", spec)
    for contact in contacts:
        _create(org, "Contact", {**contact, "AccountId": account_id})


def _product(org: Org, spec: dict[str, Any]) -> None:
    prices = spec.pop("prices")
    active = spec.setdefault("IsActive", True)
    product_id = _create(org, "Product2", spec)
    for currency, price in prices.items():
        if org.currency not in (None, currency):
            continue
        entry = {
            "Pricebook2Id": STANDARD_PRICEBOOK_ID,
            "Product2Id": product_id,
            "CurrencyIsoCode": currency,
            "UnitPrice": price,
            "IsActive": active,
        }
        _create(org, "PricebookEntry", entry)


def _opportunity(org: Org, spec: dict[str, Any]) -> None:
    account, sold = spec.pop("account"), spec.pop("products")
    [customer] = org.store.where(org.sobject("Account"), "Name = ?", [account])
    currency = customer["CurrencyIsoCode"]
    own = {"AccountId": customer["Id"], "CurrencyIsoCode": currency}
    own["Pricebook2Id"] = STANDARD_PRICEBOOK_ID
    opportunity_id = _create(org, "Opportunity", {**spec, **own})
    for order, product in enumerate(sold, 1):
        name = product.pop("product")
        entries = org.sobject("PricebookEntry")
        [entry] = org.store.where(entries, "Name = ? AND CurrencyIsoCode IS ?", [name, currency])
        price = {"UnitPrice": entry["UnitPrice"], "PricebookEntryId": entry["Id"]}
        place = {"OpportunityId": opportunity_id, "CurrencyIsoCode": currency, "SortOrder": order}
        _create(org, "OpportunityLineItem", {**price, **place, **product})
