"""Keys, secrets and sessions are in no store, whatever was done and refused."""

import json
from base64 import b64decode
from pathlib import Path

from deployments.local.stack import (
    SALESFORCE_KEY,
    SALESFORCE_ORG,
    SALESFORCE_SECRET,
    STRIPE_KEY,
    Stack,
)
from deployments.local.waiting import eventually
from tests.journeys.api_user import SalesforceUsers

WAIT = 120.0
SEEN = b"Acme Corporation"
RESULTS = "storage"


def held(file: Path) -> bytes:
    """What a file holds; of a result, the object inside."""
    content = file.read_bytes()
    if file.parent.name != RESULTS:
        return content
    return b64decode(json.loads(content)["result"] if content.startswith(b"{") else content)


def test_no_store_has_what_opens_a_service(shared_stack: Stack) -> None:
    """Neither ledger nor Prefect's database, results and logs, after a sending and a refusal."""
    people = SalesforceUsers(shared_stack)
    invoice = people.draft()
    for word in ("Done: ", "Refused: "):
        request = people.press_send(invoice)
        said = eventually(lambda request=request: people.outcome(request), WAIT)  # type: ignore[misc]
        assert said.startswith(word)
    stores = {file: held(file) for file in shared_stack.state.rglob("*") if file.is_file()}
    names = {file.name.partition("-wal")[0] for file, content in stores.items() if SEEN in content}
    assert names >= {"ledger.db", "prefect.db", "worker.log"}
    assert any(file.parent.name == RESULTS for file in stores)
    secrets = [
        *(STRIPE_KEY, SALESFORCE_KEY, SALESFORCE_SECRET, shared_stack.urls.webhook_token),
        *json.loads(shared_stack.environment["INVOICING_STRIPE__WEBHOOK_SECRETS"]),
        f"{SALESFORCE_ORG[:15]}!",  # each of its sessions begins with it
    ]
    assert all(secrets)
    kept = {(str(f), s) for f, content in stores.items() for s in secrets if s.encode() in content}
    assert kept == set()
