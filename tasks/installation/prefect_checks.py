"""Prefect's server: there, ours alone, and with everything that is deployed to it."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import prefect
import requests
from prefect.client.schemas.objects import StateType, Worker
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import SCHEDULE_TYPES
from prefect.exceptions import ObjectNotFound

from invoicing.doctor.checks import Check, Untold, Wrong, ask
from invoicing.doctor.settings_checks import SETTINGS
from invoicing.domain.model.wording import counted, some_of
from invoicing.settings import is_loopback, read, settings
from tasks.installation import (
    alert_automations,
    automation_sync,
    prefect_server,
    queues,
    recovery_automations,
)
from tasks.installation.deployed_flows import (
    entries,
    in_state,
    our_deployments,
    read_all,
    runs_of,
)
from tasks.installation.prefect_server import server

SERVER, PASSWORD, POOL = "Prefect server", "Prefect password", "work pool"
DEPLOY = "`make deploy`"
START_WORKER = f"Start `prefect worker start --pool {queues.POOL}` under a supervisor."
SWITCH_ON = "`prefect deployment schedule resume --all`"

NAMED_AT_MOST = 5
"""Mistakes of one kind that are told one by one."""

BEAT_SECONDS, MISSED_BEATS = 30, 2
"""How often a worker is heard of, and how many beats may be missed; Prefect takes it for offline
after three. Source: PREFECT_WORKER_HEARTBEAT_SECONDS in Prefect's reference of settings."""

_check = partial(Check, "Prefect")


def prefect_checks() -> list[Check]:
    """One check for each precondition, the server first."""
    return [
        _check(
            "queues' and automations' settings",
            _own_settings,
            "Correct these variables; docs/settings.md has all.",
            SETTINGS,
        ),
        _check(
            SERVER,
            _reached,
            "Start `python -m deployments.server`, or correct PREFECT_API_URL.",
            SETTINGS,
        ),
        _check(
            PASSWORD,
            _password,
            "Give the server PREFECT_SERVER_API_AUTH_STRING, and everything else the same as "
            "PREFECT_API_AUTH_STRING.",
            SERVER,
        ),
        _check(
            "Prefect version",
            _version,
            "Upgrade the server first, then workers and receiver.",
            PASSWORD,
        ),
        _check(
            "slots of runs",
            _leases,
            "Set PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE of the server as docs/running.md says.",
            PASSWORD,
        ),
        _check(
            "Prefect's installation",
            _owner,
            "Give each installation a Prefect server of its own, then `make deploy`.",
            PASSWORD,
        ),
        _check(POOL, _pool, "`make doctor ARGS=--fix` makes one.", PASSWORD),
        _check(
            "worker",
            _worker,
            START_WORKER,
            POOL,
        ),
        _check("queues", _queues, DEPLOY, POOL),
        _check("deployments", _deployments, DEPLOY, PASSWORD),
        _check("schedules", _schedules, DEPLOY, PASSWORD),
        _check(
            "runs that wait",
            _waiting,
            "Cancel each (`prefect flow-run cancel ID`), and start again what people had started.",
            PASSWORD,
        ),
        _check("automations", _automations, DEPLOY, PASSWORD),
    ]


def _own_settings() -> str:
    for group in (queues.Limits, recovery_automations.Timing, alert_automations.Notifications):
        read(group)
    return "Each one is known and well-formed."


def _reached() -> str:
    answer = ask(settings().prefect_api_url, "health")
    if not answer.ok or answer.text.strip() != "true":
        raise Wrong(f"What answers at {settings().prefect_api_url} is no Prefect server.")
    return f"It answers at {settings().prefect_api_url}."


