"""Say which Stripe customers Accounts are."""

from typing import Annotated

from pydantic import Field

from invoicing.domain.forms.customer_links import read_requests
from invoicing.domain.forms.outcomes import LinkOutcome
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow
from tasks.runtime.run_name import name_run
from tasks.sending.link_customers import check_links, link, outcome, publish_links, what_is_asked

EXAMPLE = """account,customer
Acme Corporation,cus_NffrFeUfNV2Hib
Globex,new
"""


@invoicing_flow("link customers")
def link_customer(
    account: Annotated[str, Field(examples=["001Hs00003XyZaBIAV", "Acme Corporation"])] = "",
    customer: Annotated[str, Field(examples=["cus_NffrFeUfNV2Hib"])] = "",
    new_customer: bool = False,
    csv: Annotated[str, Field(examples=[EXAMPLE])] = "",
    all_or_nothing: bool = True,
) -> LinkOutcome:
    """Say which Stripe customer an Account is billed as: one that is there, or a new one.

    Sending asks for it where Stripe has customers under the Account's e-mail address already. One
    Account is one customer. Invoices that were made before stay with the customer they name.

    Args:
        account: The Account in Salesforce: its id or its exact name.
        customer: Stripe's id of the customer that it is (cus_…). Empty for a new one, below.
        new_customer: Whether a new customer is made, because it is none of those in Stripe.
        csv: Instead, many at once: a row of titles, then one row for each Account. Columns:
            account, customer (an id, or the word new).
        all_or_nothing: Link none where anything is wrong; else link those that are right.
    """
    verify_environment()
    requested = read_requests(account, customer, csv, new=new_customer)
    name_run(f"link {what_is_asked(requested)}")
    checked = check_links(requested)
    results = link(checked, all_or_nothing=all_or_nothing)
    publish_links(results)
    return outcome(results)
