"""From the text of a spreadsheet to its cells: letters, separators, rows."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from ftfy import fix_encoding
from ftfy.badness import is_bad

from invoicing.errors import Rejected

Separator = Literal["", "comma", "semicolon", "tab", "bar"]
SEPARATORS: Mapping[str, str] = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}

Encoding = Literal[
    "",
    "UTF-8",
    "UTF-16",
    "Western European",
    "Central European",
    "Cyrillic",
    "Greek",
    "Turkish",
    "Baltic",
    "Mac",
    "DOS",
    "Japanese",
    "Chinese",
    "Traditional Chinese",
    "Korean",
]
CODECS: Mapping[str, str] = {
    "UTF-8": "utf_8",
    "UTF-16": "utf_16",
    "Western European": "cp1252",
    "Central European": "cp1250",
    "Cyrillic": "cp1251",
    "Greek": "cp1253",
    "Turkish": "cp1254",
    "Baltic": "cp1257",
    "Mac": "mac_roman",
    "DOS": "cp850",
    "Japanese": "cp932",
    "Chinese": "gb18030",
    "Traditional Chinese": "cp950",
    "Korean": "cp949",
}
"""Encodings that spreadsheets write: Unicode, the system's own on Windows, the Mac's; and what
accounting programs have from DOS."""

LEGACY = {name: codec for name, codec in CODECS.items() if not name.startswith("UTF")}
RIVALS = (
    *("cp852", "cp857", "cp737", "cp866", "koi8_r", "iso8859_2", "iso8859_16", "euc_jp"),
    *("cp874", "cp1255", "cp1256"),
)
"""Others that files may be in; nobody is offered them, but they may make a reading doubtful."""

MARKED = (
    (codecs.BOM_UTF8, "utf_8_sig"),
    (codecs.BOM_UTF16_LE, "utf_16"),
    (codecs.BOM_UTF16_BE, "utf_16"),
)
"""What a file begins with that says its own encoding."""

OTHER_KINDS = {
    b"%PDF": "a PDF",
    b"<": "HTML or XML, whatever its name says",
    b"[": "JSON",
    b"{": "JSON",
}
"""What files begin with that are no tables, and what they are."""

SEP_LINE = re.compile(r'"?sep=([^\w\s]|\t)"?[,;\t]*(\r\n|\r|\n)', re.IGNORECASE)
"""The first line by which a CSV tells spreadsheets its separator; they show it as no row."""

SIGN_IN_WORD = re.compile(
    r"[^\W\d_][^\w\s\x00-\x7f\u2010-\u2019\u3000-\u303f\u30fb\uff00-\uffef"
    r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0e31-\u0e4e]+[^\W\d_]|[³¹²]\w"
)
"""Signs between letters; those of the East stand there, where no blank parts words."""

EASTERN = frozenset(["CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "IDEOGRAPHIC", "HANGUL"])
"""Scripts that stand together in one word: their letters' names begin so."""

NOBODYS = frozenset(["Cc", "Cn", "Co"])
"""Unicode's categories of what no program writes: controls, and what has no meaning. Nor does any
write the frames that DOS draws."""

CAPITALS = "".join(chr(code) for code in range(0x80, 0x250) if chr(code).isupper())
CAPITAL_IN_WORD = re.compile(f"[a-z][{CAPITALS}]")

MAX_BROKEN_SHOWN = 3


class Exact(str):
    """A cell that a workbook keeps as a number or a date: written in one way, with a point."""

    __slots__ = ()


class Broken(str):
    """A cell without a value that could be used; the text says why."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Sheet:
    """The cells of a table.

    Attributes:
        title_row: Where the titles stand, as spreadsheets number rows.
        titles: The first row that is not empty.
        rows: The others, with their numbers. Empty rows are left out.
    """

    title_row: int = 1
    titles: Sequence[str] = ()
    rows: Sequence[tuple[int, Sequence[str]]] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Iterator[Sequence[str]]) -> "Sheet":
        """A sheet of rows, the titles among them."""
        filled = [
            (number, cells) for number, cells in enumerate(rows, 1) if any(map(str.strip, cells))
        ]
        if not filled:
            return cls()
        (title_row, titles), *rest = filled
        return cls(title_row, [title.strip() for title in titles], rest)

    def column(self, index: int) -> list[str]:
        """The cells of a column that are not empty."""
        return [row[index] for _, row in self.rows if index < len(row) and row[index].strip()]


def plain_title(title: str) -> str:
    """A column's title without case, blanks and signs; ``%`` and ``#`` stay."""
    letters = unicodedata.normalize("NFKC", title).casefold()
    return "".join(letter for letter in letters if letter.isalnum() or letter in "%#")


def decode(raw: bytes, encoding: Encoding = "") -> str:
    """The text of a file: as it says itself, as it can only be, or as somebody chose.

    Raises:
        Rejected: it is no table, can be read in several ways, or not as it was said.
    """
    for mark, kind in OTHER_KINDS.items():
        if raw.removeprefix(codecs.BOM_UTF8).lstrip().startswith(mark):
            raise Rejected(
                f"The file is {kind}: open it in a spreadsheet, and save it as XLSX or CSV UTF-8."
            )
    codec = next((codec for mark, codec in MARKED if raw.startswith(mark)), "")
    if b"\0" in raw:
        codec = codec or CODECS["UTF-16"]
    try:
        return raw.decode(codec or CODECS.get(encoding, "utf_8"))
    except UnicodeDecodeError:
        if codec or encoding:
            raise Rejected(
                f"The file is not written in {encoding or 'the encoding that it seems to have'}; "
                "choose another under Encoding, or save it as CSV UTF-8."
            ) from None
    readings = _readings(raw, LEGACY.items())
    likely = {name: text for name, text in readings.items() if _has_only_words(text)}
    others = _readings(raw, zip(RIVALS, RIVALS, strict=True)).values()
    rivals = {text for text in others if _has_only_words(text) and not CAPITAL_IN_WORD.search(text)}
    if likely and len(rivals.union(likely.values())) == 1:
        return next(iter(likely.values()))
    readings = likely or readings
    raise Rejected(
        "The file does not say how its letters are kept, and they can be read in several ways. "
        f"Choose the right one under Encoding, or save the file as CSV UTF-8.{_samples(readings)}"
    )