def _password() -> str:
    """Source: Prefect's server answers 401 to everything but its health, where it has one."""
    auth = settings().prefect_api_auth
    user, _, password = (auth.get_secret_value() if auth else "").partition(":")
    if ask(settings().prefect_api_url, "admin/version").status_code == requests.codes.unauthorized:
        if not ask(settings().prefect_api_url, "admin/version", (user, password)).ok:
            raise Wrong(
                "The server does not accept the password of PREFECT_API_AUTH_STRING."
                if auth
                else "The server asks for a password, and PREFECT_API_AUTH_STRING is not set.",
                "Set it to what the server has as PREFECT_SERVER_API_AUTH_STRING.",
            )
        return "The server asks for a password, and accepts ours."
    if not is_loopback(urlsplit(settings().prefect_api_url).hostname or ""):
        raise Wrong("The server asks for no password: whoever reaches it runs code with our keys.")
    return "The server asks for none, and is reached on this machine."


def _version() -> str:
    with server() as client:
        theirs = client.api_version()
    if _numbers(theirs) < _numbers(prefect.__version__):
        raise Wrong(f"The server has {theirs}, which is older than {prefect.__version__} here.")
    return f"The server has {theirs}, and {prefect.__version__} is here."


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)[:3]]


def _leases() -> str:
    with server() as client:
        known = client.request("GET", "/admin/settings").raise_for_status().json()
    storage = str(known["server"]["concurrency"]["lease_storage"])
    if storage.endswith(".memory"):
        raise Wrong(
            "The server keeps them in memory: when it is restarted, long runs end as Crashed."
        )
    return f"The server keeps them in {storage}."


def _owner() -> str:
    found = prefect_server.owner()
    if found is None:
        raise Untold("The server does not say which installation it works for.", DEPLOY)
    return f"The server works for {found}."


def _pool() -> str:
    try:
        with server() as client:
            pool = client.read_work_pool(queues.POOL)
    except ObjectNotFound:
        raise Wrong(f"There is no work pool {queues.POOL!r}.") from None
    if pool.is_paused:
        raise Wrong(
            f"The work pool {queues.POOL!r} is paused: no run begins.",
            f"`prefect work-pool resume {queues.POOL}`",
        )
    return f"There is one, of type {pool.type}."


def _worker() -> str:
    with server() as client:
        workers = client.read_workers_for_work_pool(queues.POOL)
    online = [worker for worker in workers if worker.status == "ONLINE"]
    if not online:
        raise Wrong("No worker serves the work pool: no run begins.")
    silences = [_silence(worker) for worker in online]
    said = "; ".join(
        f"{worker.name}, heard of {silent:.0f} s ago"
        for worker, silent in zip(online, silences, strict=True)
    )
    if min(silences) > MISSED_BEATS * BEAT_SECONDS:
        raise Untold(f"Prefect takes for online, and does not hear any more: {said}.", START_WORKER)
    return f"Online: {said}."


def _silence(worker: Worker) -> float:
    """Seconds since a worker's last heartbeat."""
    heard = worker.last_heartbeat_time
    return (datetime.now(UTC) - heard).total_seconds() if heard else float("inf")


def _queues() -> str:
    with server() as client:
        present = {queue.name: queue for queue in client.read_work_queues(queues.POOL)}
    wrong, paused = [], []
    for queue in queues.wanted(read(queues.Limits)):
        found = present.get(queue.name)
        if found is None:
            wrong.append(f"there is no queue {queue.name!r}")
        elif queues.as_wanted(found) != queue:
            wrong.append(f"the queue {queue.name!r} is not as deployed")
        elif found.is_paused:
            paused.append(queue.name)
    _refuse(wrong)
    resume = (f"`prefect work-queue resume {name} --pool {queues.POOL}`" for name in paused)
    _refuse([f"the queue {name!r} is paused" for name in paused], "; ".join(resume))
    return "All are there, with their priorities and limits."


def _deployments() -> str:
    found, wrong = _deployed(), []
    for entry in entries():
        name = entry["name"]
        if name not in found:
            wrong.append(f"{name!r} is not deployed")
        elif not found[name].work_pool_name:
            wrong.append(f"{name!r} has no work pool")
        elif different := _different(entry, found[name]):
            wrong.append(f"{name!r} has another {', '.join(different)}")
    _refuse(wrong)
    return "All are there, as prefect.yaml has them."


