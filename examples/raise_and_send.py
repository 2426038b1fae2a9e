"""Raise an invoice on an Account and send it: ``python examples/raise_and_send.py ACCOUNT KEY``.

The key is yours: an order's number, say. Running this again with the same key bills nobody twice.
"""

import sys

from prefect_api import outcome, start

account, key = sys.argv[1:]
invoice = {
    "account": account,
    "description": f"Order {key}",
    "lines": [{"product": "Consulting", "quantity": "2"}],
    "options": {"payment_terms": "Net 30"},
    "request_id": key,
}
raised = outcome(start("raise-invoice", invoice, f"raise-{key}"))
print(raised)
name = raised.split(" ", 1)[0]
print(outcome(start("send-invoice", {"invoice": name}, f"send-{key}")))
