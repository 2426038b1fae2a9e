"""Write down what is held of one customer."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.forms.parameters import AccountId
from tasks.personal_data.known_as import check_id
from tasks.personal_data.one_customer import export
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("export what is held of {account}")
def export_customer(account: AccountId) -> Outcome:
    """Write everything that is held here of one customer into a file that only its owner reads.

    The file lies on the worker, in the folder of reports; no page of the run has a copy. It has the
    ledger's rows, and what runs, logs, pages and drift lists say of this customer and of nobody
    else. What Stripe and Salesforce hold is exported there.

    Args:
        account: The id of the Account in Salesforce: it begins with 001 and stands in the address
            of the Account's page. No name: it would itself be kept here.
    """
    verify_environment()
    place = export(check_id(account))
    return Outcome(
        sentence=(
            f"What is held here of {account} is in {place}. Only the worker's user reads it. Hand "
            "it over and delete it. What Stripe and Salesforce hold is exported there."
        )
    )
