"""Every object the sandbox can make, in every state, against Stripe's own types of answers.

Drives the sandbox through whole stories and compares each answer on the way; then expands
everything that can be expanded, at the first level and at the second, whether it is null or not,
and sees that nothing else can be.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import httpx
from starlette.types import ASGIApp

from sandbox.common.serve import running
from sandbox.evidence import state_stories
from sandbox.evidence.response_types import DEPTH, STRIPE, ResponseTypes, fetched
from sandbox.evidence.verdict import Verdict, unavailable, verdict
from sandbox.stripe.api import OPERATIONS
from sandbox.stripe.app import make_app
from sandbox.stripe.store import KINDS

SOURCE = f"stripe-node {STRIPE} response types"

INCLUDABLE = {
    "coupon": ("applies_to",),
    "customer": ("cash_balance", "invoice_credit_balance", "tax"),
    "invoice": ("amount_paid_off_stripe", "confirmation_secret"),
    "price": ("currency_options", "tiers"),
}
"""Beside what the types tell: fields that Stripe's reference says are there only when expanded."""

RETRIEVED = {
    "account": "/v1/account",
    "balance_transaction": "/v1/balance_transactions/{id}",
    "charge": "/v1/charges/{id}",
    "coupon": "/v1/coupons/{id}",
    "credit_note": "/v1/credit_notes/{id}",
    "customer": "/v1/customers/{id}",
    "customer_balance_transaction": "/v1/customers/{customer}/balance_transactions/{id}",
    "dispute": "/v1/disputes/{id}",
    "invoice": "/v1/invoices/{id}",
    "invoice_payment": "/v1/invoice_payments/{id}",
    "invoiceitem": "/v1/invoiceitems/{id}",
    "payment_intent": "/v1/payment_intents/{id}",
    "payment_method": "/v1/payment_methods/{id}",
    "payment_record": "/v1/payment_records/{id}",
    "price": "/v1/prices/{id}",
    "product": "/v1/products/{id}",
    "promotion_code": "/v1/promotion_codes/{id}",
    "refund": "/v1/refunds/{id}",
    "tax_id": "/v1/customers/{customer}/tax_ids/{id}",
    "tax_rate": "/v1/tax_rates/{id}",
}
"""Where an object is read again, to expand it."""

LISTED = {
    "charge": "/v1/charges",
    "customer": "/v1/customers",
    "invoice": "/v1/invoices",
    "invoice_payment": "/v1/invoice_payments",
    "line_item": "/v1/invoices/{invoice}/lines",
}
"""Where objects are listed, to expand all of them at once."""

OWN = {"delivery", "mail"}
"""Kinds that only the sandbox has."""

INSIDE = {"discount"}
"""Kinds that come inside of others alone, when expanded, and are compared there."""

SAMPLES = 3
"""How many objects of a kind are expanded, each in another state."""

Doc = dict[str, Any]


class Judge:
    """Looks at every answer, and remembers what was wrong with which kind of object."""

    def __init__(self, types: ResponseTypes) -> None:
        self.types = types
        self.objects = 0
        self.states: set[Any] = set()
        self.values: dict[tuple[str, str], set[Any]] = defaultdict(set)
        self.samples: dict[str, dict[Any, Doc]] = defaultdict(dict)
        self.cases: dict[str, str] = {}

    def look(self, answer: Doc) -> None:
        """Compare an answer, or each object of a list."""
        if "error" in answer:
            inside = answer["error"].values()
            objects = [value for value in inside if isinstance(value, dict) and "object" in value]
        elif "data" in answer and answer.get("object") in ("list", "search_result", None):
            objects = answer["data"]
            self._look_at_list(answer)
        elif set(answer) == {"id", "object"}:
            return  # something of the second API was deleted
        else:
            objects = [answer]
        for doc in objects:
            self._look_at(doc)

    def _look_at(self, doc: Doc) -> None:
        self.objects += 1
        name = doc.get("object", "")
        state = self.types.state(doc)
        if state not in self.states and not doc.get("deleted"):
            self.samples[name][state] = doc
        self.states.add(state)
        for field in ("status", "type", "reason", "billing_reason"):
            if isinstance(doc.get(field), str):
                self.values[name, field].add(doc[field])
        case = f"{name} ({_label(doc)})"
        complaints = "; ".join(dict.fromkeys(self.types.complaints(doc)))
        self.cases[case] = self.cases.get(case) or complaints

    def _look_at_list(self, answer: Doc) -> None:
        if "object" not in answer:
            names = {"data", "next_page_url", "previous_page_url"}
        else:
            names = {"object", "data", "has_more", "url"}
        if answer.get("object") == "search_result":
            names |= {"next_page", "total_count"} & set(answer)
        wrong = ", ".join(sorted(names ^ set(answer)))
        case = f"{answer.get('object', 'v2 list')} envelope"
        self.cases[case] = self.cases.get(case) or wrong


def report() -> Verdict:
    """Tell every story, and count what was compared."""
    types = fetched()
    if isinstance(types, str):
        return unavailable(SOURCE, types)
    return judged(types, make_app)


