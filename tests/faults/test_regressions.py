"""What the machine found, each with the schedule that found it, so that it stays mended."""

import pytest

from tests.faults.faults import KINDS, at_call
from tests.faults.schedules import Schedule, Sites, perform
from tests.faults.world_pool import WorldPool
from tests.faults.worlds import DAY

pytestmark = pytest.mark.long

LATE_DRAFT = KINDS["came late"] | {"path": "/v1/invoices", "method": "POST", "count": 1}
LATE_ADDRESSES = KINDS["came late"] | {"path": "/v1/customers/*", "method": "POST", "count": 2}

FOUND = [
    pytest.param(
        Schedule(
            "fault:send-invoice:salesforce:0:throttled",
            "send-invoice",
            rules={"salesforce": [at_call("throttled", 0)]},
        ),
        id="a login that is throttled was taken for wrong credentials",
    ),
    pytest.param(
        Schedule(
            "fault:send-invoice:salesforce:0:half an answer",
            "send-invoice",
            rules={"salesforce": [at_call("half an answer", 0)]},
        ),
        id="half an answer to the login was taken for wrong credentials",
    ),
    pytest.param(
        Schedule(
            "random:4000007",
            "send-invoice",
            rules={"stripe": [at_call("half an answer", 4) | {"count": 4}]},
        ),
        id="half an answer of Stripe's was taken for a refusal",
    ),
    pytest.param(
        Schedule(
            "random:11000042",
            "send-invoice",
            rules={"stripe": [LATE_DRAFT]},
        ),
        id="a call under way was taken for over, and made again under another key",
    ),
    pytest.param(
        Schedule(
            "random:11000044",
            "send-invoice",
            rules={"stripe": [KINDS["stored 500"] | {"path": "/v1/products", "count": 1}]},
        ),
        id="a stored 500 kept a product from being made for a day",
    ),
    pytest.param(
        Schedule("stall:send-invoice:40", "send-invoice", seed=41, stall=40),
        id="two processes with one and the same run both held its lease",
    ),
    pytest.param(
        Schedule("stall:full-sync:15", "full-sync", seed=15, stall=15),
        id="a process that was frozen told a change on the timeline again",
    ),
    pytest.param(
        Schedule("random:7000208", "watch-salesforce", seed=7000208, kills=(6, 35), rivals=2),
        id="what two runs read of the action field at the same moment was started twice",
    ),
    pytest.param(
        Schedule(
            "random:1000473",
            "send-reminders",
            seed=1000473,
            kills=(23,),
            arrivals=True,
            pause=31 * DAY,
            again=True,
        ),
        id="a reminder that a dead run had mailed was not noted a month later",
    ),
    pytest.param(
        Schedule(
            "dashboard:16",
            "send-invoice",
            rules={"stripe": [LATE_ADDRESSES]},
        ),
        id="an address was lent a second time, after it was given back",
    ),
    pytest.param(
        Schedule("random:31000046", "rebuild-ledger", kills=(5,), pause=31 * DAY, again=True),
        id="a ledger that was rebuilt was taken for one that had not written",
    ),
]


@pytest.mark.parametrize("schedule", FOUND)
def test_what_was_found_stays_mended(worlds: WorldPool, schedule: Schedule) -> None:
    """The story comes to its own end."""
    verdict = worlds.do(perform, schedule)
    assert verdict.violations == [], verdict


def test_a_full_sync_that_died_after_its_end_is_taken_up_again(
    worlds: WorldPool, sites: dict[str, Sites]
) -> None:
    """It was closed in the ledger, but Prefect never heard of it; the same run begins again."""
    closed = "after commit of UPDATE sync_run"
    last = [label for label in sites["full-sync"].points if label.startswith(closed)][-1]
    verdict = worlds.do(perform, Schedule("kill:full-sync:last", "full-sync", kills=(last,)))
    assert verdict.violations == [], verdict
