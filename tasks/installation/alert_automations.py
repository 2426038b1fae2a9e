"""Whoever runs an installation is told what went wrong: Prefect automations that post a message.

They post to one address, which is a secret: JSON with the member ``text``, as Slack's incoming
webhooks take it, and the others that took that form over.

Sources: https://docs.prefect.io/v3/concepts/automations and
https://docs.slack.dev/tools/java-slack-sdk/guides/incoming-webhooks
"""

from datetime import timedelta
from typing import Any
from uuid import UUID

from prefect.blocks.notifications import CustomWebhookNotificationBlock
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.events.actions import SendNotification
from prefect.events.schemas.automations import AutomationCore, Posture
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from invoicing.settings import read
from tasks.installation.deployed_flows import flows
from tasks.installation.recovery_automations import (
    ENDED,
    PAUSED_STATES,
    RUNNING,
    Timing,
    automation,
    automations,
    events,
)
from tasks.runtime.announcements import DEAD_LETTERS

BLOCK = "invoicing-notifications"
"""The name of the block in Prefect that holds the address."""

TYPE = "custom-webhook"
"""Prefect's name for blocks that post JSON to any address."""

URL_IN_BLOCK = "url"

SENDINGS = ["send-invoice", "send-scheduled", "resend-invoice", "send-reminders"]
"""Flows that mail customers."""

BY_THEMSELVES = [
    "doctor",
    "forget-old-data",
    "full-sync",
    "handle-events",
    "mark-overdue",
    "overview",
    "poll-events",
    "refresh-choices",
    "watch-salesforce",
]
"""Flows that nobody looks at who did not start them."""

NIGHTLY = "full-sync"


class Notifications(BaseSettings):
    """What is told, and where; from the environment, ``INVOICING_NOTIFICATIONS_…``."""

    model_config = SettingsConfigDict(env_prefix="INVOICING_NOTIFICATIONS_", extra="ignore")

    url: SecretStr | None = Field(
        None,
        description="Where messages are posted, as JSON with `text`: a Slack incoming webhook, or "
        "any address that takes the same. Without it nobody is told.",
    )
    late_seconds: int = Field(
        6 * 3600,
        ge=10,
        description="A full sync that runs for so long is told of.",
    )
    silent_seconds: int = Field(
        26 * 3600,
        ge=10,
        description="So long without a full sync that came to its end is told of.",
    )
    idle_seconds: int = Field(
        900,
        ge=10,
        description="Where a run is due, so long without the beginning of any is told of.",
    )
    crashes: int = Field(
        5,
        ge=1,
        description="So many crashes of runs within an hour are told of, though each is taken up "
        "again: the worker may have been killed, for want of memory above all.",
    )


def all_automations(client: SyncPrefectClient) -> list[AutomationCore]:
    """All automations of this installation: what is done about dead runs, and what is told.

    Raises:
        Misconfigured: Settings of either group are wrong.
    """
    deployed, kept = flows(), _kept(client)
    told = notifications(read(Notifications), deployed, kept.id) if kept else []
    return automations(read(Timing), deployed) + told


def keep_address(client: SyncPrefectClient) -> str:
    """Make the address that the server posts to the one of the settings; says what was done."""
    url = read(Notifications).url
    kept = _kept(client)
    if url is None:
        if kept:
            client.delete_block_document(kept.id)
        return "deleted" if kept else "none"
    CustomWebhookNotificationBlock(
        name=BLOCK,
        url="{{" + URL_IN_BLOCK + "}}",
        json_data={"text": "{{subject}}\n{{body}}"},
        secrets=SecretDict({URL_IN_BLOCK: url.get_secret_value()}),
    ).save(BLOCK, overwrite=True)
    return "updated" if kept else "created"


def mistakes(client: SyncPrefectClient) -> list[str]:
    """Why messages would not go where the settings say, in words that continue a sentence."""
    wanted, kept = read(Notifications).url, _kept(client)
    address = wanted.get_secret_value() if wanted else ""
    there = kept.data["secrets"][URL_IN_BLOCK] if kept else ""
    return [] if there == address else ["notifications do not go to INVOICING_NOTIFICATIONS_URL"]


def notifications(told: Notifications, flows: list[str], address: UUID) -> list[AutomationCore]:
    """Automations that tell of failures, crashes, questions, dead letters, late nights, silence."""

    def tell(
        when: str, description: str, about: list[str], body: str, **trigger: Any
    ) -> AutomationCore:
        message = SendNotification(block_document_id=address, subject=when, body=body)
        return automation(f"tell when {when}", description, about, message, **trigger)

    run = "{{ flow_run.name }}\n{{ flow_run|ui_url }}"
    at_once: dict[str, Any] = {
        "posture": Posture.Reactive,
        "for_each": {"prefect.resource.id"},
        "within": timedelta(0),
    }
    failed = at_once | {"expect": events({"Failed", "TimedOut"})}
    return [
        tell(
            "an invoice was not sent",
            "A sending failed, was refused or given up: its sentence says why.",
            SENDINGS,
            run,
            **failed,
        ),
        tell(
            "something failed that runs by itself",
            "Events, the nightly comparison, the doctor: its sentence says why.",
            BY_THEMSELVES,
            run,
            **failed,
        ),
        tell(
            "somebody has to decide",
            "An approval, or a question of the nightly comparison: the run's name says which.",
            flows,
            run,
            expect=events(PAUSED_STATES),
            **at_once,
        ),
        tell(
            "events could not be processed",
            "Dead letters; once an hour, however many there are.",
            flows,
            "{{ event.payload.told }} The report dead-letters names each with its reason.",
            posture=Posture.Reactive,
            match={"prefect.resource.id": DEAD_LETTERS},
            match_related={},
            expect={DEAD_LETTERS},
            within=timedelta(hours=1),
        ),
        tell(
            "no run begins",
            "Runs are due and none begins: the worker is away, or the pool is paused.",
            flows,
            "Look at the worker and at `make doctor`. What is due begins when there is one.",
            posture=Posture.Proactive,
            after=events({"Late"}),
            expect=events(RUNNING),
            within=timedelta(seconds=told.idle_seconds),
        ),
        tell(
            "runs crash again and again",
            "Processes of runs die: the worker's, or a machine's memory, is in a bad way.",
            flows,
            run,
            posture=Posture.Reactive,
            expect=events({"Crashed"}),
            threshold=told.crashes,
            within=timedelta(hours=1),
        ),
        tell(
            "the full sync is late",
            "It has begun and not ended.",
            [NIGHTLY],
            run,
            posture=Posture.Proactive,
            for_each={"prefect.resource.id"},
            after=events({"Running"}),
            expect=events(ENDED | PAUSED_STATES),
            within=timedelta(seconds=told.late_seconds),
        ),
        tell(
            "no full sync came to its end",
            "Nothing was compared for long: schedule, worker or server stand still.",
            [NIGHTLY],
            "Look at its schedule, at the worker and at `make doctor`.",
            posture=Posture.Proactive,
            expect=events({"Completed"}),
            within=timedelta(seconds=told.silent_seconds),
        ),
    ]


def _kept(client: SyncPrefectClient) -> BlockDocument | None:
    """The block that holds the address, if there is one."""
    try:
        return client.read_block_document_by_name(BLOCK, TYPE, include_secrets=True)
    except ObjectNotFound:
        return None
