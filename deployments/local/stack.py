"""The local stack: Prefect's server, both sandboxes, what hears of their events, and a worker.

    with Stack(Path(".invoicing/stack"), report=print) as stack:
        ...  # stack.urls, stack.environment, stack.check()

Each start is a fresh world: new ledger, new Prefect database, new sandboxes. Everything
listens on 127.0.0.1 only and ends with the `with` block, however that is left: at its end, by
an exception, Ctrl-C, SIGTERM, or the death of this process.
"""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

import certifi
import httpx
import stripe

from deployments.local import prefect_database_cache
from deployments.local.child_process import POLL_SECONDS, Service, StackError, listen, reserve
from deployments.server import LEASES, LEASES_ON_DISK
from invoicing.settings import STRIPE_API_VERSION

ROOT = Path(__file__).parents[2]
SALESFORCE_PACKAGE = ROOT / "deployments/salesforce/force-app/main/default"
MULTI_CURRENCY = ROOT / "deployments/salesforce/multi-currency/main/default"
PORTS = {"prefect": 4200, "stripe": 8100, "salesforce": 8200, "pubsub": 8201, "receiver": 8300}
POOL = "invoices"  # as `prefect.yaml` names it
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"
BATCHES = {
    f"PREFECT_SERVER_SERVICES_{service}_SIZE": "50"
    for service in (
        "TASK_RUN_RECORDER_READ_BATCH",
        "TASK_RUN_RECORDER_BATCH",
        "EVENT_PERSISTER_READ_BATCH",
        "TRIGGERS_READ_BATCH",
    )
}
"""What the server's services write together; one at a time is Prefect's default."""
ERRANDS = frozenset(["ledger", "pages", "deploy", "automations"])  # they do their work and end
STOP_SECONDS = 20
"""How long a program may take to stop before it is killed."""

STRIPE_KEY = "sk_live_51" + ("Sandbox" * 14)[:97]  # what the sandboxes expect, long as a real one
STRIPE_ACCOUNT = "acct_1SandboxAcme"
SALESFORCE_ORG = "00DHs0000000001MAA"
SALESFORCE_KEY = "3MVG9sandboxConsumerKey"
SALESFORCE_SECRET = "sandbox-consumer-secret"  # noqa: S105

WorkerType = Literal["warm", "process"]
ServerType = Literal["ours", "stock"]
Report = Callable[[str, str], None]
"""Called with the name of a program and what has become of it, in words."""


@dataclass(frozen=True)
class Urls:
    """Where everything answers."""

    prefect: str
    stripe: str
    salesforce: str
    pubsub: str
    receiver: str
    webhook_token: str

    @property
    def prefect_api(self) -> str:
        """Prefect's REST API."""
        return f"{self.prefect}/api"

    @property
    def webhook(self) -> str:
        """Where Stripe sends its events."""
        return f"{self.receiver}/webhooks/stripe/{self.webhook_token}"


