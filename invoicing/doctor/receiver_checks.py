"""The receiver of Stripe's events, asked from outside."""

import requests

from invoicing.doctor.checks import Check, Wrong, ask
from invoicing.doctor.settings_checks import SETTINGS
from invoicing.doctor.stripe_checks import endpoint_url
from invoicing.settings import settings

RECEIVER = "receiver"


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
    answer = ask(str(settings().receiver.url), "health")
    if not answer.ok or _said(answer).get("status") != "ok":
        raise Wrong(f"What answers at {settings().receiver.url} is not the receiver.")
    return f"It answers at {settings().receiver.url}."


def _ready() -> str:
    answer = ask(str(settings().receiver.url), "ready")
    if not answer.ok:
        raise Wrong(
            str(_said(answer).get("reason") or f"It answers with status {answer.status_code}.")
        )
    return "It can write events down."


def _said(answer: requests.Response) -> dict[str, object]:
    try:
        said = answer.json()
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
