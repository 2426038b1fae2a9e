"""The Prefect server of the settings, and which installation it works for."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import VariableCreate
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings

from invoicing.doctor.identity import mode
from invoicing.errors import EnvironmentMismatch, TransientError
from invoicing.settings import settings

OWNER = "salesforce_stripe_invoices"
"""The variable of the server that says which installation it works for."""


def variables() -> dict[str, str]:
    """How Prefect's own programs find the server: they read our settings in no other way."""
    wanted = settings()
    found = {"PREFECT_API_URL": wanted.prefect_api_url}
    if wanted.prefect_api_auth:
        found["PREFECT_API_AUTH_STRING"] = wanted.prefect_api_auth.get_secret_value()
    return found


@contextmanager
def server() -> Iterator[SyncPrefectClient]:
    """A client of the server of the settings, which need not be the one of this process.

    Raises:
        EnvironmentMismatch: it does not accept the password.
        TransientError: it did not answer, or did not answer well.
    """
    given = variables()
    known = {each: given.get(each.name) for each in (PREFECT_API_URL, PREFECT_API_AUTH_STRING)}
    try:
        with temporary_settings(known), get_client(sync_client=True) as client:
            yield client
    except httpx.HTTPStatusError as error:
        if error.response.status_code == httpx.codes.UNAUTHORIZED:
            raise EnvironmentMismatch(
                "The Prefect server does not accept the password; check PREFECT_API_AUTH_STRING."
            ) from error
        raise TransientError(f"Prefect failed: status {error.response.status_code}.") from error
    except httpx.HTTPError as error:
        raise TransientError(
            f"Prefect did not answer at {settings().prefect_api_url} ({type(error).__name__})."
        ) from error


def this_installation() -> str:
    """What tells one installation from another: account, mode and org."""
    wanted = settings()
    account = f"Stripe account {wanted.stripe.account_id} in {mode(wanted.stripe.livemode)}"
    return f"{account} and Salesforce org {wanted.salesforce.org_id[:15]}"


def owner() -> str | None:
    """The installation that the server works for: this one, or none before one was deployed to it.

    Raises:
        EnvironmentMismatch: it works for another one, whose workers would take our runs, and ours
            its.
    """
    with server() as client:
        variable = client.read_variable_by_name(OWNER)
    found = str(variable.value) if variable else None
    if found not in (None, this_installation()):
        raise EnvironmentMismatch(
            f"The Prefect server at {settings().prefect_api_url} works for another installation: "
            f"{found}. Give this one a server of its own, by PREFECT_API_URL. If that one has "
            f"ended, delete the server's variable {OWNER}."
        )
    return found


def claim() -> None:
    """Let the server work for this installation.

    Raises:
        EnvironmentMismatch: it works for another one.
    """
    if owner() is None:
        with server() as client:
            client.create_variable(VariableCreate(name=OWNER, value=this_installation()))
