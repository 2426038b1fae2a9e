"""The least a flow run can do, for measuring everything around it."""

from prefect import flow, task


@task
def one() -> int:
    """Do nothing."""
    return 1


@flow(name="trivial")
def trivial() -> int:
    """Run one task."""
    return one()
