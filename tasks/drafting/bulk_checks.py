"""Many drafts that are asked for at once: what all have in common, and what is wrong with one."""

from dataclasses import dataclass
from datetime import date

from invoicing.domain.forms.draft_lines import chosen_details
from invoicing.domain.forms.parameters import Options
from invoicing.domain.model.invoice import Account, Content, draft_problems
from invoicing.domain.model.invoice_details import Details
from invoicing.errors import Rejected
from tasks.drafting.draft_record import Draft, options_problems
from tasks.runtime.clock import today
from tasks.runtime.step import step


@dataclass(frozen=True, slots=True)
class Defaults:
    """Values of drafts that name no others."""

    description: str
    due_date: date | None
    details: Details


@dataclass(frozen=True, slots=True)
class BulkItem:
    """An invoice that is requested.

    Attributes:
        where: Its rows or its Opportunity, for people.
        key: Its local key; empty where there is nothing to raise.
        draft: What is to be written, unless something is wrong.
        problems: Everything that is wrong.
        asked: Fingerprint of what is asked for, where the same request may ask for it once.
    """

    where: str
    key: str
    draft: Draft | None = None
    problems: tuple[str, ...] = ()
    asked: str = ""


@step("check the options")
def choose_defaults(description: str, due_date: date | None, options: Options) -> Defaults:
    """Check the values that are given for all drafts at once.

    Raises:
        Rejected: with everything that is wrong with the options.
    """
    details = chosen_details(options)
    if problems := options_problems(details):
        raise Rejected(problems)
    return Defaults(description.strip(), due_date, details)


def checked(
    key: str, customer: Account | str, content: Content, opportunity: str | None = None
) -> tuple[Draft | None, list[str]]:
    """The draft of a requested invoice, and everything that is wrong: then there is no draft."""
    problems = [customer] if isinstance(customer, str) else []
    problems += draft_problems(content, today())
    if problems or isinstance(customer, str):
        return None, problems
    return Draft(key, customer, content, opportunity=opportunity), []
