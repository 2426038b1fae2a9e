"""Erase one customer."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.forms.parameters import AccountId
from tasks.personal_data.known_as import check_id
from tasks.personal_data.one_customer import erase
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("erase {account}")
def erase_customer(account: AccountId) -> Outcome:
    """Erase what is held here of one customer, and keep what accounts and exactly-once rest on.

    Erase it in Stripe and in Salesforce first: what they tell comes in again. It is refused while
    anything is open: a draft, an unpaid invoice, a dispute, an event, a run. There is no way back.
    Run again, it erases what has come in since.

    Args:
        account: The id of the Account in Salesforce: it begins with 001 and stands in the address
            of the Account's page. No name: it would itself be kept here.
    """
    verify_environment()
    erased = erase(check_id(account))
    return Outcome(
        sentence=(
            f"Erased here: {erased}. Kept: ids, amounts, states and moments, "
            "so that nothing is billed, mailed or refunded again. The invoices themselves, which "
            "the law asks to be kept for years, are in Stripe and Salesforce, and are erased there."
        )
    )
