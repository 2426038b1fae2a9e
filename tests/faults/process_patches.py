"""What is changed about a process before a flow runs in it: its clock, its patience, its end.

For good, without undoing: these processes are for nothing else.
"""

import datetime as standard
import logging
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import repeat
from types import SimpleNamespace
from typing import Any, NamedTuple
from uuid import uuid4

import requests
from alembic.script import ScriptDirectory
from prefect.tasks import Task
from prefect.utilities.annotations import quote, unmapped
from sqlalchemy import Connection, Engine, Pool, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from invoicing.connectors import prefect, salesforce, stripe
from invoicing.ledger import database

PACE = 0.1
LONGEST_DELAY_SECONDS = 0.1
"""Share of the retry delays that is really waited, and the most of it."""

LEASE_SECONDS, HEARTBEAT_SECONDS = 5, 1.0
"""Of a full sync, which waits in real time for the lease of one that was killed."""

SYNC_READERS = 3
"""Of a full sync; more would only ask the ledger whether there is anything left for them."""

PRODUCT = ("invoicing", "tasks", "flows")


def product_modules() -> Iterator[Any]:
    """Every module of the product that is imported."""
    for name, module in sorted(sys.modules.items()):
        if name.partition(".")[0] in PRODUCT:
            yield module


class _Clock(type):
    """Everything of datetime but ``now``; its instances are datetimes as ever."""

    shift = standard.timedelta()

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, standard.datetime)

    def __getattr__(cls, name: str) -> Any:
        return getattr(standard.datetime, name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return standard.datetime(*args, **kwargs)


class ShiftedDatetime(metaclass=_Clock):
    """``datetime`` in a process whose time is ahead."""

    @staticmethod
    def now(tz: standard.tzinfo | None = None) -> standard.datetime:
        """This moment, shifted."""
        return standard.datetime.now(tz) + _Clock.shift


def prepare_process() -> None:
    """Make the product ready to be hurried and shifted in time, once for a process and its forks.

    The retry delays are a tenth of the real ones at most, leases are short and a full sync's
    readers few, what is frozen for the forks stays so, the ledger's newest revision is looked up
    once, and ``datetime`` can be shifted.
    """
    from invoicing.ledger import leases
    from tasks.full_sync import paced_pages
    from tasks.records import locks

    leases.LEASE_SECONDS, locks.HEARTBEAT_SECONDS = LEASE_SECONDS, HEARTBEAT_SECONDS
    paced_pages.FEWEST_READERS = paced_pages.MOST_READERS = SYNC_READERS
    keep_frozen()
    hurry()
    for module in product_modules():
        if vars(module).get("datetime") is standard.datetime:
            module.datetime = ShiftedDatetime
    setattr(prefect, "run_labels", lambda: {WORLD: acting_in[0]})  # noqa: B010
    newest = ScriptDirectory.from_config(database._alembic()).get_current_head()
    setattr(ScriptDirectory, "get_current_head", lambda _: newest)  # noqa: B010


def keep_frozen() -> None:
    """Have a full sync leave to the collector what it has, and thaw nothing that was frozen."""
    from tasks.full_sync import staging

    setattr(staging, "gc", SimpleNamespace(freeze=lambda: None, unfreeze=lambda: None))  # noqa: B010


def hurry() -> None:
    """Make the retry delays a tenth of the real ones, and a tenth of a second at most."""
    tasks = {
        id(value): value
        for module in product_modules()
        for value in vars(module).values()
        if isinstance(value, Task) and isinstance(value.retry_delay_seconds, list)
    }
    for task in tasks.values():
        real = task.retry_delay_seconds
        task.retry_delay_seconds = [min(wait * PACE, LONGEST_DELAY_SECONDS) for wait in real]


WORLD = "proving.world"
"""The label of a run that says in which world it was started: they share a Prefect server."""

acting_in = [""]
"""The life of the world that this process acts in."""


class Moment(NamedTuple):
    """How late it is, and in which life of which world."""

    ahead: float
    life: str


def enter(moment: Moment) -> None:
    """Act in a world from now on, in its time."""
    shift_time(moment.ahead)
    acting_in[0] = moment.life


def shift_time(seconds: float) -> None:
    """Let the product believe that it is later, by so many seconds."""
    _Clock.shift = standard.timedelta(seconds=seconds)


def now() -> standard.datetime:
    """This moment, as the product sees it."""
    return ShiftedDatetime.now(standard.UTC)


class Away(NamedTuple):
    """The ledger or Prefect's API is not there: from a process's n-th use on, for so many tries.

    Of every second answer of Prefect's only the answer is lost.
    """

    after: int
    tries: int

    def strikes(self, use: int) -> bool:
        """Whether it is not there for the use of this number, counted from zero."""
        return self.after <= use < self.after + self.tries


def _signal_this_thread(end: signal.Signals) -> None:
    """Let the process die or stop at this very place.

    A signal to the process as a whole may be taken by another thread, and then this one goes on
    for as long as that one is not scheduled: into the next transaction, say.
    """
    signal.pthread_kill(threading.get_ident(), end)


_ID = re.compile(r"(?<=/)(?=[^/]*\d)[^/ ]{9,}")
"""What names one thing in a path, and is another each time that a story is played."""


class Points:
    """The points of a process at which it may die: around each request and each commit."""

    def __init__(
        self,
        kill_at: int | str | None,
        stall_at: int | str | None = None,
        ledger_away: Away | None = None,
        prefect_away: Away | None = None,
    ) -> None:
        """Count from zero; at ``kill_at`` the process is killed, from ``stall_at`` on it stops.

        To die or stop somewhere by name, and not by a number that heartbeats shift, it is given the
        label. What happens again has another: ``after POST v1/invoices/*/send (2)``.

        It never stops while one of its threads is inside of a transaction, where it would keep
        the ledger from everybody. From the n-th transaction on, so many find no ledger, and from
        the n-th request to Prefect's API on, so many find no Prefect.
        """
        self.labels: list[str] = []
        self.refused = 0
        self.unheard = 0
        self._ledger_away = ledger_away or Away(0, 0)
        self._prefect_away = prefect_away or Away(0, 0)
        self._prefect_uses = 0
        self._transactions = 0
        self._kill_at = kill_at
        self._stall_at = stall_at
        self._lock = threading.Lock()
        self._inside: Counter[int] = Counter()
        self._passed: Counter[str] = Counter()

    def pass_(self, label: str) -> None:
        """Come to a point."""
        label = _ID.sub("*", label)
        with self._lock:
            number = len(self.labels)
            self._passed[label] += 1
            times = self._passed[label]
            self.labels.append(label if times == 1 else f"{label} ({times})")
            if self._kill_at in (number, self.labels[-1]):
                _signal_this_thread(signal.SIGKILL)
            if self._stall_at == self.labels[-1]:
                self._stall_at = number
            if (
                isinstance(self._stall_at, int)
                and number >= self._stall_at
                and self._at_rest(label)
            ):
                self._stall_at = None
                _signal_this_thread(signal.SIGSTOP)

    def _at_rest(self, label: str) -> bool:
        """Whether no thread is in a transaction; this one has just ended its own at a commit."""
        mine = threading.get_ident() if label.startswith("after commit") else None
        return not any(count for thread, count in self._inside.items() if thread != mine)

    def install(self) -> None:
        """Watch every HTTP request of the connectors, and every commit that writes."""
        self._watch_requests()
        self._watch_commits()
        self._watch_connections()

    def _watch_requests(self) -> None:
        send = requests.adapters.HTTPAdapter.send

        def watched(adapter: Any, request: requests.PreparedRequest, *a: Any, **k: Any) -> Any:
            label = f"{request.method} {str(request.url).split('?')[0].split('/', 3)[-1]}"
            self.pass_(f"before {label}")
            away = self._prefect_is_away() if is_prefects(label) else 0
            if away % 2:
                raise requests.ConnectionError("Prefect is away")
            try:
                answer = send(adapter, request, *a, **k)
            finally:
                self.pass_(f"after {label}")
            if away:
                raise requests.ConnectionError("Prefect's answer is lost")
            return answer

        setattr(requests.adapters.HTTPAdapter, "send", watched)  # noqa: B010

    def _prefect_is_away(self) -> int:
        """How often Prefect was away with this request, if it is; else 0."""
        with self._lock:
            strikes = self._prefect_away.strikes(self._prefect_uses)
            self._prefect_uses += 1
            self.unheard += strikes
            return self.unheard if strikes else 0

    def _watch_connections(self) -> None:
        @event.listens_for(Pool, "checkout")
        def _taken(*_: object) -> None:
            with self._lock:
                self._transactions += 1
                if self._ledger_away.strikes(self._transactions - 1):
                    self.refused += 1
                    raise OperationalError(None, None, ConnectionError("the ledger is away"))
                self._inside[threading.get_ident()] += 1

        @event.listens_for(Pool, "checkin")
        def _given_back(*_: object) -> None:
            with self._lock:
                self._inside[threading.get_ident()] -= 1

    def _watch_commits(self) -> None:
        written = threading.local()

        @event.listens_for(Engine, "before_cursor_execute")
        def _statement(_c: Any, _cu: Any, statement: str, *_: Any) -> None:
            if statement.startswith(("INSERT", "UPDATE", "DELETE")):
                written.by = " ".join(statement.split()[:3])

        @event.listens_for(Engine, "commit")
        def _before(_: Connection) -> None:
            if getattr(written, "by", None):
                self.pass_(f"before commit of {written.by}")

        @event.listens_for(Session, "after_commit")
        def _after(_: Session) -> None:
            if getattr(written, "by", None):
                self.pass_(f"after commit of {written.by}")
                written.by = None


def is_prefects(label: str) -> bool:
    """Whether a point is one of a request to Prefect's API."""
    return " api/" in label


acting_run = ["nobody"]
"""Who acts when flows are called without Prefect."""


class Done(list[Any]):
    """Results that are there already, where futures are expected."""

    def result(self) -> Any:
        """The results."""
        return self


class One:
    """A result that is there already."""

    def __init__(self, value: Any) -> None:
        """Keep it."""
        self._value = value

    def result(self) -> Any:
        """The result."""
        return self._value


@contextmanager
def without_prefect() -> Iterator[None]:
    """Let steps be plain calls: for preparing and for looking, never for what is proved."""
    changed = [(owner, name, vars(owner)[name]) for owner, name, _ in _plain_calls()]
    for owner, name, plain in _plain_calls():
        setattr(owner, name, plain)
    try:
        yield
    finally:
        for owner, name, before in changed:
            setattr(owner, name, before)


@lru_cache(maxsize=1)
def _plain_calls() -> list[tuple[Any, str, Callable[..., Any]]]:
    """What is put in the place of Prefect: owner, name, and what does the same without it."""
    quiet = logging.getLogger("proving")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    replacements: dict[str, Callable[..., Any]] = {
        "run_id": lambda: acting_run[0],
        "get_run_logger": lambda: quiet,
        "wait": lambda _futures: None,
        "create_progress_artifact": lambda **_: uuid4(),
        "update_progress_artifact": lambda *_, **__: None,
        "create_table_artifact": lambda **_: None,
        "create_markdown_artifact": lambda **_: None,
    }
    return [
        (Task, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs)),
        (Task, "map", _map),
        (Task, "submit", lambda task, *args: One(task.fn(*map(_unquoted, args)))),
        *(
            (module, name, replacement)
            for module in product_modules()
            for name, replacement in replacements.items()
            if name in vars(module)
        ),
    ]


def _unquoted(argument: Any) -> Any:
    return argument.unquote() if isinstance(argument, quote) else argument


def _map(task: Task[..., Any], *lists: Iterable[Any]) -> Done:
    columns = [repeat(a.value) if isinstance(a, unmapped) else a for a in lists]
    return Done(task.fn(*args) for args in zip(*columns, strict=False))


def be_a_new_process() -> None:
    """Forget the connections that a fork has inherited; they are its parent's."""
    stripe.client.cache_clear()
    salesforce.client.cache_clear()
    database.engine().dispose(close=False)
