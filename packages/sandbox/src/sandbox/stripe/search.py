"""Stripe's search language (https://docs.stripe.com/search), turned into SQL.

Clauses ``field:"value"`` (equal, ignoring case), ``field~"part"``, ``field>1`` and so on, negated
by ``-``, joined by AND or by OR, not both. Objects appear some time after they are created.
"""

import re
from typing import Any

from sandbox.stripe.api import Listing, Params
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.store import Cursor, Page

CLAUSE = re.compile(
    r"""\s*(?P<negated>-)?
    (?:(?P<field>[a-z_]+)(?:\[(?P<quote>["'])(?P<key>.*?)(?P=quote)\])?)
    \s*(?P<operator>:|~|>=|<=|>|<)\s*
    (?:"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'|(?P<bare>[\w.]+))""",
    re.VERBOSE,
)
JOINT = re.compile(r"\s+(AND|OR)(?=\s)", re.IGNORECASE)

FIELDS = {
    "customer": {"created", "email", "metadata", "name", "phone"},
    "invoice": {
        "created",
        "currency",
        "customer",
        "metadata",
        "number",
        "receipt_number",
        "status",
        "total",
    },
    "product": {"active", "created", "description", "metadata", "name"},
    "price": {"active", "created", "currency", "lookup_key", "metadata", "product", "type"},
    "payment_intent": {"amount", "created", "currency", "customer", "metadata", "status"},
    "charge": {"amount", "created", "currency", "customer", "metadata", "refunded", "status"},
}


def searched(context: Context, kind: str, url: str, params: Params) -> Listing:
    """Answer a search request.

    Raises:
        StripeError: If the query cannot be read or asks for a field that is not searchable.
    """
    where, values = _sql(kind, params["query"])
    visible = context.now - context.sandbox.settings.search_lag
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:
        raise invalid("This value must be between 1 and 100.", "limit")
    cursor = Cursor(params["page"]) if "page" in params else None
    ranges = {"created": {"lte": int(visible)}}
    page = context.space.page(kind, {}, ranges, limit, cursor, where=(where, values))
    if page is None:
        raise invalid("Invalid page.", "page")
    return Listing(page, url, "search_result", {"next_page": _next(page)}, kind)


def _next(page: Page) -> str | None:
    if not page.has_more:
        return None
    found = re.search(rb'"id":"([^"]+)"', page.bodies[-1])
    return found[1].decode() if found else None


def _sql(kind: str, query: str) -> tuple[str, list[Any]]:
    conditions: list[str] = []
    values: list[Any] = []
    joints: set[str] = set()
    position = 0
    while True:
        clause = CLAUSE.match(query, position)
        if clause is None:
            raise _unreadable(query)
        condition, bound = _condition(kind, clause)
        conditions.append(condition)
        values.extend(bound)
        position = clause.end()
        joint = JOINT.match(query, position)
        if joint is None:
            break
        joints.add(joint[1].upper())
        position = joint.end()
    if query[position:].strip() or len(joints) > 1:
        raise _unreadable(query)
    return f" {joints.pop() if joints else 'AND'} ".join(conditions), values


def _condition(kind: str, clause: "re.Match[str]") -> tuple[str, list[Any]]:
    field, key, operator = clause["field"], clause["key"], clause["operator"]
    if field not in FIELDS[kind] or (field == "metadata") != (key is not None):
        raise StripeError(f"Field `{field}` is an unsupported search field.", param="query")
    path = f'$.metadata."{key}"' if key is not None else f"$.{field}"
    quoted = clause["double"] if clause["double"] is not None else clause["single"]
    value: Any = clause["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    column = "json_extract(body, ?)"
    bound: list[Any]
    if quoted is None and value == "null":
        condition, bound = f"{column} IS NULL", [path]
    elif operator == "~":
        condition, bound = f"instr(lower({column}), lower(?)) > 0", [path, value]
    elif operator == ":" and field not in ("created", "amount", "total"):
        truth = {"true": 1, "false": 0}.get(value) if quoted is None else None
        compared = value if truth is None else truth
        condition, bound = f"{column} = ? COLLATE NOCASE", [path, compared]
    else:
        comparison = "=" if operator == ":" else operator
        condition, bound = f"{column} {comparison} ?", [path, int(value)]
    return (f"NOT coalesce({condition}, 0)" if clause["negated"] else condition), bound


def _unreadable(query: str) -> StripeError:
    return StripeError(f"We were unable to parse your search query: {query}", param="query")
