"""Artifacts of a run: pages and tables, and the addresses that they link to."""

from collections.abc import Mapping, Sequence
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactUpdate
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey

from invoicing.settings import settings


def stripe_page(kind: str, stripe_id: str) -> str:
    """URL of an object in Stripe's dashboard; ``kind`` is as in invoices."""
    stripe, base = settings().stripe, "https://dashboard.stripe.com"
    mode = "" if stripe.livemode else "/test"
    if stripe.base_url != "https://api.stripe.com":
        base, mode = f"{stripe.base_url}/dashboard", "/live" if stripe.livemode else "/test"
    return f"{base}{mode}/{kind}/{stripe_id}"


def record_page(record_id: str) -> str:
    """URL of a record in Salesforce."""
    org = settings().salesforce
    return f"{org.url or f'https://{org.domain}.salesforce.com'}/{record_id}"


def publish_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """Attach a table to the run."""
    create_table_artifact(key=key, table=[dict(row) for row in rows], description=description)


def publish_one_page(key: str, markdown: str, description: str) -> None:
    """Write a page that is always the same one: its address stays, and it has no earlier versions.

    One that is as wanted already is left alone.
    """
    page = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
    with get_client(sync_client=True) as client:
        found = client.read_latest_artifacts(artifact_filter=page)
        if found and found[0].data != markdown:
            client.update_artifact(found[0].latest_id, ArtifactUpdate(data=markdown))
    if not found:
        publish_page(key, markdown, description)


def publish_page(key: str, markdown: str, description: str) -> None:
    """Attach a page to the run."""
    create_markdown_artifact(key=key, markdown=markdown, description=description)
