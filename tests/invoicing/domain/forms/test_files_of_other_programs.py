"""Files as programs and people of many countries write them: each cent is right, or refused."""
# ruff: noqa: RUF001

from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from invoicing.domain.forms.invoice_table import Form, Table, read_file, read_invoices
from invoicing.domain.forms.table_layout import ColumnChoice, TableLayout
from invoicing.domain.forms.table_text import Broken, Sheet
from invoicing.errors import Rejected

BERLIN = ZoneInfo("Europe/Berlin")


def forms(file: str | bytes, layout: TableLayout | None = None) -> list[Form]:
    """The invoices that a file asks for."""
    layout = layout or TableLayout()
    raw = file.encode() if isinstance(file, str) else file
    return read_invoices(Table(read_file(raw, layout), layout), "r", BERLIN)


def problems(file: str | bytes, layout: TableLayout | None = None) -> str:
    """All that is said against a file, as a whole or by its rows."""
    try:
        return " ".join(problem for form in forms(file, layout) for problem in form.problems)
    except Rejected as refusal:
        return " ".join(refusal.reasons)


def means(**columns: str) -> TableLayout:
    """What titles mean, where the file's own say nothing."""
    choices = [
        ColumnChoice.model_validate({"title": title.replace("_", " "), "means": meaning})
        for title, meaning in columns.items()
    ]
    return TableLayout(columns=choices)


def prices(*cells: str, title: str = "price") -> list[Decimal | None]:
    """What a column of prices comes to; all of it has to be understood."""
    rows = "".join(f'Acme;Work;"{cell}"\n' for cell in cells)
    found = forms(f"customer;text;{title}\n{rows}")
    assert not [problem for form in found for problem in form.problems]
    return [item.unit_price for form in found for item in form.items]


XERO = {
    **dict.fromkeys(["EmailAddress", "POAddressLine1", "POCity", "SAPostalCode", "Reference"], ""),
    "ContactName": "Acme",
    "InvoiceNumber": "INV-3440",
    "InvoiceDate": "11/06/2026",
    "DueDate": "29/12/2026",
    "PlannedDate": "",
    "Total": "120.0000",
    "TaxTotal": "20.0000",
    "InvoiceAmountPaid": "0.0000",
    "InvoiceAmountDue": "120.0000",
    "InventoryItemCode": "",
    "Description": "Work",
    "Quantity": "16.0000",
    "UnitAmount": "6.2500",
    "Discount": "",
    "LineAmount": "100.0000",
    "AccountCode": "200",
    "TaxType": "20% (VAT on Income)",
    "TaxAmount": "20.0000",
    "Currency": "GBP",
    "Type": "Sales invoice",
    "Sent": "Sent",
    "Status": "Awaiting Payment",
}
"""What Xero exports has more columns than its template, with four decimals."""


def exported(of: dict[str, str], **cells: str) -> str:
    """An export of one row."""
    row = of | cells
    return f"{','.join(row)}\r\n{','.join(row.values())}\r\n"


def test_what_xero_exports() -> None:
    """Its totals are claims, and nothing of it is asked about."""
    [form] = forms(exported(XERO))
    assert form.problems == []
    assert form.items[0].unit_price == Decimal("6.25")
    header = form.header
    assert [header.invoice_tax, header.invoice_total, header.amount_due] == [20, 120, 120]
    assert header.due_date == date(2026, 12, 29)


FRESHBOOKS = {
    "Client Name": "Acme",
    "Invoice #": "0000012",
    "Date Issued": "01/15/2026",
    "Date Due": "12/29/2026",
    "Invoice Status": "overdue",
    "Date Paid": "",
    "Item Name": "",
    "Item Description": "Strategy",
    "Rate": "150.00",
    "Quantity": "4",
    "Discount Percentage": "0",
    "Line Subtotal": "600.00",
    "Tax 1 Type": "",
    "Tax 1 Amount": "0",
    "Tax 2 Type": "",
    "Tax 2 Amount": "0",
    "Line Total": "600.00",
    "Currency": "USD",
}


