"""What Stripe does by itself as time passes: drafts finalize, bank debits come to their end.

With ``auto_advance`` on, a draft is finalized an hour after all webhook endpoints acknowledged
``invoice.created``, or 72 hours after it was created; with ``automatically_finalizes_at``, then.
Source: https://docs.stripe.com/invoicing/integration/automatic-advancement-collection.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.stripe import lifecycle, payment_methods, payments
from sandbox.stripe.context import Context, Sandbox
from sandbox.stripe.errors import StripeError
from sandbox.stripe.store import Doc
from sandbox.stripe.webhooks import Courier

logger = logging.getLogger(__name__)

HOUR = 3600
GRACE = HOUR
PATIENCE = 72 * HOUR
TICK = 5.0
"""Real seconds between two looks at the drafts; a moved clock is noticed at once."""


class Advancement:
    """Ends drafts and debits when their time has come, for as long as the sandbox runs."""

    def __init__(self, sandbox: Sandbox, courier: Courier) -> None:
        self.sandbox = sandbox
        self.courier = courier
        sandbox.clock.on_move(self.advance)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Advance while the block runs."""
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def advance(self) -> None:
        """Do what is due now."""
        for livemode in (False, True):
            context = self.sandbox.context(livemode)
            until = {"_.settles_at": {"lte": context.now}}
            for intent in context.space.find("payment_intent", {}, until, deferred=False):
                self._end_debit(context, intent)
            filters = {"status": "draft", "_.advances": True}
            for invoice in context.space.find("invoice", filters):
                if context.now >= _due_at(context, invoice):
                    self._finalize(context, invoice)

    async def _work(self) -> None:
        while True:
            self.advance()
            await asyncio.sleep(TICK)

    def _end_debit(self, context: Context, intent: Doc) -> None:
        try:
            with self.sandbox.store.transaction():
                debit = payment_methods.instrument_of(context, intent["payment_method"])
                payments.end_debit(context, intent, debit.code)
        except StripeError as error:
            logger.info("%s stays under way: %s", intent["id"], error)
        self.courier.wake()

    def _finalize(self, context: Context, invoice: Doc) -> None:
        try:
            with self.sandbox.store.transaction():
                finalized = lifecycle.finalize(context, invoice)
                lifecycle.collect_automatically(context, finalized)
        except StripeError as error:
            logger.info("%s stays a draft: %s", invoice["id"], error)
        self.courier.wake()


def _due_at(context: Context, invoice: Doc) -> float:
    """Return when a draft is to be finalized."""
    if invoice["automatically_finalizes_at"]:
        return float(invoice["automatically_finalizes_at"])
    filters = {"_.object": invoice["id"], "type": "invoice.created"}
    acknowledged = all(event["_"]["delivered"] for event in context.space.find("event", filters))
    return float(invoice["created"] + (GRACE if acknowledged else PATIENCE))