def environment(
    urls: Urls, state: Path, ledger_url: str, webhook_secret: str = ""
) -> dict[str, str]:
    """The environment of every program of the stack, this process's own included.

    Args:
        urls: Where everything answers.
        state: Directory for all data.
        ledger_url: The ledger's database.
        webhook_secret: What the events are signed with, once the endpoint is registered.
    """
    prefect = {
        "PREFECT_API_URL": urls.prefect_api,
        "PREFECT_API_SSL_CERT_FILE": str(one_certificate(state)),
        "PREFECT_HOME": str(state / "prefect"),
        "PREFECT_PROFILES_PATH": str(state / "prefect/profiles.toml"),
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_CLIENT_CSRF_SUPPORT_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS": urls.prefect,  # the UI's own
        LEASES: LEASES_ON_DISK,
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_WORKER_QUERY_SECONDS": "0.3",
        "DO_NOT_TRACK": "1",
        "MALLOC_ARENA_MAX": "2",  # an eighth of the memory, which threads would each keep
        **BATCHES,
    }
    product = {
        "STRIPE__API_KEY": STRIPE_KEY,
        "STRIPE__ACCOUNT_ID": STRIPE_ACCOUNT,
        "STRIPE__LIVEMODE": "true",
        "STRIPE__BASE_URL": urls.stripe,
        "STRIPE__WEBHOOK_SECRETS": f'["{webhook_secret}"]' if webhook_secret else "[]",
        "RECEIVER__TOKEN": urls.webhook_token,
        "RECEIVER__URL": urls.receiver,
        "SALESFORCE__URL": urls.salesforce,
        "SALESFORCE__PUBSUB_URL": urls.pubsub,
        "SALESFORCE__DOMAIN": "northwind.my",
        "SALESFORCE__ORG_ID": SALESFORCE_ORG,
        "SALESFORCE__CONSUMER_KEY": SALESFORCE_KEY,
        "SALESFORCE__CONSUMER_SECRET": SALESFORCE_SECRET,
        "LEDGER__URL": ledger_url,
        "REPORTS": str(state / "reports"),
        "BUSINESS__TIME_ZONE": os.environ.get("INVOICING_BUSINESS__TIME_ZONE", "UTC"),
        "PREFECT_UI_URL": f"{urls.prefect}/v2",
    }
    return (
        os.environ
        | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
        | prefect
        | {f"INVOICING_{name}": value for name, value in product.items()}
    )


def stripe_client(urls: Urls) -> stripe.V1Services:
    """Stripe's SDK, as whoever has the account's key uses it."""
    base: Any = dict.fromkeys(("api", "connect", "files", "meter_events"), urls.stripe)
    return stripe.StripeClient(STRIPE_KEY, base_addresses=base).v1


