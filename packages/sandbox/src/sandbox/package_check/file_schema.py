"""Each file against the Metadata API's own schema.

The schema is the WSDL that simple-salesforce brings. It is older than the newest API version, and
newer ones only add to it, so a file that is valid here may be sent to either. Parts of one name
stand together: a deploy refuses others as "duplicated at this location".
Sources: https://developer.salesforce.com/docs/atlas.en-us.api_meta.meta/api_meta/meta_intro.htm;
for the order, the deploy logs of public projects.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import groupby

from lxml import etree

from sandbox.package_check.findings import Findings
from sandbox.package_check.source import Component, Element, Package
from sandbox.salesforce.metadata_components import NAMESPACE, TYPES

_XSD = "http://www.w3.org/2001/XMLSchema"
_Order = dict[str, tuple[int, str]]


class FileSchema:
    """The Metadata API's schema, for files as people and tools write them.

    A deploy takes groups of parts in any order, the schema in one: they are sorted first.
    """

    def __init__(self) -> None:
        wsdl = etree.fromstring(files("simple_salesforce").joinpath("metadata.wsdl").read_bytes())
        schema = wsdl.find(f".//{{{_XSD}}}schema[@targetNamespace='{NAMESPACE}']")
        assert schema is not None  # noqa: S101
        for kind, _ in TYPES.values():
            root = etree.SubElement(schema, f"{{{_XSD}}}element", name=kind)
            root.set("type", f"tns:{kind}")
        self._types = {t.get("name"): t for t in schema.iterfind(f"{{{_XSD}}}complexType")}
        self._orders: dict[str, _Order] = {}
        self._schema = etree.XMLSchema(etree.fromstring(etree.tostring(schema)))

    def mistakes(self, component: Component) -> list[str]:
        """What the schema does not allow in a file, in its own words."""
        root = self._ordered(component.root, component.kind)
        if self._schema.validate(root):
            return []
        return [error.message.replace(f"{{{NAMESPACE}}}", "") for error in self._schema.error_log]

    def _ordered(self, element: Element, kind: str) -> Element:
        order = self._order(kind)
        copy = etree.Element(
            f"{{{NAMESPACE}}}{element.tag}", nsmap={**element.nsmap, None: NAMESPACE}
        )
        if kind == "base64Binary":  # a file has its content as it is
            return copy
        copy.text = element.text
        for name, value in element.attrib.items():
            copy.set(name, value)
        last = (len(order), "")
        for child in sorted(element, key=lambda child: order.get(str(child.tag), last)[0]):
            copy.append(self._ordered(child, order.get(str(child.tag), last)[1]))
        copy.tail = element.tail
        return copy

    def _order(self, kind: str) -> _Order:
        """Places and types of the elements of a type, those it inherits first."""
        if kind not in self._orders:
            found: _Order = {}
            definition = self._types.get(kind)
            if definition is not None:
                base = definition.find(f".//{{{_XSD}}}extension")
                if base is not None:
                    found |= self._order(base.get("base", "").partition(":")[2])
                for part in definition.iter(f"{{{_XSD}}}element"):
                    name, of = part.get("name", ""), part.get("type", "").rpartition(":")[2]
                    found[name] = (len(found), of)
            self._orders[kind] = found
        return self._orders[kind]


@cache
def file_schema() -> FileSchema:
    """The schema, read once."""
    return FileSchema()


def check_files(package: Package, findings: Findings) -> None:
    """Hold each file of a package directory to the schema."""
    for sentence in package.unreadable:
        findings.expect(False, sentence)
    for component in package.own():
        mistakes = file_schema().mistakes(component)
        findings.expect(not mistakes, f"{component.path}: {'; '.join(mistakes)}")
        groups = [str(name) for name, _ in groupby(component.root, key=lambda part: part.tag)]
        for name in sorted({name for name in groups if groups.count(name) > 1}):
            findings.expect(
                False, f"{component.path}: Element {name} is duplicated at this location."
            )
