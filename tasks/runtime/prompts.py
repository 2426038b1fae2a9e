"""Questions to people: each is a run input, and the run ends until it is answered.

Suspended, a run has no process and holds nothing; it survives restarts of everything. Answered,
it begins again and finds its earlier answers where Prefect keeps them. Only runs of deployments
can be suspended.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar, cast

from prefect import task
from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.input.actions import read_flow_run_input
from pydantic import ValidationError

from invoicing.connectors.salesforce import quoted
from invoicing.domain.forms.parameters import AccountReference
from invoicing.domain.forms.wizard import Answer, Catalogue, Dialogue, Order, Question, review
from invoicing.domain.model.invoice import Account
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.records.invoices import (
    Draft,
    find_accounts,
    prepare_draft,
    price_book_entries,
    today,
)
from tasks.runtime.retries import CACHED
from tasks.runtime.run import run_id

T = TypeVar("T")


class Prompts:
    """The questions of a run in their order, answered or not."""

    def __init__(self, name: str, answers: Sequence[Answer] = ()) -> None:
        """Begin at the first question.

        Args:
            name: Tells these questions from others of the same run.
            answers: What was answered beforehand, in the order of the questions.
        """
        self._name = name
        self._beforehand = answers
        self._asked = 0

    def run(self, dialogue: Dialogue[T]) -> T:
        """Run a dialogue as far as it is answered; suspends the run at what is not.

        Returns:
            The dialogue's result.
        """
        try:
            question = next(dialogue)
            while True:
                question = dialogue.send(self.ask(question))
        except StopIteration as end:
            result: T = end.value
            return result

    def ask(self, question: Question) -> Answer:
        """The answer to the next question; suspends the run if there is none yet.

        A run that died after its suspension and before its form was stored asks again.

        Raises:
            Rejected: this run is of no deployment, so nobody can be asked.
        """
        self._asked += 1
        if self._asked <= len(self._beforehand):
            return self._beforehand[self._asked - 1]
        for attempt in count(1):
            key = f"{self._name}-{self._asked}-{attempt}"
            answer = _answer(key)
            if answer is not None:
                return answer
            with suppress(ValidationError):
                _suspend(question, key)
        raise AssertionError

    def has_later_answer(self) -> bool:
        """Whether another question has been asked and answered already."""
        after = self._asked + 1
        if after <= len(self._beforehand):
            return True
        return _answer(f"{self._name}-{after}-1") is not None


def _answer(key: str) -> Answer | None:
    return cast(Answer | None, read_flow_run_input(f"suspended-{key}-response"))


def _suspend(question: Question, key: str) -> None:
    form = RunInput.subclass_from_base_model_type(question.form)
    try:
        suspend_flow_run(
            wait_for_input=form.with_initial_data(description=question.text),
            key=key,
            timeout=settings().dialogues.timeout_seconds,
        )
    except RuntimeError as error:
        raise Rejected(
            f"A question has to be answered, and nobody can be asked here: {error} Start the "
            "flow's deployment."
        ) from error


@task(task_run_name="look for the Account {word}", **CACHED)
def look_for_account(word: AccountReference) -> list[Account]:
    """The Accounts that a word may mean: the one it names, else those it is a part of."""
    exact = find_accounts(f"Name = {quoted(word)}") if not _is_id(word) else []
    if _is_id(word):
        exact = find_accounts(f"Id = {quoted(word)}")
    if len(exact) == 1:
        return exact
    part = quoted(f"%{word.replace('%', '').replace('_', ' ')}%")
    return find_accounts(f"Name LIKE {part}", limit=100)


def _is_id(word: str) -> bool:
    return word.isalnum() and len(word) in (15, 18) and word.startswith("001")


@task(task_run_name="open the price book", **CACHED)
def open_price_book(account: Account) -> Catalogue:
    """What there is to be sold to an Account, at which prices, on this day."""
    book = price_book_entries(account.currency, account=account)
    entries = [entry for entry in book if entry.active]
    entries.sort(key=lambda entry: (entry.name.casefold(), entry.product_id))
    return Catalogue(account, account.currency, tuple(entries), today())


def settle(prompts: Prompts, catalogue: Catalogue, order: Order | None) -> Draft | None:
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
                    catalogue.account.id,
                    order.description,
                    order.due_date,
                    order.items,
                    catalogue.currency,
                    key=run_id(),
                )
            except Rejected as refusal:
                reasons = refusal.reasons
        order = prompts.run(review(catalogue, order, reasons))
    return None
