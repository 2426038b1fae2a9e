"""One deed, one process: forked, so that it may be killed like any process of a real run."""

import gc
import io
import os
import pickle
import select
import signal
import time
import traceback
from collections.abc import Callable
from typing import Any, BinaryIO, NoReturn

PATIENCE_SECONDS = 90.0
"""A deed that takes longer hangs."""

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
        until = time.monotonic() + PATIENCE_SECONDS
        pieces: list[bytes] = []
        with os.fdopen(self._reading, "rb", buffering=0) as pipe:
            while True:
                ready, _, _ = select.select([pipe], [], [], max(0, until - time.monotonic()))
                if not ready:
                    os.kill(self._pid, signal.SIGKILL)
                    os.waitpid(self._pid, 0)
                    raise Hung(f"no end after {PATIENCE_SECONDS:.0f} s")
                piece = pipe.read(1 << 16)
                if not piece:
                    return b"".join(pieces)
                pieces.append(piece)


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
