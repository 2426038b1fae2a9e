"""Events as the receiver writes them down."""

from collections.abc import Mapping
from typing import Any

import orjson

from invoicing.domain.stripe.event_parsing import parse_event
from invoicing.ledger import inbox
from invoicing.settings import settings


def event_from(body: Mapping[str, Any]) -> inbox.NewEvent:
    """An inbox event from its body."""
    text = orjson.dumps(body, default=str).decode()
    account = settings().stripe.account_id
    return inbox.new_event(parse_event(body), text, account_id=account, source="webhook")
