"""What the org is: its id and user, its schema, its limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict
from xml.etree import ElementTree

from invoicing.connectors.salesforce.connection import Record
from invoicing.connectors.salesforce.errors import by_code, translated_errors
from invoicing.connectors.salesforce.queries import Queries
from invoicing.errors import EnvironmentMismatch, InvoicingError, NotFound, TransientError
from invoicing.settings import SALESFORCE_API_VERSION

USER_INFO = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Header>'
    '<SessionHeader xmlns="urn:partner.soap.sforce.com"><sessionId>{}</sessionId></SessionHeader>'
    '</Header><Body><getUserInfo xmlns="urn:partner.soap.sforce.com"/></Body></Envelope>'
)


@dataclass(frozen=True, slots=True)
class OrgFacts:
    """What an org says of itself.

    Attributes:
        id: Its 18 characters.
        multi_currency: Whether each of its records has a currency of its own.
        currency: Its only one; of several, the one of our user's new records. Empty if unsaid.
        user_id: Who is logged in.
    """

    id: str
    multi_currency: bool
    currency: str
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Session:
    """A login at an org, for its other APIs.

    Attributes:
        token: Proves who we are.
        instance_url: Where the org is.
        org_id: Its 18 characters.
        user_id: Who we are there.
    """

    token: str
    instance_url: str
    org_id: str
    user_id: str


class _Named(TypedDict):
    name: str


class _Objects(TypedDict):
    """The objects of the org."""

    sobjects: list[_Named]


class Org(Queries):
    """What an org says of itself."""

    def org(self) -> OrgFacts:
        """What the org says of itself to whoever is logged in; one call.

        An org of one currency says which it is nowhere else: in it, no record has a currency.
        Source: SOAP API Developer Guide, "getUserInfoResult"

        Raises:
            EnvironmentMismatch: the user may not ask.
        """
        doing = "ask the org what it is"
        url = f"https://{self._client.sf_instance}/services/Soap/u/{SALESFORCE_API_VERSION}"
        with self._client.renewed():
            headers = {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
            body = USER_INFO.format(self._client.session_id).encode()
            with translated_errors(doing):
                answer = self._client.session.post(url, data=body, headers=headers)
                said = _texts(answer.content)
            if "organizationId" not in said:
                raise _by_fault(doing, said, answer.status_code)
        several = said.get("organizationMultiCurrency") == "true"
        own = said.get("userDefaultCurrencyIsoCode" if several else "orgDefaultCurrencyIsoCode")
        return OrgFacts(said["organizationId"], several, own or "", said.get("userId", ""))

    def session(self) -> Session:
        """This login, for the org's other APIs; one call."""
        org = self.org()
        url = f"https://{self._client.sf_instance}"
        return Session(str(self._client.session_id), url, org.id, org.user_id)

    def describe(self, sobject: str) -> Record | None:
        """The org's describe of one of its objects, by the org's own name; None if it has none."""
        try:
            return self._call("read the schema", f"sobjects/{sobject}/describe", Record)
        except NotFound:
            return None

    def object_names(self) -> list[str]:
        """The API names of all objects that the org shows us."""
        answer = self._call("read the schema", "sobjects/", _Objects)
        return [sobject["name"] for sobject in answer["sobjects"]]

    def api_usage(self) -> float:
        """Share of the day's API calls that are used, as the last answer said; costs one call.

        Every answer says it to everybody. The resource ``limits`` says it to whoever may View Setup
        and Configuration, which an integration user needs for nothing else.
        Source: REST API Developer Guide, "Limit Info Header"

        Raises:
            TransientError: the answer did not say it.
        """
        doing = "read how many calls are used"
        self._call(doing, "", Record)
        usage = self._client.api_usage.get("api-usage")
        if usage is None:
            raise TransientError(f"Salesforce did not say it, while trying to {doing}.")
        return float(usage.used) / usage.total if usage.total else 1.0


def _texts(xml: bytes) -> dict[str, str]:
    """The texts of a SOAP answer, by the local names of their elements."""
    nodes = ElementTree.fromstring(xml).iter()  # noqa: S314  our own org's answer
    return {node.tag.rpartition("}")[2]: node.text for node in nodes if node.text}


def _by_fault(doing: str, said: Mapping[str, str], status: int) -> InvoicingError:
    """The error of a refused SOAP call; its faults, whatever they say, come with status 500."""
    code = said.get("faultcode", "").rpartition(":")[2]
    why = said.get("faultstring") or f"status {status}"
    error = by_code(doing, 400 if code else status, [{"errorCode": code, "message": why}])
    return error if isinstance(error, TransientError) else EnvironmentMismatch(str(error))
