"""A warm Python: one process that has everything imported and forks a child per run.

The worker starts this file in a project's directory and holds the other end of a Unix
socket, the *control* socket. Each request on it carries one more socket, the *run* socket,
on which the worker sends the job (one line of JSON) and reads the child's pid and, when the
child has ended, its exit code (one line each). Three rules keep the process family tidy:

* the control socket closes → no more requests; the server leaves after its last child,
* a run socket closes on the worker's side → the worker is gone; the run ends itself,
* a child ends → whatever it left running in its process group is killed.

Nothing here may start a thread or open a connection before the fork, because children would
inherit a lock nobody holds or a socket two processes use. `multiprocessing`'s own forkserver
is a singleton for the life of its parent and imports the parent's main module into every
child; this one can be replaced when the code changes.
"""

import atexit
import contextlib
import gc
import importlib
import importlib.util
import json
import os
import runpy
import selectors
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Never, TypedDict

# What every flow run imports, whatever the project.
ENGINE = (
    "prefect.engine",
    "prefect.flow_engine",
    "prefect.task_engine",
    "prefect.client.orchestration",
    "prefect.deployments.steps.core",
    "prefect.deployments.steps.pull",
    "prefect.events.worker",
    "prefect.runtime",
    # Imported late, inside functions, by every run.
    "anyio._backends._asyncio",
    "prefect.utilities.visualization",
    "rich._emoji_codes",
)
STALE = b"stale\n"
PATCHES = "warm_worker_patches"  # without the package around it, which is the worker
LAST_WORDS_SECONDS = 10.0  # from SIGTERM to SIGKILL, once the worker is gone


class Job(TypedDict):
    """What a child becomes: `python *argv`, already imported."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    stream_output: bool
    known: dict[str, str]
    nice: int


def project_modules(directory: Path) -> list[str]:
    """The modules that hold the flows deployed by the directory's `prefect.yaml`."""
    import yaml

    try:
        deployments = yaml.safe_load((directory / "prefect.yaml").read_text())["deployments"]
    except FileNotFoundError:
        return []
    return [module_of(deployment["entrypoint"]) for deployment in deployments or []]


def module_of(entrypoint: str) -> str:
    """The module of `flows/send.py:send` or of `flows.send.send`."""
    path, colon, _ = entrypoint.partition(":")
    if colon:
        return ".".join(Path(path).with_suffix("").parts)
    return entrypoint.rpartition(".")[0]


def preload(directory: Path) -> None:
    """Import the engine and the project's flows; what cannot be imported is said and left cold.

    A run of a flow that could not be imported tries again by itself and reports the error to
    the Prefect API, which is where its author looks for it.
    """
    for attempt in (lambda: ENGINE, lambda: project_modules(directory)):
        try:
            names = attempt()
        except Exception:
            traceback.print_exc()
            continue
        for name in names:
            try:
                importlib.import_module(name)
            except Exception:
                traceback.print_exc()
    complete_models()
    if threading.active_count() > 1:
        print("Importing the flows started threads:", threading.enumerate(), file=sys.stderr)  # noqa: T201


def complete_models() -> None:
    """Build the validators that Prefect's models leave to their first use.

    Each run would build its own: a fifteenth of the processor time of a short one.
    """
    from pydantic import BaseModel

    unseen = [BaseModel]
    while unseen:
        for model in unseen.pop().__subclasses__():
            unseen.append(model)
            if not model.__pydantic_complete__ and model.__module__.startswith("prefect."):
                with contextlib.suppress(Exception):  # then the run says why, if it needs it
                    model.model_rebuild()


def load_patches() -> None:
    """Import what lies beside this file, wherever the project is."""
    spec = importlib.util.spec_from_file_location(
        PATCHES, Path(__file__).with_name("prefect_patches.py")
    )
    if spec is None or spec.loader is None:
        raise ImportError(PATCHES)
    sys.modules[PATCHES] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[PATCHES])


def sources(directory: Path, since: int) -> dict[str, int]:
    """Every file of the project that is in memory, and the time it was changed (ns).

    A file changed while it was being imported counts as changed since.
    """
    files = {directory / "prefect.yaml"}
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.is_relative_to(directory) and "site-packages" not in path.parts:
            files.add(path)
    changes = {str(file): changed_at(str(file)) for file in files}
    return {file: change if change < since else -1 for file, change in changes.items()}


