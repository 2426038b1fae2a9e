"""The API of Prefect with a password, CSRF tokens and one origin: who gets in, and who does not."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prefect.client.orchestration import SyncPrefectClient
from prefect.settings import PREFECT_CLIENT_CSRF_SUPPORT_ENABLED, temporary_settings
from pydantic import SecretStr

from deployments import server
from deployments.local import prefect_database_cache
from deployments.local.child_process import Service, port_or_free
from deployments.local.stack import Urls, environment
from invoicing.connectors.prefect import Prefect
from invoicing.errors import TransientError
from invoicing.flow_trigger import FlowTrigger
from tests.prefect_server import QUIET, STOP_SECONDS, prefect_server
from tests.prefect_worker import eventually

ROOT = Path(__file__).parents[2]
PASSWORD = "admin:a long password"
AUTH = ("admin", "a long password")
FLOW = "handle-events"


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server that asks for all of it, and has one deployment; its URL."""
    closed = {
        "PREFECT_SERVER_API_AUTH_STRING": PASSWORD,
        "PREFECT_SERVER_API_CSRF_PROTECTION_ENABLED": "true",
    }
    with prefect_server(tmp_path_factory.mktemp("closed"), closed) as url:
        with (
            temporary_settings({PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: True}),
            SyncPrefectClient(url, auth_string=PASSWORD) as client,
        ):
            client.create_deployment(client.create_flow_from_name(FLOW), FLOW)
        yield url


def test_a_stranger_changes_nothing(api: str) -> None:
    """Neither without the password, nor with it and without a token."""
    assert httpx.get(f"{api}/deployments/name/{FLOW}/{FLOW}").status_code == 401
    assert httpx.post(f"{api}/flows/", json={"name": "mine"}, auth=AUTH).status_code == 403


def test_our_programs_get_in(api: str) -> None:
    """A run is started once a key, found, and read."""
    client = Prefect(api, SecretStr(PASSWORD))
    run = client.start(FLOW, {"limit": 3}, "key-1")
    assert not client.start_unless_started(FLOW, {"limit": 3}, "key-1")
    assert client.state(run).type == "SCHEDULED"
    assert {"limit": 3} in client.unfinished(FLOW)
    client.set_form(FLOW, {"type": "object"})
    assert client.forms([FLOW]) == {FLOW: {"type": "object"}}


def test_a_wrong_password_is_said_in_words(api: str) -> None:
    """And passes: it may be rotated at this moment."""
    with pytest.raises(TransientError, match="check PREFECT_API_AUTH_STRING"):
        Prefect(api, SecretStr("admin:wrong")).start(FLOW, {}, "key-2")


def test_the_receiver_starts_the_handler(api: str) -> None:
    """With a token, too."""
    reader = Prefect(api, SecretStr(PASSWORD))
    before = len(reader.unfinished(FLOW))

    async def notify() -> None:
        trigger = FlowTrigger[None](FLOW, "events", api, SecretStr(PASSWORD))
        async with trigger.running():
            trigger.notify()
            await asyncio.to_thread(eventually, lambda: len(reader.unfinished(FLOW)) > before)

    asyncio.run(notify())


