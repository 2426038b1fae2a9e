"""What can go wrong on the wire, in the words of the sandboxes' fault rules."""

from collections.abc import Mapping
from typing import Any

from tests.faults.worlds import SALESFORCE, STRIPE, TIMEOUT_SECONDS

Rule = dict[str, Any]

TOO_LATE = TIMEOUT_SECONDS + 0.3

KINDS: Mapping[str, Rule] = {
    "refused": {"kind": "refuse", "status": 503},
    "throttled": {"kind": "refuse", "status": 429},
    "lost": {"kind": "lost"},
    "failed after": {"kind": "fail_after", "status": 500},
    "stored 500": {"kind": "error", "status": 500},
    "reset": {"kind": "reset"},
    "timed out": {"kind": "timeout", "seconds": TOO_LATE},
    "came late": {"kind": "latency", "seconds": TOO_LATE},
    "slow": {"kind": "latency", "seconds": 0.02, "seconds_max": 0.1},
    "half an answer": {"kind": "malformed"},
    "row locked": {
        "kind": "refuse",
        "status": 400,
        "code": "UNABLE_TO_LOCK_ROW",
        "path": "*/data/*",
    },
}
"""Before the effect: refused, throttled, reset, timed out, row locked. After it: lost, failed
after, half an answer. A stored 500 is what Stripe repeats for its idempotency key. What came
late has its effect when nobody waits for it any more."""

ONLY = {"stored 500": STRIPE, "row locked": SALESFORCE}
"""Kinds that one of the services does not know."""


def kinds_of(service: str, method: str, path: str = "") -> list[str]:
    """The kinds of trouble that a request to a service can meet; only writes lock rows."""
    locks = method != "GET" and not path.endswith("/oauth2/token")
    return [
        kind
        for kind in KINDS
        if ONLY.get(kind, service) == service and (kind != "row locked" or locks)
    ]


def at_call(kind: str, number: int) -> Rule:
    """Trouble at the n-th request to a service, counted from zero."""
    return KINDS[kind] | {"path": "*", "after": number, "count": 1}


def now_and_then(kind: str, probability: float, count: int) -> Rule:
    """Trouble at random, so often at most."""
    return KINDS[kind] | {"probability": probability, "count": count}


AWAY: Rule = {"kind": "refuse", "status": 502}
"""A service that is down for some time: what its gateway answers meanwhile."""


def away(tries: int, after: int) -> Rule:
    """Trouble for a whole service, for so many tries, from the n-th request on."""
    return AWAY | {"path": "*", "after": after, "count": tries}


def kind_of(rule: Mapping[str, Any]) -> str:
    """What a rule of a sandbox was ordered as."""
    for kind in reversed(list(KINDS)):
        ordered = KINDS[kind]
        if all(rule.get(name) == value for name, value in ordered.items() if name != "path"):
            return str(kind)
    return "away for minutes" if rule["status"] == AWAY["status"] else str(rule["kind"])
