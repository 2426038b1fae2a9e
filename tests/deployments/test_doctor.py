"""An installation is looked at and made; what somebody breaks in Prefect is named."""

import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentUpdate, WorkPoolCreate, WorkPoolUpdate
from prefect.client.schemas.objects import State
from prefect.client.schemas.schedules import SCHEDULE_TYPES, CronSchedule
from prefect.exceptions import ObjectAlreadyExists
from prefect.states import Scheduled

from deployments.deploy import work_pool
from deployments.doctor_fixes import fix, webhook_endpoint
from deployments.local.stack import POOL, ROOT
from deployments.server import LEASES, LEASES_ON_DISK
from invoicing.connectors import stripe
from invoicing.doctor.checks import Finding, Wrong, examine
from invoicing.doctor.settings_checks import settings_checks
from invoicing.doctor.stripe_checks import endpoint_url
from invoicing.domain.stripe.event_parsing import HANDLED_TYPES
from invoicing.settings import settings
from tasks.installation import automation_sync
from tasks.installation.prefect_checks import prefect_checks
from tasks.installation.prefect_server import server
from tests.prefect_server import QUIET, prefect_server

PASSWORD = "admin:a-long-one"
NOT_HERE = {"worker", "receiver"}
"""What fails in these stories where nothing else is wrong: neither of them runs."""


Break = Callable[[SyncPrefectClient], Callable[[SyncPrefectClient], None]]
"""Changes something as somebody does in Prefect's pages; returns how it is put right."""


