"""Orgs of several currencies and of one: what the org says, and what no record says."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

import pytest

USER_INFO = """<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:urn="urn:partner.soap.sforce.com"><soapenv:Header><urn:SessionHeader><urn:sessionId>{}
</urn:sessionId></urn:SessionHeader></soapenv:Header><soapenv:Body><urn:getUserInfo/></soapenv:Body>
</soapenv:Envelope>"""


@pytest.fixture
def euros(sf: Any, admin: Any) -> Any:
    """The demo org as one of euros alone."""
    admin("POST", "reset", json={"seed": "demo", "currency": "EUR"})
    yield sf
    admin("POST", "reset", json={"seed": "demo"})


def user_info(sf: Any, token: str | None = None) -> tuple[int, dict[str, str | None]]:
    """What ``getUserInfo`` answers."""
    answer = sf.session.post(
        f"https://{sf.sf_instance}/services/Soap/u/67.0",
        data=USER_INFO.format(token or sf.session_id).replace("\n", ""),
        headers={"Content-Type": "text/xml", "SOAPAction": '""'},
    )
    told = {node.tag.rpartition("}")[2]: node.text for node in ET.fromstring(answer.content).iter()}  # noqa: S314
    return answer.status_code, told


def test_several_currencies(sf: Any) -> None:
    """Every record has a currency, and the org has none of its own to tell."""
    status, told = user_info(sf)
    assert (status, told["organizationMultiCurrency"]) == (200, "true")
    assert (told["orgDefaultCurrencyIsoCode"], told["userDefaultCurrencyIsoCode"]) == (None, "USD")
    names = {field["name"] for field in sf.Account.describe()["fields"]}
    assert "CurrencyIsoCode" in names
    assert sf.query("SELECT IsoCode FROM CurrencyType WHERE IsCorporate = TRUE")["totalSize"] == 1


def test_one_currency_is_nowhere_on_a_record(euros: Any, refused: Any) -> None:
    """Describe, queries and writes know no CurrencyIsoCode, and there is no CurrencyType."""
    status, told = user_info(euros)
    assert (status, told["organizationMultiCurrency"]) == (200, "false")
    assert told["orgDefaultCurrencyIsoCode"] == "EUR"
    for sobject in euros.describe()["sobjects"]:
        fields = getattr(euros, sobject["name"]).describe()["fields"]
        assert "CurrencyIsoCode" not in {field["name"] for field in fields}, sobject["name"]
    with refused("INVALID_FIELD"):
        euros.query("SELECT CurrencyIsoCode FROM Account")
    with refused("INVALID_TYPE"):
        euros.query("SELECT IsoCode FROM CurrencyType")
    with refused("INVALID_FIELD"):
        euros.Account.create({"Name": "New", "CurrencyIsoCode": "EUR"})
    assert euros.Account.create({"Name": "New"})["success"]
    assert "CurrencyIsoCode" not in euros.Account.get(euros.Account.create({"Name": "N"})["id"])


def test_an_org_of_euros_has_prices_in_euros(euros: Any) -> None:
    """Each product has one price, and the opportunities were sold at it."""
    soql = "SELECT UnitPrice FROM PricebookEntry WHERE Name = 'Consulting'"
    assert [row["UnitPrice"] for row in euros.query(soql)["records"]] == [140]
    assert euros.query("SELECT COUNT() FROM OpportunityLineItem")["totalSize"] > 0


def test_only_a_session_is_told(sf: Any) -> None:
    """Without a session there is no answer."""
    status, told = user_info(sf, "stranger")
    assert (status, told["faultcode"]) == (500, "sf:INVALID_SESSION_ID")
