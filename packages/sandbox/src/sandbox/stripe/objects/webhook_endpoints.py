"""Webhook endpoints: who is told about events."""

from sandbox.stripe.api import Params, operation
from sandbox.stripe.apply_params import put, put_metadata
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.generic_reads import lists, retrieves
from sandbox.stripe.ids import new_id, token
from sandbox.stripe.store import Doc


@operation("POST", "/v1/webhook_endpoints", "WebhookEndpointCreateParams")
def create(context: Context, params: Params) -> Doc:
    """Create an endpoint. Its secret is in this answer and never again."""
    _check_url(context, params["url"])
    endpoint: Doc = {
        "id": new_id("webhook_endpoint"),
        "object": "webhook_endpoint",
        "api_version": params.get("api_version"),
        "application": None,
        "created": context.now,
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "livemode": context.livemode,
        "metadata": {},
        "status": "enabled",
        "url": params["url"],
        "_": {"secret": f"whsec_{token(32)}"},
    }
    put_metadata(endpoint, params)
    context.space.insert("webhook_endpoint", endpoint)
    return endpoint | {"secret": endpoint["_"]["secret"]}


retrieves(
    "webhook_endpoint", "/v1/webhook_endpoints/{webhook_endpoint}", "WebhookEndpointRetrieveParams"
)


@operation("POST", "/v1/webhook_endpoints/{webhook_endpoint}", "WebhookEndpointUpdateParams")
def update(context: Context, params: Params, endpoint_id: str) -> Doc:
    """Change an endpoint, or disable it."""
    endpoint = context.require("webhook_endpoint", endpoint_id)
    if "url" in params:
        _check_url(context, params["url"])
    put(endpoint, params, ("description", "enabled_events", "url"))
    put_metadata(endpoint, params)
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    return context.save("webhook_endpoint", endpoint)


@operation("DELETE", "/v1/webhook_endpoints/{webhook_endpoint}", "WebhookEndpointDeleteParams")
def delete(context: Context, _: Params, endpoint_id: str) -> Doc:
    """Delete an endpoint; nothing more is delivered to it."""
    context.require("webhook_endpoint", endpoint_id)
    context.space.delete("webhook_endpoint", endpoint_id)
    return {"id": endpoint_id, "object": "webhook_endpoint", "deleted": True}


lists("webhook_endpoint", "/v1/webhook_endpoints", "WebhookEndpointListParams")


def _check_url(context: Context, url: str) -> None:
    """Live endpoints must be HTTPS at Stripe; on this machine plain HTTP is let pass."""
    local = url.startswith(("http://127.0.0.1", "http://localhost"))
    allowed = (
        url.startswith("https://") or local or (url.startswith("http://") and not context.livemode)
    )
    if not allowed:
        raise invalid("Invalid URL: An explicit scheme (such as https) must be provided.", "url")
