"""The processes of the compose files, two of each, by hand on this machine.

Commands and variables are those of the files. PostgreSQL, Redis and Caddy are the system's
packages; the services that both files speak to are the sandboxes.
"""

import itertools
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import stripe
import yaml

from benchmarks._postgresql import binaries, server_command
from deployments.local.child_process import Service, StackError, port_or_free
from deployments.local.stack import (
    ROOT,
    SALESFORCE_PACKAGE,
    STRIPE_KEY,
    Urls,
    environment,
)
from deployments.local.waiting import eventually
from invoicing.settings import STRIPE_API_VERSION
from tests.deployments.image import Image
from tests.prefect_worker import Prefect

CONTAINERS = ROOT / "deployments/containers"
PACKAGES = {"redis-server": "redis-server", "caddy": "caddy", "setpriv": "util-linux"}
"""Programs that are none of the lock's, and the packages of Debian's that have them."""
AUTH = ("people", "and-their-password")
COMMAND_OF_THE_IMAGE = re.compile(r"^CMD (\[.*\])$", re.MULTILINE)
PATIENCE_SECONDS = 300.0
STOP_SECONDS = 60
PAUSE_SECONDS = 0.2
VOLUME = "/var/lib/invoicing"
TWICE = ("prefect", "worker", "receiver")


def missing_packages() -> str:
    """What has to be installed before this can run, as words for `apt-get install`."""
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    try:
        binaries()
    except SystemExit:
        missing.append("postgresql")
    return " ".join(missing)


