"""What the worker remembers for its runs, and what it does not."""

import time

from warm_worker.prefect_patches import Memory


def test_a_run_is_given_nothing_that_was_read_before_it_was_asked_for() -> None:
    """A deployment that was changed and then run is run as it was changed."""
    memory, now = Memory(), time.time()
    memory.keep("deployments/1", now, "as it was")
    with memory.due(now + 1):
        assert memory.find("deployments/1") is None
        memory.keep("deployments/1", now + 2, "as it is")
        assert memory.handed_over() == {"deployments/1": "as it is"}
    assert memory.find("deployments/1") is None
