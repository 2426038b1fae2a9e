"""Countries as people write them."""

import pytest

from invoicing.domain.model.countries import country_code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        *[("DE", "DE"), ("de", "DE"), ("Germany", "DE"), ("Deutschland ", "DE"), ("DEU", "DE")],
        *[("USA", "US"), ("U.S.A.", "US"), ("United States of America", "US"), ("UK", "GB")],
        *[
            ("The Netherlands", "NL"),
            ("Österreich", "AT"),
            ("日本", "JP"),
            ("Czech Republic", "CZ"),
        ],
    ],
)
def test_a_country_is_known_by_its_name_and_by_its_code(said: str, code: str) -> None:
    """In the languages of those who buy, in any case."""
    assert country_code(said) == code


@pytest.mark.parametrize("said", ["", "Atlantis", "EU", "XX", "AN", "SU", "Kongo", "Bavaria"])
def test_what_is_no_country_or_two_of_them_is_not_guessed(said: str) -> None:
    """Regions, fantasies, what is no more, and a name that two countries have."""
    assert country_code(said) is None
