"""E-mail addresses that customers have for one invoice, and have to get rid of again."""

from sqlmodel import col, delete, select

from invoicing.ledger.database import execute, insert_missing, read_all, read_row, session
from invoicing.ledger.models import LentEmail


def lend(customer_id: str, account_id: str, *, own: str | None, lent: str) -> None:
    """Write down, before it is so, that a customer has another address than its own."""
    loan = LentEmail(customer_id=customer_id, account_id=account_id, own=own, lent=lent)
    with session() as ledger:
        insert_missing(ledger, [loan])


def lent(account_id: str) -> list[LentEmail]:
    """What the customers of an Account have for one invoice."""
    return read_all(select(LentEmail).where(LentEmail.account_id == account_id))


def accounts() -> list[str]:
    """The Accounts whose customers have another address than their own."""
    return sorted(set(read_all(select(LentEmail.account_id))))


def is_known(loan: LentEmail) -> bool:
    """Whether a customer is known to have this very address on loan."""
    known = read_row(LentEmail, loan.customer_id)
    return known is not None and known.lent == loan.lent


def restore(loan: LentEmail) -> None:
    """Write down what a customer has on loan, in place of what it had before."""
    with session() as ledger:
        ledger.merge(loan)


def given_back(customer_id: str) -> None:
    """Write down that a customer has its own address again."""
    execute(delete(LentEmail).where(col(LentEmail.customer_id) == customer_id))
