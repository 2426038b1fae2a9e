"""Two worlds for the short part."""

from collections.abc import Iterator

import pytest

from tests.faults.schedules import Sites, explore
from tests.faults.world_pool import WorldPool, world_pool


@pytest.fixture(scope="session")
def worlds() -> Iterator[WorldPool]:
    """Two worlds side by side, their ledgers on SQLite."""
    with world_pool(2) as started:
        yield started


class Explored(dict[str, Sites]):
    """The stories' sites, each looked for when it is asked for."""

    def __init__(self, worlds: WorldPool) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._worlds = worlds

    def __missing__(self, flow: str) -> Sites:
        """Play the story once without trouble."""
        _, self[flow] = self._worlds.do(explore, flow)
        return self[flow]


@pytest.fixture(scope="session")
def sites(worlds: WorldPool) -> dict[str, Sites]:
    """Where something can go wrong in each story."""
    return Explored(worlds)
