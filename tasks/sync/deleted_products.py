"""Products that Salesforce has no longer: their lines in Stripe still name them.

No lookup can hold back the deletion of a product: Salesforce empties it on the lines. Nobody can
write it there again, so that it is no difference from then on.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from invoicing.domain.salesforce.line_mirror import Kept, MirroredLine, facts_on_record, product_of
from invoicing.domain.stripe.resources import StripeLine
from invoicing.ledger import rewritten_values
from invoicing.ledger.models import OrgChange
from tasks.records.rewritten_values import PRODUCT_OF_LINE
from tasks.records.soql_lists import select_in


def deleted_products_of(lines: Iterable[StripeLine]) -> set[str]:
    """The products of some lines in Stripe that Salesforce no longer has."""
    return deleted_products({product for line in lines if (product := product_of(line))})


def deleted_products(product_ids: Collection[str]) -> set[str]:
    """Those of some products that Salesforce no longer has."""
    there = {row["Id"] for row in select_in("Product2", "Id", sorted(product_ids), ("Id",))}
    return set(product_ids) - there


def without_products(lines: Sequence[MirroredLine], gone: Collection[str]) -> list[MirroredLine]:
    """Lines as a record can have them: of a product that is gone they name none."""
    return [
        MirroredLine(line.facts._replace(product=""), None) if line.product_id in gone else line
        for line in lines
    ]


def without_deleted_products(
    lines: Sequence[MirroredLine],
    rows: Sequence[Mapping[str, Any]],
    record_id: str,
    currency: str,
    kept: Kept,
) -> list[MirroredLine]:
    """Lines as a record can have them; what it cannot is remembered, for whatever compares.

    Args:
        lines: Stripe's.
        rows: The record's, as they were written.
        record_id: The record.
        currency: The invoice's.
        kept: What the org keeps.
    """
    by_key = {facts_on_record(row, currency, kept).key: row for row in rows}
    emptied = {
        by_key[line.facts.key]["Id"]: line.product_id
        for line in lines
        if line.product_id and line.facts.key in by_key
        if not by_key[line.facts.key].get("Product__c")
    }
    if not emptied:
        return list(lines)
    gone = deleted_products(set(emptied.values()))
    rewritten_values.remember(
        [(id_, PRODUCT_OF_LINE) for id_ in emptied],
        [
            OrgChange(
                record_id=id_,
                field=PRODUCT_OF_LINE,
                invoice_id=record_id,
                written=product,
                saved=None,
            )
            for id_, product in emptied.items()
            if product in gone
        ],
    )
    return without_products(lines, gone)
