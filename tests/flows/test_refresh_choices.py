"""The products of Salesforce are choices in the forms, and never more than that."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import PrefectHTTPStatusError
from prefect.settings import PREFECT_API_URL

from flows.raise_invoice import raise_invoice
from flows.refresh_choices import refresh_choices
from flows.revise_invoice import revise_invoice
from invoicing.connectors import salesforce
from invoicing.domain.forms.outcomes import InvoiceOutcome
from invoicing.domain.forms.parameters import LineItem
from invoicing.domain.forms.product_options import Product, choices_of
from invoicing.domain.salesforce.queries import Query, equals
from invoicing.errors import Rejected
from invoicing.mapping import org_field_reader, org_mapping
from invoicing.settings import settings
from tasks.drafting import product_options
from tests.flows.conftest import Org

REFRESHED = "forms changed: raise-invoice, revise-invoice."


class Forms:
    """The deployments of the forms that name products."""

    def __init__(self, client: SyncPrefectClient) -> None:
        """Deploy them."""
        self._client = client
        self._ids: dict[str, UUID] = {}
        self.deploy()

    def deploy(self) -> None:
        """Deploy them again, as a release does."""
        for flow in (raise_invoice, revise_invoice):
            deployment = cast(RunnerDeployment, flow.to_deployment(name=flow.name))
            self._ids[flow.name] = cast(UUID, deployment.apply())

    def remove(self) -> None:
        """Delete the deployments."""
        for deployment in self._ids.values():
            self._client.delete_deployment(deployment)

    def product(self, flow: str = "raise-invoice", group: str = "LineItem") -> dict[str, Any]:
        """The field that names a product."""
        form: Any = self._client.read_deployment(self._ids[flow]).parameter_openapi_schema
        field: dict[str, Any] = form["definitions"][group]["properties"]["product"]
        return field

    def offered(self, flow: str = "raise-invoice", group: str = "LineItem") -> list[str]:
        """What can be picked as a product."""
        listed: list[str] = self.product(flow, group)["anyOf"][0]["enum"]
        return listed

    def updated(self) -> list[datetime | None]:
        """When each form was written last."""
        return [self._client.read_deployment(each).updated for each in self._ids.values()]

    def ask(self, **line: Any) -> None:
        """Ask for an invoice of one line through the API."""
        asked = {"account": "Acme Corporation", "description": "x", "lines": [line]}
        self._client.create_flow_run_from_deployment(self._ids["raise-invoice"], parameters=asked)


@pytest.fixture
def forms(world: None, monkeypatch: pytest.MonkeyPatch, prefect_server: None) -> Iterator[Forms]:
    """The forms as they are deployed."""
    monkeypatch.setenv("PREFECT_API_URL", str(PREFECT_API_URL.value()))
    forget()
    with get_client(sync_client=True) as client:
        deployed = Forms(client)
        yield deployed
        deployed.remove()
    forget()


def sell(name: str, code: str = "", book: str = "Standard Price Book") -> str:
    """Put a product into a price book for 10 USD; returns its id."""
    made = create("Product2", Name=name, ProductCode=code, IsActive=True)
    for each in dict.fromkeys(["Standard Price Book", book]):
        [where] = salesforce.client().query(Query("Pricebook2", ["Id"], where=equals("Name", each)))
        entry = {"Pricebook2Id": where["Id"], "Product2Id": made, "UnitPrice": 10}
        create("PricebookEntry", CurrencyIsoCode="USD", IsActive=True, **entry)
    return made


def create(sobject: str, **fields: Any) -> str:
    """Create a record in Salesforce; returns its id."""
    node = {"method": "POST", "path": f"sobjects/{sobject}", "referenceId": "it", "body": fields}
    return str(salesforce.client().write_graph([node])["it"]["id"])


def test_what_is_sold_can_be_picked(forms: Forms, org: Org) -> None:
    """Every active product, in both forms, where lines are added and where they are changed."""
    assert REFRESHED in refresh_choices().sentence
    active = org.query("SELECT Name FROM Product2 WHERE IsActive = true ORDER BY Name")
    everything = ["", *sorted((row["Name"] for row in active), key=str.casefold)]
    assert "Consulting" in everything
    assert forms.offered() == everything
    assert forms.offered("revise-invoice") == everything
    assert forms.offered("revise-invoice", "LineChange") == everything


def test_what_is_picked_is_taken(forms: Forms, draft: Callable[..., InvoiceOutcome]) -> None:
    """Each choice is a word that raising an invoice knows, two products of one name included."""
    for code in ("GC1100", "GC1200"):
        sell("GenWatt", code)
    nameless = sell("GenWatt")
    refresh_choices()
    offered = forms.offered()
    assert {"GC1100", "GC1200", nameless} <= set(offered)
    assert "GenWatt" not in offered
    lines = [LineItem(product=each) for each in ("GC1100", nameless, "Consulting")]
    assert draft(lines=lines).total == "170.00 USD"


def test_a_refreshed_form_is_left_alone(forms: Forms) -> None:
    """Nothing new, nothing written; a new product is."""
    refresh_choices()
    before = forms.updated()
    assert "forms changed: none." in refresh_choices().sentence
    assert forms.updated() == before
    sell("Hydrogen Cell")
    assert REFRESHED in refresh_choices().sentence
    assert "Hydrogen Cell" in forms.offered()


def test_a_stale_form_refuses_nobody(forms: Forms, draft: Callable[..., InvoiceOutcome]) -> None:
    """A product newer than the list is taken from programs; a form that is wrong still is not."""
    refresh_choices()
    sell("Hydrogen Cell")
    forms.ask(product="Hydrogen Cell")
    for wrong in ({"quantity": ["many"]}, {"product": 7}):
        with pytest.raises(PrefectHTTPStatusError, match="409"):
            forms.ask(**{"product": "Hydrogen Cell"} | wrong)
    assert draft(lines=[LineItem(product="Hydrogen Cell")]).total == "10.00 USD"


def test_a_choice_may_be_gone_by_the_time_it_is_picked(
    forms: Forms, draft: Callable[..., InvoiceOutcome]
) -> None:
    """The flow looks for itself, and says what is wrong; the next refresh takes it away."""
    product = sell("Steam Engine")
    refresh_choices()
    salesforce.client().update("Product2", product, {"IsActive": False})
    forms.ask(product="Steam Engine")
    with pytest.raises(Rejected, match="'Steam Engine' is not active in the USD price book"):
        draft(lines=[LineItem(product="Steam Engine")])
    refresh_choices()
    assert "Steam Engine" not in forms.offered()


def test_a_release_brings_the_plain_form_until_the_next_refresh(forms: Forms) -> None:
    """Deployed again, a form is as its flow describes it; then it has its choices again."""
    plain = forms.product()
    refresh_choices()
    offered = forms.offered()
    forms.deploy()
    assert forms.product() == plain
    assert REFRESHED in refresh_choices().sentence
    assert forms.offered() == offered


def test_too_many_to_choose_from(forms: Forms, monkeypatch: pytest.MonkeyPatch) -> None:
    """The field is a text again, exactly as it was."""
    plain = forms.product()
    refresh_choices()
    monkeypatch.setattr(product_options, "MAX_CHOICES", 3)
    assert "No list of products" in refresh_choices().sentence
    assert forms.product() == plain


def test_the_price_book_that_invoices_use(
    forms: Forms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where the field mapping names a price book, only what stands in that can be picked."""
    create("Pricebook2", Name="Partners", IsActive=True)
    sell("Hydrogen Cell", book="Partners")
    mapping = tmp_path / "mapping.toml"
    mapping.write_text('[price_book]\nname = "Partners"\n', encoding="utf-8")
    monkeypatch.setenv("INVOICING_MAPPING", str(mapping))
    forget()
    refresh_choices()
    assert forms.offered() == ["", "Hydrogen Cell"]


def forget() -> None:
    """Read the settings and the field mapping again."""
    for cache in (settings, org_mapping, org_field_reader):
        cache.cache_clear()


def test_each_choice_means_one_product() -> None:
    """What is one product's name and another's code is no choice; their other words are."""
    products = [
        Product("01t1", code="M-1", name="Motor"),
        Product("01t2", code="motor", name="Engine"),
        Product("01t3", code="", name="Gear"),
        Product("01t4", code="", name="gear"),
    ]
    assert choices_of(products) == ["01t3", "01t4", "Engine", "M-1"]