def judged(types: ResponseTypes, app: Callable[[str], ASGIApp]) -> Verdict:
    """Compare a sandbox with Stripe's types.

    Args:
        types: The types.
        app: Makes the sandbox's application.
    """
    judge = Judge(types)
    called: set[tuple[str, str]] = set()
    hooks = {"request": [lambda request: called.add((request.method, request.url.path))]}
    with (
        running(app) as url,
        httpx.Client(base_url=url, timeout=30, event_hooks=hooks) as client,
    ):
        told = state_stories.Account(client, judge.look)
        for name, story in state_stories.STORIES.items():
            judge.cases[f"story: {name}"] = _told(story, told)
        judge.cases["story: everything is read again"] = _told(
            state_stories.Account.read_everything, told
        )
        for (kind, field), values in state_stories.REACHED.items():
            missing = values - judge.values[kind, field]
            judge.cases[f"states: {kind}.{field}"] = (
                f"never {', '.join(sorted(missing))}" if missing else ""
            )
        judge.cases |= _all_there_is(judge, called)
        expansions = _expanded(judge, client)
    result = verdict(SOURCE, judge.cases | expansions)
    result["counts"] = {
        "objects": judge.objects,
        "states": len(judge.states),
        "properties": types.checked,
        "expansions": len(expansions),
    }
    return result


def _all_there_is(judge: Judge, called: set[tuple[str, str]]) -> dict[str, str]:
    """See that the stories have left out no operation and no kind of object that is served."""
    cases = {}
    for op in OPERATIONS:
        path = re.compile(re.sub(r"\{\w+\}", "[^/]+", op.path))
        told = any(op.method == how and path.fullmatch(where) for how, where in called)
        cases[f"operation: {op.method} {op.path}"] = "" if told else "no story calls it"
    for name in KINDS.keys() - OWN - INSIDE:
        cases[f"kind: {name}"] = "" if name in judge.samples else "no story has one"
    return cases


def _told(story: Callable[[state_stories.Account], None], account: state_stories.Account) -> str:
    try:
        story(account)
    except state_stories.StoryError as error:
        return str(error)
    return ""


def _expanded(judge: Judge, client: httpx.Client) -> dict[str, str]:
    """Expand every kind of object everywhere, and what cannot be expanded."""
    cases: dict[str, str] = {}
    for name, by_state in sorted(judge.samples.items()):
        if name not in RETRIEVED:
            continue
        there = [doc for doc in by_state.values() if _is_there(client, doc)]
        docs = there[:: max(1, len(there) // SAMPLES)]
        for path, targets in _paths(judge.types, name).items():
            cases[f"expand {name}: {path}"] = _all_fine(judge, client, docs, path)
            second = {
                inner
                for target in targets
                for inner in _paths(judge.types, target)
                if path.count(".") + inner.count(".") + 2 <= DEPTH
            }
            for inner in sorted(second):
                case = f"expand {name}: {path}.{inner}"
                cases[case] = _all_fine(judge, client, docs[:1], f"{path}.{inner}")
            if targets:
                nonsense = f"{path}.nonsense"
                cases[f"refuse {name}: {nonsense}"] = _refused(client, docs, nonsense)
        for path in ("nonsense", "id", "metadata"):
            cases[f"refuse {name}: {path}"] = _refused(client, docs, path)
    for name, address in LISTED.items():
        docs = list(judge.samples[name].values())[:1]
        for path in _paths(judge.types, name):
            place = f"data.{path}"
            cases[f"expand list of {name}: {place}"] = _all_fine(
                judge, client, docs, place, address
            )
        cases[f"refuse list of {name}: data.nonsense"] = _refused(
            client, docs, "data.nonsense", address
        )
    return cases


def _is_there(client: httpx.Client, doc: Doc) -> bool:
    """Whether an object can be read: previews and what was deleted cannot."""
    where = RETRIEVED[doc["object"]].format_map(doc)
    return client.get(where, auth=(state_stories.KEY, "")).status_code == 200


def _paths(types: ResponseTypes, name: str) -> dict[str, set[str]]:
    return types.expandable(name) | {field: set() for field in INCLUDABLE.get(name, ())}


def _all_fine(
    judge: Judge, client: httpx.Client, docs: list[Doc], path: str, address: str = ""
) -> str:
    for doc in docs:
        where = (address or RETRIEVED[doc["object"]]).format_map(doc)
        answer = client.get(where, params={"expand[]": path}, auth=(state_stories.KEY, ""))
        if answer.status_code != 200:
            return str(answer.json()["error"]["message"])
        judge.look(answer.json())
        for value in _at(answer.json(), path.split(".")):
            if isinstance(value, str):
                return f"{value} was left as it was"
    return ""


def _refused(client: httpx.Client, docs: list[Doc], path: str, address: str = "") -> str:
    for doc in docs[:1]:
        where = (address or RETRIEVED[doc["object"]]).format_map(doc)
        answer = client.get(where, params={"expand[]": path}, auth=(state_stories.KEY, ""))
        if answer.status_code != 400:
            return f"{answer.status_code} instead of 400"
    return ""


def _at(value: Any, parts: list[str]) -> Iterator[Any]:
    """Return what stands at a path, of each item where a list is on the way."""
    if isinstance(value, list):
        for item in value:
            yield from _at(item, parts)
    elif parts and isinstance(value, dict):
        yield from _at(value.get(parts[0]), parts[1:])
    elif not parts:
        yield value


def _label(doc: Doc) -> str:
    if doc.get("deleted"):
        return "deleted"
    return str(doc.get("status") or doc.get("type") or "as it is")
