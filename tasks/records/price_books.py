"""Price books: what products cost an Account."""

from collections.abc import Iterable

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import quoted
from invoicing.domain.forms.draft_lines import (
    PriceBook,
    PriceBookEntry,
)
from invoicing.domain.model.ids import looks_like_id
from invoicing.domain.model.invoice import Account
from invoicing.domain.salesforce import record
from invoicing.mapping import org_field_reader
from invoicing.settings import settings
from tasks.records.queries import word_batches


def read_price_book(currency: str, products: Iterable[str], account: Account | None) -> PriceBook:
    """Entries of an Account's price book, in a currency, for products as people write them."""
    entries: list[PriceBookEntry] = []
    for some in word_batches(filter(None, map(str.strip, products)), named=3):
        words = ", ".join(map(quoted, some))
        ids = [quoted(word) for word in some if looks_like_id(word, "01t")]
        by_id = f" OR Product2Id IN ({', '.join(ids)})" if ids else ""
        named = f" AND (Product2.ProductCode IN ({words}) OR Product2.Name IN ({words}){by_id})"
        entries += price_book_entries(currency, named, account=account)
    return PriceBook(list(dict.fromkeys(entries)), currency)


def price_book_entries(
    currency: str, condition: str = "", *, account: Account | None = None
) -> list[PriceBookEntry]:
    """An Account's price book in a currency, or what a further SOQL condition leaves of it.

    It is the standard price book, unless the field mapping chooses another.
    """
    book = price_book_condition(account)
    multi = settings().salesforce.multi_currency
    own_currency = f" AND CurrencyIsoCode = {quoted(currency)}" if multi else ""
    found = salesforce.client().query(
        "SELECT Product2Id, Product2.Name, Product2.ProductCode, Product2.IsActive, UnitPrice, "  # noqa: S608
        f"IsActive FROM PricebookEntry WHERE {book}{own_currency}{condition}"
    )
    book_currency = currency if multi else settings().business.currency
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


def price_book_condition(account: Account | None) -> str:
    """SOQL condition for the entries of an Account's price book, or of everybody's."""
    name = org_field_reader().mapping.price_book.name
    if account and account.price_book:
        return f"Pricebook2Id = {quoted(account.price_book)}"
    return f"Pricebook2.Name = {quoted(name)}" if name else "Pricebook2.IsStandard = true"
