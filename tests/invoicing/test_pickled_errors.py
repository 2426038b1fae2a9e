"""Errors that Prefect has kept go on being read."""

import pickle

import pytest

from invoicing.errors import EnvironmentMismatch, NotFound, Rejected, TransientError


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Passing", TransientError),
        ("Refused", Rejected),
        ("Missing", NotFound),
        ("WrongWorld", EnvironmentMismatch),
    ],
)
def test_an_error_pickled_under_its_former_name_is_read(name: str, kind: type[Exception]) -> None:
    """The result of a run that failed before an upgrade can be asked for after it."""
    now = pickle.dumps(kind("The Account is missing."), protocol=0)
    then = now.replace(kind.__name__.encode(), name.encode())
    assert then != now
    read = pickle.loads(then)  # noqa: S301
    assert type(read) is kind
    assert str(read) == "The Account is missing."
