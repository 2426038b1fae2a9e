"""Forked processes: one for one deed, so that it may be killed, or one for deeds without end."""

import faulthandler
import gc
import io
import multiprocessing
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, BinaryIO, NoReturn

from deployments.local.waiting import Patience

PATIENCE_SECONDS = 90.0
"""A deed that takes longer hangs."""

WITHOUT_REAPING = os.WSTOPPED | os.WEXITED | os.WNOHANG | os.WNOWAIT

ORPHANED_SECONDS = 2.0
"""How soon a process notices that the one it works for is gone."""

Tell = Callable[[str, Any], None]
"""Reports a fact under a name to the parent, at once: what was told survives a SIGKILL."""


class Hung(Exception):
    """A child did not end in time."""


class Broken(Exception):
    """A child's deed raised something that it should have dealt with."""


class Child:
    """A forked process and what it tells.

    The parent must be single-threaded and hold no connections that a child would share.
    """

    def __init__(self, deed: Callable[[Tell], None]) -> None:
        """Start the deed."""
        reading, writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(reading)
            _do(deed, os.fdopen(writing, "wb", buffering=0))
        os.close(writing)
        self._reading = reading
        self._pieces: list[bytes] = []

    def stops(self) -> bool:
        """Wait until it has stopped itself by SIGSTOP, or ended; returns whether it stopped.

        Raises:
            Hung: neither happened, and it was killed for that.
        """
        patience = Patience(PATIENCE_SECONDS)
        while not patience.is_over():
            news = os.waitid(os.P_PID, self._pid, WITHOUT_REAPING)
            if news is not None:
                return news.si_code == os.CLD_STOPPED
            time.sleep(0.005)
        raise _abort(self._pid)

    def told(self) -> dict[str, Any]:
        """What a process that stopped has told so far."""
        self._pieces.append(os.read(self._reading, 1 << 20))
        return _unpickled(b"".join(self._pieces))

    def go_on(self) -> None:
        """Let it go on after it has stopped."""
        os.kill(self._pid, signal.SIGCONT)

    def join(self) -> tuple[dict[str, Any], bool]:
        """Wait for its end; returns what it told, and whether it was killed.

        Raises:
            Hung: it did not end, and was killed for that.
            Broken: with the trace.
        """
        stream = self._read_all()
        _, status = os.waitpid(self._pid, 0)
        told = _unpickled(stream)
        if "broken" in told:
            raise Broken(told["broken"])
        return told, os.WIFSIGNALED(status)

    def _read_all(self) -> bytes:
        patience = Patience(PATIENCE_SECONDS)
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while True:
                while not select.select([pipe], [], [], 1)[0]:
                    if patience.is_over():
                        raise _abort(self._pid)
                piece = pipe.read(1 << 16)
                if not piece:
                    return b"".join(self._pieces)
                self._pieces.append(piece)


class Servant:
    """A forked process that does one deed after the other, each described by its arguments."""

    def __init__(self, deed: Callable[..., Any]) -> None:
        """Fork it; it ends when its parent does."""
        self._pipe, theirs = multiprocessing.Pipe()
        self._pid = os.fork()
        if self._pid == 0:
            self._pipe.close()
            _serve(deed, theirs)
        theirs.close()

    def begin(self, *args: Any) -> None:
        """Have it do its deed."""
        self._pipe.send(args)

    def end(self) -> Any:
        """The outcome of the deed.

        Raises:
            Hung: it did not end, and was killed for that.
            Broken: with the trace, if it raised something.
        """
        patience = Patience(PATIENCE_SECONDS)
        while not self._pipe.poll(1):
            if patience.is_over():
                raise _abort(self._pid)
        answer, trace = self._pipe.recv()
        if trace:
            raise Broken(trace)
        return answer


def _abort(pid: int) -> Hung:
    """End a process that hangs; it prints where each of its threads is."""
    os.kill(pid, signal.SIGABRT)
    os.waitpid(pid, 0)
    return Hung(f"no end after {PATIENCE_SECONDS:.0f} s")


def _serve(deed: Callable[..., Any], pipe: Connection) -> NoReturn:
    faulthandler.enable()
    parent = os.getppid()
    while os.getppid() == parent:
        if not pipe.poll(ORPHANED_SECONDS):
            continue
        try:
            pipe.send((deed(*pipe.recv()), ""))
        except (EOFError, BrokenPipeError):
            break
        except BaseException:
            pipe.send((None, traceback.format_exc()))
    os._exit(0)


def ask(deed: Callable[[Tell], None]) -> dict[str, Any]:
    """Do something in a process of its own, and return what it told."""
    told, killed = Child(deed).join()
    if killed:
        raise Broken("killed by a signal")
    return told


def _do(deed: Callable[[Tell], None], pipe: BinaryIO) -> NoReturn:
    def tell(name: str, value: Any) -> None:
        pipe.write(pickle.dumps((name, value)))

    gc.disable()
    faulthandler.enable()
    try:
        deed(tell)
    except BaseException:
        tell("broken", traceback.format_exc())
    finally:
        os._exit(0)


def _unpickled(stream: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    source = io.BytesIO(stream)
    while source.tell() < len(stream):
        try:
            name, value = pickle.load(source)  # noqa: S301 - our own child wrote it
        except (EOFError, pickle.UnpicklingError):
            break
        told[name] = value
    return told