def test_what_freshbooks_exports() -> None:
    """Invoice Details; a second tax would not be billed."""
    [form] = forms(exported(FRESHBOOKS))
    assert form.problems == []
    assert [form.items[0].quantity, form.items[0].unit_price] == [4, 150]
    assert [form.items[0].line_total, form.items[0].line_total_with_tax] == [600, 600]
    assert form.header.due_date == date(2026, 12, 29)
    assert "the Tax 2 Amount '6.00' would not be billed" in problems(
        exported(FRESHBOOKS, **{"Tax 2 Amount": "6.00"})
    )


def test_what_freshbooks_says_of_a_line_with_its_tax() -> None:
    """Held to what would be billed, as each figure of money."""
    taxed = {"Tax 1 Type": "GST", "Tax 1 Amount": "60.00", "Line Total": "660.00"}
    [form] = forms(exported(FRESHBOOKS, **taxed))
    assert form.problems == []
    assert [form.items[0].tax_amount, form.items[0].line_total_with_tax] == [60, 660]


SALES_BY_CUSTOMER = """Ridgeline Tree Co
Sales by Customer Detail
All Dates

,Transaction date,Transaction type,Num,Product/Service full name,Description,Quantity,\
Sales price,Amount,Balance
Mike Sanderson,,,,,,,,,
,03/02/2026,Invoice,2001,Removal,Oak,2.00,"1,000.00","2,000.00","2,000.00"
,03/02/2026,Invoice,2001,Removal,Stump,1.00,400.00,400.00,"2,400.00"
Total for Mike Sanderson,,,,,,,,"$2,400.00",
"""


def test_a_report_of_quickbooks() -> None:
    """Grouped it says its customers once, above their rows; else it is understood whole."""
    assert "The titles seem to be in row 5: delete the rows above it." in problems(
        SALES_BY_CUSTOMER
    )
    titles = SALES_BY_CUSTOMER.index(",Transaction date")
    assert "is not understood" in problems(SALES_BY_CUSTOMER[titles:])
    rows = SALES_BY_CUSTOMER[titles:].replace("Mike Sanderson,,,,,,,,,\n", "")
    rows = rows[: rows.index("Total for")].replace("\n,03", "\nMike Sanderson,03")
    assert "The column 'account' is missing: write each row's customer" in problems(rows[1:])
    [form] = forms(f"Customer{rows}")
    assert form.problems == []
    assert [item.line_total for item in form.items] == [2000, 400]
    assert form.header.amount_due is None


@pytest.mark.parametrize("kind", ["Credit Memo", "Estimate", "Sales Receipt", "Payment"])
def test_what_quickbooks_reports_besides_invoices(kind: str) -> None:
    """Paid already, money given back, or no invoice yet."""
    titles = "Transaction Type,Num,Customer,Description,Sales Price,Amount"
    file = f"{titles}\n{{}},1,Acme,x,5.00,5.00\n"
    assert problems(file.format("Invoice")) == ""
    assert "says that this is no invoice that is to be paid" in problems(file.format(kind))