def _readings(raw: bytes, encodings: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The texts that a file may be, by the names of their encodings."""
    readings: dict[str, str] = {}
    for name, codec in encodings:
        with suppress(UnicodeDecodeError):
            readings[name] = raw.decode(codec)
    return readings


def _has_only_words(text: str) -> bool:
    """Whether no word of a text has a sign inside it, or letters of two scripts."""
    signs = set(text) - set("\t\r\n")
    if any(unicodedata.category(sign) in NOBODYS or "\u2500" <= sign < "\u25a0" for sign in signs):
        return False
    words = set(re.findall(r"\S*[^\x00-\x7f]\S*", text))
    return not any(SIGN_IN_WORD.search(word) or _mixes_scripts(word) for word in words)


def _mixes_scripts(word: str) -> bool:
    for letters in re.findall(r"[^\W\d_]+", word):
        scripts = {unicodedata.name(letter, "?").partition(" ")[0] for letter in letters}
        if len(scripts - EASTERN) + bool(scripts & EASTERN) > 1:
            return True
        if any(unicodedata.decomposition(letter).startswith("<") for letter in letters):
            return True
    return False


def _samples(readings: Mapping[str, str]) -> str:
    """A word as each encoding has it: of the words, the one that tells most of them apart."""
    words = {name: re.split(r"[\s,;|]+", text) for name, text in readings.items()}
    places = list(zip(*words.values(), strict=False))
    if not places:
        return ""
    telling = max(range(len(places)), key=lambda place: len(set(places[place])))
    shown: dict[str, list[str]] = {}
    for name, each in words.items():
        shown.setdefault(each[telling][:40], []).append(name)
    return " " + "; ".join(f"{' or '.join(names)}: {word!r}" for word, names in shown.items()) + "."


def read_text(text: str, known: Container[str], separator: Separator = "") -> Sheet:
    """The cells of a CSV.

    Args:
        text: With titles in its first row; a line ``sep=;`` may stand above them.
        known: Titles, plain, by which the right separator is recognised.
        separator: What somebody chose.

    Raises:
        Rejected: it is no CSV, or its separator cannot be told.
    """
    if "\0" in text:
        raise Rejected("The table holds signs that are no text: save it as XLSX or CSV UTF-8.")
    text = text.removeprefix("\ufeff")
    if said := SEP_LINE.match(text):
        text = text[said.end() :]
    delimiter = SEPARATORS.get(separator) or (said[1] if said else _separator(text, known))
    cells = csv.reader(_lines(text), delimiter=delimiter, strict=True)
    try:
        return Sheet.of(cells)
    except csv.Error as error:
        raise Rejected(
            f"This is not a CSV that can be read: {error}, at line {cells.line_num:,}. Perhaps a "
            "quotation mark is missing there or above; inside of a text it is written twice."
        ) from None


def _lines(text: str) -> io.StringIO:
    # Without universal line ends, a file of an old Mac would be one line.
    return io.StringIO(text, newline=None)


def _separator(text: str, known: Container[str]) -> str:
    """The separator under which the titles are known, or else most."""
    scores: dict[str, tuple[int, int]] = {}
    for delimiter in SEPARATORS.values():
        try:
            cells = csv.reader(_lines(text), delimiter=delimiter, strict=True)
            titles: list[str] = next(filter(any, cells), [])
        except csv.Error:
            continue
        scores[delimiter] = (sum(plain_title(t) in known for t in titles), len(titles))
    best = max(scores.values(), default=(0, 1))
    found = [delimiter for delimiter, score in scores.items() if score == best]
    if len(found) > 1 and best[1] > 1:
        raise Rejected(
            "The titles can be parted in several ways; choose the Separator, or write a first "
            "line such as sep=; into the file."
        )
    return found[0] if found else ","


def refuse_broken_text(sheet: Sheet, used: Sequence[int]) -> None:
    """Refuse a table of which somebody opened the file with a wrong encoding, and saved it.

    Args:
        sheet: The table.
        used: The columns that matter.

    Raises:
        Rejected: with the first such texts, and what they probably were.
    """
    places = [(sheet.title_row, sheet.titles), *sheet.rows]
    broken = [
        f"row {number}: {_mended(row[index])}"
        for number, row in places
        for index in used
        if index < len(row) and _is_broken(row[index])
    ]
    if broken:
        more = len(broken) - MAX_BROKEN_SHOWN
        rest = f"; and {more:,} more" if more > 0 else ""
        raise Rejected(
            "The table's letters were broken when it was opened or saved in a wrong encoding: "
            + "; ".join(broken[:MAX_BROKEN_SHOWN])
            + f"{rest}. Export it again, and save it as CSV UTF-8."
        )


def _is_broken(text: str) -> bool:
    return not text.isascii() and (
        "\ufffd" in text or (is_bad(text) and fix_encoding(text) != text)
    )


def _mended(text: str) -> str:
    mended = fix_encoding(text)
    return repr(text[:60]) + (f", probably {mended[:60]!r}" if mended != text else "")
