"""Nonsense is refused in Salesforce's form; nothing makes the sandbox stumble."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIELDS = ["Account__c", "Currency__c", "Status__c", "Total__c", "Due_Date__c", "Sent_At__c"]
FIELDS += ["Local_Key__c", "Livemode__c", "Account__r", "Id", "attributes", "Nope__c", ""]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(),
    st.text(max_size=20),
    st.sampled_from(["001Hs0000000001IAA", "2026-02-30", "2026-01-01T00:00:00Z", "Open", "1e5"]),
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
ROWS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5)
SUBREQUEST = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("method", "url", "referenceId", "body", "httpHeaders"), VALUES),
)
BODIES = st.one_of(
    ROWS,
    VALUES,
    st.fixed_dictionaries({"records": st.lists(ROWS, max_size=3)}),
    st.fixed_dictionaries({"compositeRequest": st.lists(SUBREQUEST, max_size=2)}),
    st.fixed_dictionaries({"operation": SCALARS, "object": SCALARS, "query": SCALARS}),
)
PATHS = [
    "sobjects/Stripe_Invoice__c",
    "sobjects/Stripe_Invoice__c/Local_Key__c/k",
    "composite/sobjects",
    "composite/sobjects/Stripe_Invoice__c",
    "composite/sobjects/Stripe_Invoice__c/Local_Key__c",
    "composite",
    "composite/graph",
    "jobs/query",
    "jobs/ingest",
]
WORDS = [
    "SELECT",
    "FROM",
    "WHERE",
    "GROUP BY",
    "ORDER BY",
    "LIMIT",
    "OFFSET",
    "HAVING",
    "AND",
    "OR",
]
WORDS += ["NOT", "IN", "LIKE", "NULLS", "Id", "Name", "Account", "Account__r.Name", "COUNT(Id)"]
WORDS += ["COUNT()", "FIELDS(ALL)", "TODAY"]
WORDS += ["(", ")", ",", "=", "'x'", "'", "1", "-1.5", "null", "2026-01-01", ":", "]", "[", "\\"]
MANY = settings(
    max_examples=150,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def ask(base_url: str, sf: Any) -> Any:
    """Send one request; the answer must be a success or an error in Salesforce's form."""
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {sf.session_id}"

    def send(method: str, path: str, **kwargs: Any) -> None:
        url = f"{base_url}/services/data/v67.0/{path}"
        answer = session.request(method, url, timeout=60, **kwargs)
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            (error,) = answer.json()
            assert {"message", "errorCode"} <= set(error)

    return send


@MANY
@given(method=st.sampled_from(["POST", "PATCH"]), path=st.sampled_from(PATHS), body=BODIES)
def test_any_body_gets_a_proper_answer(ask: Any, method: str, path: str, body: Any) -> None:
    """Wrong shapes, wrong types, wrong resources."""
    ask(method, path, json=body)


@MANY
@given(words=st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_query_gets_a_proper_answer(ask: Any, words: list[str]) -> None:
    """Words of SOQL in any order."""
    ask("GET", "query", params={"q": " ".join(["SELECT Id FROM Account WHERE", *words])})
    ask("GET", "query", params={"q": " ".join(words)})
