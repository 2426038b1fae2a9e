"""How steps are retried, and how a run reports its outcome. The one place for both."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, ParamSpec, TypedDict, TypeVar, cast

from prefect.cache_policies import DEFAULT, NO_CACHE, CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import Abort
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner
from prefect.tasks import Task
from pydantic import Field

from invoicing.domain.forms.parameters import Outcome
from invoicing.errors import InvoicingError, Superseded, TransientError

P = ParamSpec("P")
R = TypeVar("R", bound=Outcome)


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


MAX_ATTEMPTS = 5
"""How often one run may be begun. Runs that died are begun again by the automations, which
cannot tell a run that was unlucky from one that kills every process it is given."""


def reports_outcome(flow: Callable[P, R]) -> Callable[P, R]:
    """Make a flow's outcome, in one sentence, the message of its final state.

    A refusal or a conflict ends the run as Failed with its reasons as the message, without
    a stack trace; so does the last of too many attempts. Anything unknown is raised as it is.
    A process whose run was taken over by another ends without a word about the run's state.
    Prefect takes the state as the run's end, and hands the outcome inside it to whoever called
    the flow.
    """

    @wraps(flow)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            _count_attempts()
            outcome = flow(*args, **kwargs)
        except Superseded as error:
            get_run_logger().warning(str(error))
            raise Abort(str(error)) from error
        except InvoicingError as error:
            get_run_logger().error(str(error))
            return Failed(message=str(error), data=error)
        get_run_logger().info(outcome.sentence)
        return Completed(message=outcome.sentence, data=outcome)

    cast(Any, run).__signature__ = _with_titles(signature(flow))
    return cast(Callable[P, R], run)


def _with_titles(flow: Signature) -> Signature:
    """Label the form's fields as people write: "Due date", where Prefect would say due_date."""

    def titled(parameter: Parameter) -> Parameter:
        # Prefect sets every title to the parameter's name; only extra keywords come after that.
        title = Field(json_schema_extra={"title": parameter.name.replace("_", " ").capitalize()})
        return parameter.replace(annotation=Annotated[parameter.annotation, title])

    return flow.replace(parameters=[titled(one) for one in flow.parameters.values()])


def _count_attempts() -> None:
    if flow_run.run_count > MAX_ATTEMPTS:
        raise InvoicingError(
            f"This run was begun {MAX_ATTEMPTS} times and never came to an end; it is not tried "
            "again. Its log says how far it came. Once the cause is removed, start a new run: "
            "it goes on from there."
        )