def test_the_examples_get_in(api: str) -> None:
    """With what they say that one sets."""
    start = f"from prefect_api import start; print(start({FLOW!r}, {{}}, 'example'))"
    told = {"PREFECT_API_URL": api, "PREFECT_API_AUTH_STRING": PASSWORD}
    said = subprocess.run(
        [sys.executable, "-c", start],
        cwd=ROOT / "examples",
        env=os.environ | told,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == Prefect(api, SecretStr(PASSWORD)).start(FLOW, {}, "example")


def test_the_recipe_for_programs_works(api: str) -> None:
    """As the page shows it, with this server's address, password and deployment."""
    page = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
    recipe = page.partition("```sh\n")[2].partition("```")[0]
    for word, own in (
        ("https://prefect.example.com/api", api),
        ("user:password", PASSWORD),
        ("send-invoice/send-invoice", f"{FLOW}/{FLOW}"),
        ("python3", sys.executable),
    ):
        assert word in recipe
        recipe = recipe.replace(word, own)
    said = subprocess.run(
        ["bash", "-c", recipe], capture_output=True, text=True, check=True, timeout=120
    ).stdout
    assert '"state_type":"SCHEDULED"' in said
    assert {"invoice": "INV-0042"} in Prefect(api, SecretStr(PASSWORD)).unfinished(FLOW)


def test_a_page_from_elsewhere_may_not_ask_the_local_stack(tmp_path: Path) -> None:
    """Its preflight is refused; the UI's own is not."""
    urls = Urls("http://127.0.0.1:4200", *[""] * 5)
    stack = environment(urls, tmp_path, "")
    closed = {name: value for name, value in stack.items() if "_CORS_" in name}
    with prefect_server(tmp_path, closed) as url:

        def preflight(origin: str) -> int:
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            return httpx.options(f"{url}/deployments/filter", headers=asked).status_code

        assert preflight("https://evil.example") == 400
        assert preflight(urls.prefect) == 200
        evil = httpx.get(f"{url}/health", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in evil.headers


def test_a_server_beyond_loopback_needs_a_password(tmp_path: Path) -> None:
    """It does not begin; the sentence says which variable."""
    command = [sys.executable, "-m", "deployments.server", "--host", "0.0.0.0"]  # noqa: S104
    home = {"PREFECT_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=ROOT, env=home, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 1
    assert "PREFECT_SERVER_API_AUTH_STRING" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("asked", [None, "true"])
def test_the_server_reports_nothing_unless_it_is_asked_to(
    asked: str | None, tmp_path: Path
) -> None:
    """Prefect's own would tell its makers every ten minutes that it runs."""
    begin = "import os; os.execv = lambda *_: print(os.environ[server.ANALYTICS]); server.main()"
    home = {"PREFECT_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", f"from deployments import server; {begin}"],
        cwd=ROOT,
        env=home | ({server.ANALYTICS: asked} if asked else {}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{asked or 'false'}\n"


@pytest.mark.parametrize(
    ("told", "page"),
    [
        ({}, "http://127.0.0.1:{port}"),
        ({server.UI_API[0]: "https://prefect.example.com/api"}, "https://prefect.example.com"),
        ({server.UI: "https://elsewhere.example.com/v2"}, "https://elsewhere.example.com/v2"),
    ],
)
def test_messages_link_to_pages_that_people_open(
    tmp_path: Path, told: dict[str, str], page: str
) -> None:
    """Not to ``None``, which a server makes of them that knows no address of its own."""
    port = port_or_free(0)
    command = [sys.executable, "-m", "deployments.server", "--port", str(port)]
    kept = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    home = {"PREFECT_HOME": str(tmp_path)} | prefect_database_cache.lay_out(tmp_path)
    started = Service("server", command, kept | QUIET | home | told, ROOT, tmp_path)
    try:
        started.until_ready(f"http://127.0.0.1:{port}/api/health")
        settings = httpx.get(f"http://127.0.0.1:{port}/api/admin/settings").json()
    finally:
        started.terminate()
        started.wait(STOP_SECONDS)
    assert settings["ui_url"] == page.format(port=port)


@pytest.mark.parametrize(
    ("host", "ui", "origin"),
    [
        ("127.0.0.1", None, "http://127.0.0.1:4200"),
        ("::1", None, "http://[::1]:4200"),
        ("0.0.0.0", "https://prefect.example.com/api", "https://prefect.example.com"),  # noqa: S104
    ],
)
def test_the_server_allows_the_origin_of_its_ui(host: str, ui: str | None, origin: str) -> None:
    """Where people open it."""
    assert server.own_origin(host, 4200, ui) == origin
