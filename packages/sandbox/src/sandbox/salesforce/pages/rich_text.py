"""Text with markup, as flows and help texts have it: what a page may show of it."""

from __future__ import annotations

from html import escape
from html.parser import HTMLParser

_ALLOWED = {
    "a": {"href", "target"},
    "span": {"style"},
    **{tag: set() for tag in ("b", "br", "em", "i", "li", "ol", "p", "strong", "u", "ul")},
}
_HARMLESS = ("/", "http://", "https://", "mailto:")


class _Cleaner(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _ALLOWED:
            return
        kept = "".join(
            f' {name}="{escape(value)}"'
            for name, value in attrs
            if name in _ALLOWED[tag]
            and value
            and (name != "href" or value.startswith(_HARMLESS))
            and (name != "style" or value.startswith("color:"))
        )
        self.parts.append(f"<{tag}{kept}>")

    def handle_endtag(self, tag: str) -> None:
        if tag in _ALLOWED and tag != "br":
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(escape(data))


def cleaned(text: str) -> str:
    """A text's harmless markup; other markup is left out, and what it held stays as text."""
    cleaner = _Cleaner()
    cleaner.feed(text)
    cleaner.close()
    return "".join(cleaner.parts)
