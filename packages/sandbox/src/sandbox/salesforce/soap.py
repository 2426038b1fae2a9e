"""SOAP: ``getUserInfo``, which alone says what an org's own currency is.

Source: SOAP API Developer Guide, "getUserInfoResult": ``organizationMultiCurrency``;
``orgDefaultCurrencyIsoCode`` where that is false, ``userDefaultCurrencyIsoCode`` where it is true.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from starlette.responses import Response

from sandbox.salesforce.errors import SalesforceError
from sandbox.salesforce.oauth import Sessions
from sandbox.salesforce.org import ORGANIZATION_ID, Org

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
PARTNER = "urn:partner.soap.sforce.com"


def answer(org: Org, sessions: Sessions, content: bytes) -> Response:
    """Answer a request to the partner API."""
    try:
        request = ET.fromstring(content)  # noqa: S314  our own tests' text
    except ET.ParseError as error:
        return fault("soapenv:Client", str(error))
    token = request.findtext(f".//{{{PARTNER}}}sessionId", "")
    try:
        sessions.check(f"Bearer {token}")
    except SalesforceError as error:
        return refusal(error)
    if request.find(f".//{{{PARTNER}}}getUserInfo") is None:
        return fault("soapenv:Client", "Only getUserInfo is carried here")
    result = ET.Element("result")
    for name, value in _user_info(org).items():
        ET.SubElement(result, name).text = value
    body = ET.Element("getUserInfoResponse", xmlns=PARTNER)
    body.append(result)
    return envelope(body, 200)


def _user_info(org: Org) -> dict[str, str | None]:
    user = org.store.get(org.sobject("User"), org.user_id) or {}
    organization = org.store.get(org.sobject("Organization"), ORGANIZATION_ID) or {}
    several = org.currency is None
    return {
        "orgDefaultCurrencyIsoCode": None if several else org.currency,
        "organizationId": ORGANIZATION_ID,
        "organizationMultiCurrency": "true" if several else "false",
        "organizationName": organization.get("Name"),
        "userDefaultCurrencyIsoCode": user["DefaultCurrencyIsoCode"] if several else None,
        "userEmail": user.get("Email"),
        "userFullName": user.get("Name"),
        "userId": org.user_id,
        "userLocale": user.get("LocaleSidKey"),
        "userName": user.get("Username"),
        "userTimeZone": user.get("TimeZoneSidKey"),
    }


def refusal(error: SalesforceError) -> Response:
    """An error of Salesforce's as a fault, whose text has the code before it.

    Sources: SOAP API Developer Guide, "API Fault Element" and "ExceptionCode"; of a limit that is
    used up, https://github.com/salto-io/salto/pull/3056
    """
    return fault(f"sf:{error.code}", f"{error.code}: {error.message}")


def fault(code: str, message: str) -> Response:
    """An answer that refuses, with a code of Salesforce's."""
    fault = ET.Element("soapenv:Fault")
    ET.SubElement(fault, "faultcode").text = code
    ET.SubElement(fault, "faultstring").text = message
    return envelope(fault, 500)


def envelope(content: ET.Element, status: int) -> Response:
    """An answer with something in it."""
    namespaces = {"xmlns:soapenv": ENVELOPE, "xmlns:sf": "urn:fault.partner.soap.sforce.com"}
    envelope = ET.Element("soapenv:Envelope", namespaces)
    ET.SubElement(envelope, "soapenv:Body").append(content)
    body = ET.tostring(envelope, encoding="utf-8", xml_declaration=True)
    return Response(body, status, media_type="text/xml")
