"""The name of a run, which every list of runs and the run's own page begin with."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State

from flows.full_sync import full_sync
from flows.send_invoice import send_invoice
from flows.void_invoice import void_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.settings import settings
from tasks.runtime import run_name
from tests.flows.dialogues import Conversation

Raise = Callable[..., InvoiceOutcome]


def name_of(run: UUID | None) -> str:
    """A run's name."""
    assert run
    with get_client(sync_client=True) as client:
        return client.read_flow_run(run).name


def named(state: State[Any]) -> str:
    """The name of the run that ended in a state."""
    return name_of(state.state_details.flow_run_id)


def test_the_name_says_what_came_of_it(draft: Raise) -> None:
    """Sent, refused and swept: whoever looks at a list need not open anything."""
    invoice = draft().name
    refused = named(void_invoice(invoice, return_state=True))
    sent = named(send_invoice(invoice, return_state=True))
    swept = named(full_sync(return_state=True))
    assert refused == (
        f"{invoice} is Draft and cannot be voided. Nothing of it has reached the customer yet: "
        f"revise it, send it or delete it. · void {invoice} for Acme Corporation"
    )
    assert sent == (
        f"{invoice} over 2,450.00 USD was sent to Acme Corporation at billing@acme.example.com."
        f" · send {invoice} to Acme Corporation"
    )
    assert swept == "1 invoice compared, 0 differed. · full sync"


def test_each_step_says_what_it_does_to_the_invoice(
    draft: Raise, caplog: pytest.LogCaptureFixture
) -> None:
    """The steps of a sending, as the graph on the run's page has them from left to right."""
    invoice = draft().name
    caplog.clear()
    send_invoice(invoice)
    ended = [one for one in caplog.records if one.getMessage().startswith("Finished in state")]
    assert [getattr(one, "task_run_name", "") for one in ended[:-1]] == [
        "check that Stripe and Salesforce belong together",
        "find INV-0001",
        "wait until no other run works on it",
        "read the invoice",
        "check that it can be sent",
        "find or create the customer",
        "make sure its products exist in Stripe",
        "create the draft in Stripe",
        "fill in header and lines in Stripe",
        "compare the totals",
        "make the invoice final in Stripe",
        "mail it to billing@acme.example.com",
        "bring records in step with Stripe",
        "link the customer to the Account",
        "write on the record that it was sent",
    ]


def test_a_long_sentence_is_cut_between_words(draft: Raise) -> None:
    """A name is a heading: the whole sentence is in the run's state."""
    state = void_invoice("INV-" + "9 " * 200, return_state=True)
    said = named(state).partition(" · ")[0]
    assert said.endswith("9 …")
    assert len(said) <= run_name.HEADLINE_LENGTH < len(str(state.message))


def test_a_run_that_waits_says_what_it_asks_and_how_to_answer(
    draft: Raise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefect keeps the form behind a menu; once answered, the name says what came of it."""
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", "USD=2000")
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()
    talk = Conversation(send_invoice, invoice=draft().name)
    assert name_of(talk.run) == (
        "Answer by ⋮, Resume: May INV-0001 be sent to Acme Corporation? "
        "· send INV-0001 to Acme Corporation"
    )
    talk.answer(decision="Approve", approver="Anna Ledger")
    assert name_of(talk.run).startswith("INV-0001 over 2,450.00 USD was sent to Acme")
