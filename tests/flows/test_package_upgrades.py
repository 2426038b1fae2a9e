"""An upgrade with records in the org: package and worker, in each order, and the way back."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from deployments.local.stack import SALESFORCE_PACKAGE
from flows.full_sync import full_sync
from flows.record_payment import record_payment
from flows.send_invoice import send_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.salesforce import record
from invoicing.errors import EnvironmentMismatch
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.settings import settings
from sandbox.common.serve import running
from sandbox.salesforce.app import application
from sandbox.salesforce.org import open_org
from tests.conftest import Sandbox
from tests.orgs.org_client import OrgClient

Raise = Callable[..., InvoiceOutcome]

INVOICE, LINE, REQUEST = record.INVOICE, record.LINE, "Stripe_Invoice_Request__c"
MIRRORED = ("Amount_Disputed__c", "Dispute_Status__c", "Finalized_At__c", "Stripe_Account_Id__c")
"""Fields that show something of Stripe, as a release may bring more of them."""

WORKED_OUT = ("Draft_Subtotal__c", "Draft_Lines__c")
NEW = {
    INVOICE: (*MIRRORED, *WORKED_OUT, "Approval_Key__c", "Previewed_Amount_Due__c"),
    LINE: ("Draft_Amount__c", "Currency__c", "Quantity_Text__c", "Unit_Price_Text__c"),
}
"""What the former package lacks, beside requests, rules, permissions, custom metadata and flows
that run before something is saved."""


def former_package(folder: Path) -> Path:
    """The package as it was before."""
    package = shutil.copytree(SALESFORCE_PACKAGE, folder / "former")
    for path in [
        *package.glob(f"objects/{REQUEST}"),
        *package.glob("objects/*__mdt"),
        *package.glob("objects/*/validationRules"),
        *package.glob("platformEventChannel*"),
        *package.glob("customPermissions"),
        *package.glob("customMetadata"),
    ]:
        shutil.rmtree(path, ignore_errors=True)  # some stand in others
    for path in package.glob("flows/*_Before_Save.flow-meta.xml"):
        path.unlink()
    for sobject, names in NEW.items():
        for name in names:
            (package / f"objects/{sobject}/fields/{name}.field-meta.xml").unlink()
    return package


def former_mapping() -> str:
    """What makes this release's worker know no more than the former one did."""
    lines = ["[objects.Stripe_Invoice_Request__c]", "leave_out = true"]
    for sobject, names in NEW.items():
        lines.append(f"[objects.{sobject}.fields]")
        lines += [f'{name} = ""' for name in names]
    return "\n".join(lines)


class Installation:
    """An org that keeps its records whichever package is deployed, and the worker beside it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is there yet."""
        self._folder, self._environment = folder, monkeypatch
        self._served = ExitStack()
        self._former = former_package(folder)

    def deploy(self, *, former: bool = False) -> None:
        """Deploy the package, or the former one."""
        self._served.close()
        package = self._former if former else SALESFORCE_PACKAGE
        org = open_org(package, str(self._folder / "org.db"))
        self._served.callback(org.store.close)
        url = self._served.enter_context(running(lambda url: application(org, url)))
        self.sandbox, self.people = Sandbox(url), OrgClient(url)
        self._environment.setenv("INVOICING_SALESFORCE__URL", url)
        self._forget()

    def work(self, *, former: bool = False) -> None:
        """Start this release's worker, or one that knows what the former one knew."""
        mapping = self._folder / "former.toml"
        mapping.write_text(former_mapping(), encoding="utf-8")
        if former:
            self._environment.setenv("INVOICING_MAPPING", str(mapping))
        else:
            self._environment.delenv("INVOICING_MAPPING", raising=False)
        self._forget()

    def _forget(self) -> None:
        for cache in (settings, salesforce.client, org_mapping, org_field_reader):
            cache.cache_clear()

    def shows(self, name: str, *fields: str) -> dict[str, Any]:
        """Some fields of an invoice's record, as people see it."""
        soql = f"SELECT {', '.join(fields)} FROM {INVOICE} WHERE Name = '{name}'"
        [found] = self.people.query(soql)
        return {field: found[field] for field in fields}

    def end(self) -> None:
        """Stop the org."""
        self._served.close()
        self._forget()


@pytest.fixture
def installation(
    world: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """The former package and the former worker."""
    made = Installation(tmp_path, monkeypatch)
    made.deploy(former=True)
    made.work(former=True)
    yield made
    made.end()


def test_existing_records_get_the_new_fields(installation: Installation, draft: Raise) -> None:
    """The package first, while the former worker works on; the first full sync fills them."""
    paid, waiting = send_invoice(draft().name), draft()
    record_payment(paid.name)
    installation.deploy()
    sums = {"Draft_Subtotal__c": 2450.0, "Draft_Lines__c": 2.0}
    assert installation.shows(waiting.name, *WORKED_OUT) == sums
    between = send_invoice(draft().name)
    empty = dict.fromkeys(MIRRORED)
    assert installation.shows(paid.name, *MIRRORED) == empty
    assert installation.shows(between.name, *MIRRORED) == empty

    installation.work()
    assert "2 repaired" in full_sync().sentence
    for name in (paid.name, between.name):
        after = installation.shows(name, *MIRRORED)
        assert after["Stripe_Account_Id__c"] == settings().stripe.account_id
        assert after["Finalized_At__c"]
    assert full_sync().sentence == "2 invoices compared, 0 differed."
    assert send_invoice(waiting.name).status == "Open"


def test_a_worker_before_its_package_writes_nothing(
    installation: Installation, draft: Raise, stripe_sandbox: Sandbox
) -> None:
    """It names what the org lacks, at once; once the package is there, it goes on."""
    waiting = draft()
    installation.work()
    for sandbox in (stripe_sandbox, installation.sandbox):
        sandbox.admin("DELETE", "requests")
    with pytest.raises(EnvironmentMismatch, match="Amount_Disputed__c"):
        send_invoice(waiting.name)
    for sandbox in (stripe_sandbox, installation.sandbox):
        asked = sandbox.admin("GET", "requests")["requests"]
        paths = [one["path"] for one in asked if one["method"] != "GET"]
        assert [path for path in paths if "/oauth2/" not in path and "/Soap/" not in path] == []
    installation.deploy()
    assert send_invoice(waiting.name).status == "Open"


def test_the_way_back(installation: Installation, draft: Raise) -> None:
    """The former worker works on with the newer package, and again with its own."""
    installation.deploy()
    installation.work()
    sent, waiting = send_invoice(draft().name), draft()
    filled = installation.shows(sent.name, *MIRRORED)

    installation.work(former=True)
    assert full_sync().sentence == "1 invoice compared, 0 differed."
    assert send_invoice(waiting.name).status == "Open"
    record_payment(sent.name)
    installation.deploy(former=True)
    record_payment(waiting.name)
    assert full_sync().sentence == "2 invoices compared, 0 differed."

    installation.deploy()
    installation.work()
    assert installation.shows(sent.name, *MIRRORED) == filled
    full_sync()
    assert full_sync().sentence == "2 invoices compared, 0 differed."
