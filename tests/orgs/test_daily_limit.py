"""Salesforce's calls of 24 hours are used up, at any call of a flow; and come back."""

from itertools import count

import pytest

from invoicing.connectors import salesforce, stripe
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.errors import Throttled
from invoicing.ledger import links
from tests.conftest import Sandbox
from tests.faults.process_patches import without_prefect
from tests.faults.runner import deployed, outcome_of
from tests.faults.stories import draft, sent
from tests.orgs.conftest import Enter
from tests.orgs.org_world import let_time_pass

USED_UP = "calls of 24 hours are used up"
BEGINNINGS = {"send-invoice": draft, "void-invoice": sent}
ENDS = {"send-invoice": "Open", "void-invoice": "Void"}
MAILS = {"send-invoice": 1, "void-invoice": 0}


@pytest.mark.parametrize("flow", BEGINNINGS)
def test_what_was_reached_is_said_and_nothing_is_done_twice(
    enter: Enter, stripe_sandbox: Sandbox, flow: str
) -> None:
    """With one call left, with two, and so on: refused in words, or done; once more, and done.

    What was done in Stripe is never called failed.
    """
    sandbox = enter(["plain"]).sandbox
    deployed()
    with without_prefect():
        for calls in count(1):
            name = BEGINNINGS[flow]()
            let_time_pass()
            before, used = _letters(stripe_sandbox), sandbox.admin("GET", "limits")["used"]
            sandbox.admin("POST", "limits", allowance=used + calls, enforced=True)
            first = outcome_of(flow, invoice=name)
            met = sandbox.admin("GET", "limits")["used"] == used + calls
            sandbox.admin("POST", "limits")
            let_time_pass()
            done = _in_stripe(name) == ENDS[flow].lower()
            assert isinstance(first, Throttled) == (not done), (calls, first)
            shown = _in_salesforce(name) == ENDS[flow]
            assert shown or USED_UP in str(getattr(first, "sentence", first)), calls
            if not done:
                outcome_of(flow, invoice=name)
            outcome_of("poll-events")
            assert _in_salesforce(name) == ENDS[flow], calls
            assert _letters(stripe_sandbox) - before == MAILS[flow], calls
            if not met:
                break


def _letters(sandbox: Sandbox) -> int:
    return len(sandbox.admin("GET", "mail")["data"])


def _in_salesforce(name: str) -> str:
    asked = Query("Stripe_Invoice__c", ["Id", "Status__c"], where=equals("Name", name))
    [row] = salesforce.client().query(asked)
    return str(row["Status__c"])


def _in_stripe(name: str) -> str:
    asked = Query("Stripe_Invoice__c", ["Id"], where=equals("Name", name))
    [row] = salesforce.client().query(asked)
    stripe_id = links.stripe_id(row["Id"])
    invoice = stripe.client().invoice(stripe_id) if stripe_id else None
    return str(invoice["status"]) if invoice else ""
