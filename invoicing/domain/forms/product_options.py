"""Products as choices of a form: what a person picks there, and how the form's schema says so."""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

LISTED_PRODUCT = "Listed product"
OTHER_PRODUCT = "Another product"
"""The two ways to name a product in a form that has choices."""

LINES = frozenset(["LineItem", "LineChange"])
"""The groups of fields that name a product, as the forms' schemas call them."""


@dataclass(frozen=True, slots=True)
class Product:
    """A product that can be sold."""

    id: str
    code: str
    name: str

    @property
    def words(self) -> set[str]:
        """Its name and code, in lower case."""
        return {self.name.casefold(), self.code.casefold()} - {""}


def choices_of(products: Sequence[Product]) -> list[str]:
    """A word for each product that means no other: its name, else its code, else its id."""
    meant = Counter(word for product in products for word in product.words)

    def word(product: Product) -> str:
        known = (product.name, product.code)
        return next((each for each in known if meant[each.casefold()] == 1), product.id)

    return sorted(map(word, products), key=str.casefold)


def with_choices(schema: Mapping[str, Any], choices: Sequence[str]) -> dict[str, Any]:
    """A form's JSON schema whose products are picked from a list, or typed as before.

    Prefect's form shows alternatives as tabs and an enumeration as a list that can be searched.
    The second alternative takes any text: Prefect enforces the schema, and must not refuse a
    product that is newer than the list.

    Args:
        schema: The form's schema, with choices or without.
        choices: What can be picked; none makes the field an ordinary text again.
    """
    changed = deepcopy(dict(schema))
    definitions = changed.get("definitions", {})
    for group in LINES & definitions.keys():
        field = definitions[group]["properties"]["product"]
        field.pop("anyOf", None)
        if choices:
            field["anyOf"] = [
                {"title": LISTED_PRODUCT, "type": "string", "enum": ["", *choices]},
                {"title": OTHER_PRODUCT, "type": "string"},
            ]
    return changed