def test_prices_of_zoho_that_contain_the_tax() -> None:
    """A column that says so refuses its row, for ours may not."""
    file = (
        "Invoice Number,Issued Date,Customer Name,Is Inclusive Tax,Item Price,Item Desc\n"
        "1,2026-11-01,Acme,{},119.00,Work\n"
    )
    assert problems(file.format("false")) == ""
    assert "the Is Inclusive Tax 'true' would not be billed" in problems(file.format("true"))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "The table is empty."),
        (b"\xef\xbb\xbf\r\n", "The table is empty."),
        (b"%PDF-1.7 \xe2\xe3", "The file is a PDF: open it in a spreadsheet"),
        (b"\xef\xbb\xbf \n<html><table><tr><td>customer", "The file is HTML or XML"),
        (b'[{"customer": "Acme"}]', "The file is JSON"),
        ("customer,text,price\nAcme,Work,1.00\n".encode("utf-32"), "signs that are no text"),
        (b'customer,text\nAcme,a\nAcme,"b\nAcme,c\n', "at line 4. Perhaps a quotation mark"),
        (b'customer,text\nAcme,"a" b\nAcme,c\n', "at line 2. Perhaps a quotation mark"),
    ],
    ids=["empty", "blank", "PDF", "HTML", "JSON", "UTF-32", "open quote", "text after a quote"],
)
def test_files_that_are_no_table(raw: bytes, said: str) -> None:
    """Said as what they are, and what to do."""
    assert said in problems(raw)


@pytest.mark.parametrize(
    ("of", "title", "cell"),
    [
        (XERO, "Type", "Sales credit note"),
        (XERO, "Type", "Sales overpayment"),
        (XERO, "Type", "Bill"),
        (XERO, "Status", "Voided"),
        (XERO, "Status", "Deleted"),
        (XERO, "Status", "Paid"),
        (FRESHBOOKS, "Invoice Status", "paid"),
        (FRESHBOOKS, "Invoice Status", "auto-paid"),
    ],
)
def test_what_is_no_invoice_to_be_paid(of: dict[str, str], title: str, cell: str) -> None:
    """Exports hold credit notes, void and paid invoices too: none is raised anew."""
    said = problems(exported(of, **{title: cell}))
    assert said == (
        f"Row 2: the {title} {cell!r} says that this is no invoice that is to be paid; "
        "delete its rows."
    )


def test_what_quickbooks_imports_with_the_customer_once() -> None:
    """Later lines of an invoice leave its customer out; a text has a line end of its own."""
    [form] = forms(
        "\ufeff*InvoiceNo,*Customer,*InvoiceDate,*DueDate,Terms,Location,Memo,"
        "Item(Product/Service),ItemDescription,ItemQuantity,ItemRate,*ItemAmount,Service Date\r\n"
        '1001,Haven,08/09/2026,12/29/2026,Due on receipt,,,,Turn,1,"$1,150.50","$1,150.50",\r\n'
        '1001,,,,,,,,"Two\r\nlines",1,$50.00,$50.00,08/03/2026\r\n'
    )
    assert form.problems == []
    assert [item.unit_price for item in form.items] == [Decimal("1150.50"), 50]
    assert form.items[1].description == "Two\nlines"


def test_bookings_of_datev() -> None:
    """They are no invoices: asked about, and nobody is billed what is a booking."""
    file = (
        '"EXTF";700;21;"Buchungsstapel";12;;;;;;;"20260101000000000";;"DE";;;"1001";"1"\r\n'
        '"Umsatz (ohne Soll/Haben-Kz)";"Soll/Haben-Kennzeichen";"WKZ Umsatz";"Konto";'
        '"Buchungstext"\r\n'
        '1190,00;"S";"EUR";10000;"Müßig GmbH"\r\n'
    )
    assert "There is no column 'EXTF'" in problems(file.encode("cp1252"))


def test_a_list_of_sap() -> None:
    """Bars, a minus behind the number, and a total that is marked with a star."""
    file = (
        "|Debitor   |Belegnr |Fällig    |        Betrag|Währg|\n"
        "|Acme      |90001   |31.12.2026|     1.234,50 |EUR  |\n"
        "|Acme      |90002   |31.12.2026|       100,00-|EUR  |\n"
        "|*         |        |          |     1.134,50 |EUR  |\n"
    )
    layout = means(
        Debitor="account",
        Belegnr="invoice",
        Fällig="due_date",
        Betrag="unit_price",
        Währg="currency",
    )
    first, second, total = forms(file, layout)
    assert (first.problems, first.items[0].unit_price) == ([], Decimal("1234.50"))
    assert "the unit price '100,00-' is not a number" in second.problems[0]
    assert total.header.account == "*"
    assert "There is no column '-----------" in problems(f"-----------\n{file}")


