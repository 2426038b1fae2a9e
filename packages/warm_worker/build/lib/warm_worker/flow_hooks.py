"""Run a flow's `on_cancellation` or `on_crashed` hooks, in a process of their own.

The arguments are the flow run's id and, as JSON, the state it is entering.
"""

import asyncio
import sys
from typing import Any
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.flows import load_flow_from_flow_run
from prefect.runner._hook_runner import HookRunner


async def run_hooks(flow_run_id: UUID, state: State[Any]) -> None:
    """Run the hooks that belong to the state; their errors are logged, never raised."""
    async with get_client() as client:
        flow_run = await client.read_flow_run(flow_run_id)
    runner = HookRunner(resolve_flow=load_flow_from_flow_run)
    await runner.run_cancellation_hooks(flow_run, state)
    await runner.run_crashed_hooks(flow_run, state)


if __name__ == "__main__":
    asyncio.run(run_hooks(UUID(sys.argv[1]), State.model_validate_json(sys.argv[2])))
