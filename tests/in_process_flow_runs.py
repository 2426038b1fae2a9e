"""Flows that are called in this process, as runs on a Prefect server of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_SSL_CERT_FILE,
    PREFECT_API_URL,
    PREFECT_CLIENT_CSRF_SUPPORT_ENABLED,
    PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from deployments.local.stack import one_certificate
from tests.prefect_server import QUIET, prefect_server


@contextmanager
def flows_run_here(home: Path) -> Iterator[str]:
    """Have a server as long as the block lasts; no heartbeats, no events: nobody looks at them.

    Yields:
        Its API's URL.
    """
    EventsWorker.set_client_override(NullEventsClient)
    with (
        prefect_server(home, QUIET) as url,
        temporary_settings(
            {
                PREFECT_API_URL: url,
                PREFECT_API_SSL_CERT_FILE: str(one_certificate(home)),
                PREFECT_CLIENT_CSRF_SUPPORT_ENABLED: False,
                PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED: False,
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
            }
        ),
    ):
        yield url