def test_lines_of_sage() -> None:
    """Capitals and underlines; columns of money keep their meaning."""
    file = (
        "INVOICE_NUMBER,ACCOUNT_REF,INVOICE_DATE,STOCK_CODE,DESCRIPTION,TAX_CODE,QTY_ORDER,"
        "UNIT_PRICE,NET_AMOUNT,TAX_AMOUNT\n1,ACM001,01/12/2026,LAB,Labour,T1,2,50.00,100.00,20.00\n"
    )
    assert "There is no column 'STOCK_CODE'" in problems(file)
    layout = means(ACCOUNT_REF="account", STOCK_CODE="product", DESCRIPTION="text")
    layout.columns += means(QTY_ORDER="quantity", INVOICE_DATE="ignore").columns
    assert "the NET_AMOUNT '100.00' would not be billed" in problems(file, layout)
    layout.columns += means(NET_AMOUNT="line_total").columns
    [form] = forms(file, layout)
    assert form.problems == []
    assert [form.items[0].line_total, form.items[0].tax_amount] == [100, 20]


MONEY_FORWARD = (
    "行形式,取引先名称,件名,お支払期限,請求書番号,小計,消費税,合計金額,品名,単価,数量,金額\r\n"
    "請求書,株式会社アクメ,8月分,2026年12月29日,2026-1,25045,2505,27550,,,,\r\n"
    "品目,株式会社アクメ,,,2026-1,,,,データ保守（月々）,25045,1,25045\r\n"
)
JAPANESE = means(
    取引先名称="account",
    お支払期限="due_date",
    請求書番号="invoice",
    品名="text",
    単価="unit_price",
    数量="quantity",
    金額="line_total",
)


def test_a_japanese_file_in_its_own_encoding() -> None:
    """Never taken for Chinese; its tax is not ignored along with what is not understood."""
    raw = MONEY_FORWARD.encode("cp932")
    assert "Japanese: " in problems(raw, JAPANESE)
    layout = JAPANESE.model_copy(update={"encoding": "Japanese", "ignore_others": True})
    said = problems(raw, layout)
    assert "The column '消費税' holds what may be an amount, '2505'" in said
    assert "'合計金額'" in said
    layout.columns += means(消費税="invoice_tax", 合計金額="invoice_total").columns
    layout.columns += means(小計="invoice_subtotal").columns
    [form] = forms(raw, layout)
    assert form.items[1].description == "データ保守（月々）"
    assert form.header.due_date == date(2026, 12, 29)
    assert [form.header.invoice_tax, form.header.invoice_total] == [2505, 27550]


def test_open_items_of_a_german_program() -> None:
    """*Netto* is asked about; what somebody has paid is not left out of sight."""
    file = (
        "Rechnungsnummer;Kunde;Rechnungsdatum;Fälligkeit;Netto;Steuersatz;Brutto;Bezahlt\r\n"
        "RE-1001;Weiß & Söhne;01.11.2026;31. Dezember 2026;1.000,00;19;1.190,00;190,00\r\n"
    ).encode("cp1252")
    layout = means(Netto="unit_price", Rechnungsdatum="ignore")
    layout.ignore_others = True
    assert "'Bezahlt' holds what may be an amount, '190,00'" in problems(file, layout)
    layout.columns += means(Bezahlt="ignore").columns
    said = problems(file, layout)
    assert "the Steuersatz '19' would not be billed" in said
    assert "the Brutto '1.190,00' would not be billed" in said
    [form] = forms(file, layout)
    assert form.items[0].unit_price == 1000
    assert form.header.due_date == date(2026, 12, 31)


