"""The receiver of Stripe's events, asked from outside."""

import requests

from invoicing.doctor.checks import Check, Wrong
from invoicing.doctor.settings_checks import SETTINGS
from invoicing.doctor.stripe_checks import endpoint_url
from invoicing.settings import settings

RECEIVER = "receiver"
TIMEOUT_SECONDS = 10


def receiver_checks() -> list[Check]:
    """Reached, and ready."""
    return [
        Check(
            "Receiver",
            RECEIVER,
            _reached,
            "Start python -m invoicing.receiver, and let the proxy in front of it pass /health.",
            SETTINGS,
        ),
        Check("Receiver", "receiver's ledger", _ready, "See the checks of the ledger.", RECEIVER),
    ]


def _reached() -> str:
    endpoint_url(settings())
    answer = _ask("health")
    if not answer.ok or _said(answer).get("status") != "ok":
        raise Wrong(f"What answers at {settings().receiver.url} is not the receiver.")
    return f"It answers at {settings().receiver.url}."


def _ready() -> str:
    answer = _ask("ready")
    if not answer.ok:
        raise Wrong(
            str(_said(answer).get("reason") or f"It answers with status {answer.status_code}.")
        )
    return "It can write events down."


def _ask(path: str) -> requests.Response:
    try:
        return requests.get(f"{settings().receiver.url}/{path}", timeout=TIMEOUT_SECONDS)
    except requests.RequestException as error:
        told = f"Nothing answers at {settings().receiver.url} ({type(error).__name__})."
        raise Wrong(told) from error


def _said(answer: requests.Response) -> dict[str, object]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
