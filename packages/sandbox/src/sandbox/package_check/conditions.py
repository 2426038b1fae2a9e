"""Several conditions at once: the logic that joins them names each of them."""

from __future__ import annotations

import re

from sandbox.salesforce.condition_logic import UnreadableLogic, holds


def logic_mistake(logic: str, many: int) -> str:
    """What is wrong with an expression such as ``1 AND (2 OR 3)``; empty where nothing is.

    Args:
        logic: The expression, or a single word, or nothing.
        many: How many conditions there are.
    """
    if logic.lower() in {"", "and", "or"}:
        return ""
    try:
        holds(logic, [True] * many)
    except UnreadableLogic as error:
        return f"{logic}: {error}."
    used = {int(number) for number in re.findall(r"\d+", logic)}
    left = sorted(set(range(1, many + 1)) - used)
    return f"{logic} leaves out condition {left[0]}." if left else ""
