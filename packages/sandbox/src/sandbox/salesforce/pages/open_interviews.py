"""The dialogues that are under way: interviews of flows, by whom they were begun on."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sandbox.salesforce.org import Org
from sandbox.salesforce.package import QuickAction
from sandbox.salesforce.screen_flows.interview import Interview

MOST = 1_000
"""Interviews that are kept; the one that nobody touched for longest goes first."""


@dataclass
class Dialogue:
    """A flow that somebody began with an action.

    Attributes:
        action: What was pressed.
        record_id: On which record.
        interview: How far it is.
    """

    action: QuickAction
    record_id: str
    interview: Interview


class Dialogues:
    """All dialogues of an org that are under way."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._open: OrderedDict[str, Dialogue] = OrderedDict()

    def begin(self, action: QuickAction, record_id: str) -> Dialogue:
        """Start an action's flow on a record.

        Raises:
            Unsupported: The flow uses what cannot be run here.
        """
        interview = Interview(self._org, action.flow, {"recordId": record_id})
        dialogue = self._open[interview.id] = Dialogue(action, record_id, interview)
        while len(self._open) > MOST:
            self._open.popitem(last=False)
        return dialogue

    def find(self, interview_id: str) -> Dialogue | None:
        """A dialogue that is under way."""
        dialogue = self._open.get(interview_id)
        if dialogue is not None:
            self._open.move_to_end(interview_id)
        return dialogue

    def end(self, dialogue: Dialogue) -> None:
        """Forget a dialogue."""
        self._open.pop(dialogue.interview.id, None)
