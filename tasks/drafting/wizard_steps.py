"""Steps of the wizard: find the Account, open its price book, check the order in the end."""

from invoicing.domain.forms.parameters import AccountReference
from invoicing.domain.forms.wizard import Order, WizardContext, review
from invoicing.domain.model.invoice import Account
from invoicing.domain.model.record_ids import looks_like_id
from invoicing.domain.salesforce.queries import Comparison, equals
from invoicing.errors import Rejected
from tasks.drafting.draft_record import Draft, prepare_draft
from tasks.records.accounts import find_accounts
from tasks.records.price_books import price_book_entries
from tasks.runtime.clock import today
from tasks.runtime.prompts import Prompts
from tasks.runtime.run_name import run_id
from tasks.runtime.step import step


@step("look for the Account {word}", cached=True)
def look_for_account(word: AccountReference) -> list[Account]:
    """The Accounts that a word may mean: the one it names, else those it is a part of."""
    column = "Id" if looks_like_id(word, "001") else "Name"
    exact = find_accounts(equals(column, word))
    if len(exact) == 1:
        return exact
    part = f"%{word.replace('%', '').replace('_', ' ')}%"
    return find_accounts(Comparison("Name", "LIKE", part), limit=100)


@step("open the price book", cached=True)
def open_price_book(account: Account) -> WizardContext:
    """WizardContext of an Account: products and prices on this day."""
    book = price_book_entries(account.currency, account=account)
    entries = [entry for entry in book if entry.active]
    entries.sort(key=lambda entry: (entry.name.casefold(), entry.product_id))
    return WizardContext(account, account.currency, tuple(entries), today())


def confirm_order(prompts: Prompts, context: WizardContext, order: Order | None) -> Draft | None:
    """Check a confirmed order as any form is checked, and ask again if it is refused.

    What was answered afterwards shows that it was: whether a product can be sold may change
    from one day to the next, and what was said must keep its meaning.
    """
    while order is not None and order.due_date:
        if prompts.has_later_answer():
            reasons = ["It could not be raised as it was."]
        else:
            try:
                return prepare_draft(
                    context.account.id,
                    order.description,
                    order.due_date,
                    order.items,
                    context.currency,
                    key=run_id(),
                )
            except Rejected as refusal:
                reasons = refusal.reasons
        order = prompts.run(review(context, order, reasons))
    return None