def _different(entry: Mapping[str, Any], found: DeploymentResponse) -> list[str]:
    """What of a deployment is not as it is written, in words."""
    pool, crowd = entry["work_pool"], entry.get("concurrency_limit", {})
    limit, options = found.global_concurrency_limit, found.concurrency_options
    collision = options and str(options.collision_strategy.value)
    compared = [
        ("entrypoint", entry["entrypoint"], found.entrypoint),
        ("work pool", pool["name"], found.work_pool_name),
        ("queue", pool["work_queue_name"], found.work_queue_name),
        ("limit", crowd.get("limit"), limit.limit if limit else 0),
        ("collision strategy", crowd.get("collision_strategy"), collision),
    ]
    return [what for what, wanted, is_so in compared if wanted not in (None, is_so)]


def _schedules() -> str:
    found, wrong, off = _deployed(), [], []
    for entry in entries():
        name = entry["name"]
        if name not in found or "schedules" not in entry:
            continue
        wanted = {(one["cron"], _zone(one["timezone"])) for one in entry["schedules"]}
        is_so = {_cron(one.schedule) for one in found[name].schedules}
        missing, besides = (_when(*those) for those in (wanted - is_so, is_so - wanted))
        if missing:
            wrong.append(f"{name!r} runs {besides or 'at no time'} instead of {missing}")
        elif besides:
            wrong.append(f"{name!r} runs {besides} besides")
        elif found[name].paused:
            wrong.append(f"{name!r} is paused")
        elif not all(one.active for one in found[name].schedules):
            off.append(f"the schedule of {name!r} is switched off")
    _refuse(wrong)
    _refuse(off, SWITCH_ON)
    return f"Those that are deployed are on; days begin in {settings().business.time_zone}."


def _cron(schedule: SCHEDULE_TYPES) -> tuple[str, str]:
    """When a schedule is due, and in which time zone; another kind than cron, in its own words."""
    kind = type(schedule).__name__
    return str(getattr(schedule, "cron", kind)), str(getattr(schedule, "timezone", None) or "UTC")


def _zone(written: str) -> str:
    """The time zone of a schedule in prefect.yaml: as it is written there, or the business's."""
    return settings().business.time_zone if "{{" in written else written


def _when(*schedules: tuple[str, str]) -> str:
    return " and ".join(f"at {cron!r} in {zone}" for cron, zone in sorted(schedules))


def _waiting() -> str:
    """No run waits that no worker can see: a deleted queue leaves those that waited in it."""
    flows = {each.id: each.name for each in _deployed().values()}
    waits = runs_of(list(flows), state=in_state(StateType.SCHEDULED, StateType.PAUSED))
    with server() as client:
        found = read_all(client.read_flow_runs, flow_run_filter=waits) if flows else iter(())
        lost = {
            f"{flows[run.deployment_id]} {run.id}"
            for run in found
            if run.deployment_id and not run.work_queue_id
        }
    if lost:
        raise Wrong(
            f"No worker will ever take {counted(len(lost), 'run')}, whose work pool or queue was "
            f"deleted: {some_of(sorted(lost), NAMED_AT_MOST)}."
        )
    return "Each has a queue that workers look at."


def _automations() -> str:
    with server() as client:
        wanted = alert_automations.all_automations(client)
        present = automation_sync.present(client)
        wrong = alert_automations.mistakes(client)
    for automation in wanted:
        found = present.get(automation.name)
        if found is None:
            wrong.append(f"there is no automation {automation.name!r}")
        elif automation_sync.as_wanted(found) != automation:
            wrong.append(f"the automation {automation.name!r} is off, or not as deployed")
    _refuse(wrong)
    told = read(alert_automations.Notifications).url
    whom = "failures are told" if told else "INVOICING_NOTIFICATIONS_URL is empty: nobody is told"
    return f"All are there: runs that die are begun again; {whom}."


def _deployed() -> dict[str, DeploymentResponse]:
    with server() as client:
        found = client.read_deployments(deployment_filter=our_deployments())
    return {each.name: each for each in found}


def _refuse(wrong: Sequence[str], remedy: str = "") -> None:
    if wrong:
        said = some_of(wrong, NAMED_AT_MOST, "; ")
        raise Wrong(f"{said[0].upper()}{said[1:]}.", remedy)
