"""What runs announce to whoever runs an installation, beside how they end: events of Prefect.

Its automations wait for them (``tasks.installation.alert_automations``).
"""

from prefect.events import emit_event

DEAD_LETTERS = "salesforce-stripe-invoices.dead-letters"
"""Events of Stripe could not be processed, and are not tried again by themselves."""


def announce(what: str, sentence: str) -> None:
    """Announce something in one sentence."""
    emit_event(what, resource={"prefect.resource.id": what}, payload={"told": sentence})
