"""Which Stripe customer an Account is said to be: by a form, or by a table of many."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from invoicing.domain.forms.table_text import plain_title, read_text
from invoicing.errors import Rejected

MAX_LINKS = 1_000
"""Accounts of one run: each costs a few calls to both services."""

NEW = "new"
"""What stands in a table where no customer in Stripe is the Account."""

ALIASES: Mapping[str, Sequence[str]] = {
    "account": ("account name", "account id"),
    "customer": ("customer id", "stripe customer", "stripe customer id"),
}
"""Other names of the columns, whatever their case, underscores and blanks."""

COLUMNS = {
    plain_title(title): name for name, others in ALIASES.items() for title in (name, *others)
}


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """An Account, and the customer that it is said to be; None for a new one."""

    where: str
    account: str
    customer: str | None


def read_requests(account: str, customer: str, csv: str, *, new: bool) -> list[LinkRequest]:
    """What a form asks for.

    Args:
        account: As people name it.
        customer: Stripe's id of one.
        csv: A table of many, instead of the others.
        new: Whether a new customer is asked for.

    Raises:
        Rejected: with everything that is wrong with the form as such.
    """
    account, customer = account.strip(), customer.strip()
    if csv.strip():
        if account or customer or new:
            raise Rejected("Give one Account, or a table; not both.")
        return _read_table(csv)
    problems = [] if account else ["Account is missing; give its id or its exact name."]
    if bool(customer) == new:
        problems.append("Give the Customer that it is, or choose New customer; one of the two.")
    if problems:
        raise Rejected(problems)
    return [LinkRequest(account, account, None if new else customer)]


def _read_table(csv: str) -> list[LinkRequest]:
    sheet = read_text(csv, COLUMNS)
    names = [COLUMNS.get(plain_title(title), "") for title in sheet.titles]
    if sorted(names) != sorted(ALIASES):
        raise Rejected("The table needs two columns and no others: account, customer.")
    requests, problems = [], []
    for number, row in sheet.rows:
        cells = dict(zip(names, map(str.strip, row), strict=False))
        missing = [name for name in ALIASES if not cells.get(name)]
        if len(row) > len(names):
            problems.append(f"Row {number}: there are more cells than columns; quote texts.")
        elif missing:
            problems.append(f"Row {number}: the {missing[0]} is missing.")
        else:
            customer = None if cells["customer"].casefold() == NEW else cells["customer"]
            requests.append(LinkRequest(f"Row {number}", cells["account"], customer))
    if len(requests) > MAX_LINKS:
        problems.append(
            f"The table has {len(requests):,} rows; {MAX_LINKS:,} go in one run. Divide it."
        )
    if problems or not requests:
        raise Rejected(problems or "The table has no rows; write one for each Account.")
    return requests
