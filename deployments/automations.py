"""Bring queues and automations of a Prefect server up to date.

``python -m deployments.automations`` does it. Run it after every ``prefect deploy --all``;
`python -m deployments` does both. It is the server of ``PREFECT_API_URL``.
"""

import sys

import httpx
from prefect.client.orchestration import get_client

from invoicing.errors import InvoicingError
from invoicing.settings import read
from tasks.installation import alert_automations, automation_sync, queues


def main() -> None:
    """Apply automations and queues, and say what was done, or what is in the way."""
    try:
        for name, what in queues.apply(read(queues.Limits)).items():
            sys.stdout.write(f"queue {name}: {what}\n")
        with get_client(sync_client=True) as client:
            sys.stdout.write(
                f"address of notifications: {alert_automations.keep_address(client)}\n"
            )
            wanted = alert_automations.all_automations(client)
        for name, what in automation_sync.apply(wanted).items():
            sys.stdout.write(f"{name}: {what}\n")
    except (InvoicingError, httpx.HTTPError) as error:
        sys.exit(f"Queues and automations are not complete. {error or type(error).__name__}")


if __name__ == "__main__":
    main()
