"""Products that are gone, archived or used, and how long texts may be."""

from typing import Any

from tests.real.experiment import Observed, experiment
from tests.real.stripe_account import MARK, Account, attempt


def _bill(account: Account, draft: Any, product: str) -> str:
    price = {"currency": "usd", "product": product, "unit_amount": 100}
    return attempt(lambda: account.add_lines(draft.id, [{"price_data": price}]))


@experiment
def deleted_products(account: Account) -> Observed:
    """Prices of a line keep no product from being deleted, those of the catalogue do."""
    draft = account.draft(account.customer())
    once, listed = account.product(), account.product()
    account.v1.prices.create({"product": listed, "currency": "usd", "unit_amount": 100})
    products = account.v1.products

    def again() -> None:
        products.create({"id": once, "name": MARK})

    return {
        "billed": _bill(account, draft, once),
        "deleted after it was billed": attempt(lambda: products.delete(once)),
        "billed again": _bill(account, draft, once),
        "made again with its id": attempt(again),
        "billed at last": _bill(account, draft, once),
        "deleted with a price": attempt(lambda: products.delete(listed)),
    }


@experiment
def archived_product(account: Account) -> Observed:
    """A product that is archived cannot be billed."""
    draft = account.draft(account.customer())
    product = account.product()
    account.v1.products.update(product, {"active": False})
    return {"billed": _bill(account, draft, product)}


@experiment
def longest_texts(account: Account) -> Observed:
    """Names have 250 characters, lines 500, memos 1,500, footers 5,000."""
    draft = account.draft(account.customer())

    def name(length: int) -> str:
        return attempt(lambda: account.product(name=MARK.ljust(length, "n")))

    def line(length: int) -> str:
        return attempt(
            lambda: account.add_lines(draft.id, [{"amount": 1, "description": "l" * length}])
        )

    def text(field: str, length: int) -> str:
        return attempt(lambda: account.v1.invoices.update(draft.id, {field: "t" * length}))

    return {
        "name": {"250": name(250), "251": name(251)},
        "line": {"500": line(500), "501": line(501)},
        "memo": {"1500": text("description", 1500), "1501": text("description", 1501)},
        "footer": {"5000": text("footer", 5000), "5001": text("footer", 5001)},
    }
