"""A Prefect worker whose runs begin in about half a second.

    prefect worker start --type warm --pool invoices

Each flow run is a process of its own, as on a `process` pool, but forked from one that has
already imported Prefect and the project's flows. The job variables are those of the
`process` pool, so a deployment moves between the two by the name of its pool alone.

What to know:

* Code is read again by itself: a run asked for after a file was changed has the change.
* Flows must not read the environment, start threads or open connections while they are
  imported; that happens once, before any run and its environment exist.
* A run ends with its worker, be that stopped or killed, and is reported as Crashed. It is the
  automations that start it again, on a worker that lives.
* A run ends with everything it has started.
* Linux and macOS only. A run with a `command` of its own starts cold.
"""

from warm_worker.worker import WarmWorker

__all__ = ["WarmWorker"]
