"""Orgs as companies have them: what each is like, alone or together with others.

A profile may make the org another one (its package, its schema), prepare it before a story begins,
be in the way from the moment that the story's flow starts, and give way once the flow was refused.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.faults.stories import BILL_TO
from tests.orgs.org_world import OrgWorld, forget
from tests.orgs.package_variants import Variant, orders, renamed, text_names

NAMESPACE = "acme"
INTEGRATION = "Invoice_Integration"


def nothing(_: OrgWorld) -> None:
    """Change nothing."""


@dataclass(frozen=True)
class Profile:
    """What an org is like.

    Attributes:
        variant: What it has made of our package.
        namespace: The package's.
        sandbox: The sandbox's own profiles of the org's schema.
        rules: The sandbox's profiles of rules that are in force from when the flow starts.
        until_refused: Of these, the ones that somebody lifts once the flow met them.
        before: Prepares the org, before the story begins.
        meanwhile: What happens before the flow starts.
        relents: What gives way each time that the flow was refused; what is said then is in `says`.
        says: Parts of sentences, of which a refused flow says one.
    """

    variant: Variant | None = None
    namespace: str = ""
    sandbox: Sequence[str] = ()
    rules: Sequence[str] = ()
    until_refused: Sequence[str] = ()
    before: Callable[[OrgWorld], None] = nothing
    meanwhile: Callable[[OrgWorld], None] = nothing
    relents: Callable[[OrgWorld], None] = nothing
    says: Sequence[str] = ()

    @property
    def remade(self) -> bool:
        """Whether the org has other names than our package's."""
        return bool(self.namespace) or self.variant in (renamed, orders)


def _own_address(world: OrgWorld) -> None:
    world.people.change("Account", world.account(), **world.billed_at)


def _a_person(world: OrgWorld) -> None:
    """The customer is a person, who has no contacts; who gets the bill works elsewhere."""
    world.people.change(
        "Account", world.account(), FirstName="Acme", LastName="Corporation", PersonEmail=BILL_TO
    )
    [globex] = world.people.query("SELECT Id FROM Account WHERE Name = 'Globex'")
    for row in world.people.query(f"SELECT Id FROM Contact WHERE AccountId = '{world.account()}'"):
        world.people.change("Contact", row["Id"], AccountId=globex["Id"])


def _permitted(world: OrgWorld) -> None:
    world.sandbox.admin("POST", "user", permission_sets=[INTEGRATION])


def _merged(world: OrgWorld) -> None:
    """The customer becomes part of another Account, which takes over its name."""
    loser = world.account()
    fields = "Name, CurrencyIsoCode, BillingCity, BillingCountry, BillingStreet"
    [row] = world.people.query(f"SELECT {fields} FROM Account WHERE Id = '{loser}'")
    own = {name: value for name, value in row.items() if name != "attributes"}
    winner = world.people.create("Account", **own, **world.billed_at)
    world.sandbox.admin("POST", "merge", master=winner, losers=[loser])


def _by_jwt(world: OrgWorld) -> None:
    """The login is by a certificate, for login.salesforce.com and nobody else."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    pem, public = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    certificate = key.public_key().public_bytes(pem, public)
    requests.post(f"{world.sandbox.url}/_sandbox/certificate", certificate, timeout=9)
    path = world.folder / "key.pem"
    form, unencrypted = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, form, unencrypted))
    world.setting("SALESFORCE__CONSUMER_SECRET", None)
    world.setting("SALESFORCE__USERNAME", "integration@northwind.example")
    world.setting("SALESFORCE__PRIVATE_KEY_FILE", str(path))
    world.audience = "https://login.salesforce.com"
    world.sandbox.admin("POST", "logins", audience=world.audience)
    forget()


def _no_more_logins(world: OrgWorld) -> None:
    """The hour's logins are used up, and the session has ended."""
    world.sandbox.admin("POST", "logins", audience=world.audience, hourly=0)
    world.sandbox.admin("DELETE", "sessions")
    forget()


def _logins_again(world: OrgWorld) -> None:
    world.sandbox.admin("POST", "logins", audience=world.audience)


def _few_calls_left(world: OrgWorld) -> None:
    """So many, and after that none, until more calls are a day old: twice as many each time."""
    used = world.sandbox.admin("GET", "limits")["used"]
    world.sandbox.admin("POST", "limits", allowance=used + world.calls, enforced=True)
    world.calls *= 2


PROFILES: Mapping[str, Profile] = {
    "plain": Profile(),
    "renamed": Profile(variant=renamed, before=_own_address),
    "namespace": Profile(namespace=NAMESPACE),
    "text-names": Profile(variant=text_names),
    "orders": Profile(variant=orders),
    "country-picklists": Profile(sandbox=("country-picklists",)),
    "person-accounts": Profile(sandbox=("person-accounts",), before=_a_person),
    "validation-rules": Profile(
        rules=("accounts-frozen", "period-closed", "lines-checked"),
        until_refused=("accounts-frozen", "period-closed", "lines-checked"),
        says=("Accounts are frozen", "The period is closed", "Lines are checked"),
    ),
    "before-save": Profile(rules=("numbers-prefixed", "lines-in-capitals")),
    "duplicates": Profile(
        rules=("duplicates-alerted", "duplicates-blocked"),
        until_refused=("duplicates-blocked",),
        says=("There is another Account like this",),
    ),
    "approvals": Profile(
        rules=("in-approval",),
        until_refused=("in-approval",),
        says=("it is locked, as a record is while its approval is under way",),
    ),
    "busy-rows": Profile(
        rules=("rows-busy", "triggers-busy"),
        until_refused=("rows-busy", "triggers-busy"),
        says=("unable to obtain exclusive access",),
    ),
    "merged-accounts": Profile(meanwhile=_merged),
    "strict-audience": Profile(before=_by_jwt),
    "login-limit": Profile(
        meanwhile=_no_more_logins,
        relents=_logins_again,
        says=("logins of this hour are used up",),
    ),
    "daily-limit": Profile(
        meanwhile=_few_calls_left,
        relents=_few_calls_left,
        says=("calls of 24 hours are used",),
    ),
    "least-permissions": Profile(meanwhile=_permitted),
}
"""By what is the matter with it; what people do comes before what keeps them from doing it."""

Names = tuple[str, ...]


def fit(names: Sequence[str]) -> bool:
    """Whether one org can be all of this."""
    some = [PROFILES[name] for name in names]
    return (
        "plain" not in names
        and sum(profile.remade for profile in some) <= 1
        and not ({"orders", "text-names"} <= set(names))
    )


def together(how_many: int, size: int = 5) -> list[Names]:
    """Orgs that are several things at once, so that every two that fit are met in one of them."""
    every = [name for name in PROFILES if name != "plain"]
    left: set[Names] = {pair for pair in itertools.combinations(every, 2) if fit(pair)}
    return list(itertools.islice(_covering(every, left, size), how_many))


def _covering(every: Sequence[str], left: set[Names], size: int) -> Iterator[Names]:
    """Sets of profiles, each with as many pairs that are left as can be; then again from start."""
    everything = frozenset(left)
    while True:
        chosen = list(min(left))
        while len(chosen) < size:
            more = [name for name in every if name not in chosen and fit([*chosen, name])]
            if not more:
                break
            chosen.append(max(more, key=lambda name: len(left & _pairs([*chosen, name], every))))
        names = tuple(name for name in every if name in chosen)
        left -= _pairs(names, every)
        left |= everything if not left else set()
        yield names


def _pairs(names: Sequence[str], every: Sequence[str]) -> set[Names]:
    return set(itertools.combinations(sorted(names, key=every.index), 2))
