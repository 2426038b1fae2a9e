"""The page that people open first."""

from collections.abc import Callable
from datetime import timedelta
from typing import cast
from uuid import UUID

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.deployments.runner import RunnerDeployment
from prometheus_client.parser import text_string_to_metric_families

from flows.full_sync import full_sync
from flows.overview import overview
from flows.preview_invoice import preview_invoice
from flows.send_invoice import send_invoice
from flows.void_invoice import void_invoice
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.receiver.metrics import Metrics
from invoicing.settings import settings
from tests.flows.conftest import Deployed
from tests.flows.dialogues import Conversation

Raise = Callable[..., InvoiceOutcome]
UI = "http://127.0.0.1:4200/v2"


@pytest.fixture(autouse=True)
def office(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server whose UI is known, and Prefect's dialogue above 2,000 dollars."""
    monkeypatch.setenv("INVOICING_PREFECT_UI_URL", UI)
    monkeypatch.setenv("INVOICING_APPROVAL__LIMITS", "USD=2000")
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "false")
    settings.cache_clear()


def artifacts(key: str) -> list[Artifact]:
    """All pages of a kind."""
    with get_client(sync_client=True) as client:
        return client.read_artifacts(
            artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[key]))
        )


def part(title: str) -> str:
    """A part of the page as it is now."""
    [page] = artifacts("overview")
    return str(page.data).partition(f"## {title}\n")[2].partition("\n## ")[0]


def page_of(run: UUID) -> str:
    """The address of a run's page."""
    return f"{UI}/runs/flow-run/{run}"


def test_what_waits_says_how_to_answer_and_goes_once_answered(
    draft: Raise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question, a link to its run, and the way to the form; then nothing waits."""
    talk = Conversation(send_invoice, invoice=draft().name)
    assert overview().sentence == "1 run waits for an answer, 0 runs failed in the last seven days."
    waiting = part("Waiting for an answer")
    assert "**⋮** at the top right, then **Resume**" in waiting
    question = "May INV-0001 be sent to Acme Corporation? · send INV-0001 to Acme Corporation"
    assert f"| [{question}]({page_of(talk.run)}) |" in waiting
    talk.answer(decision="Approve", approver="Anna Ledger")
    overview()
    assert part("Waiting for an answer").strip() == "No run waits for anybody."
    monkeypatch.setenv("INVOICING_APPROVAL__IN_SALESFORCE", "true")
    settings.cache_clear()
    overview()
    assert "Salesforce's list *Waiting for approval*" in part("Waiting for an answer")


def test_failures_stand_with_their_reasons_the_same_ones_together(draft: Raise) -> None:
    """Tried three times in vain is one row, of the last time, in words."""
    invoice = draft().name
    for _ in range(3):
        talk = Conversation(void_invoice, invoice=invoice)
    overview()
    [row] = [line for line in part("Failed in the last seven days").splitlines() if "void" in line]
    what, _, times, why = [cell.strip() for cell in row.strip("| ").split(" | ")]
    assert what == f"[void {invoice} for Acme Corporation]({page_of(talk.run)})"
    assert times == "3"
    assert why == talk.said
    assert "revise it, send it or delete it" in why


def test_forms_and_reports_are_a_click_away(draft: Raise) -> None:
    """What people start is there with what it does, machinery is not; so are the reports."""
    text = "Send a draft invoice."
    people = send_invoice.to_deployment(name="send-invoice", tags=["people"], description=text)
    deployment = cast(RunnerDeployment, people).apply()
    draft()
    full_sync()
    overview()
    form = f"[send-invoice]({UI}/deployments/deployment/{deployment}/run)"
    assert f"| {form} | {text} |" in part("Start something")
    assert "full-sync" not in part("Start something")
    report = max(artifacts("drift-report"), key=lambda one: str(one.created))
    assert f"[drift-report]({UI}/artifacts/artifact/{report.id})" in part("Reports")


def test_its_address_stays_and_services_may_be_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be bookmarked, has no versions for every five minutes, and needs Prefect alone."""
    monkeypatch.setenv("INVOICING_SALESFORCE__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("INVOICING_STRIPE__BASE_URL", "http://127.0.0.1:1")
    settings.cache_clear()
    overview()
    before = artifacts("overview")
    Conversation(void_invoice, invoice="INV-0001")
    assert "1 run failed" in overview().sentence
    assert [page.id for page in before] == [page.id for page in artifacts("overview")]
    assert "void INV-0001" in part("Failed in the last seven days")


def test_runs_are_counted_for_the_receivers_metrics(
    draft: Raise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How many of each flow ended how and how long they worked; what was before the first not."""
    monkeypatch.setattr("tasks.installation.run_durations.COUNTED_AFTER", timedelta())
    invoice = draft().name
    Conversation(void_invoice, invoice=invoice)
    overview()
    assert samples("void-invoice") == {"crashed": 0}
    for _ in range(2):
        Conversation(void_invoice, invoice=invoice)
    Conversation(preview_invoice, invoice=invoice)
    for _ in range(2):
        overview()
    assert samples("void-invoice") == {"crashed": 0, "failed": 2}
    assert samples("preview-invoice") == {"completed": 1, "crashed": 0}


def test_what_has_just_ended_is_not_counted_yet(
    draft: Raise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be begun again: for a while nobody knows whether it is over."""
    monkeypatch.setattr("tasks.installation.run_durations.COUNTED_AFTER", timedelta(hours=1))
    overview()
    Conversation(void_invoice, invoice=draft().name)
    for _ in range(2):
        overview()
    assert not any(samples("void-invoice").values())


def samples(flow: str) -> dict[str, float]:
    """How many runs of a flow ended in each state, as the receiver says."""
    families = text_string_to_metric_families(Metrics().exposition().decode())
    return {
        one.labels["state"]: one.value
        for family in families
        for one in family.samples
        if one.name == "invoicing_run_seconds_count" and one.labels["flow"] == flow
    }
