"""Two worlds for the short part."""

from collections.abc import Iterator

import pytest

from tests.faults.company import Company, company
from tests.faults.schedules import Sites, explore


@pytest.fixture(scope="session")
def worlds() -> Iterator[Company]:
    """Two worlds side by side, their ledgers on SQLite."""
    with company(2) as started:
        yield started


class Explored(dict[str, Sites]):
    """The stories' sites, each looked for when it is asked for."""

    def __init__(self, worlds: Company) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._worlds = worlds

    def __missing__(self, flow: str) -> Sites:
        """Play the story once without trouble."""
        _, self[flow] = self._worlds.do(explore, flow)
        return self[flow]


@pytest.fixture(scope="session")
def sites(worlds: Company) -> dict[str, Sites]:
    """Where something can go wrong in each story."""
    return Explored(worlds)
