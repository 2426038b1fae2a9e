"""Opportunities that were won, and the drafts that bill them."""

from collections.abc import Iterable, Mapping, Sequence

from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Record
from invoicing.domain.forms.invoice_table import MAX_INVOICES
from invoicing.domain.model.invoice import Account, Content, Line
from invoicing.domain.model.invoice_details import Discount
from invoicing.domain.model.record_ids import looks_like_id, short
from invoicing.domain.model.status import Status
from invoicing.domain.model.wording import caseless
from invoicing.domain.salesforce import record
from invoicing.errors import Rejected
from tasks.drafting.bulk_checks import BulkItem, Defaults, checked
from tasks.records.accounts import read_accounts
from tasks.records.org_facts import org_currency
from tasks.records.soql_lists import select_in
from tasks.runtime.step import step


@step("check the Opportunities")
def check_opportunities(references: Sequence[str], defaults: Defaults) -> list[BulkItem]:
    """Check Opportunities and their products, in a few queries for all of them.

    Each is billed once, whoever asks: its id is its draft's key.
    """
    words = list(dict.fromkeys(filter(None, map(str.strip, references))))
    if len(words) > MAX_INVOICES:
        raise Rejected(
            f"{len(words):,} Opportunities are too many; {MAX_INVOICES:,} go in one run."
        )
    named = _opportunities(words)
    wrong = [
        BulkItem(f"Opportunity {word!r}", "", problems=(f"Opportunity {word!r}: {found}",))
        for word, found in named.items()
        if isinstance(found, str)
    ]
    found = {row["Id"]: row for row in named.values() if not isinstance(row, str)}
    products, billed = _products(found), _billed_otherwise(found)
    customers = read_accounts(row["AccountId"] or "" for row in found.values())
    return wrong + [
        _of_opportunity(
            row, products.get(id_, []), billed.get(id_), customers[row["AccountId"] or ""], defaults
        )
        for id_, row in found.items()
    ]


def _opportunities(words: Sequence[str]) -> dict[str, Record | str]:
    """The Opportunity that each word names, by id or exact name, or why there is none."""
    ids = [word for word in words if looks_like_id(word, "006")]
    fields = ["Id", "Name", "AccountId", "StageName", "IsWon", "IsClosed", *org_currency().fields]
    found: dict[str, dict[str, Record]] = {}
    for column, some in (("Id", ids), ("Name", [word for word in words if word not in ids])):
        for row in select_in("Opportunity", column, some, fields):
            word = short(row["Id"]) if column == "Id" else caseless(row["Name"])
            found.setdefault(word, {})[row["Id"]] = row
    return {
        word: _only(found.get(short(word) if word in ids else caseless(word), {})) for word in words
    }


def _only(found: Mapping[str, Record]) -> Record | str:
    if len(found) > 1:
        return f"{len(found)} are called so; use the Opportunity's id."
    for row in found.values():
        return row
    return "there is none in Salesforce."


def _products(ids: Iterable[str]) -> dict[str, list[Record]]:
    """The products of Opportunities, in their order."""
    rows: dict[str, list[Record]] = {}
    fields = (
        *("OpportunityId", "Product2Id", "Product2.Name"),
        *("Quantity", "UnitPrice", "Discount", "Description"),
    )
    order = "OpportunityId, SortOrder NULLS LAST, CreatedDate, Id"
    for row in select_in("OpportunityLineItem", "OpportunityId", ids, fields, order=order):
        rows.setdefault(row["OpportunityId"], []).append(row)
    return rows


def _billed_otherwise(ids: Iterable[str]) -> dict[str, str]:
    """The names of invoices that people raised on Opportunities, by Opportunity.

    Nobody can tell whether these bill its products. What is void or deleted bills nothing.
    """
    if not salesforce.client().keeps(record.INVOICE, record.OPPORTUNITY):
        return {}
    fields = ("Name", record.OPPORTUNITY, record.LOCAL_KEY, record.STATUS)
    rows = select_in(record.INVOICE, record.OPPORTUNITY, ids, fields)
    return {
        row[record.OPPORTUNITY]: row["Name"]
        for row in rows
        if row[record.LOCAL_KEY] != _key(row[record.OPPORTUNITY])
        and row[record.STATUS] not in (Status.VOID, Status.DELETED)
    }


def _key(opportunity_id: str) -> str:
    return f"opportunity-{opportunity_id}"


def _of_opportunity(
    row: Record,
    products: Sequence[Record],
    by_hand: str | None,
    customer: Account | str,
    defaults: Defaults,
) -> BulkItem:
    where, key = f"Opportunity {row['Name']!r}", _key(row["Id"])
    problems = []
    if by_hand:
        problems.append(
            f"{by_hand} was raised on it already, by hand. If that bills something else, clear the "
            f"field Opportunity on {by_hand}; else there is nothing to do."
        )
    if not (row["IsWon"] and row["IsClosed"]):
        problems.append(f"it is in stage {row['StageName']!r}; only one that is won can be billed.")
    if not products:
        problems.append("it has no products; add some, or raise the invoice by hand.")
    content = Content(
        currency=org_currency().of(row),
        description=defaults.description or row["Name"],
        due_date=defaults.due_date,
        lines=tuple(_line(key, number, product) for number, product in enumerate(products, 1)),
        details=defaults.details,
    )
    billed = customer if row["AccountId"] else "it has no Account."
    draft, wrong = checked(key, billed, content, opportunity=row["Id"])
    problems += [p for p in wrong if products or not p.startswith("The invoice has no")]
    placed = tuple(f"{where}: {problem}" for problem in problems)
    return BulkItem(where, key, None if placed else draft, placed)


def _line(key: str, number: int, product: Record) -> Line:
    percent = product["Discount"]
    return Line(
        key=f"{key}-{number}",
        position=number,
        description=product["Description"] or "",
        quantity=record.number(product["Quantity"]),
        unit_price=record.number(product["UnitPrice"] or 0),
        product_id=product["Product2Id"],
        product_name=(product["Product2"] or {}).get("Name", ""),
        discount=Discount(percent=record.number(percent)) if percent else None,
    )