class Stack:
    """All programs of the project on one machine, for as long as a `with` block lasts."""

    def __init__(
        self,
        state: Path,
        *,
        worker_type: WorkerType = "warm",
        server_type: ServerType = "ours",
        pages: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
        ports: Mapping[str, int] = MappingProxyType({}),
        ledger_url: str | None = None,
        report: Report = lambda _name, _what: None,
    ):
        """Choose how to run; nothing starts yet.

        Args:
            state: Directory for all data and logs. What an earlier stack left in it is deleted.
            worker_type: Type of the work pool and its worker.
            server_type: Our server on SQLite, or the one that `prefect server start` runs.
            pages: Whether Raise Invoice is put onto the org's pages, as its administrator does.
            settings: Variables for every program, before those of the stack; an empty one is
                taken away.
            ports: Where programs should listen instead of at their usual ports.
            ledger_url: An empty database for the ledger, instead of SQLite's.
            report: Told what happens while the stack starts and stops.
        """
        self.state = state.resolve()
        self.environment: dict[str, str] = {}
        self._worker_type: WorkerType = worker_type
        self._server_type: ServerType = server_type
        self._pages = pages
        self._settings = dict(settings)
        self._ports = PORTS | dict(ports)
        self._ledger_url = ledger_url or f"sqlite:///{self.state / 'ledger.db'}"
        self._report = report
        self._services: dict[str, Service] = {}
        self._listeners: dict[str, socket.socket] = {}
        self._http = httpx.Client(timeout=httpx.Timeout(None), verify=False)  # noqa: S501 - on this machine
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        """Start everything and deploy the flows; return when an invoice could be raised.

        Raises:
            StackError: If a program did not start, with the end of its log, or if another
                stack has its data in the same directory.
        """
        with ExitStack() as exits:
            exits.enter_context(occupied(self.state))
            exits.enter_context(signals_handled([signal.SIGTERM], exit_as_told))
            exits.callback(self._stop)
            self._prepare()
            self._start()
            self._exits = exits.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop everything: first what starts work, last what remembers it."""
        self._exits.close()

    def check(self) -> None:
        """Make sure that everything still runs.

        Raises:
            StackError: Names the program that does not, with the end of its log.
        """
        for service in self._services.values():
            service.check()

    def start_worker(self, pool: str, worker_type: WorkerType) -> None:
        """Create a work pool and start a worker for it; returns when the pool is served."""
        self._create_pool(pool, worker_type)
        self._launch_worker(pool)
        self._until_served(pool)

    def start_again(self, name: str) -> None:
        """Start a program once more after its end, as a supervisor does; it has yet to be ready."""
        self._services[name].start_again()

    def pid(self, name: str) -> int:
        """The process of a program."""
        return self._services[name].pid

    def _prepare(self) -> None:
        for leftover in ("prefect", "logs"):
            shutil.rmtree(self.state / leftover, ignore_errors=True)
        for database in self.state.glob("ledger.db*"):
            database.unlink()
        (self.state / "logs").mkdir(parents=True)
        self._listeners = {name: self._listen(name) for name in PORTS}
        self.urls = Urls(
            **{name: url_of(listener) for name, listener in self._listeners.items()},
            webhook_token=secrets.token_urlsafe(),
        )
        self.environment = self._environment()

    def _environment(self, webhook_secret: str = "") -> dict[str, str]:
        known = environment(self.urls, self.state, self._ledger_url, webhook_secret)
        return {name: value for name, value in (known | self._settings).items() if value}

    def _launch_server(self) -> None:
        if self._server_type == "stock":
            with self._listeners.pop("prefect") as listener:
                port = listener.getsockname()[1]
            self._launch("prefect", "prefect", "server", "start", "--port", str(port))
            return
        app = ("--factory", "deployments.local.prefect_on_sqlite:create_app")
        command = (sys.executable, "-m", "uvicorn", *app, "--log-level", "warning")
        on_sqlite = DATABASE not in self._settings
        database = prefect_database_cache.lay_out(self._prefect_home) if on_sqlite else {}
        self._launch("prefect", *command, **database)

    def _start(self) -> None:
        python = (sys.executable, "-m")
        self._launch_server()
        self._launch("ledger", *python, "invoicing.ledger")
        self._launch("stripe", *python, "sandbox.stripe")
        package = [f"--metadata={folder}" for folder in (SALESFORCE_PACKAGE, MULTI_CURRENCY)]
        bus = ("--pubsub-port", self.urls.pubsub.rpartition(":")[2])
        org = ("sandbox.salesforce", *package, "--seed", "demo", *bus)
        self._launch("salesforce", *python, *org)
        self._until_ready("stripe", f"{self.urls.stripe}/_sandbox/clock")
        secret = self._register_webhook()
        self.environment = self._environment(secret)
        self._finish("ledger")
        self._launch("receiver", *python, "invoicing.receiver")
        self._until_ready("salesforce", f"{self.urls.salesforce}/_sandbox/clock")
        if self._pages:
            command = ("deployments.org_pages", "--deploy", "--before", str(self.state))
            self._launch("pages", *python, *command, **self._log_in())
        self._until_ready("prefect", f"{self.urls.prefect_api}/health")
        if self._server_type == "ours" and DATABASE not in self._settings:
            prefect_database_cache.keep(self._prefect_home)
        self._create_pool(POOL, self._worker_type)
        self._launch_worker(POOL)
        self._launch("deploy", "prefect", "--no-prompt", "deploy", "--all")
        self._launch("automations", *python, "deployments.automations")
        self._until_ready("receiver", f"{self.urls.receiver}/ready")
        self._until_served(POOL)
        self._finish("deploy")
        self._launch("listener", *python, "invoicing.listener")
        self._finish("automations")
        if self._pages:
            self._finish("pages")

    def _log_in(self) -> dict[str, str]:
        """A session in Salesforce, as its command line has one."""
        form = {
            "grant_type": "client_credentials",
            "client_id": SALESFORCE_KEY,
            "client_secret": SALESFORCE_SECRET,
        }
        answer = self._http.post(f"{self.urls.salesforce}/services/oauth2/token", data=form)
        token = str(answer.raise_for_status().json()["access_token"])
        return {"SF_ACCESS_TOKEN": token, "SF_ORG_INSTANCE_URL": self.urls.salesforce}

    def _register_webhook(self) -> str:
        endpoint: Any = {
            "url": self.urls.webhook,
            "enabled_events": ["*"],
            "api_version": STRIPE_API_VERSION,
        }
        secret = stripe_client(self.urls).webhook_endpoints.create(endpoint).secret
        if not secret:
            raise StackError("The Stripe sandbox gave no signing secret")
        return secret

    def _listen(self, name: str) -> socket.socket:
        preferred = self._ports[name]
        # gRPC takes no socket from others
        listener = reserve(preferred) if name == "pubsub" else listen(preferred)
        port = listener.getsockname()[1]
        if port != preferred:
            self._report(name, f"port {preferred} is taken, using {port}")
        return listener

    def _launch(self, name: str, *command: str, **variables: str) -> None:
        self._report(name, "starting")
        self._services[name] = Service(
            name,
            command,
            self.environment | variables,
            ROOT,
            self.state / "logs",
            errand=name in ERRANDS,
            listener=self._listeners.pop(name, None),
        )

    def _until_ready(self, name: str, url: str) -> None:
        """Wait until a program answers."""
        self._services[name].until_ready(url)
        self._report(name, "ready")

    def _until_served(self, pool: str) -> None:
        """Wait until a pool has a worker, all programs running."""
        url = f"{self.urls.prefect_api}/work_pools/{pool}"
        while self._http.get(url).raise_for_status().json()["status"] != "READY":
            self.check()
            time.sleep(POLL_SECONDS)
        self._report(worker_of(pool), "ready")

    def _finish(self, name: str) -> None:
        """Wait until a program has done its work."""
        service = self._services.pop(name)
        code = service.until_ended()
        if code != 0:
            raise StackError(f"{name} failed with status {code}:\n{service.tail()}")
        self._report(name, "done")

    def _create_pool(self, pool: str, worker_type: WorkerType) -> None:
        body = {"name": pool, "type": worker_type}  # the worker adds its job template
        pools = f"{self.urls.prefect_api}/work_pools/"
        self._http.post(pools, json=body).raise_for_status()

    def _launch_worker(self, pool: str) -> None:
        self._launch(worker_of(pool), "prefect", "worker", "start", "--pool", pool)

    @property
    def _prefect_home(self) -> Path:
        return self.state / "prefect"

    def _stop(self) -> None:
        workers = [s for s in self._services.values() if s.name.startswith("worker")]
        others = [s for s in self._services.values() if s not in workers]
        with signals_handled([signal.SIGINT, signal.SIGTERM], signal.SIG_IGN):
            for group in (workers, others):
                for service in group:
                    service.terminate()
                for service in group:
                    service.wait(STOP_SECONDS)
                    self._report(service.name, "stopped")
        self._services = {}
        for listener in self._listeners.values():
            listener.close()
        self._listeners = {}


def worker_of(pool: str) -> str:
    """The name of a pool's worker process."""
    return "worker" if pool == POOL else f"worker-{pool}"


def one_certificate(folder: Path) -> Path:
    """A bundle of one authority, for Prefect's clients of a server that speaks no TLS.

    They read the whole bundle whenever one is made, which is several times a run.
    """
    end = "-----END CERTIFICATE-----"
    first, _, _ = Path(certifi.where()).read_text(encoding="utf-8").partition(end)
    bundle = folder / "authority.pem"
    bundle.write_text(first + end, encoding="utf-8")
    return bundle


def url_of(listener: socket.socket) -> str:
    """The base URL of what is served on a socket of the loopback interface."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def occupied(state: Path) -> Iterator[None]:
    """Keep a directory to this process.

    Raises:
        StackError: If another stack has it.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"Another stack runs in {state}: end it first, or start this one from another copy"
            ) from None
        yield


@contextmanager
def signals_handled(
    numbers: Iterable[signal.Signals], handler: Callable[[int, Any], None] | signal.Handlers
) -> Iterator[None]:
    """Handle signals in another way than before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)


def exit_as_told(number: int, _frame: object) -> None:
    """Let a signal leave `with` blocks the way Ctrl-C does."""
    raise SystemExit(128 + number)
