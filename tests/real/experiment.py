"""An experiment: what somebody tries with a Stripe account, and what it comes to."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from invoicing.settings import STRIPE_API_VERSION
from tests.real.stripe_account import REFUSALS, Account, refusal

RECORDINGS = Path(__file__).parent / "recordings"

Observed = dict[str, Any]
"""Amounts, states, types and codes, as JSON has them; nothing that differs from run to run."""

Trial = Callable[[Account], Observed]

EXPERIMENTS: dict[str, Trial] = {}
"""By the name that docs/unproved.md has for each; the docstring is what is believed."""

SECRETS = re.compile(r"@|_(?=[A-Za-z]*[A-Z0-9])[A-Za-z0-9]{14,}|\b(?:sk|rk|pk|whsec)_|://")
"""Addresses, ids, keys and links; words such as payment_intent_authentication_failure are none."""

EPOCH = 1_400_000_000
"""Whole numbers from here on are moments, or ids."""


def experiment(trial: Trial) -> Trial:
    """Register an experiment under its name."""
    EXPERIMENTS[trial.__name__] = trial
    return trial


def belief(name: str) -> str:
    """What is believed, in a sentence."""
    return str(EXPERIMENTS[name].__doc__).strip().splitlines()[0]


@dataclass(frozen=True)
class Difference:
    """Something that came out in two ways."""

    what: str
    sandbox: str
    stripe: str


def observe(name: str, account: Account) -> tuple[Observed, list[str]]:
    """Make an experiment, and remove what it has left, however it ends.

    Returns:
        The observations, which end where Stripe refused what all the rest needs; and what could
        not be removed.
    """
    try:
        observed = EXPERIMENTS[name](account)
    except REFUSALS as error:
        observed = {"stopped": refusal(error)}
    except BaseException:
        account.clean()
        raise
    left = account.clean()
    return json.loads(json.dumps(observed)), left


def differences(sandbox: Any, stripe: Any, what: str = "") -> Iterator[Difference]:
    """Everything that two observations do not have in common."""
    if isinstance(sandbox, Mapping) and isinstance(stripe, Mapping):
        for key in [*sandbox, *(key for key in stripe if key not in sandbox)]:
            inner = f"{what}, {key}" if what else key
            yield from differences(sandbox.get(key), stripe.get(key), inner)
    elif sandbox != stripe:
        yield Difference(what, json.dumps(sandbox), json.dumps(stripe))


def record(folder: Path, name: str, observed: Observed) -> Path:
    """Write observations down for tests to replay.

    Raises:
        ValueError: they hold something that may be a key, an id, an address or a moment.
    """
    if found := next(_private(observed), None):
        raise ValueError(f"{name} would record {found!r}")
    folder.mkdir(parents=True, exist_ok=True)
    content = {"api_version": STRIPE_API_VERSION, "experiment": name, "observed": observed}
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def replay(path: Path, account: Account) -> list[Difference]:
    """Make a recorded experiment again; what comes out otherwise than it was recorded."""
    recorded = json.loads(path.read_text(encoding="utf-8"))
    observed, _ = observe(recorded["experiment"], account)
    return list(differences(observed, recorded["observed"]))


def _private(value: Any) -> Iterator[Any]:
    match value:
        case Mapping():
            for key, inner in value.items():
                yield from _private(key)
                yield from _private(inner)
        case list():
            for inner in value:
                yield from _private(inner)
        case str() if SECRETS.search(value):
            yield value
        case bool():
            return
        case int() if abs(value) >= EPOCH:
            yield value
