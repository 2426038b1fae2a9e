"""What `prefect.yaml` deploys, and how its deployments and runs are found on a server."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import yaml
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType

PREFECT_YAML = Path(__file__).parents[2] / "prefect.yaml"

READ_AT_ONCE = 200
"""As many as Prefect lists at once."""

T = TypeVar("T")


def entries() -> list[Mapping[str, Any]]:
    """What is deployed, as it is written there."""
    deployments: list[Mapping[str, Any]] = yaml.safe_load(PREFECT_YAML.read_text())["deployments"]
    return deployments


def flows() -> list[str]:
    """The flows that are deployed; a deployment is named like its flow."""
    return [entry["name"] for entry in entries()]


def our_deployments(**also: Any) -> DeploymentFilter:
    """The deployments of this project on a server, or some of them."""
    return DeploymentFilter(name=DeploymentFilterName(any_=flows()), **also)


def runs_of(deployments: list[UUID], **also: Any) -> FlowRunFilter:
    """The runs of deployments, or some of them."""
    return FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=deployments), **also)


def in_state(*types: StateType) -> FlowRunFilterState:
    """Runs that are in a state of one of some types."""
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(types)))


def read_all(read: Callable[..., list[T]], **which: Any) -> Iterator[T]:
    """Everything that a call of Prefect's client lists, page by page."""
    offset = 0
    while page := read(**which, limit=READ_AT_ONCE, offset=offset):
        yield from page
        offset += len(page)