def changed_at(path: str) -> int:
    """When the file was changed (ns), 0 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def serve(control: socket.socket, loaded: dict[str, int]) -> socket.socket | None:
    """Fork a child for each request until the control socket closes.

    Returns:
        In a child its run socket; in the server, when all is over, nothing.
    """
    children: dict[int, socket.socket] = {}
    wakeup, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(wakeup, selectors.EVENT_READ)
    accepting = True
    while accepting or children:
        for key, _ in selector.select():
            if key.fileobj is wakeup:
                wakeup.recv(4096)
                reap(children)
                continue
            message, fds, *_ = socket.recv_fds(control, 1, 1)
            if not message:
                accepting = False
                selector.unregister(control)
                continue
            run = socket.socket(fileno=fds[0])
            if any(changed_at(path) != then for path, then in loaded.items()):
                run.sendall(STALE)
                run.close()
                continue
            pid = os.fork()
            if pid == 0:
                selector.close()
                for inherited in (control, wakeup, waker, *children.values()):
                    inherited.close()
                return run
            with contextlib.suppress(OSError):
                os.setpgid(pid, pid)  # as the child does itself; whoever comes first
            children[pid] = run
            with contextlib.suppress(OSError):
                run.sendall(b"%d\n" % pid)
    return None


def reap(children: dict[int, socket.socket]) -> None:
    """Report the exit code of every child that has ended, and end what it left behind."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        run = children.pop(pid)
        with contextlib.suppress(OSError):
            run.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        run.close()


def become(run: socket.socket) -> list[str]:
    """Turn this fresh child into the process its job describes.

    Returns:
        The job's arguments, as `python` would take them.
    """
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with run.makefile("rb") as lines:
        job: Job = json.loads(lines.readline())
    os.nice(job["nice"])
    threading.Thread(target=end_with_worker, args=(run,), daemon=True).start()
    if not job["stream_output"]:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    settings_before = prefect_settings()
    os.environ.clear()
    os.environ.update(job["env"])
    os.chdir(job["cwd"])
    sys.path[0] = ""  # wherever a pull step takes the run
    if prefect_settings() != settings_before:
        reload_settings()
    sys.modules[PATCHES].begin_run(job["known"])
    return job["argv"]


def end_with_worker(run: socket.socket) -> None:
    """Wait until the worker is gone, then end this run as a stopping worker would have.

    SIGTERM lets the engine report the run as Crashed, so that it is taken up again at once
    instead of staying Running for ever.
    """
    run.recv(1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(LAST_WORDS_SECONDS)
    os.killpg(0, signal.SIGKILL)


def prefect_settings() -> dict[str, str]:
    """The environment variables from which Prefect reads its settings."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith("PREFECT_") and not name.startswith("PREFECT__")
    }


def reload_settings() -> None:
    """Let Prefect read its settings again, from an environment that has changed."""
    from prefect.context import refresh_global_settings_context
    from prefect.logging.configuration import setup_logging

    refresh_global_settings_context()
    setup_logging(incremental=False)


def execute(argv: list[str]) -> None:
    """Run a module (`-m name …`) or a file as the main program."""
    if argv[0] == "-m":
        sys.argv = argv[1:]
        sys.modules.pop(argv[1], None)  # preloaded, but about to be run as the main module
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = argv
        runpy.run_path(argv[0], run_name="__main__")


def exit_code(program: Callable[[], None]) -> int:
    """Run a program, say on standard error how it went wrong, as `python` would.

    Returns:
        What its process exits with.
    """
    try:
        program()
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def leave(code: int) -> Never:
    """End this process as `python` would, but for taking all that was imported apart.

    That touches every page which children share, a quarter of a short run's processor time.
    `multiprocessing` ends its forked children in the same way.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


def main() -> None:
    """Preload, then serve the control socket whose file descriptor is the only argument."""
    directory, started = Path.cwd(), time.time_ns()
    sys.path[0] = ""
    preload(directory)
    load_patches()
    loaded = sources(directory, since=started)
    sys.stdout.flush()
    gc.collect()
    gc.freeze()  # keeps the collector from writing to memory the children share
    run = serve(socket.socket(fileno=int(sys.argv[1])), loaded)
    if run is not None:
        leave(exit_code(lambda: execute(become(run))))


if __name__ == "__main__":
    main()
