"""Prefect's REST API, for processes that start runs without importing Prefect.

Source: https://docs.prefect.io/v3/api-ref/rest-api
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, TypedDict, TypeVar
from uuid import uuid4

import msgspec
import requests
from pydantic import SecretStr
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from invoicing.errors import NotFound, Rejected, TransientError
from invoicing.settings import settings
from invoicing.tracing.propagation import run_labels
from invoicing.typed_answers import decode

RETRY_POLICY = Retry(
    total=8,
    backoff_factor=0.1,
    backoff_max=5,
    status_forcelist=[429, 502, 503, 504],
    allowed_methods=None,
)
"""A busy server answers 503; every call here may be repeated."""

SAFE_METHODS = frozenset(["GET", "HEAD", "OPTIONS"])
"""Those that need no CSRF token."""

REFUSED = frozenset([409, 422])
"""The answers to parameters that are not as a flow's schema has them; one that it does not name
passes. Source: ``prefect.server.api.deployments``"""

PAGE_SIZE = 200
"""The most runs that the server lists at once."""

FINAL_STATES = frozenset(["COMPLETED", "FAILED", "CRASHED", "CANCELLED"])

T = TypeVar("T")


class _Identified(TypedDict):
    id: str


class _State(TypedDict, total=False):
    type: str
    message: str | None


class _Run(TypedDict):
    name: str
    state: _State | None


class _Parameters(TypedDict):
    parameters: dict[str, Any]


class _Form(TypedDict):
    name: str
    parameter_openapi_schema: dict[str, Any]


class _Token(TypedDict):
    token: str


@dataclass(frozen=True, slots=True)
class RunState:
    """A run's name, the type of its state, and what the state says."""

    name: str
    type: str
    message: str

    @property
    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.type in FINAL_STATES


