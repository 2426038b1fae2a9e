"""Starting flows through Prefect's REST API, and waiting for what comes of them.

Set ``PREFECT_API_URL`` (``http://127.0.0.1:4200/api``) and, where the server asks for a password,
``PREFECT_API_AUTH_STRING`` (``user:password``). CSRF tokens are sent where the server wants them.

Source: https://docs.prefect.io/v3/api-ref/rest-api
"""

import os
import sys
import time
from typing import Any

import httpx

FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def call(method: str, path: str, body: Any = None) -> Any:
    """Call the API until it answers: a busy server says 503, and every call may be repeated."""
    user, _, password = os.environ.get("PREFECT_API_AUTH_STRING", "").partition(":")
    auth = (user, password) if user else None
    api = os.environ["PREFECT_API_URL"]
    headers: dict[str, str] = {}
    while True:
        answer = httpx.request(method, api + path, json=body, auth=auth, headers=headers)
        if answer.status_code == 403 and not headers:
            found = httpx.get(f"{api}/csrf-token", params={"client": "examples"}, auth=auth)
            token = found.raise_for_status().json()["token"]
            headers = {"Prefect-Csrf-Client": "examples", "Prefect-Csrf-Token": token}
        elif answer.status_code == 503:
            time.sleep(0.2)
        else:
            return answer.raise_for_status().json()


def start(flow: str, parameters: dict[str, Any], key: str) -> str:
    """Start a flow and return its run's id; the same key again is the same run."""
    deployment = call("GET", f"/deployments/name/{flow}/{flow}")["id"]
    body = {"parameters": parameters, "idempotency_key": key}
    return str(call("POST", f"/deployments/{deployment}/create_flow_run", body)["id"])


def outcome(run: str) -> str:
    """Wait for the end of a run, and return its sentence.

    A run that comes to another end than a good one ends the program with its sentence.
    """
    while (state := call("GET", f"/flow_runs/{run}")["state"])["type"] not in FINAL:
        time.sleep(0.2)
    if state["type"] != "COMPLETED":
        sys.exit(state["message"])
    return str(state["message"])