@pytest.mark.parametrize(
    ("cells", "amounts"),
    [
        (["1'234.50", "1’234.50", "CHF 1'234.50"], ["1234.50"] * 3),
        (["1,00,000.00", "₹ 12,34,567.89"], ["100000.00", "1234567.89"]),
        (["1\u00a0234,50", "1\u202f234,50", "1\u2009234,50 €"], ["1234.50"] * 3),
        (["1.234,50", "EUR 12", "12 EUR"], ["1234.50", "12", "12"]),
        (["\u2212100.00", "-$5.00", "$ -5.00"], ["-100.00", "-5.00", "-5.00"]),
    ],
)
def test_amounts_of_many_countries(cells: list[str], amounts: list[str]) -> None:
    """Swiss, Indian, French, German; with blanks that do not break and a minus of typesetters."""
    assert prices(*cells) == [Decimal(amount) for amount in amounts]


@pytest.mark.parametrize(
    "cell",
    [
        *("(100.00)", "100.00-", "$(5.00)", "\u2013100.00", "100,-", "1.5E3", "+5.00", ".50", "5."),
        *(
            "１２３４",
            "١٢٣٤",
            "100,00 inkl. MwSt",
            "19%",
            "5 EUR 6",
            "eur 5",
            "R$ 5,00",
            "US$ 5.00",
        ),
        *("A$10.00", "1,000円", "100,00 zł", "kr 100", "Fr. 100.50", "Rs. 100", "1/2", "12 Stück"),
    ],
)
def test_amounts_that_nobody_reads_for_sure(cell: str) -> None:
    """Refused with the cell, never as something else."""
    said = problems(f'customer;text;price\nAcme;Work;"{cell}"\n')
    assert said == f"Row 2: the unit price {cell!r} is not a number; write it like 1234.50."


@pytest.mark.parametrize("cell", ["12 DOZ", "2 Std", "3 Stk.", "1,5 h", "€ 2", "1/2", "(1)"])
def test_quantities_with_a_unit(cell: str) -> None:
    """Twelve dozen are not twelve."""
    said = problems(f'customer;text;price;quantity\nAcme;Work;10,00;"{cell}"\n')
    assert f"the quantity {cell!r} is not a number" in said


@pytest.mark.parametrize(
    "title",
    [
        *("Einzelpreis inkl. MwSt.", "Unit price incl. VAT", "Price (kEUR)", "Price in TEUR"),
        *("Price (cents)", "Price in thousands", "Stückpreis netto", "Prix unitaire TTC"),
        "Price (US$)",
    ],
)
def test_prices_that_are_something_else(title: str) -> None:
    """With tax, in thousands, in cents: a column of money that somebody has to explain."""
    said = problems(f"customer;text;{title}\nAcme;Work;10,00\n", TableLayout(ignore_others=True))
    assert said.startswith(f"Row 2: the {title} '10,00' would not be billed")


def test_two_currencies() -> None:
    """Two columns of prices are one too many; two of currencies have to say the same."""
    file = "customer;text;Price EUR;Price USD\nAcme;Work;10,00;11,00\n"
    assert "'unit_price' is there more than once: 'Price EUR', 'Price USD'" in problems(file)
    file = "customer;text;price;currency;Währung\nAcme;Work;10,00;EUR;{}\n"
    assert problems(file.format("eur")) == ""
    assert "the currency 'USD' differs from 'EUR' in the same row" in problems(file.format("USD"))


@pytest.mark.parametrize(("cell", "percent"), [("10", 10), ("0.1%", "0.1"), ("0,5 %", "0.5")])
def test_percentages(cell: str, percent: Any) -> None:
    """With their sign or without."""
    file = f"customer;text;price;discount %\nAcme;Work;10.00;{cell}\n"
    assert forms(file)[0].items[0].discount_percent == Decimal(percent)
    assert problems(file) == ""


