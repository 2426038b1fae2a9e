"""From Stripe's event to Salesforce: one alone, ten thousand at once, and under SIGKILL.

The local stack runs for real, warm worker and all, once with its ledger in SQLite and once in
PostgreSQL. Invoices are open on both sides and are paid in Stripe, which makes two events of each.
In the bursts Stripe's own deliveries are lost, and nothing polls: the events reach the receiver
only as they are posted here, signed. While the last burst is under way, the receiver and the
processes of flow runs are killed at random, again and again. In the end the ledger, Stripe and
Salesforce are asked what they know.
"""

import argparse
import json
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import orjson
import psutil
import stripe

from benchmarks._load_generator import pour, request
from benchmarks.receiver import postgres
from deployments.local.stack import Stack
from invoicing.connectors.prefect import Prefect
from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.settings import settings

CUSTOMERS = 200
SEED = 1
CONNECTIONS = 32
IDLE_SECONDS = 4.0
BURST_SECONDS = 900
"""The longest a burst may take."""


class World:
    """Both services and the ledger, as seen from outside."""

    def __init__(self, stack: Stack) -> None:
        """Speak to the programs of a stack."""
        self.stack = stack
        self.urls = stack.urls
        [self.secret] = json.loads(stack.environment["INVOICING_STRIPE__WEBHOOK_SECRETS"])
        self.http = httpx.Client(timeout=120)
        base: Any = dict.fromkeys(("api", "connect", "files", "meter_events"), self.urls.stripe)
        self.stripe = stripe.StripeClient("sk_live_sandbox", base_addresses=base).v1
        self.salesforce = Salesforce(settings().salesforce)

    def fill(self, invoices: int) -> None:
        """Open invoices, the same on both sides."""
        order = {
            "seed": SEED,
            "customers": CUSTOMERS,
            "invoices": invoices,
            "max_lines": 1,
            "currencies": ["usd"],
            "states": {"open": 1},
        }
        self.admin("POST", self.urls.stripe, "generate", order)
        accounts = [
            {"Stripe_Customer_Id__c": f"cus_1Gen{SEED:04d}{n:015d}", "Name": f"Customer {n}"}
            for n in range(CUSTOMERS)
        ]
        failed = self.salesforce.upsert_many("Account", "Stripe_Customer_Id__c", accounts)
        rows = [
            {
                "Stripe_Invoice_Id__c": invoice["id"],
                "Local_Key__c": invoice["id"],
                "Account__r": {"Stripe_Customer_Id__c": invoice["customer"]},
                "Currency__c": "USD",
                "CurrencyIsoCode": "USD",
                "Status__c": "Open",
            }
            for invoice in self.invoices()
        ]
        failed += self.salesforce.upsert_many("Stripe_Invoice__c", "Stripe_Invoice_Id__c", rows)
        if failed:
            raise SystemExit(f"Salesforce was not filled: {failed[0].error}")

    def admin(self, method: str, url: str, path: str, body: Any = None) -> Any:
        """Call a sandbox's own endpoint."""
        answer = self.http.request(method, f"{url}/_sandbox/{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    def invoices(self) -> list[dict[str, Any]]:
        """Everything in Stripe."""
        pages = self.stripe.invoices.list({"limit": 100}).auto_paging_iter()
        return [invoice.to_dict() for invoice in pages]

    def pay(self, invoices: Sequence[str]) -> list[bytes]:
        """Pay invoices, and return the bodies of the events that came of it, oldest first."""
        newest = self.stripe.events.list({"limit": 1}).data
        with ThreadPoolExecutor(8) as payers:
            list(payers.map(self._pay, invoices))
        params: Any = {"limit": 100, **({"ending_before": newest[0].id} if newest else {})}
        events = [e.to_dict() for e in self.stripe.events.list(params).auto_paging_iter()]
        events.sort(key=lambda event: event["created"])
        return [orjson.dumps(event, default=str) for event in events]

    def _pay(self, invoice: str) -> None:
        self.stripe.invoices.pay(invoice, {"paid_out_of_band": True})

    def status(self, invoice: str) -> str:
        """What Salesforce says of an invoice."""
        [row] = self.salesforce.query(
            Query("Stripe_Invoice__c", ["Status__c"], where=equals("Stripe_Invoice_Id__c", invoice))
        )
        return str(row["Status__c"])

    def differing(self) -> list[str]:
        """Invoices of which Salesforce does not say what Stripe says."""
        rows = self.salesforce.query(
            Query("Stripe_Invoice__c", ["Stripe_Invoice_Id__c", "Status__c", "Amount_Paid__c"])
        )
        told = {
            row["Stripe_Invoice_Id__c"]: (row["Status__c"].lower(), row["Amount_Paid__c"] or 0)
            for row in rows
        }
        return [
            invoice["id"]
            for invoice in self.invoices()
            if told[invoice["id"]] != (invoice["status"], invoice["amount_paid"] / 100)
        ]

    def inbox(self) -> dict[str, int]:
        """What the receiver's readiness tells: events settled so far, and those in other states.

        Nothing while the receiver is away. Nobody counts the rows of processed events for it.
        """
        with suppress(httpx.TransportError):
            answer = self.http.get(f"{self.urls.receiver}/ready")
            if answer.is_success:
                told = answer.json()
                return {**told["inbox"], "settled": told["settled"]}
        return {}

    def wait_for_inbox(self, settled: int, began: float) -> float:
        """Wait until so many events were settled ever, and no other is there; returns seconds."""
        states: dict[str, int] = {}
        told = 0.0
        while time.monotonic() - began < BURST_SECONDS:
            states = self.inbox()
            if states == {"settled": settled}:
                return time.monotonic() - began
            if time.monotonic() - told > 10:
                told = time.monotonic()
                tell(f"{told - began:5.0f} s {states}")
            time.sleep(0.2)
        raise SystemExit(f"After {BURST_SECONDS} s the inbox holds {states}, not {settled} settled")

    def runs(self, since: datetime) -> dict[str, int]:
        """Runs of the handler since an instant, by the type of their state."""
        runs: list[dict[str, Any]] = []
        while True:
            wanted = {
                "flows": {"name": {"any_": ["handle-events"]}},
                "flow_runs": {"expected_start_time": {"after_": since.isoformat()}},
                "offset": len(runs),
            }
            page = self.http.post(f"{self.urls.prefect_api}/flow_runs/filter", json=wanted).json()
            runs += page
            if not page:
                due = [run for run in runs if run["state_type"] != "SCHEDULED"]
                return dict(Counter(run["state_type"].lower() for run in due))

    @contextmanager
    def counted(self, figures: dict[str, Any]) -> Iterator[None]:
        """Count API calls and runs of the handler while the block runs."""
        since = datetime.now(UTC)
        sides = {"stripe": self.urls.stripe, "salesforce": self.urls.salesforce}
        for url in sides.values():
            self.admin("DELETE", url, "requests")
        yield
        for side, url in sides.items():
            figures[f"{side}_calls"] = self.admin("GET", url, "requests")["count"]
        figures["handler_runs"] = self.runs(since)


def idle(world: World, invoices: Sequence[str]) -> dict[str, float]:
    """Paid in Stripe until Salesforce says so, one invoice after the other."""
    took = []
    for number, invoice in enumerate(invoices):
        time.sleep(IDLE_SECONDS + random.random())  # noqa: S311
        world.pay([invoice])
        began = time.monotonic()
        while world.status(invoice) != "Paid":
            if time.monotonic() - began > 120:
                raise SystemExit(f"{invoice} is not paid in Salesforce after two minutes")
            time.sleep(0.01)
        if number:  # the first one warms up
            took.append(time.monotonic() - began)
            tell(f"alone: {took[-1]:.2f} s")
    return {"median_s": round(median(took), 2), "max_s": round(max(took), 2), "n": len(took)}


def burst(world: World, invoices: Sequence[str], before: int) -> dict[str, Any]:
    """All events at once; returns when all are settled."""
    events = world.pay(invoices)
    requests = [request(world.urls.webhook, body, world.secret) for body in events]
    figures: dict[str, Any] = {"invoices": len(invoices), "events": len(events)}
    with world.counted(figures):
        began = time.monotonic()
        accepted = pour(world.urls.webhook, requests, CONNECTIONS)
        assert not accepted.refused
        figures["accepted_s"] = round(accepted.seconds, 1)
        figures["settled_s"] = round(world.wait_for_inbox(before + len(events), began), 1)
    return figures | {"wrong_invoices": len(world.differing())}


def under_fire(
    world: World, invoices: Sequence[str], before: int, kills: int, rounds: int
) -> dict[str, Any]:
    """The same, while the receiver and the handlers are killed again and again."""
    events = world.pay(invoices)
    figures: dict[str, Any] = {"invoices": len(invoices), "events": len(events)}
    share = -(-len(events) // rounds)
    with world.counted(figures), ThreadPoolExecutor(CONNECTIONS) as crowd:
        began = time.monotonic()
        dice = random.Random(7)  # noqa: S311
        killed: Counter[str] = Counter()
        posted = []
        for number, start in enumerate(range(0, len(events), share), 1):
            posted += [
                crowd.submit(require_lock, world, body) for body in events[start : start + share]
            ]
            while killed.total() < kills * number // rounds:
                time.sleep(dice.uniform(0.5, 3))
                killed[kill_something(world.stack, dice)] += 1
        for one in posted:
            one.result()
        figures["killed"] = dict(killed)
        figures["settled_s"] = round(world.wait_for_inbox(before + len(events), began), 1)
    return figures | {"wrong_invoices": len(world.differing())}


def require_lock(world: World, body: bytes) -> None:
    """Post an event until it is acknowledged, as Stripe does, only sooner."""
    parts = request(world.urls.webhook, body, world.secret).partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in parts[0].decode().split("\r\n")[1:])
    for _ in range(600):
        with suppress(httpx.TransportError):
            if httpx.post(world.urls.webhook, content=body, headers=headers).is_success:
                return
        time.sleep(0.2)
    raise SystemExit("The receiver does not come back")


def kill_something(stack: Stack, dice: random.Random) -> str:
    """Kill the process of a flow run, twice as often as the receiver; says which it was."""
    runs = flow_runs(stack)
    if runs and dice.random() < 2 / 3:
        return kill_run(dice.choice(runs))
    return kill_receiver(stack)


def kill_receiver(stack: Stack) -> str:
    """Kill it with all its processes; it is started again at once."""
    os.killpg(stack.pid("receiver"), signal.SIGKILL)
    stack.start_again("receiver")
    return "receiver"


def kill_run(run: psutil.Process) -> str:
    """Kill a flow run's process."""
    with suppress(psutil.NoSuchProcess):
        run.kill()
        return "handler"
    return "missed"


def flow_runs(stack: Stack) -> list[psutil.Process]:
    """The processes of flow runs: what the warm worker's fork server has forked."""
    family = psutil.Process(stack.pid("worker")).children(recursive=True)
    servers = {child.pid for child in family if child.ppid() == stack.pid("worker")}
    return [child for child in family if child.ppid() in servers]


def tell(what: str) -> None:
    """Print what happens."""
    print(what, flush=True)


def measure(state: Path, ledger_url: str | None, given: argparse.Namespace) -> dict[str, Any]:
    """The figures of one stack, with its ledger in SQLite or where a URL says."""
    with Stack(
        state, ledger_url=ledger_url, report=lambda name, what: tell(f"{name}: {what}")
    ) as stack:
        os.environ.update(stack.environment)
        settings.cache_clear()
        world = World(stack)
        prefect = Prefect(stack.urls.prefect_api)
        for flow in ("poll-events", "full-sync"):
            prefect.set_paused(flow, paused=True)
        lock_sync = given.lock_sync + 1
        world.fill(lock_sync + given.burst + given.killed)
        names = [invoice["id"] for invoice in world.invoices()]
        figures: dict[str, Any] = {"alone": idle(world, names[:lock_sync])}
        world.admin("POST", stack.urls.stripe, "webhooks", {"enabled": False, "drop": True})
        figures["burst"] = burst(world, names[lock_sync : lock_sync + given.burst], settled(world))
        tell(json.dumps(figures["burst"]))
        shot_at = names[lock_sync + given.burst :]
        figures["killed"] = under_fire(world, shot_at, settled(world), given.kills, rounds=10)
        tell(json.dumps(figures["killed"]))
    return figures


def settled(world: World) -> int:
    """How many events are settled before a burst, once nothing waits."""
    give_up = time.monotonic() + 60
    while set(world.inbox()) != {"settled"} and time.monotonic() < give_up:
        time.sleep(0.2)
    return world.inbox()["settled"]


def main() -> None:
    """Measure, tell, and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks events", description=__doc__)
    parser.add_argument("--ledger", choices=["sqlite", "postgresql", "both"], default="both")
    parser.add_argument("--alone", type=int, default=10, help="invoices paid one by one")
    parser.add_argument("--burst", type=int, default=5000, help="invoices paid at once")
    parser.add_argument("--killed", type=int, default=500, help="invoices paid under fire")
    parser.add_argument("--kills", type=int, default=30, help="processes killed meanwhile")
    given = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        if given.ledger != "postgresql":
            tell("SQLite")
            figures["sqlite"] = measure(state / "on-sqlite", None, given)
        if given.ledger != "sqlite":
            tell("PostgreSQL")
            with postgres(state) as server:
                url = server.get_uri()
                figures["postgresql"] = measure(state / "on-postgresql", url, given)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
