"""Who goes first, and how many run at once: the work pool's queues, as code.

`python -m deployments.automations` applies them. Each deployment of ``prefect.yaml`` names its
queue. A limit of a queue holds runs back without cost: they stay Scheduled, and a worker gets
the next one as soon as another has ended. (Past a deployment's own `concurrency_limit` with
ENQUEUE, Prefect looks again only after half a minute.)

Whoever starts a crowd of runs puts them into the queue ``bulk``: ``"work_queue_name": "bulk"``
beside the parameters of `create_flow_run`. A person who clicks meanwhile goes first.

Source: https://docs.prefect.io/v3/concepts/work-pools#work-queues
"""

from typing import NamedTuple

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import WorkQueue
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

POOL = "invoices"


class Limits(BaseSettings):
    """How many runs of each queue go at once; from the environment, ``INVOICING_QUEUES_…``.

    Runs, on all workers together: more workers bear more.
    """

    model_config = SettingsConfigDict(env_prefix="INVOICING_QUEUES_", extra="ignore")

    people: int = Field(20, ge=1, description="What somebody waits for.")
    machinery: int = Field(8, ge=1, description="Events and schedules; the full sync among them.")
    bulk: int = Field(6, ge=1, description="What programs ask for by the hundred.")


class Queue(NamedTuple):
    """A queue as it should be; lower priorities go first."""

    name: str
    priority: int
    limit: int
    description: str


def wanted(limits: Limits) -> list[Queue]:
    """The queues in their order."""
    return [
        Queue("people", 1, limits.people, "What somebody waits for."),
        Queue("machinery", 2, limits.machinery, "Events and schedules."),
        Queue("bulk", 3, limits.bulk, "What programs ask for by the hundred."),
    ]


def apply(limits: Limits, pool: str = POOL) -> dict[str, str]:
    """Make the pool's queues the wanted ones; others keep their order behind them.

    Returns:
        What became of each by its name: created, updated or unchanged.
    """
    done = {}
    with get_client(sync_client=True) as client:
        present = {queue.name: queue for queue in client.read_work_queues(pool)}
        for queue in wanted(limits):
            found = present.get(queue.name)
            if found and as_wanted(found) == queue:
                done[queue.name] = "unchanged"
                continue
            done[queue.name] = "updated" if found else "created"
            found = found or client.create_work_queue(queue.name, work_pool_name=pool)
            client.update_work_queue(
                found.id,
                priority=queue.priority,
                concurrency_limit=queue.limit,
                description=queue.description,
            )
    return done


def as_wanted(found: WorkQueue) -> Queue:
    """A queue of the server, to be compared."""
    return Queue(found.name, found.priority, found.concurrency_limit or 0, found.description or "")
