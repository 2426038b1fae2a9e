"""The text of spreadsheets: encodings, separators, line ends, letters that were broken."""

import pytest

from invoicing.domain.forms.table_columns import KNOWN_TITLES
from invoicing.domain.forms.table_text import decode, read_text, refuse_broken_text
from invoicing.errors import Rejected

GERMAN = "Kunde;Text\nMüller GmbH;Jahresgebühr für Größe\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_german_file_in_each_encoding(codec: str) -> None:
    """Unicode says itself, Windows' own can only be one thing here."""
    assert decode(GERMAN.encode(codec)) == GERMAN


@pytest.mark.parametrize(
    ("text", "codec", "word"),
    [
        ("name,text\nCafé Noël,Prestation à l'année\n", "cp1252", "à"),
        ("name,text\nDvořák,Roční údržba\n", "cp1250", "Dvořák"),
        ("name,text\nMüller,für\n", "mac_roman", "Müller"),
        ("name,text\nСоюз,Работа\n", "cp1251", "Союз"),  # noqa: RUF001
    ],
)
def test_letters_are_never_taken_for_others(text: str, codec: str, word: str) -> None:
    """What can be read in several ways is asked about, with how each would read."""
    with pytest.raises(Rejected) as refusal:
        decode(text.encode(codec))
    assert "Choose the right one under Encoding" in str(refusal.value)
    assert repr(word) in str(refusal.value)


def test_an_encoding_that_was_chosen() -> None:
    """Counts, and is refused where the file cannot be in it."""
    assert decode("Noël".encode("cp1252"), "Western European") == "Noël"
    with pytest.raises(Rejected, match="not written in UTF-8"):
        decode("Noël".encode("cp1252"), "UTF-8")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_and_line_ends(separator: str, end: str) -> None:
    """Of spreadsheets everywhere; texts may have line ends of their own."""
    rows = [["account", "text", "price"], ["Acme", '"One, two;\nthree"', "10"]]
    sheet = read_text(end.join(separator.join(row) for row in rows), KNOWN_TITLES)
    assert sheet.titles == ["account", "text", "price"]
    assert sheet.rows == [(2, ["Acme", "One, two;\nthree", "10"])]


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\n', "SEP=;\n"])
def test_a_line_that_tells_the_separator(first: str) -> None:
    """It counts as no row, since spreadsheets do not show it."""
    sheet = read_text(f"{first}customer;text\r\nAcme;Work, and more\r\n", KNOWN_TITLES)
    assert sheet.rows == [(2, ["Acme", "Work, and more"])]


def test_commas_in_titles_do_not_decide() -> None:
    """The separator is the one under which the titles are known."""
    sheet = read_text("account;price;a,b,c,d\nAcme;1;2\n", KNOWN_TITLES)
    assert len(sheet.titles) == 3
    with pytest.raises(Rejected, match="choose the Separator"):
        read_text("some;thing,else\n", KNOWN_TITLES)


@pytest.mark.parametrize(
    ("broken", "whole"), [("GrÃ¶ÃŸe", "Größe"), ("WeiÃŸ GmbH", "Weiß GmbH"), ("Gr√∂√üe", "Größe")]
)
def test_letters_that_were_broken(broken: str, whole: str) -> None:
    """Named with their row and with what they probably were."""
    sheet = read_text(f"account,text\nAcme,{broken}\n", KNOWN_TITLES)
    with pytest.raises(Rejected, match=f"row 2: '{broken}', probably '{whole}'"):
        refuse_broken_text(sheet, [0, 1])
    refuse_broken_text(sheet, [0])


def test_letters_that_are_lost() -> None:
    """The sign for a letter that nobody could read."""
    sheet = read_text("account,text\nAcme,Gr\ufffd\ufffde\n", KNOWN_TITLES)
    with pytest.raises(Rejected, match="row 2"):
        refuse_broken_text(sheet, [1])


@pytest.mark.parametrize(
    "text", ["Größe", "naïve café: 10 €", "ÀÉÎÕÜ", "Союз", "株式会社", "“so”", "Ñandú"]
)
def test_letters_that_are_whole(text: str) -> None:
    """However rare, they are left alone."""
    refuse_broken_text(read_text(f"account\n{text}\n", KNOWN_TITLES), [0])
