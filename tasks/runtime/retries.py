"""How steps are retried: the one place for it."""

from collections.abc import Callable
from typing import Any, TypedDict, cast

from prefect.cache_policies import DEFAULT, NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task

from invoicing.errors import TransientError


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether a step failed with a transient error: these are retried, and no others."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


class Policy(TypedDict):
    """The options that every step has in common."""

    retries: int
    retry_delay_seconds: Callable[[int], list[float]]
    retry_jitter_factor: float
    retry_condition_fn: Callable[[Task[..., Any], TaskRun, State[Any]], bool]
    cache_policy: CachePolicy


class CachedPolicy(Policy):
    """The options of a step whose result is cached for later attempts at the same run."""

    persist_result: bool


FIRST_DELAY_SECONDS = 0.5

LONGEST_DELAY_SECONDS = 30.0


def exponential_delays(retries: int) -> list[float]:
    """Seconds before each further try: twice as long each time, up to half a minute."""
    return [min(FIRST_DELAY_SECONDS * 2**n, LONGEST_DELAY_SECONDS) for n in range(retries)]


STEP = Policy(
    retries=16,
    retry_delay_seconds=exponential_delays,
    retry_jitter_factor=0.5,
    retry_condition_fn=is_transient,
    cache_policy=NO_CACHE,
)
"""A service may be away for about five minutes before a run gives up; refusals, which no time
heals, end it at once. No caching: whether an effect happened is the ledger's to know, not the
orchestrator's."""

FEW_RETRIES = 5
"""Retries, about 15 seconds, of steps that somebody else takes up again before long."""

CACHED = CachedPolicy(**STEP | {"cache_policy": DEFAULT}, persist_result=True)
"""For reading what must look the same to a run that is begun again: its dialogue, so far, was
about what was read first."""

CONCURRENT = cast(TaskRunner[PrefectFuture[Any]], ThreadPoolTaskRunner(max_workers=4))
"""For steps that wait on the services: four at a time."""
