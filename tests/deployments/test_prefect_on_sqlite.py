"""Whoever writes to Prefect's server on SQLite waits for its turn, by whatever path it writes.

SQLite's own waiting is taken away here, so that two who meet in the database fail at once.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from deployments.local import prefect_database_cache, prefect_on_sqlite
from deployments.local.child_process import Service, listen
from deployments.local.stack import BATCHES, ROOT, url_of
from tests.prefect_server import STOP_SECONDS

WRITERS = 20
ROUNDS = 4
ROWS = sa.Table("written", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
IMPATIENT = """
from uvicorn import main
from deployments.local import prefect_on_sqlite
prefect_on_sqlite.BUSY_SECONDS = 0
main()
"""
UNSENT = {
    "name": "raised and not sent",
    "trigger": {
        "type": "event",
        "posture": "Proactive",
        "after": ["invoice.raised"],
        "expect": ["invoice.sent"],
        "for_each": ["prefect.resource.id"],
        "threshold": 1,
        "within": 10,
    },
    "actions": [{"type": "do-nothing"}],
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite waits for nobody."""
    monkeypatch.setattr(prefect_on_sqlite, "BUSY_SECONDS", 0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The local stack's server, where SQLite waits for nobody and triggers are always looked at."""
    listener = listen()
    url = f"{url_of(listener)}/api"
    settings = {
        "PREFECT_API_URL": url,
        "PREFECT_HOME": str(tmp_path),
        "PREFECT_SERVER_EVENTS_PROACTIVE_GRANULARITY": "PT0.05S",
        **BATCHES,
        **prefect_database_cache.lay_out(tmp_path),
    }
    app = ("--factory", "deployments.local.prefect_on_sqlite:create_app", "--log-level", "warning")
    command = [sys.executable, "-c", IMPATIENT, *app]
    service = Service("server", command, os.environ | settings, ROOT, tmp_path, listener=listener)
    service.until_ready(f"{url}/health")
    yield url
    service.terminate()
    service.wait(STOP_SECONDS)


def test_a_crowd_of_clients_meets_no_locked_database(server: str, tmp_path: Path) -> None:
    """All that clients write, at once, while the server's own services write, too."""
    asyncio.run(crowd(server))
    assert "database is locked" not in (tmp_path / "server.log").read_text()


@pytest.mark.usefixtures("impatient")
def test_transactions_and_single_statements_take_turns(tmp_path: Path) -> None:
    """Each reads, then writes, half of them in a transaction that they began: all succeed."""
    assert asyncio.run(written_by_many(tmp_path)) == 2 * WRITERS * ROUNDS


@pytest.mark.usefixtures("impatient")
def test_what_fails_half_way_has_written_nothing(tmp_path: Path) -> None:
    """The second of two statements is refused: the first is undone, and the next writer goes on."""
    assert asyncio.run(written_after_a_failure(tmp_path)) == 1


@pytest.mark.usefixtures("impatient")
def test_what_is_started_in_a_transaction_is_not_in_it(tmp_path: Path) -> None:
    """Another task reads at once, and does not ask for the lock that its parent has."""
    assert asyncio.run(read_in_a_task(tmp_path)) == 0


async def crowd(server: str) -> None:
    """Ask a server for whatever writes, many clients at once."""
    async with httpx.AsyncClient(base_url=server, timeout=STOP_SECONDS) as http:

        async def ask(path: str, body: Any = None, method: str = "POST") -> Any:
            answer = await http.request(method, path, json=body)
            assert answer.is_success, answer.text
            return answer.json() if answer.content else None

        flow = (await ask("/flows/", {"name": "raise"}))["id"]
        await ask("/automations/", UNSENT)

        async def write(number: int) -> None:
            wanted = {"name": f"raise-{number}", "flow_id": flow}
            deployment = f"/deployments/{(await ask('/deployments/', wanted))['id']}"
            for _ in range(ROUNDS):
                run = (await ask(f"{deployment}/create_flow_run", {}))["id"]
                log = {"name": "x", "level": 20, "message": "x", "timestamp": now()}
                raised = {"event": "invoice.raised", "id": str(uuid4()), "occurred": now()}
                resource = {"prefect.resource.id": f"invoice.{run}"}
                await asyncio.gather(
                    ask(f"/flow_runs/{run}/set_state", {"state": {"type": "RUNNING"}}),
                    ask(f"/flow_runs/{run}/labels", {"a": "b"}, "PATCH"),
                    ask(f"/flow_runs/{run}/input", {"key": "k", "value": "v"}),
                    ask("/logs/", [log | {"flow_run_id": run}]),
                    ask("/artifacts/", {"key": "k", "data": "x", "flow_run_id": run}),
                    ask(f"{deployment}/pause_deployment"),
                    ask("/events", [raised | {"resource": resource}]),
                )
                await ask(f"{deployment}/resume_deployment")

        await asyncio.gather(*map(write, range(WRITERS)))


def now() -> str:
    """This moment, as the API has it."""
    return datetime.now(UTC).isoformat()


async def written_by_many(folder: Path) -> int:
    """How many rows there are after many have written at once."""
    database = await new_database(folder)

    async def in_a_transaction(session: AsyncSession) -> None:
        async with database.begin_transaction(session):
            await session.scalar(count())
            await session.execute(sa.insert(ROWS))

    async def in_none(session: AsyncSession) -> None:
        await session.scalar(count())
        await session.execute(sa.insert(ROWS))
        await session.commit()

    async def write(once: Any) -> None:
        for _ in range(ROUNDS):
            async with await database.session(await database.engine()) as session:
                await once(session)

    await asyncio.gather(*(write(once) for once in [in_a_transaction, in_none] * WRITERS))
    return await rows(database)


async def written_after_a_failure(folder: Path) -> int:
    """How many rows there are when one writer has failed and another has not."""
    database = await new_database(folder)
    async with await database.session(await database.engine()) as session:
        await session.execute(sa.insert(ROWS).values(id=1))
        with pytest.raises(sa.exc.IntegrityError):
            await session.execute(sa.insert(ROWS).values(id=1))
    async with (
        await database.session(await database.engine()) as session,
        database.begin_transaction(session),
    ):
        await session.execute(sa.insert(ROWS).values(id=2))
    return await rows(database)


async def read_in_a_task(folder: Path) -> int:
    """How many rows a task sees that is started by a transaction which has written one."""
    database = await new_database(folder)
    async with (
        await database.session(await database.engine()) as session,
        database.begin_transaction(session),
    ):
        await session.execute(sa.insert(ROWS))
        return await asyncio.create_task(rows(database))


async def new_database(folder: Path) -> prefect_on_sqlite.ImmediateSqlite:
    """A database with an empty table."""
    url = f"sqlite+aiosqlite:///{folder / 'turns.db'}"
    database = prefect_on_sqlite.ImmediateSqlite(connection_url=url)
    async with (await database.engine()).begin() as connection:
        await connection.run_sync(ROWS.metadata.create_all)
    return database


async def rows(database: prefect_on_sqlite.ImmediateSqlite) -> int:
    """How many rows the table has."""
    async with await database.session(await database.engine()) as session:
        return await session.scalar(count()) or 0


def count() -> sa.Select[tuple[int]]:
    """What counts the rows."""
    return sa.select(sa.func.count()).select_from(ROWS)
