"""What invoices refer to: products, coupons, tax rates."""

from collections.abc import Iterable
from contextlib import suppress

import stripe
from more_itertools import chunked

from invoicing.connectors.stripe.connection import Connection
from invoicing.connectors.stripe.errors import AlreadyThere, translated_errors
from invoicing.connectors.stripe.reading import PAGE_SIZE, read, read_each, read_if_there
from invoicing.domain.stripe.resources import Coupon, Product, TaxRate
from invoicing.errors import Conflict


class Catalogue(Connection):
    """The products, coupons and tax rates of an account."""

    def products(self, product_ids: Iterable[str]) -> list[Product]:
        """Those of some products that exist, archived ones included."""
        doing, asked = "read the products", self._v1.products.list
        return [
            product
            for some in chunked(product_ids, PAGE_SIZE)
            for product in read_each(doing, Product, asked, {"ids": some, "limit": PAGE_SIZE})
        ]

    def create_product(self, product_id: str, name: str) -> None:
        """Create a product under this id, unless it exists.

        The id makes creating it twice impossible. A key of ours would only make Stripe repeat
        a failed answer for a day, or the product's that was deleted since.
        """
        with suppress(AlreadyThere), translated_errors("create the product"):
            self._v1.products.create({"id": product_id, "name": name})

    def update_product(self, product_id: str, params: "stripe.params.ProductUpdateParams") -> None:
        """Set fields of a product; the same update twice is one."""
        with translated_errors("update the product"):
            self._v1.products.update(product_id, params)

    def ensure_coupon(self, coupon_id: str, params: "stripe.params.CouponCreateParams") -> None:
        """Make sure that a coupon of these terms exists under this id.

        The id makes creating it twice impossible, and the terms of a coupon never change.

        Raises:
            Conflict: somebody made a coupon of other terms under this id.
        """
        try:
            with translated_errors("create the coupon"):
                self._v1.coupons.create({**params, "id": coupon_id})
        except AlreadyThere as error:
            found = read("read the coupon", Coupon, self._v1.coupons.retrieve, coupon_id)
            wanted = [params.get("percent_off"), params.get("amount_off"), params.get("currency")]
            there = [found["percent_off"], found["amount_off"], found["currency"]]
            if not found["valid"] or there != wanted:
                raise Conflict(
                    f"Stripe's coupon {coupon_id} is not what its id says; delete it there, and "
                    "it will be made again."
                ) from error

    def tax_rate(self, rate_id: str) -> TaxRate | None:
        """A tax rate, or None when there is none of this id."""
        return read_if_there("read the tax rate", TaxRate, self._v1.tax_rates.retrieve, rate_id)
