"""How long a person waits: from the API call to a running flow, and to the customer's e-mail.

All programs run for real on this machine; the sandboxes answer at once. Times begin before the
HTTP call that creates the run and end at the moment the Prefect server recorded the state, or
the mailbox held the mail. Runs follow one another with pauses of random length, so that they
meet the worker's poll (every 0.3 s on both pools) at any phase.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from deployments.local.stack import POOL, ROOT, SALESFORCE_KEY, SALESFORCE_SECRET, Stack

PROCESS_POOL = "invoices-process"
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PATIENCE_SECONDS = 120
WARM_UP = 1
RECORDING_SECONDS = 4  # task runs reach the server's database a while after the fact


class Prefect:
    """Prefect's REST API, with a clock."""

    def __init__(self, url: str) -> None:
        """Open a connection that is kept."""
        self._http = httpx.Client(base_url=url, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API and return its JSON."""
        answer = self._http.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def deploy_trivial(self, pool: str) -> str:
        """Deploy the trivial flow on a pool and return the deployment's id."""
        step = {"prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)}}
        deployment = {
            "name": pool,
            "flow_id": self.call("POST", "/flows/", {"name": "trivial"})["id"],
            "entrypoint": "benchmarks/_noop_flow.py:trivial",
            "pull_steps": [step],
            "work_pool_name": pool,
        }
        return str(self.call("POST", "/deployments/", deployment)["id"])

    def deployment(self, flow: str) -> str:
        """The id of the deployment that is named like its flow."""
        return str(self.call("GET", f"/deployments/name/{flow}/{flow}")["id"])

    def start(self, deployment: str, **parameters: Any) -> tuple[str, float]:
        """Start a run; return its id and when it was asked for (seconds since the epoch)."""
        began = time.time()
        body = {"parameters": parameters}
        run = self.call("POST", f"/deployments/{deployment}/create_flow_run", body)
        return str(run["id"]), began

    def states(self, run: str) -> dict[str, float]:
        """When a run that ends well has entered each of its states."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up:
            history = self.call("GET", f"/flow_run_states/?flow_run_id={run}")
            if FINAL & {state["type"] for state in history}:
                if history[-1]["type"] != "COMPLETED":
                    raise SystemExit(f"A run did not complete: {history[-1]['message']}")
                return {state["type"]: seconds(state["timestamp"]) for state in history}
            time.sleep(0.05)
        raise SystemExit(f"A run is not over after {PATIENCE_SECONDS} s")

    def tasks(self, run: str) -> dict[str, float]:
        """How long each task of a run took, by the task's name, in the order they began."""
        only = {"flow_runs": {"id": {"any_": [run]}}, "sort": "EXPECTED_START_TIME_ASC"}
        times: dict[str, float] = {}
        for task in self.call("POST", "/task_runs/filter", only):
            name = task["task_key"].rpartition("-")[0]
            if task["end_time"] is None:  # a busy server is behind with writing them down
                continue
            took = seconds(task["end_time"]) - seconds(task["start_time"])
            times[name] = times.get(name, 0) + took
        return times


def seconds(timestamp: str) -> float:
    """A timestamp of the API in seconds since the epoch."""
    return datetime.fromisoformat(timestamp).timestamp()


def pause() -> None:
    """Let the run before leave, and come at a random moment of the worker's poll."""
    time.sleep(1.5 + random.uniform(0, 0.3))  # noqa: S311


def medians(rows: list[dict[str, float]]) -> dict[str, float]:
    """The median of each figure, in seconds."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: round(median(row[name] for row in rows if name in row), 3) for name in names}


def measure_trivial(prefect: Prefect, pool: str, runs: int) -> dict[str, float]:
    """API call → Running and → Completed of the trivial flow on a pool."""
    deployment = prefect.deploy_trivial(pool)
    rows = []
    for number in range(WARM_UP + runs):
        pause()
        run, began = prefect.start(deployment)
        at = prefect.states(run)
        row = {"running_s": at["RUNNING"] - began, "completed_s": at["COMPLETED"] - began}
        if number >= WARM_UP:
            rows.append(row)
            tell(f"{pool} {number}", row)
    return medians(rows)


def raise_drafts(prefect: Prefect, number: int) -> list[str]:
    """Raise invoices and return their names, which count from one in a fresh org."""
    deployment = prefect.deployment("raise-invoice")
    for _ in range(number):
        run, _began = prefect.start(
            deployment,
            account="Acme Corporation",
            description="Onboarding",
            due_date=(date.today() + timedelta(days=30)).isoformat(),
            lines=[
                {"product": "Platform Licence", "quantity": "1"},
                {"product": "Consulting", "quantity": "8", "unit_price": "140.00"},
            ],
        )
        prefect.states(run)
    return [f"INV-{count:04d}" for count in range(1, number + 1)]


def mailed_after(stripe_url: str, mails_before: int, began: float) -> float:
    """Wait for one more mail than there were and return how long it took."""
    with httpx.Client(base_url=stripe_url) as mailbox:
        while time.time() - began < PATIENCE_SECONDS:
            if len(mailbox.get("/_sandbox/mail").json()["data"]) > mails_before:
                return time.time() - began
            time.sleep(0.01)
    raise SystemExit(f"No mail after {PATIENCE_SECONDS} s")


def measure_sending(
    prefect: Prefect, stripe_url: str, names: Iterable[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """API call → e-mail of `send-invoice`, and how long each of its tasks took."""
    deployment = prefect.deployment("send-invoice")
    rows, measured = [], []
    for mails, name in enumerate(names):
        pause()
        run, began = prefect.start(deployment, invoice=name)
        email = mailed_after(stripe_url, mails, began)
        at = prefect.states(run)
        row = {
            "send_running_s": at["RUNNING"] - began,
            "send_email_s": email,
            "send_completed_s": at["COMPLETED"] - began,
        }
        if mails >= WARM_UP:
            rows.append(row)
            measured.append(run)
            tell(name, row)
    time.sleep(RECORDING_SECONDS)
    return medians(rows), medians([prefect.tasks(run) for run in measured])


def measure_clicks(org: str, stripe_url: str, names: Iterable[str], mails: int) -> dict[str, float]:
    """A button in Salesforce → e-mail: the request is made, heard of, taken up and carried out."""
    client = log_in(org)
    times = []
    for number, name in enumerate(names):
        pause()
        soql = f"SELECT Id FROM Stripe_Invoice__c WHERE Name = '{name}'"  # noqa: S608
        [invoice] = client.get("query", params={"q": soql}).json()["records"]
        body = {
            "Invoice__c": invoice["Id"],
            "Action__c": "Send",
            "Open_Key__c": f"{invoice['Id']}:Send",
        }
        began = time.time()
        client.post("sobjects/Stripe_Invoice_Request__c", json=body).raise_for_status()
        row = {"salesforce_click_email_s": mailed_after(stripe_url, mails + number, began)}
        if number >= WARM_UP:
            times.append(row)
            tell(name, row)
    return medians(times)


def log_in(org: str) -> httpx.Client:
    """The org's REST API, for somebody who presses buttons."""
    form = {
        "grant_type": "client_credentials",
        "client_id": SALESFORCE_KEY,
        "client_secret": SALESFORCE_SECRET,
    }
    token = httpx.post(f"{org}/services/oauth2/token", data=form).json()["access_token"]
    root = f"{org}/services/data/v67.0/"
    return httpx.Client(base_url=root, headers={"Authorization": f"Bearer {token}"}, timeout=30)


def tell(what: str, row: dict[str, float]) -> None:
    """Print one measurement."""
    print(what, *(f"{name} {value:.2f}" for name, value in row.items()), flush=True)


def tell_program(name: str, what: str) -> None:
    """Print what a program of the stack does."""
    print(f"{name}: {what}", flush=True)


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks latency", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="measured runs of each kind")
    runs = parser.parse_args().runs
    with (
        tempfile.TemporaryDirectory() as state,
        Stack(Path(state), report=tell_program) as stack,
    ):
        prefect = Prefect(stack.urls.prefect_api)
        warm = measure_trivial(prefect, POOL, runs)
        each = WARM_UP + runs
        drafts = raise_drafts(prefect, 2 * each)
        sending, parts = measure_sending(prefect, stack.urls.stripe, drafts[:each])
        clicks = measure_clicks(stack.urls.salesforce, stack.urls.stripe, drafts[each:], each)
        stack.start_worker(PROCESS_POOL, "process")
        process = measure_trivial(prefect, PROCESS_POOL, runs)
    figures = {
        **{f"warm_{name}": value for name, value in warm.items()},
        **{f"process_{name}": value for name, value in process.items()},
        **sending,
        **clicks,
        "send_parts_s": parts,
        "n": runs,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
