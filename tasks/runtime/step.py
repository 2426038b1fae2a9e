"""What a step of a run is, and how it is retried: the one place for it."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

from prefect import task
from prefect.cache_policies import DEFAULT, NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from invoicing.errors import TransientError

P = ParamSpec("P")

R = TypeVar("R")


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a step failed with a transient error: these are retried, and no others."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


FIRST_DELAY_SECONDS = 0.5

LONGEST_DELAY_SECONDS = 30.0


def exponential_delays(retries: int) -> list[float]:
    """Seconds before each further try: twice as long each time, up to half a minute."""
    return [min(FIRST_DELAY_SECONDS * 2**n, LONGEST_DELAY_SECONDS) for n in range(retries)]


FEW_RETRIES = 5
"""Retries, about 15 seconds, of steps that somebody else takes up again before long."""

CONCURRENT = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))
"""For steps that wait on the services: four at a time."""


def step(
    name: str, *, retries: int = 16, cached: bool = False
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a function a step of a run: a task of Prefect, tried again while a service is away.

    That may be for about five minutes before a run gives up; refusals, which no time heals, end it
    at once. Nothing is cached: whether an effect happened is the ledger's to know, not the
    orchestrator's.

    Args:
        name: What the run's page calls it; may name the function's parameters in braces.
        retries: How often it is tried again.
        cached: For reading what must look the same to a run that is begun again: its dialogue, so
            far, was about what was read first.
    """
    return task(
        task_run_name=name,
        retries=retries,
        retry_delay_seconds=exponential_delays,
        retry_jitter_factor=0.5,
        retry_condition_fn=is_transient,
        cache_policy=DEFAULT if cached else NO_CACHE,
    )
