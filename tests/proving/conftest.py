"""Two worlds for the short part."""

from collections.abc import Iterator

import pytest

from tests.proving.company import Company, company
from tests.proving.schedules import Sites, explore
from tests.proving.stories import STORIES


@pytest.fixture(scope="session")
def worlds() -> Iterator[Company]:
    """Two worlds side by side, their ledgers on SQLite."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PREFECT_API_URL", raising=False)
        with company(2) as started:
            yield started


@pytest.fixture(scope="session")
def sites(worlds: Company) -> dict[str, Sites]:
    """Where something can go wrong in each story."""
    return dict(worlds.do_all(explore, list(STORIES)))
