"""One trace from what was heard to the calls of both services, which names nobody."""

from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from deployments.local.stack import (
    PORTS,
    SALESFORCE_KEY,
    SALESFORCE_ORG,
    SALESFORCE_SECRET,
    STRIPE_KEY,
    Stack,
)
from deployments.local.waiting import eventually
from tests.journeys.api_user import SalesforceUsers
from tests.otlp_collector import Collector, Seen, collecting

pytestmark = pytest.mark.long

WAIT = 120.0


@dataclass(frozen=True)
class Traced:
    """An invoice that was sent by a button, and everything that was sent to the collector."""

    people: SalesforceUsers
    collector: Collector

    def calls(self, service: str, way: list[str]) -> list[Seen]:
        """Calls of a service that a way of spans has led to."""

        def is_led_to(span: Seen) -> bool:
            names = iter(self.collector.way_to(span))
            return all(name in names for name in way)

        return [each for each in self.collector.spans() if service in each.url and is_led_to(each)]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """The stack with traces on and without the schedule of the listener's flow."""
    free = dict.fromkeys(PORTS, 0)
    with collecting() as collector:
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
        with Stack(tmp_path_factory.mktemp("stack"), ports=free, settings=on) as stack:
            api = httpx.Client(base_url=stack.urls.prefect_api, timeout=60)
            for flow in ("watch-salesforce", "handle-events"):
                found = api.get(f"/deployments/name/{flow}/{flow}").json()
                api.patch(f"/deployments/{found['id']}", json={"paused": True}).raise_for_status()
            people = SalesforceUsers(stack)
            until_idle(api)  # what the listener starts when it begins knows of no event
            request = people.press_send(people.draft())
            said = eventually(lambda: people.outcome(request), WAIT)
            assert said.startswith("Done: ")
            again = people.press_send(people.org.find("SELECT Id FROM Stripe_Invoice__c")[0]["Id"])
            assert eventually(lambda: people.outcome(again), WAIT).startswith("Refused: ")
            yield Traced(people, collector)


def until_idle(api: httpx.Client) -> None:
    """Wait until the flow that takes requests up has run, and no run of it is left."""

    def idle() -> bool:
        flow = {"deployments": {"name": {"any_": ["watch-salesforce"]}}}
        states = [run["state_type"] for run in api.post("/flow_runs/filter", json=flow).json()]
        return bool(states) and set(states) == {"COMPLETED"}

    eventually(idle, WAIT)


def test_a_button_is_followed_to_stripe(traced: Traced) -> None:
    """From the listener's event over both flows to the call that mails."""
    stripe = traced.people.stack.urls.stripe
    way = ["hear of requests", "start watch-salesforce", "watch-salesforce", "send-invoice", "mail"]
    [call] = eventually(lambda: traced.calls(f"{stripe}/v1/", way), WAIT)
    assert call.url == f"{stripe}/v1/invoices/{{}}/send"
    assert call.attributes["http.response.status_code"] == 200


def test_a_webhook_is_followed_to_both_services(traced: Traced) -> None:
    """From Stripe's request over the flow that it started to what is read and written."""
    urls = traced.people.stack.urls
    way = ["POST webhook", "start handle-events", "handle-events"]
    for service in (f"{urls.stripe}/v1/", f"{urls.salesforce}/services/data/"):
        assert eventually(lambda service=service: traced.calls(service, way), WAIT)  # type: ignore[misc]


def test_events_that_share_a_run_are_linked(traced: Traced) -> None:
    """Each event's trace leads to the run that handles it: as a part of it, or by a link."""

    def all_lead_on() -> bool:
        spans = traced.collector.spans()
        heard = {span.trace for span in spans if span.name == "POST webhook"}
        starts = [span for span in spans if span.name == "start handle-events"]
        led_on = {span.trace for span in starts} | {one for span in starts for one in span.links}
        return bool(heard) and heard <= led_on

    eventually(all_lead_on, WAIT)


def test_a_refusal_is_a_failed_span(traced: Traced) -> None:
    """Prefect calls it good, because the flow has returned."""

    def refused() -> bool:
        spans = traced.collector.spans()
        return any(span.name == "send-invoice" and span.failed for span in spans)

    eventually(refused, WAIT)


def test_no_span_names_anybody_or_opens_anything(traced: Traced) -> None:
    """Names, addresses, keys, tokens, queries and texts of errors stay here."""
    people, stack = traced.people, traced.people.stack
    assert eventually(lambda: traced.calls(f"{stack.urls.stripe}/v1/", ["handle-events"]), WAIT)
    accounts = people.org.find("SELECT Name, Invoice_Email__c FROM Account")
    assert accounts
    secrets = [
        *(account[field] for account in accounts for field in ("Name", "Invoice_Email__c")),
        *(STRIPE_KEY, SALESFORCE_KEY, SALESFORCE_SECRET, stack.urls.webhook_token),
        SALESFORCE_ORG[:15],  # each of its sessions begins with it
        *stack.environment["INVOICING_STRIPE__WEBHOOK_SECRETS"].strip('[]"').split('","'),
        *("SELECT", "November services", "INV-0001", "@"),
    ]
    sent = traced.collector.text()
    assert [secret for secret in secrets if secret and secret in sent] == []
