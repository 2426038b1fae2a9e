"""What a flow is, and how its run says its outcome, in its final state, in one sentence."""

from collections.abc import Callable, Iterable
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Annotated, Any, ParamSpec, TypeVar, cast

from prefect import Flow
from prefect import flow as prefect_flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Abort
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.runtime import flow_run as this_run
from prefect.states import Completed, Failed
from prefect.task_runners import TaskRunner
from pydantic import Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic.fields import FieldInfo

from invoicing.domain.forms.mistakes import (
    Mistakes,
    mistakes_in,
    names_that_do_not_fit,
    title_of,
    titles_in,
)
from invoicing.domain.forms.outcomes import Outcome
from invoicing.domain.salesforce.request_record import RequestState
from invoicing.errors import Conflict, InvoicingError, Rejected, Superseded
from tasks.runtime.request_answer import answer_own_request
from tasks.runtime.run_name import headline, with_headline
from tasks.runtime.run_tracing import trace_runs

P = ParamSpec("P")

R = TypeVar("R", bound=Outcome)

MAX_ATTEMPTS = 5
"""How often one run may be begun. Runs that died are begun again by the automations, which
cannot tell a run that was unlucky from one that kills every process it is given."""


def invoicing_flow(
    run_name: str, *, task_runner: TaskRunner[PrefectFuture[Any]] | None = None
) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a function a flow of Prefect that has the same name, with dashes.

    Its outcome, in one sentence, becomes the message of its final state and its headline.
    A refusal or a conflict ends the run as Failed with its reasons as the message, without
    a stack trace; so does the last of too many attempts. Anything unknown is raised as it is.
    A process whose run was taken over by another ends without a word about the run's state.
    Whoever asked for it in Salesforce is told the same on the request, before the run ends.
    Prefect takes the state as the run's end, and hands the outcome inside it to whoever called
    the flow.

    Args:
        run_name: What a run is called until it knows better; may name parameters in braces.
        task_runner: For steps that are done side by side.
    """

    def made(function: Callable[P, R]) -> Flow[P, R]:
        return prefect_flow(
            name=function.__name__.replace("_", "-"),
            flow_run_name=run_name,
            task_runner=task_runner,
            persist_result=True,
            on_crashed=[_refuse_misnamed],
        )(_reporting(function))

    return made


def _refuse_misnamed(
    flow: Flow[..., Any],
    flow_run: FlowRun,
    state: State[Any],  # noqa: ARG001
) -> None:
    """Let a run whose parameters have wrong names end as Failed, in words.

    Prefect fits them to the flow before that begins, and ends the process where it cannot: all that
    is left to say it is what comes after a crash. A server only refuses what its schema knows.

    Source: ``prefect.flow_engine._flow_parameters``
    """
    fields = signature(flow.fn).parameters.values()
    needed = [field.name for field in fields if field.default is Parameter.empty]
    wrong = names_that_do_not_fit(flow_run.parameters, [field.name for field in fields], needed)
    if wrong:
        sentence = " ".join(wrong)
        with get_client(sync_client=True) as client:
            client.update_flow_run(flow_run.id, name=with_headline(flow.name, sentence))
            client.set_flow_run_state(flow_run.id, Failed(message=sentence), force=True)


def _reporting(story: Callable[P, R]) -> Callable[P, R]:
    @wraps(story)
    def run(*args: P.args, **kwargs: P.kwargs) -> Any:
        try:
            _count_attempts()
            _refuse_mistakes([*args, *kwargs.values()])
            outcome = story(*args, **kwargs)
        except Superseded as error:
            get_run_logger().warning(str(error))
            raise Abort(str(error)) from error
        except InvoicingError as error:
            get_run_logger().error(str(error))
            wrong = isinstance(error, Rejected | Conflict)
            state = RequestState.REFUSED if wrong else RequestState.FAILED
            answer_own_request(state, str(error))
            headline(str(error))
            return Failed(message=str(error), data=error)
        except Exception as error:
            said = f"Something unexpected happened: {error}"
            answer_own_request(RequestState.FAILED, said)
            headline(said)
            raise
        get_run_logger().info(outcome.sentence)
        answer_own_request(RequestState.DONE, outcome.sentence)
        headline(outcome.sentence)
        return Completed(message=outcome.sentence, data=outcome)

    cast(Any, run).__signature__ = _as_form(signature(story))
    trace_runs()
    return cast(Callable[P, R], run)


def _as_form(story: Signature) -> Signature:
    """Label the form's fields as people write: "Due date", where Prefect would say due_date.

    A parameter's own title, in its ``Field``, goes before that.

    What is filled in wrongly gets past Prefect, which would end the run with a program's words.
    """

    def labelled(parameter: Parameter) -> Parameter:
        # Prefect sets every title to the parameter's name; only extra keywords come after that.
        about = getattr(parameter.annotation, "__metadata__", ())
        own = (one.title for one in about if isinstance(one, FieldInfo) and one.title)
        title = next(own, title_of(parameter.name))
        label = Field(json_schema_extra={"title": title})

        def checked(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
            try:
                return check(value)
            except ValidationError as error:
                return Mistakes(value, mistakes_in(error, title, titles_in(parameter.annotation)))

        return parameter.replace(
            annotation=Annotated[parameter.annotation, label, WrapValidator(checked)]
        )

    return story.replace(parameters=[labelled(one) for one in story.parameters.values()])


def _refuse_mistakes(values: Iterable[object]) -> None:
    wrong = [one for value in values if isinstance(value, Mistakes) for one in value.sentences]
    if wrong:
        raise Rejected(wrong)


def _count_attempts() -> None:
    if this_run.run_count > MAX_ATTEMPTS:
        raise InvoicingError(
            f"This run was begun {MAX_ATTEMPTS} times and never came to an end; it is not tried "
            "again. Its log says how far it came. Once the cause is removed, start a new run: "
            "it goes on from there."
        )