def pause_the_pool(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """No run begins."""
    client.update_work_pool(POOL, WorkPoolUpdate(is_paused=True))
    return by_its_remedy("work pool")


def pause_a_queue(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """What people start waits, and deploying does not change that."""
    people = client.read_work_queue_by_name("people", POOL)
    client.update_work_queue(people.id, is_paused=True)
    return by_its_remedy("queues")


def delete_the_pool(client: SyncPrefectClient) -> None:
    """No deployment has one any more, and what waited in its queues never begins."""
    sending = client.read_deployment_by_name("send-invoice/send-invoice")
    later: State[Any] = Scheduled(scheduled_time=datetime.now(UTC) + timedelta(days=1))
    client.create_flow_run_from_deployment(sending.id, parameters={"invoice": "INV-1"}, state=later)
    client.delete_work_pool(POOL)


def pause_a_deployment(client: SyncPrefectClient) -> None:
    """Its schedule stands still, though it is switched on."""
    client.pause_deployment(client.read_deployment_by_name("mark-overdue/mark-overdue").id)


def add_a_schedule(client: SyncPrefectClient) -> None:
    """The doctor comes at noon as well."""
    early = client.read_deployment_by_name("doctor/doctor")
    noon: SCHEDULE_TYPES = CronSchedule(cron="0 12 * * *", timezone="UTC")
    client.create_deployment_schedules(early.id, [(noon, True)])


def run_remedy(remedy: str) -> None:
    """Do what a remedy says: its command of Prefect's stands in backquotes."""
    program, *arguments = remedy.split("`")[1].split()
    assert program == "prefect"
    subprocess.run([sys.executable, "-m", "prefect", "--no-prompt", *arguments], check=True)


def by_its_remedy(check: str) -> Callable[[SyncPrefectClient], None]:
    """Put right what a check finds, by what it says itself."""
    return lambda _client: run_remedy(Doctor().looks()[check].remedy)


def narrow_a_queue(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """People wait for each other."""
    people = client.read_work_queue_by_name("people", POOL)
    client.update_work_queue(people.id, concurrency_limit=1)
    return lambda client: client.update_work_queue(
        people.id, concurrency_limit=people.concurrency_limit
    )


def move_a_deployment(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """People wait behind programs."""
    sending = client.read_deployment_by_name("send-invoice/send-invoice")

    def moved(client: SyncPrefectClient, queue: str = "people") -> None:
        client.update_deployment(sending.id, DeploymentUpdate(work_queue_name=queue))

    moved(client, "bulk")
    return moved


def delete_a_deployment(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """Nobody can start it."""
    client.delete_deployment(client.read_deployment_by_name("void-invoice/void-invoice").id)

    def again(_client: SyncPrefectClient) -> None:
        command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--name"]
        subprocess.run([*command, "void-invoice"], cwd=ROOT, check=True)

    return again


def move_a_schedule(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """The nightly comparison comes at noon, by another clock."""
    nightly = client.read_deployment_by_name("full-sync/full-sync")
    [schedule] = nightly.schedules

    def moved(client: SyncPrefectClient, when: SCHEDULE_TYPES = schedule.schedule) -> None:
        client.update_deployment_schedule(nightly.id, schedule.id, schedule=when)

    moved(client, CronSchedule(cron="0 12 * * *", timezone="Asia/Tokyo"))
    return moved


def switch_a_schedule_off(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """The nightly comparison does not come."""
    nightly = client.read_deployment_by_name("full-sync/full-sync")
    [schedule] = nightly.schedules
    client.update_deployment_schedule(nightly.id, schedule.id, active=False)
    return by_its_remedy("schedules")


def delete_an_automation(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """Dead runs stay dead."""
    found = client.read_automations()[0]
    client.delete_automation(found.id)

    def again(client: SyncPrefectClient) -> None:
        client.create_automation(automation_sync.as_wanted(found))

    return again


def switch_an_automation_off(client: SyncPrefectClient) -> Callable[[SyncPrefectClient], None]:
    """It is there, and does nothing."""
    found = client.read_automations()[0]
    client.pause_automation(found.id)
    return lambda client: client.resume_automation(found.id)


BROKEN: Sequence[tuple[str, Break]] = (
    ("work pool", pause_the_pool),
    ("queues", narrow_a_queue),
    ("queues", pause_a_queue),
    ("schedules", switch_a_schedule_off),
    ("schedules", move_a_schedule),
    ("automations", delete_an_automation),
    ("automations", switch_an_automation_off),
    ("deployments", move_a_deployment),
    ("deployments", delete_a_deployment),
)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with a password, which keeps slots on its disk; its API's URL."""
    own = {"PREFECT_SERVER_API_AUTH_STRING": PASSWORD, LEASES: LEASES_ON_DISK}
    with prefect_server(tmp_path_factory.mktemp("guarded"), QUIET | own) as url:
        yield url


class Doctor:
    """The doctor, as a process of its own or in this one."""

    def run(self, *arguments: str, **changes: str) -> tuple[str, set[str]]:
        """Run it as somebody does by hand; all that it says, and the checks that failed."""
        changed = {f"INVOICING_{name}": value for name, value in changes.items()}
        command = [sys.executable, "-m", "deployments.doctor", *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | changed, capture_output=True, text=True, check=False
        )
        told = done.stdout + done.stderr
        assert "Traceback" not in told
        marked = [line[10:] for line in done.stdout.splitlines() if line.startswith("  fail")]
        assert done.returncode == (1 if marked else 0)
        return told, {line.partition(":")[0] for line in marked}

    def looks(self) -> dict[str, Finding]:
        """What the checks of Prefect find in this process."""
        settings.cache_clear()
        return {found.name: found for found in examine([*settings_checks(), *prefect_checks()])}

    def fails(self) -> dict[str, str]:
        """What is said of those that fail, but for the worker, which does not run here."""
        found = self.looks().items()
        return {n: f.said for n, f in found if f.verdict == "fail" and n != "worker"}


@pytest.fixture
def doctor(
    environment: None, guarded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Doctor]:
    """Settings of an installation; the Prefect server may have been told something before."""
    (tmp_path / "ours.env").touch(0o600)
    with monkeypatch.context() as changed:
        changed.setenv("PREFECT_API_URL", guarded)
        changed.setenv("PREFECT_API_AUTH_STRING", PASSWORD)
        changed.setenv("INVOICING_RECEIVER__URL", "https://127.0.0.1:1")
        changed.setenv("INVOICING_ENV_FILE", str(tmp_path / "ours.env"))
        settings.cache_clear()
        yield Doctor()
    settings.cache_clear()


def test_from_nothing_to_an_installation(doctor: Doctor, tmp_path: Path) -> None:
    """What is missing is named, then made, and made once; a secret that is shown once is kept."""
    new = {"LEDGER__URL": f"sqlite:///{tmp_path}/new.db"}
    _, missing = doctor.run(**new)
    assert {"ledger", "webhook endpoint", "work pool", "deployments", "automations"} <= missing

    told, wrong = doctor.run("--fix", **new, STRIPE__WEBHOOK_SECRETS="")
    assert wrong == NOT_HERE | {"webhook secret"}, told
    [kept] = tmp_path.glob("webhook-secret-*.env")
    assert stat.S_IMODE(kept.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR
    name, _, secret = kept.read_text().strip().partition("=")
    assert name == "INVOICING_STRIPE__WEBHOOK_SECRETS"
    assert secret.startswith("whsec_")
    assert secret not in told

    told, wrong = doctor.run(**new, STRIPE__WEBHOOK_SECRETS=secret)
    assert wrong == NOT_HERE, told
    assert "is as it should be" in webhook_endpoint()
    with server() as client:
        resume = pause_the_pool(client)
        assert "is paused" in work_pool()
        resume(client)
    assert "There is a work pool" in work_pool()


@pytest.mark.long
def test_what_somebody_changes_in_prefect_is_named(
    doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pool, queue, deployment, schedule, automation, owner: each by its name, until it is back."""
    if doctor.fails():
        assert "Not done" not in "".join(fix())
    assert doctor.fails() == {}
    for check, breaks in BROKEN:
        with server() as client:
            mend = breaks(client)
        [(failed, said)] = doctor.fails().items()
        assert failed == check, said
        with server() as client:
            mend(client)
        assert doctor.fails() == {}
    for name, value, check in (
        ("INVOICING_BUSINESS__TIME_ZONE", "Africa/Cairo", "schedules"),
        ("INVOICING_SALESFORCE__ORG_ID", "00D000000000009", "Prefect's installation"),
        ("INVOICING_QUEUES_PEOPLE", "2", "queues"),
        ("INVOICING_AUTOMATIONS_SILENT_SECONDS", "60", "automations"),
        ("INVOICING_QUEUES_PEOPEL", "2", "queues' and automations' settings"),
        ("PREFECT_API_AUTH_STRING", "admin:another", "Prefect password"),
        ("PREFECT_API_URL", "http://127.0.0.1:1/api", "Prefect server"),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            assert check in doctor.fails()
    monkeypatch.setenv("INVOICING_SALESFORCE__ORG_ID", "00D000000000009")
    settings.cache_clear()
    *_, refused = fix()
    assert "works for another installation" in refused


@pytest.mark.long
def test_deploying_mends_what_it_is_named_for(doctor: Doctor) -> None:
    """Pool, schedules and an automation, all at once, and twice; what waited is told of."""
    if doctor.fails():
        assert "Not done" not in "".join(fix())
    with server() as client:
        for breaks in (
            *(delete_the_pool, pause_a_deployment, add_a_schedule, move_a_schedule),
            delete_an_automation,
        ):
            breaks(client)
    failed = doctor.fails()
    assert failed.keys() == {
        "work pool",
        "deployments",
        "schedules",
        "runs that wait",
        "automations",
    }
    assert "'raise-invoice' has no work pool" in failed["deployments"]
    assert failed["deployments"].endswith(" more.")
    for said in (
        "'full-sync' runs at '0 12 * * *' in Asia/Tokyo instead of at '0 2 * * *' in",
        "'mark-overdue' is paused",
        "'doctor' runs at '0 12 * * *' in UTC besides",
    ):
        assert said in failed["schedules"]
    assert "Not done" not in "".join(fix())
    assert doctor.fails().keys() == {"runs that wait"}
    found = doctor.looks()["runs that wait"]
    assert "send-invoice " in found.said
    for run in re.findall(r" ([0-9a-f-]{36})", found.said):
        run_remedy(found.remedy.replace("ID", run))
    assert doctor.fails() == {}
    with server() as client:
        before = automation_sync.present(client)
        assert "Not done" not in "".join(fix())
        assert automation_sync.present(client) == before
    assert doctor.fails() == {}


def test_a_worker_that_has_just_died(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect takes it for online for a while; the doctor says that nothing is heard of it."""
    with server() as client:
        with suppress(ObjectAlreadyExists):
            client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
        client.send_worker_heartbeat(POOL, "one", heartbeat_interval_seconds=30)
    assert doctor.looks()["worker"].said.startswith("Online: one, heard of ")
    monkeypatch.setattr("tasks.installation.prefect_checks.BEAT_SECONDS", 0)
    found = doctor.looks()["worker"]
    assert found.verdict == "unknown"
    assert "does not hear any more: one, heard of" in found.said


def test_a_server_as_it_comes(
    doctor: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No password is no matter on this machine; slots in memory are one."""
    with prefect_server(tmp_path, QUIET) as url:
        monkeypatch.setenv("PREFECT_API_URL", url)
        found = doctor.looks()
        assert found["Prefect password"].verdict == "pass"
        assert found["slots of runs"].verdict == "fail"
        assert found["Prefect version"].verdict == "pass"
        assert found["Prefect's installation"].verdict == "unknown"
        assert doctor.fails()["work pool"] == "There is no work pool 'invoices'."
        monkeypatch.setattr("prefect.__version__", "99.0.1")
        assert "which is older than 99.0.1 here" in doctor.fails()["Prefect version"]
        monkeypatch.setenv("PREFECT_API_URL", url.replace("127.0.0.1", "0.0.0.0"))  # noqa: S104
        assert "asks for no password" in doctor.fails()["Prefect password"]


def test_an_endpoint_is_put_right(doctor: Doctor, tmp_path: Path) -> None:
    """One that is disabled or deaf is told; one of another version gets a neighbour."""
    url = endpoint_url(settings())
    account = stripe.client()
    made = account.create_webhook_endpoint(url, ["invoice.paid", "payout.paid"])
    account._v1.webhook_endpoints.update(made["id"], {"disabled": True})
    assert "is enabled" in webhook_endpoint()
    [found] = account.webhook_endpoints()
    assert (found["status"], set(found["enabled_events"])) == (
        "enabled",
        {*HANDLED_TYPES, "payout.paid"},
    )
    account._v1.webhook_endpoints.delete(found["id"])
    old: Any = {"url": url, "enabled_events": ["*"], "api_version": "2024-06-20"}
    account._v1.webhook_endpoints.create(old)
    assert "is made" in webhook_endpoint()
    assert len(account.webhook_endpoints()) == 2
    assert "is as it should be" in webhook_endpoint()
    for endpoint in account.webhook_endpoints():
        account._v1.webhook_endpoints.delete(endpoint["id"])
    with pytest.raises(Wrong, match="holds the secret of an endpoint that was made before"):
        webhook_endpoint()
    assert account.webhook_endpoints() == []
