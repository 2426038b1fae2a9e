"""What a column means: by its title, by whose export it is, by what was said of it."""

from typing import get_args

import pytest

from invoicing.domain.forms.table_columns import (
    ALIASES,
    COLUMNS,
    EXPORTS,
    IGNORED,
    MONEY,
    QUESTIONS,
    STATE,
    Export,
    columns_of,
    export_of,
)
from invoicing.domain.forms.table_layout import ColumnChoice, Means, TableLayout
from invoicing.domain.forms.table_text import Sheet, plain_title
from invoicing.errors import Rejected


def sheet(*titles: str, cell: str = "x") -> Sheet:
    """A table of one row, with the same in each cell."""
    return Sheet(1, titles, [(2, [cell] * len(titles))])


def refusal(*titles: str, cell: str = "x", layout: TableLayout | None = None) -> str:
    """What is asked about columns."""
    with pytest.raises(Rejected) as refused:
        columns_of(sheet(*titles, cell=cell), layout or TableLayout())
    return " ".join(refused.value.reasons)


def test_a_form_can_say_each_column() -> None:
    """And whatever a known export or a question says is one of them."""
    assert set(get_args(Means)) == {IGNORED, *ALIASES}
    said = {name for one in EXPORTS for name in one.columns.values()}
    said |= {name for names in QUESTIONS.values() for name in names}
    assert said <= {IGNORED, *ALIASES}
    assert not {plain_title(title) for title in QUESTIONS} & set(COLUMNS)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.program)
def test_an_export_is_understood_whole(export: Export) -> None:
    """Whatever is in its columns, nothing is asked; stars, blanks and case do not matter."""
    titles = list(
        {plain_title(title): title for title in (*export.needs, *export.columns)}.values()
    )
    once = {export.columns.get(title, title): title for title in titles}
    used = [f"*{title.upper()}" for title in once.values()]
    assert columns_of(sheet(*used, *export.ignored, *export.states), TableLayout()) == [
        *(export.columns[title] for title in once.values()),
        *[IGNORED] * len(export.ignored),
        *[STATE] * len(export.states),
    ]
    found = export_of(used)
    assert found
    assert found.program == export.program


@pytest.mark.parametrize(
    ("title", "guess"),
    [
        ("quantitty", "quantity"),
        ("Cust. Name", "account"),
        ("Customer (billing)", "account"),
        ("Nett unit amount", "unit_price"),
        ("Last date due", "due_date"),
        ("Colour", ""),
        ("Issue Date", ""),
        ("Rechnungsdatum", ""),
        ("Item Type", ""),
        ("Invoice Status", ""),
    ],
)
def test_guesses_are_good_ones(title: str, guess: str) -> None:
    """By titles that are like it; none rather than a far one."""
    said = refusal("account", title)
    assert f"There is no column {title!r}{f'; did you mean {guess!r}?' if guess else '.'}" in said


def test_a_column_of_currencies_is_guessed_by_what_it_holds() -> None:
    """Whatever it is called."""
    assert "did you mean 'currency'" in refusal("account", "Wrg", cell="EUR")


def test_empty_columns_are_nobodys_question() -> None:
    """Templates are full of them."""
    assert columns_of(sheet("account", "net", "Colour", "", cell=""), TableLayout()) == [
        "account",
        *[IGNORED] * 3,
    ]
    assert "The column without a title ('x')" in refusal("account", "")


@pytest.mark.parametrize("title", sorted(QUESTIONS))
def test_titles_that_can_mean_several_things_are_asked_about(title: str) -> None:
    """Also where other columns are ignored; what was said of one counts."""
    said = refusal("account", title, layout=TableLayout(ignore_others=True))
    assert " or ".join(QUESTIONS[title]) in said
    choice = ColumnChoice.model_validate({"title": title.upper(), "means": QUESTIONS[title][-1]})
    names = columns_of(sheet("account", title), TableLayout(columns=[choice]))
    assert names == ["account", QUESTIONS[title][-1]]


@pytest.mark.parametrize(
    ("title", "cell", "meaning"),
    [
        ("VAT 20%", "5", MONEY),
        ("MwSt", "19 %", MONEY),
        ("Taxable", "Y", MONEY),
        ("Montant TVA", "5", MONEY),
        ("ShippingCharge", "5", MONEY),
        ("Late Fee", "1", MONEY),
        ("Gesamtbetrag", "100,00", MONEY),
        ("Rabattsatz", "3", MONEY),
        ("Kundenrabatt", "drei", MONEY),
        ("Extra", "€ 5", MONEY),
        ("Extra", "5", IGNORED),
        ("Tax ID", "DE123", IGNORED),
        ("Price list", "Standard", IGNORED),
        ("Planet", "5", IGNORED),
        ("Cabinet", "5", IGNORED),
    ],
)
def test_columns_of_money_are_never_ignored(title: str, cell: str, meaning: str) -> None:
    """By what their titles or cells say; neither by choice nor with all others."""
    table = Sheet(1, ["account", title], [(2, ["Acme", cell])])
    choice = ColumnChoice(title=title, means="ignore")
    for layout in (TableLayout(ignore_others=True), TableLayout(columns=[choice])):
        assert columns_of(table, layout) == ["account", meaning]


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("Versandkosten", "5,00"),
        ("Frais de port", "1 005,00"),
        ("Gastos de envío", "5"),
        ("Skonto", "3 %"),
        ("Vorauszahlung", "500"),
        ("消費税", "2505"),
        ("送料", "1,000"),
        ("НДС", "20"),
        ("Retention", "-50"),
        ("Extra", "5.00"),
        ("Extra", "5 kr"),
        ("Extra", "R$ 5"),
        ("Extra", "5円"),
    ],
)
def test_amounts_are_not_ignored_along_with_others(title: str, cell: str) -> None:
    """Whatever their language: somebody has to ignore them by name, and zeros are none."""
    others = TableLayout(ignore_others=True)
    table = Sheet(1, ["account", title], [(2, ["Acme", "0.00"]), (3, ["Acme", cell])])
    with pytest.raises(
        Rejected, match=f"{title}' holds what may be an amount, '{cell}'".replace("$", ".")
    ):
        columns_of(table, others)
    by_name = TableLayout(columns=[ColumnChoice(title=title, means="ignore")])
    assert columns_of(table, by_name) == ["account", IGNORED]
    assert columns_of(sheet("account", title, cell="0,00"), others) == ["account", IGNORED]


