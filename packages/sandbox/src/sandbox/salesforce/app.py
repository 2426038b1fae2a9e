"""The application over an org: the APIs, the admin endpoints and the pages, as one."""

from pathlib import Path

from sandbox.common.request_middleware import Traffic
from sandbox.salesforce import admin, custom_metadata
from sandbox.salesforce.asgi import Salesforce
from sandbox.salesforce.org import Org
from sandbox.salesforce.seed import Seed, is_empty, seed


def application(
    org: Org,
    base_url: str,
    *,
    first: Seed = "demo",
    certificate: Path | None = None,
    pubsub_port: int | None = None,
) -> Traffic:
    """The application over an org, seeded if it is new."""
    salesforce = Salesforce(org, base_url, certificate, pubsub_port)
    app = salesforce.asgi(admin.routes(salesforce))
    if is_empty(org):
        seed(org, first)
    else:
        custom_metadata.deploy(org, again=True)
    return app
