"""Questions to people: each is a run input, and the run ends until it is answered.

Suspended, a run has no process and holds nothing; it survives restarts of everything. Answered,
it begins again and finds its earlier answers where Prefect keeps them. Only runs of deployments
can be suspended.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import TypeVar, cast

from prefect.flow_runs import suspend_flow_run
from prefect.input import RunInput
from prefect.input.actions import read_flow_run_input
from prefect.logging import get_run_logger
from pydantic import ValidationError

from invoicing.domain.forms.dialogue import Answer, Dialogue, Question
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.runtime.run_name import headline

T = TypeVar("T")

HOW_TO_ANSWER = "Answer by ⋮, Resume:"
"""As Prefect's page of a run has it; the form is behind that menu."""


class Prompts:
    """The questions of a run in their order, answered or not."""

    def __init__(self, name: str, answers: Sequence[Answer] = ()) -> None:
        """Begin at the first question.

        Args:
            name: Tells these questions from others of the same run.
            answers: What was answered beforehand, in the order of the questions.
        """
        self._name = name
        self._beforehand = answers
        self._asked = 0

    def run(self, dialogue: Dialogue[T]) -> T:
        """Run a dialogue as far as it is answered; suspends the run at what is not.

        Returns:
            The dialogue's result.
        """
        try:
            question = next(dialogue)
            while True:
                question = dialogue.send(self.ask(question))
        except StopIteration as end:
            result: T = end.value
            return result

    def ask(self, question: Question) -> Answer:
        """The answer to the next question; suspends the run if there is none yet.

        A run that died after its suspension and before its form was stored asks again.

        Raises:
            Rejected: this run is of no deployment, so nobody can be asked.
        """
        self._asked += 1
        if self._asked <= len(self._beforehand):
            return self._beforehand[self._asked - 1]
        for attempt in count(1):
            key = f"{self._name}-{self._asked}-{attempt}"
            answer = _answer(key)
            if answer is not None:
                return answer
            with suppress(ValidationError):
                _suspend(question, key)
        raise AssertionError

    def has_later_answer(self) -> bool:
        """Whether another question has been asked and answered already."""
        after = self._asked + 1
        return after <= len(self._beforehand) or _answer(f"{self._name}-{after}-1") is not None


def _answer(key: str) -> Answer | None:
    return cast(Answer | None, read_flow_run_input(f"suspended-{key}-response"))


def _suspend(question: Question, key: str) -> None:
    form = RunInput.subclass_from_base_model_type(question.form)
    headline(f"{HOW_TO_ANSWER} {question.heading}")
    get_run_logger().warning("This run waits. %s %s", HOW_TO_ANSWER, question.heading)
    try:
        suspend_flow_run(
            wait_for_input=form.with_initial_data(description=question.text),
            key=key,
            timeout=settings().dialogues.timeout_seconds,
        )
    except RuntimeError as error:
        raise Rejected(
            f"A question has to be answered, and nobody can be asked here: {error} Start the "
            "flow's deployment."
        ) from error
