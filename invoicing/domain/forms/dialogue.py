"""Dialogues with people: questions, their forms, and answers as they come back."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import (
    BaseModel,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from invoicing.domain.forms.mistakes import mistakes_in

Answer = Mapping[str, Any]
"""A person's answer, as the fields of the question's form."""


@dataclass(frozen=True, slots=True)
class Question:
    """One step: what is said to the person, in Markdown, and the form that asks."""

    text: str
    form: type[BaseModel]

    @property
    def heading(self) -> str:
        """What is asked, in one line."""
        return self.text.partition("\n")[0].lstrip("# ")


T = TypeVar("T")

Dialogue = Generator[Question, Answer, T]


def choice(choices: Iterable[str]) -> Any:
    """The type of a text whose form is a list to choose from."""
    return Annotated[str, WithJsonSchema({"type": "string", "enum": list(choices)})]


def form_model(name: str, **fields: tuple[Any, Any]) -> type[BaseModel]:
    """The form of a question, from the types and the defaults of its fields."""
    form: type[BaseModel] = create_model(name, **fields)  # type: ignore[call-overload]
    return form


def question_text(heading: str, *paragraphs: str, reason: str = "") -> str:
    """The text of a question, with the reason why it is asked again."""
    again = f"**Please check:** {reason}" if reason else ""
    return "\n\n".join(part for part in (f"### {heading}", again, *paragraphs) if part)


def read_answer(form: type[BaseModel], answer: Answer) -> BaseModel | str:
    """The filled-in form, or a sentence about its mistakes."""
    try:
        return form.model_validate(answer)
    except ValidationError as error:
        titles = {name: info.title for name, info in form.model_fields.items() if info.title}
        return " ".join(mistakes_in(error, titles=titles))
