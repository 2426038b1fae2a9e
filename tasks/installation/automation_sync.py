"""A server's automations of this project, made the wanted ones."""

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events.schemas.automations import Automation, AutomationCore

OURS = "salesforce-stripe-invoices"
"""The tag by which automations of this project are known, those of earlier releases included."""


def present(client: SyncPrefectClient) -> dict[str, Automation]:
    """The server's automations of this project, by their names."""
    return {each.name: each for each in client.read_automations() if OURS in each.tags}


def as_wanted(found: Automation) -> AutomationCore:
    """An automation of the server, to be compared."""
    return AutomationCore(**found.model_dump())


def apply(wanted: list[AutomationCore]) -> dict[str, str]:
    """Make the server's automations of this project the wanted ones.

    Returns:
        What became of each by its name: created, updated, unchanged or deleted.
    """
    done = {}
    with get_client(sync_client=True) as client:
        others = present(client)
        for automation in wanted:
            found = others.pop(automation.name, None)
            if found is None:
                client.create_automation(automation)
                done[automation.name] = "created"
            elif as_wanted(found) != automation:
                complete = AutomationCore(**automation.model_dump(exclude={"owner_resource"}))
                client.update_automation(found.id, complete)
                done[automation.name] = "updated"
            else:
                done[automation.name] = "unchanged"
        for name, obsolete in others.items():
            client.delete_automation(obsolete.id)
            done[name] = "deleted"
    return done
