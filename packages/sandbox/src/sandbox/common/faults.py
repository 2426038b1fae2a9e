"""Trouble on demand: seeded rules that decide which request meets which fault."""

import random
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """One kind of trouble and the requests it befalls.

    Kinds every sandbox knows: ``refuse`` (answer ``status``, no effect), ``fail_after`` (effect,
    then answer ``status``), ``lost`` (effect, then the connection closes without an answer),
    ``reset`` (connection reset, no effect), ``timeout`` (silence for ``seconds``, then closed,
    no effect), ``latency`` (``seconds`` to ``seconds_max`` before the answer), ``slow_body``
    (the body dribbles over ``seconds``), ``malformed`` (effect, then half a body), ``empty_list``
    (200 and ``[]``, no effect).
    Others are left to the sandbox that knows them.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    method: str = Field("*", description="HTTP method, or * for any.")
    path: str = Field("*", description="Shell-style pattern over the path.")
    probability: float = Field(1.0, ge=0, le=1)
    after: int = Field(0, ge=0, description="Matching requests to let through first.")
    count: int | None = Field(None, ge=0, description="How often at most; empty for no limit.")
    status: int = 503
    code: str | None = Field(None, description="Error code in the service's own words.")
    seconds: float = Field(0.0, ge=0)
    seconds_max: float | None = Field(None, ge=0)
    seen: int = 0
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether the rule is about requests like this one."""
        return self.method in ("*", method) and fnmatchcase(path, self.path)


class Faults:
    """The rules in force. The same seed and the same requests meet the same trouble."""

    def __init__(self) -> None:
        self.configure([], seed=0)

    def configure(self, rules: list[Rule], seed: int = 0) -> None:
        """Replace all rules and start the dice anew."""
        self.rules = rules
        self.seed = seed
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def pick(self, method: str, path: str) -> Rule | None:
        """Return the first rule that befalls this request, counting it."""
        for rule in self.rules:
            if rule.matches(method, path) and self._strikes(rule):
                return rule
        return None

    def delay(self, rule: Rule) -> float:
        """Draw a delay in seconds for a rule, uniform between its bounds."""
        return self._random.uniform(rule.seconds, rule.seconds_max or rule.seconds)

    def describe(self) -> dict[str, Any]:
        """Return the rules with their counts, as the admin endpoint shows them."""
        return {"seed": self.seed, "rules": [rule.model_dump() for rule in self.rules]}

    def _strikes(self, rule: Rule) -> bool:
        rule.seen += 1
        if rule.seen <= rule.after or (rule.count is not None and rule.hits >= rule.count):
            return False
        if self._random.random() >= rule.probability:
            return False
        rule.hits += 1
        return True
