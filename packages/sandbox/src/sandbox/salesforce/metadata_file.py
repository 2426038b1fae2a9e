"""Files of Salesforce source metadata, read by element name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

from sandbox.salesforce.metadata_components import without_namespaces


class Part:
    """An element of a metadata file: the whole, or something in it."""

    def __init__(self, element: ET.Element) -> None:
        self._element = element

    @classmethod
    def read(cls, path: Path) -> Part:
        """The whole of a file, names without namespace."""
        return cls.parse(path.read_bytes())

    @classmethod
    def parse(cls, content: bytes) -> Part:
        """The whole of a file's content, names without namespace."""
        return cls(without_namespaces(content))

    @property
    def kind(self) -> str:
        """The element's name."""
        return self._element.tag

    def __iter__(self) -> Iterator[Part]:
        return (Part(element) for element in self._element)

    def text(self, path: str, default: str = "") -> str:
        """The text of the first element on a path."""
        return self._element.findtext(path, default)

    def texts(self, path: str) -> list[str]:
        """The texts of all elements on a path."""
        return [element.text or "" for element in self._element.iterfind(path)]

    def number(self, path: str) -> int:
        """The whole number on a path; 0 where there is none."""
        return int(self.text(path, "0"))

    def flag(self, path: str) -> bool:
        """Whether it says true on a path."""
        return self.text(path) == "true"

    def find(self, path: str) -> Part | None:
        """The first element on a path."""
        found = self._element.find(path)
        return None if found is None else Part(found)

    def all(self, path: str) -> list[Part]:
        """All elements on a path."""
        return [Part(element) for element in self._element.iterfind(path)]
