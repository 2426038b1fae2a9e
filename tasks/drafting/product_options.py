"""Steps on the forms' choices: which products there are to pick, and into which forms they go."""

from collections.abc import Sequence

from prefect.logging import get_run_logger

from invoicing.connectors import prefect, salesforce
from invoicing.domain.forms.product_options import Product, choices_of, with_choices
from invoicing.domain.salesforce.queries import Query, all_of, equals, is_in
from invoicing.mapping import org_field_reader
from tasks.records.price_books import price_book_condition
from tasks.runtime.step import step

FORMS = ("raise-invoice", "revise-invoice")
"""The deployments whose forms name products."""

MAX_CHOICES = 500
"""Products that a list in a form may have: the browser draws all of them for each line."""


@step("read the products")
def read_choices() -> list[str]:
    """Products to pick: those active in the price books that invoices use.

    Returns:
        A word for each product that means no other; none if there are too many to choose from.
    """
    by_account = org_field_reader().mapping.price_book.account_field
    books = equals("Pricebook2.IsActive", True) if by_account else price_book_condition(None)
    active = equals("IsActive", True)
    entries = Query("PricebookEntry", ["Product2Id"], where=all_of(active, books))
    found = salesforce.client().query(
        Query(
            "Product2",
            ["Id", "Name", "ProductCode"],
            where=all_of(active, is_in("Id", entries)),
            order="Name, Id",
            limit=MAX_CHOICES + 1,
        )
    )
    if len(found) > MAX_CHOICES:
        get_run_logger().warning(
            "There are more than %s products, too many for a list: the forms ask for the "
            "product's name, code or id.",
            MAX_CHOICES,
        )
        return []
    return choices_of(
        [Product(row["Id"], row.get("ProductCode") or "", row["Name"]) for row in found]
    )


@step("publish the product options")
def publish_choices(choices: Sequence[str]) -> list[str]:
    """Put the choices into the forms; returns the deployments that had others before."""
    server = prefect.client()
    changed = []
    for flow, form in server.forms(FORMS).items():
        wanted = with_choices(form, choices)
        if wanted != form:
            server.set_form(flow, wanted)
            changed.append(flow)
    return sorted(changed)
