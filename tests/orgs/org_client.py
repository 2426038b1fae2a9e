"""Another org, as its own people see it: under its own names."""

from typing import Any

import requests

from sandbox.salesforce.oauth import CONSUMER_KEY, CONSUMER_SECRET


class OrgClient:
    """Somebody who uses the org, and knows nothing of this project."""

    def __init__(self, url: str) -> None:
        """Log in."""
        self._data = f"{url}/services/data/v67.0"
        self._session = requests.Session()
        login = {
            "grant_type": "client_credentials",
            "client_id": CONSUMER_KEY,
            "client_secret": CONSUMER_SECRET,
        }
        token = self._session.post(f"{url}/services/oauth2/token", data=login).json()
        self._session.headers["Authorization"] = f"Bearer {token['access_token']}"

    def create(self, sobject: str, **fields: Any) -> str:
        """Create a record; its id."""
        answer = self._session.post(f"{self._data}/sobjects/{sobject}", json=fields)
        assert answer.ok, answer.text
        return str(answer.json()["id"])

    def change(self, sobject: str, record_id: str, **fields: Any) -> None:
        """Change a record by hand."""
        answer = self._session.patch(f"{self._data}/sobjects/{sobject}/{record_id}", json=fields)
        assert answer.ok, answer.text

    def query(self, soql: str) -> list[dict[str, Any]]:
        """Records by SOQL."""
        answer = self._session.get(f"{self._data}/query", params={"q": soql})
        assert answer.ok, answer.text
        return list(answer.json()["records"])

    def sell(self, currency: str, **products: float) -> None:
        """Put products into the standard price book; underscores stand for spaces.

        Without a currency, it is an org of one.
        """
        own = {"CurrencyIsoCode": currency} if currency else {}
        [standard] = self.query("SELECT Id FROM Pricebook2 WHERE IsStandard = true")
        for word, price in products.items():
            name = word.replace("_", " ")
            code = word.upper().replace("_", "-")
            product = self.create("Product2", Name=name, ProductCode=code, IsActive=True)
            entry = {"Pricebook2Id": standard["Id"], "Product2Id": product, "UnitPrice": price}
            self.create("PricebookEntry", IsActive=True, **own, **entry)
