"""An XML text into which something is put, so that all the rest stays as it is, byte for byte."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self
from xml.parsers import expat

INDENT = b"    "
"""What the Metadata API indents each level with."""

_TAG = re.compile(rb"""<(?:[^"'>]|"[^"]*"|'[^']*')*>""")


class UnreadableError(Exception):
    """The text is no XML, or none that is taken from others."""


@dataclass
class Element:
    """An element, and where it stands.

    Attributes:
        tag: Its name, as the text has it.
        start: Offset in bytes of its first tag.
        inside: Offset of what follows its first tag.
        end: Offset of what follows its last tag.
        text: Its own characters.
        children: The elements in it.
    """

    tag: str
    start: int
    inside: int
    end: int = 0
    text: str = ""
    children: list[Self] = field(default_factory=list)

    def all(self, path: str) -> Iterator["Element"]:
        """The elements on a path of tags."""
        first, _, rest = path.partition("/")
        for child in self.children:
            if child.tag == first:
                yield from child.all(rest) if rest else (child,)

    def texts(self, path: str) -> list[str]:
        """The texts of the elements on a path of tags."""
        return [element.text.strip() for element in self.all(path)]

    def said(self, path: str) -> str:
        """The text of the first element on a path, empty where there is none."""
        return next(iter(self.texts(path)), "")


def read(text: bytes) -> Element:
    """The root element of an XML text.

    Raises:
        UnreadableError: it is no XML, or defines entities.
    """
    parser = expat.ParserCreate()
    open_elements = [Element("", 0, 0)]

    def begin(tag: str, _attributes: object) -> None:
        start = parser.CurrentByteIndex
        element = Element(tag, start, _behind_tag(text, start))
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_tag: str) -> None:
        element = open_elements.pop()
        empty = text.endswith(b"/>", element.start, element.inside)
        element.end = element.inside if empty else _behind_tag(text, parser.CurrentByteIndex)

    def characters(data: str) -> None:
        open_elements[-1].text += data

    def refuse(*_: object) -> None:
        raise UnreadableError("It has a document type of its own.")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = characters, refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise UnreadableError(str(error)) from None
    return open_elements[0].children[0]


def put_after(text: bytes, sibling: Element, lines: str) -> bytes:
    """The text with lines after an element, indented as that element is.

    Args:
        text: The text that the element was read of.
        sibling: An element in it.
        lines: XML, indented from its own beginning.
    """
    return _put(text, sibling.end, _indentation(text, sibling.start), lines)


def put_first(text: bytes, parent: Element, lines: str) -> bytes:
    """The text with lines at the beginning of an element, one level deeper than that element is.

    Args:
        text: The text that the element was read of.
        parent: An element in it that has a last tag of its own.
        lines: XML, indented from its own beginning.
    """
    return _put(text, parent.inside, _indentation(text, parent.start) + INDENT, lines)


def _put(text: bytes, at: int, indentation: bytes, lines: str) -> bytes:
    newline = b"\r\n" if b"\r\n" in text else b"\n"
    put = b"".join(newline + indentation + line.encode() for line in lines.splitlines())
    return text[:at] + put + text[at:]


def _indentation(text: bytes, start: int) -> bytes:
    """The white space before a tag on its line; none where something else stands there."""
    before = text[text.rfind(b"\n", 0, start) + 1 : start]
    return before if not before.strip() else b""


def _behind_tag(text: bytes, start: int) -> int:
    found = _TAG.match(text, start)
    assert found is not None  # noqa: S101  the parser has just read it
    return found.end()