@pytest.mark.parametrize(
    ("title", "cell"),
    [
        ("Created", "31.12.2026"),
        ("Since", "2026-12-31"),
        ("PLZ", "70174"),
        ("Kostenstelle", "4000"),
        ("Cost center", "4000"),
        ("Contract", "KV-1001"),
        ("Service", "2 Day"),
    ],
)
def test_what_holds_no_amounts_is_ignored(title: str, cell: str) -> None:
    """Dates, codes, and whole numbers under a title that is not about money."""
    table = sheet("account", title, cell=cell)
    assert columns_of(table, TableLayout(ignore_others=True)) == ["account", IGNORED]


def test_what_is_said_comes_before_what_is_recognised() -> None:
    """An export's own column can mean something else here."""
    titles = ("ContactName", "InvoiceNumber", "UnitAmount", "Reference")
    choice = ColumnChoice(title="reference", means="po_number")
    assert columns_of(sheet(*titles), TableLayout(columns=[choice]))[-1] == "po_number"


def test_many_questions_are_short() -> None:
    """The first ones, how many more there are, and what to do."""
    with pytest.raises(Rejected) as refused:
        columns_of(sheet("account", *(f"Colour {number}" for number in range(40))), TableLayout())
    assert len(refused.value.reasons) == 41
    assert "… and 30 more. Say under Columns" in str(refused.value)


def test_two_columns_of_one_meaning() -> None:
    """Named as the table has them."""
    said = refusal("account", "memo", "description")
    assert "'description' is there more than once: 'memo', 'description'" in said


def test_titles_that_stand_further_down() -> None:
    """A report's head is to be deleted, since it may say things that nobody reads."""
    table = Sheet(1, ["Sales report"], [(2, ["In EUR"]), (4, ["Account", "Price"])])
    with pytest.raises(Rejected, match="The titles seem to be in row 4"):
        columns_of(table, TableLayout())


def test_a_choice_for_a_column_that_is_not_there() -> None:
    """Said along with what is asked; a misspelt title would else explain nothing."""
    choice = ColumnChoice(title="Colur", means="ignore")
    said = refusal("account", "Colour", layout=TableLayout(columns=[choice]))
    assert "The layout names a column 'Colur', which the table does not have" in said


ZOHO_OF_INDIA = (
    "Invoice Date,Invoice ID,Invoice Number,Estimate Number,Invoice Status,Customer Name,"
    "Customer ID,Place of Supply,Place of Supply(With State Code),GST Treatment,"
    "GST Identification Number (GSTIN),Is Inclusive Tax,Due Date,Expected Payment Date,"
    "PurchaseOrder,Template Name,Currency Code,Exchange Rate,Discount Type,"
    "Is Discount Before Tax,Entity Discount Percent,Entity Discount Amount,Account,Item Name,"
    "Product ID,Item Desc,Quantity,Usage unit,Item Price,Discount,Discount Amount,"
    "Expense Reference ID,HSN/SAC,Supply Type,Tax ID,Item Tax,Item Tax %,Item Tax Amount,"
    "Item Tax Type,Item Type,Item Tax Exemption Reason,Item Total,Custom Charges,"
    "Shipping Bill#,Shipping Bill Date,Shipping Bill Total,PortCode,Reference Invoice#,"
    "Reference Invoice Date,GST Registration Number(Reference Invoice),"
    "Reason for issuing Debit Note,SubTotal,Total,Balance,Shipping Charge,Adjustment,"
    "Adjustment Description,Sales person,Payment Terms,Payment Terms Label,"
    "Last Payment Date,Notes,Terms & Conditions,Recurrence Name,PayPal,Authorize.Net"
)
"""Source: what com.srl.srlbi.model.Invoice, a public reader of Zoho's Invoice.csv, says of it."""


def test_a_whole_export_of_zoho() -> None:
    """All titles of one from India are understood, and charges that are not ours stay money."""
    titles = ZOHO_OF_INDIA.split(",")
    meant = dict(zip(titles, columns_of(sheet(*titles, cell="1"), TableLayout()), strict=True))
    assert meant["Product ID"] == IGNORED
    assert {title for title, name in meant.items() if name == MONEY} == {
        *("Is Inclusive Tax", "Custom Charges", "Shipping Bill Total", "Shipping Charge"),
        "Adjustment",
    }
