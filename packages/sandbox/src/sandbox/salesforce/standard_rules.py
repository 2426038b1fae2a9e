"""What the platform does with standard objects beyond any object's rules."""

from __future__ import annotations

from sandbox.salesforce import person_accounts
from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.org import STANDARD_PRICEBOOK_ID, Org
from sandbox.salesforce.schema import SObject
from sandbox.salesforce.store import Row

_PRICE = "Pricebook2Id = ? AND Product2Id = ? AND CurrencyIsoCode IS ? AND IsDeleted = 0"


def check(org: Org, sobject: SObject, row: Row) -> None:
    """Pass what may be created.

    A price book has one price for a product and currency, and other price books only for
    products that have a standard price.

    Raises:
        SalesforceError: DUPLICATE_VALUE, STANDARD_PRICE_NOT_DEFINED.
    """
    if sobject.name != "PricebookEntry":
        return
    key = [row["Product2Id"], row.get("CurrencyIsoCode")]
    if org.store.where(sobject, _PRICE, [row["Pricebook2Id"], *key]):
        message = "This price definition already exists in this price book"
        raise SalesforceError("DUPLICATE_VALUE", message, [])
    standard = row["Pricebook2Id"] == STANDARD_PRICEBOOK_ID
    if not standard and not org.store.where(sobject, _PRICE, [STANDARD_PRICEBOOK_ID, *key]):
        message = "No standard price defined for this product"
        raise SalesforceError("STANDARD_PRICE_NOT_DEFINED", message, [])


def derived(org: Org, sobject: SObject, row: Row) -> Row:
    """Values that the platform fills in from others."""
    if sobject.name == "Account":
        return person_accounts.named(row)
    if "LastName" in sobject.fields:
        return {"Name": " ".join(filter(None, (row.get("FirstName"), row.get("LastName"))))}
    match sobject.name:
        case "PricebookEntry":
            product = org.store.get(org.sobject("Product2"), row["Product2Id"]) or {}
            return {"Name": product.get("Name"), "ProductCode": product.get("ProductCode")}
        case "Opportunity":
            stage = str(row["StageName"])
            closed, won = stage.startswith("Closed"), stage == "Closed Won"
            return {"IsClosed": int(closed), "IsWon": int(won)}
        case "OpportunityLineItem":
            return _sold(org, row)
    return {}


def _sold(org: Org, row: Row) -> Row:
    """A product on an Opportunity: it is the price book entry's, and its total follows.

    Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta/
    object_reference/sforce_api_objects_opportunitylineitem.htm
    """
    entry = org.store.get(org.sobject("PricebookEntry"), row["PricebookEntryId"]) or {}
    opportunity = org.store.get(org.sobject("Opportunity"), row["OpportunityId"]) or {}
    price, total = row.get("UnitPrice"), row.get("TotalPrice")
    left = 1 - (row.get("Discount") or 0) / 100
    if price is None:
        price = round(total / row["Quantity"] / left, 6) if total else entry.get("UnitPrice") or 0
    return {
        "Product2Id": entry.get("Product2Id"),
        "Name": f"{opportunity.get('Name')} {entry.get('Name')}",
        "UnitPrice": price,
        "TotalPrice": round(row["Quantity"] * price * left, 2),
    }


def carry_over(org: Org, sobject: SObject, row: Row) -> None:
    """Tell records that show another's values of their change."""
    if sobject.name == "OpportunityLineItem":
        org.store.run(
            "UPDATE Opportunity SET Amount = (SELECT SUM(TotalPrice) FROM OpportunityLineItem "
            "WHERE OpportunityId = Opportunity.Id AND IsDeleted = 0) WHERE Id = ?",
            (row["OpportunityId"],),
        )
    if sobject.name == "Product2":
        org.store.run(
            "UPDATE PricebookEntry SET Name = ?, ProductCode = ? WHERE Product2Id = ?",
            (row["Name"], row.get("ProductCode"), row["Id"]),
        )
