"""What the buttons do: start deployments through Prefect's REST API, and watch their runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httpx

RETRIES = 6
FIRST_PAUSE = 0.1
"""Seconds before the first retry; each further one waits twice as long."""
_BUSY = {429, 502, 503, 504}
_FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class PrefectError(Exception):
    """Prefect did not do what a button asked; the message is for people."""


@dataclass(frozen=True)
class Run:
    """A flow run as a page shows it."""

    id: str
    name: str
    state: str
    message: str
    final: bool
    url: str


class Prefect:
    """One Prefect server.

    Args:
        api_url: Its REST API, ending in ``/api``.
    """

    def __init__(self, api_url: str) -> None:
        self._api_url = api_url.rstrip("/")
        self._ui_url = self._api_url.removesuffix("/api") + "/v2"

    async def start(self, name: str, parameters: dict[str, Any], key: str) -> str:
        """Start a run of the deployment that is named like its flow; returns the run's id.

        Args:
            name: The flow's and the deployment's name.
            parameters: What to run it with.
            key: The same key starts one run only.

        Raises:
            PrefectError: The server is away, or refuses.
        """
        deployment = await self._call("GET", f"/deployments/name/{name}/{name}")
        order = {
            "parameters": parameters,
            "idempotency_key": key,
            "state": {"type": "SCHEDULED"},
        }
        path = f"/deployments/{deployment['id']}/create_flow_run"
        return str((await self._call("POST", path, order))["id"])

    async def run(self, run_id: str) -> Run:
        """A run as it stands.

        Raises:
            PrefectError: The server is away, or has no such run.
        """
        shown = await self._call("GET", f"/flow_runs/{run_id}")
        state = shown.get("state") or {}
        return Run(
            id=run_id,
            name=shown["name"],
            state=state.get("name") or "Scheduled",
            message=state.get("message") or "",
            final=state.get("type") in _FINAL,
            url=f"{self._ui_url}/runs/flow-run/{run_id}",
        )

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        async with httpx.AsyncClient(timeout=10) as client:
            for attempt in range(RETRIES + 1):
                try:
                    answer = await client.request(method, self._api_url + path, json=body)
                    if answer.status_code not in _BUSY:
                        return _checked(answer)
                except httpx.TransportError as error:
                    if attempt == RETRIES:
                        raise PrefectError(f"Prefect cannot be reached: {error}") from error
                await asyncio.sleep(FIRST_PAUSE * 2**attempt)
        raise PrefectError("Prefect is too busy to answer")


def _checked(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json()
    detail = answer.json().get("detail") if "json" in answer.headers["content-type"] else ""
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise PrefectError(f"Prefect knows no such thing: {detail or answer.url.path}")
    raise PrefectError(f"Prefect refused ({answer.status_code}): {detail or answer.text}")
