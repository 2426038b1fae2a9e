"""A Prefect worker whose runs begin in about half a second.

    prefect worker start --type warm --pool invoices

Each flow run is a process of its own, as on a `process` pool, but forked from one that has
already imported Prefect and the project's flows. The job variables are those of the
`process` pool, so a deployment moves between the two by the name of its pool alone.
"""

from deployments.warm_worker.worker import WarmWorker

__all__ = ["WarmWorker"]
