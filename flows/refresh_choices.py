"""Refresh the products that forms offer to choose from."""

from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.model.wording import counted
from tasks.drafting.product_options import MAX_CHOICES, publish_choices, read_choices
from tasks.records.environment_check import verify_environment
from tasks.runtime.flow import invoicing_flow


@invoicing_flow("refresh the forms' choices")
def refresh_choices() -> Outcome:
    """Put Salesforce's active products into the forms, as a list to choose from.

    Each hour, and by hand whenever the forms should know of a new product at once. A product
    that is not in the list yet can be typed; whether it can be sold is checked in any case.
    """
    verify_environment()
    choices = read_choices()
    changed = publish_choices(choices)
    offered = f"{counted(len(choices), 'product')} to choose from"
    if not choices:
        offered = f"No list of products, because there are none or more than {MAX_CHOICES}"
    return Outcome(sentence=f"{offered}; forms changed: {', '.join(changed) or 'none'}.")
