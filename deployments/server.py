"""The Prefect server, closed by default: ``python -m deployments.server --host 127.0.0.1``.

What ``prefect server start`` runs, with six differences: beyond this machine it does not start
without a password, its API answers the pages of its own UI and no others, its messages link to that
UI, its files are readable by their owner only, it knows after a restart which slots are taken, and
it reports nothing to the makers of Prefect. Each setting of Prefect's own goes before.
"""

import argparse
import os
import sys
from urllib.parse import urlsplit

from prefect.settings import get_current_settings

from invoicing.settings import is_loopback

ORIGINS = ("PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS", "PREFECT_SERVER_CORS_ALLOWED_ORIGINS")
UI_API = ("PREFECT_SERVER_UI_API_URL", "PREFECT_UI_API_URL")
"""Both names of a setting of Prefect's."""

UI = "PREFECT_UI_URL"
"""Where messages find pages of runs; without it, they say ``None`` in place of a link."""

LEASES = "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"
LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"
"""Slots of runs, kept in ``PREFECT_HOME``. Prefect keeps them in memory: a run that holds one when
the server is restarted is then ended as Crashed at its next renewal."""

ANALYTICS = "PREFECT_SERVER_ANALYTICS_ENABLED"
"""Prefect's own server tells its makers every ten minutes which version runs on which system."""


def main() -> None:
    """Become the server, or say why not."""
    parser = argparse.ArgumentParser(prog="python -m deployments.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=4200)
    asked, others = parser.parse_known_args()
    given = get_current_settings()
    settings = given.server
    if not is_loopback(asked.host) and not settings.api.auth_string:
        sys.exit(
            f"The Prefect server does not start on {asked.host} without a password: whoever "
            "reaches its API has the keys of Stripe and Salesforce. Set "
            "PREFECT_SERVER_API_AUTH_STRING to user:password, and PREFECT_API_AUTH_STRING to the "
            "same for workers, receiver and deploying."
        )
    os.umask(0o077)
    ui_api = next((os.environ[name] for name in UI_API if name in os.environ), None)
    origin = own_origin(asked.host, asked.port, ui_api)
    if not any(name in os.environ for name in ORIGINS):
        os.environ[ORIGINS[0]] = origin
    if "ui_url" not in given.model_fields_set:
        os.environ[UI] = origin
    if settings.concurrency.lease_storage.endswith(".memory"):
        os.environ[LEASES] = LEASES_ON_DISK
    if "analytics_enabled" not in settings.model_fields_set:
        os.environ[ANALYTICS] = "false"
    start = ["-m", "prefect", "server", "start", "--host", asked.host, "--port", str(asked.port)]
    os.execv(sys.executable, [sys.executable, *start, *others])  # noqa: S606


def own_origin(host: str, port: int, ui_api_url: str | None) -> str:
    """The origin of the pages of the UI: of the API's address that they are told, or of here."""
    if ui_api_url:
        told = urlsplit(ui_api_url)
        return f"{told.scheme}://{told.netloc}"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


if __name__ == "__main__":
    main()
