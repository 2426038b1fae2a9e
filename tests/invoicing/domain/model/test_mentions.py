"""Texts that mention somebody are told from those that mention others."""

from typing import Any

import pytest

from invoicing.domain.model.mentions import Mentions

ACME = Mentions(["Acme, Inc.", "billing@acme.example", "INV-0042", "in_1Abc", "7", "2026", None])


@pytest.mark.parametrize(
    "text",
    [
        "send INV-0042 to somebody",
        "[inv-0042](https://org.example/x).",
        "a01:in_1Abc",
        "ACME INC was mailed",
        "To <billing@acme.example>.",
    ],
)
def test_a_name_is_found_as_people_and_programs_write_it(text: str) -> None:
    """In any case, between any marks."""
    assert ACME.in_text(text)


@pytest.mark.parametrize(
    "text",
    ["INV-00421", "XINV-0042", "in_1Abcd", "Acme Incident", "accounts-billing@acme.example"],
)
def test_a_longer_word_is_another(text: str) -> None:
    """Whose name begins or ends alike is somebody else."""
    assert not ACME.in_text(text)


def test_what_says_too_little_is_not_looked_for() -> None:
    """A record called 7 is in many a text."""
    assert not ACME.in_text("7 lines in 2026")


@pytest.mark.parametrize(
    ("value", "theirs"),
    [
        ("a\nfor INV-0042\nb", "for INV-0042"),
        ("nobody", None),
        (
            [{"Invoice": "INV-0042", "Total": 5}, {"Invoice": "INV-0001", "Total": 6}],
            [{"Invoice": "INV-0042", "Total": 5}],
        ),
        (
            {"account": "Acme Inc", "memo": "Thanks", "csv": "INV-0042,1\nINV-0001,2"},
            {"account": "Acme Inc", "memo": "Thanks", "csv": "INV-0042,1"},
        ),
        ({"csv": "INV-0042,1\nINV-0001,2", "mode": "all"}, {"csv": "INV-0042,1"}),
        ({"invoice": "INV-0001"}, None),
    ],
)
def test_what_is_about_others_is_left_out(value: Any, theirs: Any) -> None:
    """Lines of a long text, rows of a table."""
    assert ACME.about(value) == theirs