class Production:
    """Everything that `high-availability.yaml` starts, on ports of this machine."""

    def __init__(self, state: Path, image: Image | None) -> None:
        """Choose ports; nothing starts yet.

        Args:
            state: What lies in volumes, and the logs.
            image: Where our programs run; in this checkout unless given.
        """
        self.state = state
        self._image = image
        self._services: dict[str, Service] = {}
        numbered = [f"{name}-{number}" for name in TWICE for number in (1, 2)]
        names = [*numbered, "postgres", "redis", "ui", "webhooks", "stripe", "salesforce", "pubsub"]
        self._ports = {name: port_or_free(0) for name in names}
        self.urls = Urls(
            **{name: self.url(name) for name in ("stripe", "salesforce", "pubsub")},
            prefect=self.url("ui"),
            receiver=self.url("webhooks"),
            webhook_token=secrets.token_urlsafe(),
        )
        (state / "logs").mkdir()
        self._compose = self._read_compose()
        self._secret = ""

    def start(self) -> None:
        """Start everything, in the order of the files; return when an invoice could be raised."""
        self._start_postgres()
        self._start_redis()
        python = (sys.executable, "-m")
        self._service("stripe", *python, "sandbox.stripe", "--port", str(self._ports["stripe"]))
        org = ["--metadata", str(SALESFORCE_PACKAGE), "--seed", "demo"]
        ports = ["--port", str(self._ports["salesforce"])]
        ports += ["--pubsub-port", str(self._ports["pubsub"])]
        self._service("salesforce", *python, "sandbox.salesforce", *org, *ports)
        for name in ("stripe", "salesforce"):
            self._services[name].until_ready(f"{self.url(name)}/_sandbox/clock")
        self._secret = self._register_webhook()
        self._run("migrate")
        self._start_caddy()
        for number in (1, 2):
            self._launch(f"prefect-{number}", port=str(self._ports[f"prefect-{number}"]))
        for number in (1, 2):
            self._until_served(f"prefect-{number}", "/api/health")
        self._run("deploy")
        for number in (1, 2):
            self._launch(f"receiver-{number}", port=str(self._ports[f"receiver-{number}"]))
            self._launch(f"worker-{number}")
        self._launch("listener")
        for number in (1, 2):
            self._until_served(f"receiver-{number}", "/ready")

    def stop(self) -> None:
        """Stop everything: first what starts work, last what remembers it."""
        workers = [s for s in self._services.values() if s.name.startswith("worker")]
        others = [s for s in self._services.values() if s not in workers]
        for group in (workers, others):
            for service in group:
                service.terminate()
            for service in group:
                service.wait(STOP_SECONDS)

    def kill(self, name: str) -> None:
        """Let a program die, with all that it has started, and start it again as a supervisor."""
        os.killpg(self._services[name].pid, signal.SIGKILL)
        self._services[name].start_again()

    def restart_postgres(self) -> None:
        """End every connection, as an upgrade of the database does."""
        os.kill(self._services["postgres"].pid, signal.SIGINT)  # a fast shutdown
        self._services["postgres"].start_again()

    def start_worker(self, pool: str, project: Path, **variables: str) -> None:
        """Start a worker of Prefect's own kind for a pool, in another project's folder."""
        command = ["prefect", "worker", "start", "--pool", pool, "--type", "process"]
        known = self.variables("worker") | variables
        self._service(f"worker-{pool}", *command, variables=known, cwd=project)

    def check(self) -> None:
        """See that everything runs."""
        for service in self._services.values():
            service.check()

    def variables(self, service: str) -> dict[str, str]:
        """The environment of a service of the files."""
        known = environment(self.urls, self.state, "", self._secret)
        timing = {  # or the tests would wait as long as people may
            "INVOICING_AUTOMATIONS_SILENT_SECONDS": "45",
            "INVOICING_AUTOMATIONS_CRASHED_SECONDS": "10",
            "INVOICING_AUTOMATIONS_PENDING_SECONDS": "60",
        }
        if self._image:
            kept = {name: value for name, value in known.items() if name.startswith("INVOICING_")}
            around = kept | self._image.variables
        else:
            kept = {name: value for name, value in known.items() if not name.startswith("PREFECT_")}
            around = kept | {"PREFECT_HOME": str(self.state / "prefect")}
        given = {name: str(v) for name, v in self._compose[service]["environment"].items()}
        return around | timing | given

    def _read_compose(self) -> dict[str, Any]:
        """The services of both files, one over the other, as Docker Compose merges them."""
        names = ("compose.yaml", "high-availability.yaml")
        base, over = (self._read(name)["services"] for name in names)
        merged: dict[str, Any] = {}
        for name in base | over:
            first, second = base.get(name, {}), over.get(name, {})
            if "extends" in second:
                first = base[second["extends"]["service"]]
            variables = first.get("environment", {}) | second.get("environment", {})
            merged[name] = first | second | {"environment": variables}
        return merged

    def _read(self, name: str) -> dict[str, Any]:
        """A file whose hosts, volumes and variables are those of this machine."""
        answers = {
            "POSTGRES_PASSWORD": "letters",
            "PREFECT_API_AUTH_STRING": ":".join(AUTH),
            "IMAGE": "invoicing",
        }
        text = re.sub(
            r"\$\{(\w+)[^}]*\}",
            lambda found: answers.get(found[1], "127.0.0.1"),
            (CONTAINERS / name).read_text(encoding="utf-8"),
        )
        for inside, here in {
            "@postgres/": f"@127.0.0.1:{self._ports['postgres']}/",
            "//redis:6379": f"//127.0.0.1:{self._ports['redis']}",
            "http://prefect:4200": self.urls.prefect,
            VOLUME: VOLUME if self._image else str(self.state),
        }.items():
            text = text.replace(inside, here)
        found: dict[str, Any] = yaml.safe_load(text)
        return found

    def _command(self, service: str, options: Mapping[str, str]) -> list[str]:
        """What a service runs, at another port than in a container of its own."""
        image = COMMAND_OF_THE_IMAGE.findall((CONTAINERS / "Dockerfile").read_text())[0]
        words = self._compose[service].get("command") or yaml.safe_load(image)
        told = [word for name, value in options.items() for word in (f"--{name}", value)]
        if self._image and "build" in self._compose[service]:
            return self._image.inside([*words, *told])
        return [*words, *told]

    def _launch(self, name: str, **options: str) -> None:
        """Start a service of the files."""
        service = name.partition("-")[0]
        own = {}
        if service == "worker":
            own["PREFECT_WORKER_WEBSERVER_PORT"] = str(self._ports[name])
        command = self._command(service, options)
        self._service(name, *command, variables=self.variables(service) | own)

    def _service(
        self,
        name: str,
        *command: str,
        variables: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        known = os.environ if variables is None else variables
        service = Service(name, command, known, cwd, self.state / "logs")
        self._services[name] = service

    def _until_served(self, name: str, path: str) -> None:
        """Wait until a program answers; one that ends meanwhile is started again."""
        while True:
            try:
                self._services[name].until_ready(f"{self.url(name)}{path}")
            except StackError:
                self._services[name].start_again()
            else:
                return

    def _run(self, name: str) -> None:
        """Run a service that does its work and ends."""
        done = subprocess.run(
            self._command(name, {}),
            env=self.variables(name),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _start_postgres(self) -> None:
        """With the user and the databases that the image makes of the same file."""
        command = server_command(self.state / "postgres", self._ports["postgres"])
        self._service("postgres", *command)
        address = f"postgresql://postgres@127.0.0.1:{self._ports['postgres']}"
        eventually(lambda: answers(f"{address}/postgres"), PATIENCE_SECONDS)
        with psycopg.connect(f"{address}/postgres", autocommit=True) as connection:
            connection.execute("CREATE ROLE invoicing SUPERUSER LOGIN PASSWORD 'letters'")
            connection.execute("CREATE DATABASE invoicing OWNER invoicing")
        script = (CONTAINERS / "databases.sql").read_text(encoding="utf-8")
        psql = ["psql", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", f"{address}/invoicing"]
        subprocess.run(psql, input=script, text=True, check=True, capture_output=True)

    def _start_redis(self) -> None:
        volume = self.state / "redis"
        volume.mkdir()
        self._launch("redis", dir=str(volume), bind="127.0.0.1", port=str(self._ports["redis"]))

    def _start_caddy(self) -> None:
        """In front, as in the files; without certificates, which nobody gives this machine."""
        text = (CONTAINERS / "Caddyfile").read_text(encoding="utf-8")
        for service, port in (("prefect", 4200), ("receiver", 8300)):
            both = [f"127.0.0.1:{self._ports[f'{service}-{number}']}" for number in (1, 2)]
            text = text.replace(f"{service}:{port}", " ".join(both))
        file = self.state / "Caddyfile"
        file.write_text("{\n\tadmin off\n}\n" + text)
        hosts = {"UI_HOST": self.urls.prefect, "WEBHOOK_HOST": self.urls.receiver}
        home = {"XDG_DATA_HOME": str(self.state), "XDG_CONFIG_HOME": str(self.state)}
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
        self._service("caddy", *command, variables=os.environ | hosts | home)

    def _register_webhook(self) -> str:
        base: Any = dict.fromkeys(("api", "connect", "files", "meter_events"), self.urls.stripe)
        client = stripe.StripeClient(STRIPE_KEY, base_addresses=base)
        endpoint: Any = {
            "url": self.urls.webhook,
            "enabled_events": ["*"],
            "api_version": STRIPE_API_VERSION,
        }
        return str(client.v1.webhook_endpoints.create(endpoint).secret)

    def url(self, name: str) -> str:
        """Where a program answers; a worker, whether it is well."""
        return f"http://127.0.0.1:{self._ports[name]}"


def answers(address: str) -> bool:
    """Whether a database server takes connections."""
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def production(state: Path, image: Image | None = None) -> Iterator[Production]:
    """All processes, for as long as the block lasts."""
    made = Production(state, image)
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Api(Prefect):
    """Prefect's API, asked as the README says: again on whatever is no answer."""

    def __init__(self, url: str) -> None:
        """Know the password."""
        super().__init__(url, AUTH)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Call it until it answers, and return its JSON."""
        while True:
            with suppress(httpx.TransportError):
                answer = self._http.request(method, path, json=body)
                if not answer.is_server_error:
                    break
            time.sleep(PAUSE_SECONDS)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def ask(self, flow: str, key: str, **parameters: Any) -> str:
        """Ask for a run, once for each key, and wait until it has completed; its sentence.

        Of some flows one run works at a time: one that was cancelled, because its schedule or
        somebody else had started another, is asked for again. One that crashed is taken up again.
        """
        deployment = self.call("GET", f"/deployments/name/{flow}/{flow}")["id"]
        keys = (f"{key}-{number}" for number in itertools.count(1))
        run = ""

        def sentence() -> str:
            nonlocal run
            if not run:
                body = {"parameters": parameters, "idempotency_key": next(keys)}
                run = self.call("POST", f"/deployments/{deployment}/create_flow_run", body)["id"]
            state = self.call("GET", f"/flow_runs/{run}")["state"]
            assert state["type"] != "FAILED", state["message"]
            if state["type"] == "CANCELLED":
                run = ""
            return str(state["message"]) if state["type"] == "COMPLETED" else ""

        return eventually(sentence, PATIENCE_SECONDS)