class Prefect:
    """A Prefect server. Every run is started under an idempotency key."""

    def __init__(
        self,
        api_url: str,
        auth: SecretStr | None = None,
        timeout: float = 10,
        retry_policy: Retry = RETRY_POLICY,
    ) -> None:
        """Prepare the session; ``api_url`` ends in ``/api``, ``auth`` is ``user:password``."""
        self._url = api_url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=retry_policy))
        if auth:
            user, _, password = auth.get_secret_value().partition(":")
            self._session.auth = (user, password)
        self._deployments: dict[str, str] = {}
        self._csrf: dict[str, str] = {}

    def start(self, flow: str, parameters: dict[str, Any], idempotency_key: str) -> str:
        """Start a run of the deployment that is named like its flow, and return the run's id.

        Raises:
            TransientError: the server is away.
            Rejected: the flow does not take such parameters.
        """
        return self._create_run(flow, parameters, idempotency_key)[0]["id"]

    def start_unless_started(
        self, flow: str, parameters: dict[str, Any], idempotency_key: str, tags: Sequence[str] = ()
    ) -> bool:
        """Start a run, and say whether it is a new one: nobody has used its key before.

        Args:
            flow: The flow.
            parameters: What it is run with.
            idempotency_key: Names the run.
            tags: What the run's page says of it, and the run can read.

        Raises:
            TransientError: the server is away.
        """
        made = self._create_run(flow, parameters, idempotency_key, tags)
        return made[1] == HTTPStatus.CREATED

    def unfinished(self, flow: str) -> list[dict[str, Any]]:
        """The parameters of all runs of a flow's deployment that have not ended.

        Raises:
            TransientError: the server is away.
        """
        named = {"name": {"any_": [flow]}}
        body: dict[str, Any] = {
            "deployments": named,
            "flows": named,
            "flow_runs": {"state": {"type": {"not_any_": sorted(FINAL_STATES)}}},
            "limit": PAGE_SIZE,
        }
        found: list[dict[str, Any]] = []
        path, shape = "/flow_runs/filter", list[_Parameters]
        while page := self._call("POST", path, shape, body | {"offset": len(found)}):
            found += [run["parameters"] for run in page]
        return found

    def state(self, run_id: str) -> RunState:
        """State of a run.

        Raises:
            TransientError: the server is away.
            NotFound: it has no such run, or no longer.
        """
        answer = self._send("GET", f"/flow_runs/{run_id}", known=[HTTPStatus.NOT_FOUND])
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise NotFound("Prefect has no such run, or no longer.")
        run = _read(answer, _Run)
        state = run["state"] or _State()
        return RunState(run["name"], state.get("type", "SCHEDULED"), state.get("message") or "")

    def set_paused(self, flow: str, *, paused: bool) -> None:
        """Switch a deployment's schedules off or on."""
        self._send("PATCH", f"/deployments/{self._deployment(flow)}", {"paused": paused})

    def forms(self, flows: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The JSON schemas of the forms of flows' deployments; what is not deployed is left out.

        Raises:
            TransientError: the server is away.
        """
        named = {"name": {"any_": list(flows)}}
        body = {"deployments": named, "flows": named}
        found = self._call("POST", "/deployments/filter", list[_Form], body)
        return {each["name"]: each["parameter_openapi_schema"] for each in found}

    def set_form(self, flow: str, schema: dict[str, Any]) -> None:
        """Replace the form of a flow's deployment, until the next `prefect deploy`.

        Raises:
            TransientError: the server is away.
        """
        form = {"parameter_openapi_schema": schema}
        self._send("PATCH", f"/deployments/{self._deployment(flow)}", form)

    def _create_run(
        self, flow: str, parameters: dict[str, Any], idempotency_key: str, tags: Sequence[str] = ()
    ) -> tuple[_Identified, int]:
        """The run, and the status: 201 for a new one, 200 for one that was started before."""
        body = {
            "parameters": parameters,
            "idempotency_key": idempotency_key,
            "state": {"type": "SCHEDULED"},
            "labels": run_labels(),
            "tags": list(tags),
        }
        path = "/deployments/{}/create_flow_run"
        known = {HTTPStatus.NOT_FOUND, *REFUSED}
        answer = self._send("POST", path.format(self._deployment(flow)), body, known)
        if answer.status_code == HTTPStatus.NOT_FOUND:  # it was made anew
            self._deployments.pop(flow, None)
            answer = self._send("POST", path.format(self._deployment(flow)), body, REFUSED)
        if answer.status_code in REFUSED:
            raise Rejected(f"{flow} does not take what was entered: {_detail(answer)}")
        return _read(answer, _Identified), answer.status_code

    def _deployment(self, flow: str) -> str:
        if flow not in self._deployments:
            found = self._call("GET", f"/deployments/name/{flow}/{flow}", _Identified)
            self._deployments[flow] = found["id"]
        return self._deployments[flow]

    def _call(self, method: str, path: str, shape: type[T], body: Any = None) -> T:
        return _read(self._send(method, path, body), shape)

    def _send(
        self, method: str, path: str, body: Any = None, known: Collection[int] = ()
    ) -> requests.Response:
        """The answer; one that refuses only with a status that the caller knows.

        Raises:
            TransientError: the server is away, or refuses otherwise.
        """
        try:
            answer = self._sent(method, path, body)
            if answer.status_code == HTTPStatus.FORBIDDEN and method not in SAFE_METHODS:
                self._fetch_csrf_token()
                answer = self._sent(method, path, body)
            if answer.status_code == HTTPStatus.UNAUTHORIZED:
                raise TransientError(
                    "The Prefect server does not accept the password; check "
                    "PREFECT_API_AUTH_STRING (user:password)."
                )
            if answer.status_code not in known:
                answer.raise_for_status()
        except requests.RequestException as error:
            self._deployments.clear()  # one that was deployed again has another id
            raise TransientError(f"Prefect did not answer: {error}") from error
        return answer

    def _sent(self, method: str, path: str, body: Any) -> requests.Response:
        return self._session.request(
            method, self._url + path, json=body, timeout=self._timeout, headers=self._csrf
        )

    def _fetch_csrf_token(self) -> None:
        """Ask for a token, good for an hour, where the server wants one with every change.

        A server that wants none says so with 422, and refuses for another reason.
        Source: ``prefect.server.api.csrf_token``
        """
        client = uuid4().hex
        wants_none = HTTPStatus.UNPROCESSABLE_ENTITY
        answer = self._send("GET", f"/csrf-token?client={client}", known=[wants_none])
        if answer.status_code != wants_none:
            token = _read(answer, _Token)["token"]
            self._csrf = {"Prefect-Csrf-Client": client, "Prefect-Csrf-Token": token}


def _read(answer: requests.Response, shape: type[T]) -> T:
    try:
        return decode(answer.content, shape)
    except msgspec.MsgspecError as error:
        raise TransientError(
            f"What answers at {answer.url} is no Prefect server, or something is in front of it: "
            f"{error}. Check PREFECT_API_URL."
        ) from error


def _detail(answer: requests.Response) -> str:
    """What the server says is wrong."""
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {answer.status_code}"


def client() -> Prefect:
    """The server of the settings, one client per process."""
    return _client(settings().prefect_api_url, settings().prefect_api_auth)


@lru_cache(maxsize=1)
def _client(api_url: str, auth: SecretStr | None) -> Prefect:
    return Prefect(api_url, auth)