def test_fractions_that_may_be_percentages() -> None:
    """A tenth is ten percent to one program and a tenth of a percent to another."""
    file = "customer;text;price;discount %{}\nAcme;Work;10.00;0.1{}\n"
    assert problems(file.format("", "")) == (
        "Row 2: the discount percent '0.1' may be 0.1% or 10%; write the percent sign."
    )
    assert problems(file.format(";amount off", ";1.00")) == ""


@pytest.mark.parametrize(
    "word",
    [
        *("Total HT", "Totaux", "Total EUR", "*** TOTAL ***", "Subtotal (2 items)", "Summe EUR:"),
        *("Insgesamt", "Gesamtbetrag", "Gesamtergebnis", "Suma", "Somme", "Razem", "Celkem"),
        *("Összesen", "Yhteensä", "Totalt", "I alt", "Итого", "合計", "小計", "Σ"),
    ],
)
def test_totals_in_other_languages(word: str) -> None:
    """They name the customer of the rows above, and are billed to nobody once more."""
    file = f"customer;text;price\nAcme;Work;10,00\nAcme;{word};10,00\n"
    assert problems(file).startswith("Row 3 seems to be a total of other rows")


def test_rows_of_an_invoice_that_stand_apart() -> None:
    """They are one invoice; another customer under its number is a mistake."""
    file = (
        "invoice;customer;text;price\n1;Acme;a;1,00\n2;Globex;b;2,00\n1;Acme;c;3,00\n"
        "1;Globex;d;4,00\n"
    )
    first, second = forms(file)
    assert (first.where, second.where) == ("Rows 2, 4, 5", "Row 3")
    assert first.problems == [
        "Row 5: the account 'Globex' differs from 'Acme' in a row before, of the same invoice."
    ]


def test_what_stands_above_the_titles() -> None:
    """A heading is named, since it may say what nobody reads."""
    file = "Sales report;;\nAll amounts in TEUR;;\n\ncustomer;text;price\nAcme;Work;10,00\n"
    assert "The titles seem to be in row 4: delete the rows above it." in problems(file)


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Jahresgebühr", "cp850"),
        ("Gebühr für März", "cp437"),
        ("Opłata roczna", "cp852"),
        ("Годовая плата", "cp866"),
        ("Годовая плата", "koi8-r"),
        ("Yıllık ücret", "cp857"),
        ("年間データ利用料", "cp932"),
        ("年間利用料", "euc-jp"),
        ("顧問服務費", "big5"),
        ("年度服务费", "gb18030"),
        ("연간 이용료", "cp949"),
        ("ค่าบริการรายปี", "cp874"),
        ("תשלום שנתי", "cp1255"),
        ("رسوم سنوية", "cp1256"),
    ],
)
def test_letters_of_other_encodings(text: str, codec: str) -> None:
    """What the customer reads is right, or asked about: the accounting of old machines, too."""
    said = problems(f"customer,text,price\nAcme,{text},10.00\n".encode(codec))
    assert "they can be read in several ways" in said
    assert "save the file as CSV UTF-8" in said


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le"])
def test_unicode_text_of_excel(codec: str) -> None:
    """With tabs, and with or without its mark."""
    raw = "customer\ttext\tprice\r\nAcme\tGrößter\t10.00\r\n".encode(codec)
    assert forms(raw)[0].items[0].description == "Größter"


@pytest.mark.parametrize("column", ["product", "text", "tax rate", "po number", "currency"])
def test_an_error_of_a_workbook_in_a_cell_of_text(column: str) -> None:
    """Refuses its row in words, as one in a cell of numbers does."""
    cell = Broken("is the error #REF!; mend it in the workbook.")
    sheet = Sheet.of(iter([["account", column, "unit price"], ["Acme", cell, "10"]]))
    [form] = read_invoices(Table(sheet, TableLayout()), "r", BERLIN)
    assert form.problems == [f"Row 2: the {column} {cell}"]
