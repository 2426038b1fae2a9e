"""Lists as Stripe gives them: newest first, cursors both ways, ranges, limits."""

from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.stripe.api import Listing, Params
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid, no_such
from sandbox.stripe.store import KINDS, Cursor, Doc, Page

MAX_LIMIT = 100


def listed(
    context: Context,
    kind: str,
    url: str,
    params: Params,
    filters: Mapping[str, Any] | None = None,
    ranges: Mapping[str, Mapping[str, int]] | None = None,
) -> Listing:
    """Answer a list request: parameters beside the cursors are filters on fields of that name.

    Raises:
        StripeError: If the limit is out of bounds or the cursor names nothing.
    """
    limit, cursor = paging(params)
    rest = {name: value for name, value in params.items() if name not in PAGING}
    all_ranges = {name: dict(bounds) for name, bounds in (ranges or {}).items()}
    all_filters = dict(filters or {})
    for name, value in rest.items():
        if isinstance(value, dict):
            all_ranges[name] = all_ranges.get(name, {}) | value
        elif name == "created":
            all_ranges[name] = {"gte": value, "lte": value}
        else:
            all_filters[name] = value
    page = context.space.page(kind, all_filters, all_ranges, limit, cursor)
    if page is None and cursor:
        param = "ending_before" if cursor.backwards else "starting_after"
        raise no_such(KINDS[kind].noun or kind, cursor.object_id, param, 400)
    return Listing(page or Page([], has_more=False), url, of=kind)


def sublist(context: Context, kind: str, filters: Mapping[str, Any], url: str) -> Doc:
    """Return the first page of a list, as it is embedded in another object."""
    page = context.space.page(kind, filters) or Page([], has_more=False)
    return {
        "object": "list",
        "data": [orjson.loads(body) for body in page.bodies],
        "has_more": page.has_more,
        "url": url,
    }


PAGING = {"limit", "starting_after", "ending_before"}


def paging(params: Params) -> tuple[int, Cursor | None]:
    """Return the limit and the cursor of a list request."""
    limit = params.get("limit", 10)
    if not 1 <= limit <= MAX_LIMIT:
        raise invalid(
            f"This value must be between 1 and {MAX_LIMIT}.", "limit", "parameter_invalid_integer"
        )
    if "starting_after" in params and "ending_before" in params:
        raise invalid("You can only provide one of starting_after and ending_before.", "limit")
    if "starting_after" in params:
        return limit, Cursor(params["starting_after"])
    if "ending_before" in params:
        return limit, Cursor(params["ending_before"], backwards=True)
    return limit, None
