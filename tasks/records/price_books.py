"""Price books: what products cost an Account."""

from collections.abc import Iterable

from invoicing.connectors import salesforce
from invoicing.domain.forms.price_book import PriceBook, PriceBookEntry
from invoicing.domain.model.invoice import Account
from invoicing.domain.model.record_ids import looks_like_id
from invoicing.domain.salesforce import record
from invoicing.domain.salesforce.queries import Condition, Query, all_of, any_of, equals, is_in
from invoicing.mapping import org_field_reader
from tasks.records.org_facts import org_currency
from tasks.records.soql_lists import word_batches


def read_price_book(currency: str, products: Iterable[str], account: Account | None) -> PriceBook:
    """Entries of an Account's price book, in a currency, for products as people write them."""
    entries: list[PriceBookEntry] = []
    for some in word_batches(filter(None, map(str.strip, products)), named=3):
        ids = [word for word in some if looks_like_id(word, "01t")]
        named = any_of(
            is_in("Product2.ProductCode", some),
            is_in("Product2.Name", some),
            is_in("Product2Id", ids) if ids else None,
        )
        entries += price_book_entries(currency, named, account=account)
    return PriceBook(list(dict.fromkeys(entries)), currency)


def price_book_entries(
    currency: str, condition: Condition | None = None, *, account: Account | None = None
) -> list[PriceBookEntry]:
    """An Account's price book in a currency, or what a further condition leaves of it.

    It is the standard price book, unless the field mapping chooses another.
    """
    org = org_currency()
    own_currency = equals("CurrencyIsoCode", currency) if org.several else None
    product = [f"Product2.{field}" for field in ("Name", "ProductCode", "IsActive")]
    found = salesforce.client().query(
        Query(
            "PricebookEntry",
            ["Product2Id", *product, "UnitPrice", "IsActive"],
            where=all_of(price_book_condition(account), own_currency, condition),
        )
    )
    book_currency = currency if org.several else org.own
    return [
        PriceBookEntry(
            product_id=entry["Product2Id"],
            code=entry["Product2"].get("ProductCode") or "",
            name=entry["Product2"]["Name"],
            currency=book_currency,
            unit_price=record.number(entry["UnitPrice"]),
            active=entry["IsActive"] and entry["Product2"]["IsActive"],
        )
        for entry in found
    ]


def price_book_condition(account: Account | None) -> Condition:
    """Condition for the entries of an Account's price book, or of everybody's."""
    name = org_field_reader().mapping.price_book.name
    if account and account.price_book:
        return equals("Pricebook2Id", account.price_book)
    return equals("Pricebook2.Name", name) if name else equals("Pricebook2.IsStandard", True)
