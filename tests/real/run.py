"""Stories and experiments, one after the other, and what is said of each."""

from collections.abc import Callable, Sequence
from functools import partial

from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from invoicing.errors import InvoicingError
from invoicing.settings import Stripe
from sandbox.common.serve import running
from sandbox.stripe.app import make_app
from tests.real import experiments  # noqa: F401 - they register themselves
from tests.real.experiment import RECORDINGS, belief, differences, observe, record
from tests.real.needs import Services
from tests.real.package_deploy import PackageDeploy
from tests.real.stage import Stage
from tests.real.stories import STORIES
from tests.real.stripe_account import Account, connect

CONSOLE = Console(highlight=False, markup=False, emoji=False)


def deploy_package(package: PackageDeploy) -> bool:
    """Deploy the package to an org, validated first; whether the org took all of it."""
    good = True
    try:
        for what, problems in package.steps():
            _say(f"{'✗' if problems else '✓'} package: {what}")
            for problem in problems:
                _say(f"    {problem}")
            good &= not problems
    except InvoicingError as error:
        _say(f"✗ package: {error}")
        return False
    return good


def play_stories(stage: Stage, names: Sequence[str]) -> bool:
    """Play stories, and remove what they have made; whether all of it went well."""
    good = _left(stage.clean())
    try:
        if good := good and _well("Accounts and products", stage.build):
            failed = [name for name in names if not _well(name, partial(STORIES[name], stage))]
            good = not failed
    finally:
        clean = _left(stage.clean())
    return good and clean


def _well(what: str, deed: Callable[[], object]) -> bool:
    """Do something, and say whether it went well."""
    try:
        deed()
    except Exception as error:
        _say(f"✗ {what}: {type(error).__name__}: {error}")
        return False
    _say(f"✓ {what}")
    return True


def make_experiments(services: Services, account: Account, names: Sequence[str]) -> bool:
    """Make experiments here and there, and say what differs; whether nothing does.

    What Stripe itself has answered is written down, for tests to replay.
    """
    good = _left(account.clean())
    table = Table("experiment", "what", "the sandbox says", "Stripe says", title="Differences")
    with running(make_app) as url:
        here = connect(sandbox(url))
        for name in names:
            try:
                believed, _ = observe(name, here)
                observed, left = observe(name, account)
                if services.real:
                    record(RECORDINGS, name, observed)
            except Exception as error:
                good = False
                _say(f"✗ {name}: {type(error).__name__}: {error}")
                continue
            found = list(differences(believed, observed))
            good &= _left(left) and not found
            _say(f"{'≠' if found else '✓'} {name}: {belief(name)}")
            for difference in found:
                table.add_row(name, difference.what, difference.sandbox, difference.stripe)
    if table.row_count:
        CONSOLE.print(table)
    return good


def sandbox(url: str) -> Stripe:
    """Settings of a sandbox's account in test mode."""
    key = SecretStr("sk_test_123")
    return Stripe(api_key=key, account_id="acct_1SandboxAcme", livemode=False, base_url=url)


def _left(problems: Sequence[str]) -> bool:
    for problem in problems:
        _say(f"✗ could not be removed: {problem}")
    return not problems


def _say(text: str) -> None:
    CONSOLE.print(text, soft_wrap=True)
