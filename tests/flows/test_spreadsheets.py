"""Drafts from the file that a person has: exports, workbooks, and what they hide."""

from collections.abc import Callable
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State

from flows.bulk_raise import bulk_raise
from invoicing.connectors import salesforce
from invoicing.connectors.salesforce import Salesforce
from invoicing.domain.forms.invoice_table import read_file
from invoicing.domain.forms.outcomes import BulkOutcome
from invoicing.domain.forms.parameters import Options
from invoicing.domain.forms.table_layout import ColumnChoice, TableLayout
from invoicing.errors import Rejected
from invoicing.settings import settings
from tasks.drafting.table_drafts import read_table
from tests.conftest import ROOT, Sandbox
from tests.flows.conftest import Org
from tests.orgs.org_client import OrgClient

Bulk = Callable[..., BulkOutcome]
DUE = date.today() + timedelta(days=40)
DOUBTFUL = DUE.replace(day=9 if DUE.month == 8 else 8)
NET_30 = Options(payment_terms="Net 30")


def raised(csv: str = "", **form: Any) -> BulkOutcome:
    """The outcome of asking for many drafts; due in 30 days, where the table says nothing."""
    ask: Bulk = bulk_raise
    return ask(csv=csv, **{"options": NET_30} | form)


def refused(csv: str = "", **form: Any) -> str:
    """Why nothing was raised."""
    with pytest.raises(Rejected) as refusal:
        raised(csv, **form)
    return " ".join(refusal.value.reasons)


def drafts(org: Org) -> list[tuple[Any, ...]]:
    """Account, currency and amounts of each draft's lines, in their order."""
    records = org.query(
        "SELECT Account__r.Name, Currency__c, (SELECT Amount__c FROM Lines__r ORDER BY "
        "Position__c) FROM Stripe_Invoice__c ORDER BY Name"
    )
    return [
        (
            record["Account__r"]["Name"],
            record["Currency__c"],
            [float(line["Amount__c"]) for line in record["Lines__r"]["records"]],
        )
        for record in records
    ]


def means(**columns: str) -> list[ColumnChoice]:
    """What titles mean."""
    return [
        ColumnChoice.model_validate({"title": title, "means": meaning})
        for title, meaning in columns.items()
    ]


def test_an_export_of_quickbooks(org: Org) -> None:
    """Its rows of one number are one invoice, its own amounts agree, its dates are of no matter."""
    export = f"""InvoiceNo,Customer,InvoiceDate,DueDate,ItemDescription,ItemQuantity,ItemRate,\
ItemAmount
INV-0001,Acme Corporation,2026-11-01,{DUE},Nightly clean,1,300.00,300.00
INV-0001,Acme Corporation,2026-11-01,{DUE},Extra,2,50.00,100.00
"""
    assert raised(export).raised == 1
    assert drafts(org) == [("Acme Corporation", "USD", [300, 100])]
    wrong = export.replace("50.00,100.00", "50.00,90.00")
    assert "Row 3: the line total 90.00 is not the 100.00 USD that would be billed" in refused(
        wrong
    )
    assert len(drafts(org)) == 1


XERO = (
    "*ContactName,EmailAddress,POAddressLine1,*InvoiceNumber,Reference,*InvoiceDate,*DueDate,"
    "Total,InventoryItemCode,*Description,*Quantity,*UnitAmount,Discount,*AccountCode,*TaxType,"
    "TaxAmount,Currency,BrandingTheme\n"
    "Acme Corporation,ap@acme.example,,INV-0001,,08/12/2026,{due},{total},,Labour,1.25,80.00,,200,"
    "{tax},{amount},GBP,\n"
)


def xero(tax: str = "20% (VAT on Income)", total: str = "", amount: str = "", day: int = 28) -> str:
    """Xero's template with one line of a hundred pounds."""
    due = DUE.replace(day=day).strftime("%d/%m/%Y")
    return XERO.format(due=due, tax=tax, total=total, amount=amount)


@pytest.fixture
def vat(monkeypatch: pytest.MonkeyPatch, dashboard: Any) -> None:
    """A tax rate in Stripe, which the settings call as Xero calls it."""
    rate = dashboard.v1.tax_rates.create(
        {"display_name": "VAT", "percentage": 20, "inclusive": False}
    )
    monkeypatch.setenv("INVOICING_STRIPE__TAX_RATES", f"20% (VAT on Income)={rate.id}")
    settings.cache_clear()


def test_the_template_of_xero(org: Org, vat: None) -> None:
    """Its tax is one of ours by name, and its figures are held to that tax."""
    assert raised(xero(total="120.00", amount="20.00")).raised == 1
    assert drafts(org) == [("Acme Corporation", "GBP", [100])]
    [record] = org.query("SELECT Tax_Rates__c, Due_Date__c FROM Stripe_Invoice__c")
    assert record["Tax_Rates__c"] == "20% (VAT on Income)"
    assert record["Due_Date__c"] == DUE.replace(day=28).isoformat()
    assert "the total 100.00 is not the 120.00 GBP" in refused(xero(total="100.00"))
    assert "the tax amount 19.00 is not the 20.00 GBP" in refused(xero(amount="19.00"))
    assert "cannot be compared" in refused(
        xero(tax="", total="120.00"), options=Options(payment_terms="Net 30", stripe_tax="on")
    )


def test_what_xero_exports(org: Org, vat: None) -> None:
    """Unlike its template it has totals, which are compared, and credit notes, never raised."""
    due = DUE.replace(day=28).strftime("%d/%m/%Y")
    export = (
        "ContactName,InvoiceNumber,DueDate,Total,TaxTotal,InvoiceAmountPaid,InvoiceAmountDue,"
        "Description,Quantity,UnitAmount,LineAmount,TaxType,TaxAmount,Currency,Type,Status\n"
        f"Acme Corporation,INV-1,{due},120.0000,20.0000,0.0000,120.0000,Work,16.0000,6.2500,"
        "100.0000,20% (VAT on Income),20.0000,GBP,Sales invoice,Awaiting Payment\n"
    )
    assert raised(export).raised == 1
    assert drafts(org) == [("Acme Corporation", "GBP", [100])]
    assert "the tax 19.0000 is not the 20.00 GBP" in refused(
        export.replace(",20.0000,0", ",19.0000,0")
    )
    assert "the Type 'Sales credit note' says" in refused(
        export.replace("Sales invoice", "Sales credit note")
    )
    assert len(drafts(org)) == 1


def test_taxes_that_nobody_knows(org: Org) -> None:
    """A tax that is not ours refuses its row; none at all is said in many ways."""
    assert "There is no tax rate '20% (VAT on Income)'" in refused(xero())
    assert "the tax amount 20.00 is not the 0.00 GBP" in refused(xero(tax="", amount="20.00"))
    assert raised(xero(tax="Zero Rated 0%", amount="0.00", total="100.00")).raised == 1
    assert raised(xero(tax="No VAT")).raised == 2 - 1


def test_dates_that_can_be_read_in_two_ways(org: Org) -> None:
    """Asked about once for the column; another cell of it decides, or the person does."""
    doubtful = xero(tax="", day=DOUBTFUL.day)
    said = refused(doubtful)
    assert "The column '*DueDate' can be read in several ways" in said
    assert "choose its Order of dates, day first, month first or year first" in said
    assert raised(doubtful, layout=TableLayout(date_order="day first")).raised == 1


ZOHO = """Invoice Date,Invoice ID,Invoice Number,Customer Name,Due Date,PurchaseOrder,\
Currency Code,Exchange Rate,Discount Type,Entity Discount Percent,Item Name,Item Desc,Quantity,\
Item Price,Discount,Discount Amount,Item Total,SubTotal,Total,Balance,Shipping Charge,\
Adjustment,Notes
2026-11-01,1,INV-7,Globex,{due},PO-9,USD,1,item_level,0.00,,Workshop,2.00,50.00,10.00,10.00,90.00,\
190.00,190.00,190.00,{shipping},0.00,Thanks
2026-11-01,1,INV-7,Globex,{due},PO-9,USD,1,item_level,0.00,,Coffee,1.00,100.00,0.00,0.000,100.00,\
190.00,190.00,190.00,{shipping},0.00,Thanks
"""


def test_an_export_of_zoho(org: Org) -> None:
    """Discounts that it says twice are one; a shipping charge would not be billed."""
    assert raised(ZOHO.format(due=DUE, shipping="0.00")).sentence.endswith("190.00 USD.")
    said = refused(ZOHO.format(due=DUE, shipping="5.00"))
    assert "Row 2: the Shipping Charge '5.00' would not be billed" in said


def test_an_export_of_stripe(org: Org) -> None:
    """An invoice a row; its due date is a moment in UTC, and has its day here."""
    export = f"""id,Amount Due,Billing,Closed,Currency,Customer,Due Date (UTC),Number,Paid,\
Subtotal,Total Discount Amount,Tax,Total,Amount Paid,Status,Customer Name,Description
in_1,90.00,send_invoice,FALSE,usd,cus_1,{DUE} 23:30,A-1,FALSE,100.00,10.00,0.00,90.00,0.00,open,\
Globex,Audit
"""
    assert raised(export).sentence == "1 draft raised over 90.00 USD."
    [record] = org.query("SELECT Due_Date__c FROM Stripe_Invoice__c")
    assert record["Due_Date__c"] == (DUE + timedelta(days=1)).isoformat()
    assert "the Amount Paid '40.00' would not be billed" in refused(
        export.replace("90.00,0.00,open", "90.00,40.00,open")
    )


def test_a_report_of_salesforce(org: Org) -> None:
    """Products of Opportunities, by their ids; its currencies stand beside each amount."""
    report = """Opportunity ID,Opportunity Name,Account Name,Product Name,Quantity,\
Sales Price Currency,Sales Price,Total Price Currency,Total Price,Stage,Close Date
006A,Renewal,Acme Corporation,Consulting,2.00,USD,150.00,USD,300.00,Closed Won,11/20/2026
006A,Renewal,Acme Corporation,Onboarding,1.00,USD,2000.00,USD,2000.00,Closed Won,11/20/2026
"""
    assert raised(report).raised == 1
    assert drafts(org) == [("Acme Corporation", "USD", [300, 2000])]
    assert "the currency 'EUR' differs from 'USD' in the same row" in refused(
        report.replace("150.00,USD", "150.00,EUR")
    )
    below = (
        '\n"Grand Totals (2 records)"\n\n"Won deals"\n'
        '"Copyright (c) 2000-2026 salesforce.com, inc. All rights reserved."\n'
        '"Confidential Information - Do Not Distribute"\n"Generated By:  Ann Lee"\n'
    )
    assert raised(f"{report}{below}").raised == 1


def test_a_file_of_german_excel(org: Org) -> None:
    """A line that tells the separator, Windows' line ends, decimal commas."""
    table = "sep=;\r\ncustomer;text;price\r\nAcme Corporation;Work;10,00\r\n"
    assert raised(table).raised == 1
    assert drafts(org) == [("Acme Corporation", "USD", [10])]


def test_thousands_that_could_be_decimals(org: Org) -> None:
    """Asked about once for the table, and nothing is raised; then as it was said."""
    table = (
        "customer,text,quantity,price\n"
        "Soylent GmbH,Jahresgebühr,1,1.500\nSoylent GmbH,Projekt,1,12.000\n"
    )
    said = refused(table)
    assert said.count("several ways") == 1
    assert "'1.500' may be 1.5 or 1500" in said
    assert drafts(org) == []
    assert raised(table, layout=TableLayout(decimal_mark="comma")).raised == 2
    assert "'0.250' is not a number; write it like 1234,50, as its Decimal mark says" in refused(
        f"{table}Soylent GmbH,Stunden,1,0.250\n", layout=TableLayout(decimal_mark="comma")
    )
    assert [amounts for _, _, amounts in drafts(org)] == [[1500], [12000]]
    assert raised(f"{table}Soylent GmbH,Stunden,1,0.250\n").sentence.endswith("13.75 EUR.")


def test_a_title_that_can_mean_two_things(org: Org) -> None:
    """An amount that is called net became payment terms; now it is asked about."""
    table = (
        "customer,text,price,net,currency\n"
        "Acme Corporation,Fee,30,30,USD\nAcme Corporation,Fee,60,60,USD\n"
    )
    assert "The column 'net' can mean payment_terms or unit_price or line_total" in refused(table)
    layout = TableLayout(columns=means(net="line_total"))
    assert raised(table, layout=layout, options=Options(payment_terms="Net 15")).raised == 2
    assert "is not the 60.00 USD" in refused(table.replace("60,60", "60,61"), layout=layout)


def test_other_columns_are_ignored_by_choice_and_money_never(org: Org) -> None:
    """Named one by one, or all that is left; a column of money refuses what it holds."""
    table = "customer,text,price,Team,Colour,Freight\nGlobex,Work,10,East,red,{}\n"
    said = refused(table.format(""))
    assert "There is no column 'Team'" in said
    assert "There is no column 'Colour'" in said
    assert "Freight" not in said
    assert raised(table.format("0.00"), layout=TableLayout(ignore_others=True)).raised == 1
    layout = TableLayout(columns=means(Team="ignore", Colour="ignore", Freight="ignore"))
    assert "the Freight '7.50' would not be billed" in refused(table.format("7.50"), layout=layout)
    assert raised(table.format(""), layout=layout).raised == 1


def test_choices_are_remembered_under_a_name(org: Org) -> None:
    """Given with a name they are kept, given alone the name brings them back."""
    table = "Kunde,Leistung,Betrag,Notiz\nGlobex,Werk,{},x\n"
    columns = means(Kunde="account", Leistung="text", Betrag="unit_price", Notiz="ignore")
    ours = TableLayout(name="Our ERP", columns=columns, decimal_mark="comma")
    assert "No layout is remembered as 'Our ERP'; there is none" in refused(
        table.format("1.500"), layout=TableLayout(name="Our ERP")
    )
    assert raised(table.format("1.500"), layout=ours).raised == 1
    assert raised(table.format("2.500"), layout=TableLayout(name="our erp")).raised == 1
    assert [amounts for _, _, amounts in drafts(org)] == [[1500], [2500]]
    other = TableLayout(name="Our ERP", decimal_mark="point")
    assert raised(table.format("3.500"), layout=other).sentence.endswith("3.50 USD.")
    assert "there is 'Our ERP'" in refused(table, layout=TableLayout(name="Theirs"))


def test_names_are_found_up_to_their_case_and_nothing_else(org: Org) -> None:
    """Who asks for Weiss does not get Weiß."""
    body = {"Name": "Weiß GmbH", "CurrencyIsoCode": "EUR"}
    node = {"method": "POST", "path": "sobjects/Account", "referenceId": "a", "body": body}
    salesforce.client().write_graph([node])
    table = "invoice,customer,text,price\n1,Weiß GmbH,Work,10\n2,Weiss GmbH,Work,20\n"
    assert "Row 3: There is no Account 'Weiss GmbH'" in refused(table)
    assert raised(table, all_or_nothing=False).raised == 1
    assert raised("customer,text,price\nWEIß gmbh,Work,30\n").raised == 1


def test_an_amount_in_another_currency_than_the_invoice(org: Org) -> None:
    """A sign beside a number is no decoration."""
    table = "customer,text,price\nSoylent GmbH,Work,{}\n"
    assert "Row 2: an amount is in $, the invoice would be in EUR" in refused(table.format("$10"))
    assert raised(table.format("10 €")).raised == 1


def test_products_with_long_names_in_another_alphabet(
    org: Org, salesforce_sandbox: Sandbox
) -> None:
    """Thirty names of seventy Cyrillic letters are more than one query's address can carry."""
    names = [f"{chr(0x430) * 67} {number}" for number in range(10, 40)]
    OrgClient(salesforce_sandbox.url).sell("USD", **dict.fromkeys(names, 10))
    rows = "".join(f"1,Globex,{name},1\n" for name in names)
    assert raised(f"invoice,customer,product,quantity\n{rows}").sentence == (
        "1 draft raised over 300.00 USD."
    )


def test_a_currency_in_a_title(org: Org) -> None:
    """It is that of all amounts below it, also where somebody says what the column means."""
    table = "customer,text,{}\n{},Work,10\n"
    for title in ("Price (EUR)", "unit price in EUR", "Rate €"):
        assert "an amount is in" in refused(table.format(title, "Globex"))
    layout = TableLayout(columns=means(**{"Fee EUR": "unit_price"}))
    assert "Row 2: an amount is in EUR, the invoice would be in USD" in refused(
        table.format("Fee EUR", "Globex"), layout=layout
    )
    assert raised(table.format("Price (EUR)", "Soylent GmbH")).raised == 1
    assert drafts(org) == [("Soylent GmbH", "EUR", [10])]


@pytest.mark.parametrize(
    "total",
    [
        "Total,,,110.00,110.00",
        "Acme Corporation,Subtotal,,110.00,",
        "Grand Totals (2 records),,,,110.00",
        "Acme Corporation,Summe:,2,110.00,110.00",
        ",,2,,110.00",
    ],
)
def test_the_sum_below_a_table_is_nobodys_invoice(org: Org, total: str) -> None:
    """Whatever it is called, it is not billed once more."""
    table = f"""customer,text,quantity,price,line total
Acme Corporation,Work,1,100.00,100.00
Globex,Work,1,10.00,10.00
{total}
"""
    assert "Row 4 seems to be a total of other rows, and no invoice" in refused(table)
    assert drafts(org) == []


def test_texts_that_look_like_formulas_stay_texts(org: Org) -> None:
    """Nobody works them out, here or in what is shown of them."""
    assert raised('customer,text,price\nGlobex,"=1+1",10\n').raised == 1
    [line] = org.query("SELECT Description__c FROM Stripe_Invoice_Line__c")
    assert line["Description__c"] == "=1+1"


def test_letters_that_were_broken_are_refused(org: Org) -> None:
    """Before they are printed on an invoice."""
    said = refused("customer,text,price\nGlobex,GrÃ¶ÃŸe,10\n")
    assert "row 2: 'GrÃ¶ÃŸe', probably 'Größe'" in said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the settings allow."""
    allowed = tmp_path / "tables"
    allowed.mkdir()
    monkeypatch.setenv("INVOICING_TABLES__FOLDERS", str(allowed))
    settings.cache_clear()
    return allowed


def workbook(path: Path, *rows: list[Any]) -> None:
    """A workbook of some rows."""
    book = Workbook()
    assert book.active
    for row in rows:
        book.active.append(row)
    book.save(path)


def test_a_workbook_by_its_path(org: Org, folder: Path) -> None:
    """Its numbers and days are exact, whatever texts of the same column might be."""
    due = ["customer", "text", "price", "due date"]
    workbook(
        folder / "november.xlsx",
        due,
        ["Globex", "Work", 1500, DUE],
        ["Globex", "More", 0.1 + 0.2, DUE],
    )
    assert raised(file="november.xlsx").raised == 2
    assert [amounts for _, _, amounts in drafts(org)] == [[1500], [0.3]]
    workbook(folder / "formula.xlsx", ["customer", "text", "price"], ["Globex", "Work", "=3*4"])
    assert "Row 2: the unit price is a formula that was never worked out" in refused(
        file=str(folder / "formula.xlsx")
    )
    assert "not both" in refused("customer\nGlobex\n", file="november.xlsx")


def test_a_workbook_as_bookkeepers_format_it(org: Org, folder: Path) -> None:
    """The currency that it shows is held to the invoice's; a country's format names none."""
    book = Workbook()
    sheet = book.active
    assert sheet
    sheet.append(["Kunde", "Bezeichnung", "Menge", "Einzelpreis", "Fälligkeit"])
    sheet.append(["Soylent GmbH", "Beratung", 1.5, 1234.5, DUE])
    for row in sheet["D2:E2"]:
        price, due = row
    due.number_format = "DD.MM.YY"
    for format_, right in {
        '_-* #,##0.00\\ "€"_-;-* #,##0.00\\ "€"_-': True,
        '[$-409]#,##0.00\\ "EUR"': True,
        "[$€-407]\\ #,##0.00": True,
        "[$-409]#,##0.00": True,
        '#,##0.00\\ "USD"': False,
        "[$$-409]#,##0.00": False,
    }.items():
        price.number_format = format_
        book.save(folder / "billing.xlsx")
        if right:
            assert raised(file="billing.xlsx").sentence == "1 draft raised over 1,851.75 EUR."
        else:
            assert "the invoice would be in EUR" in refused(file="billing.xlsx")


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8-sig", "iso-8859-1"])
def test_a_german_export_in_each_encoding(org: Org, folder: Path, encoding: str) -> None:
    """Its titles, decimal commas, thousands and days."""
    due = f"{DUE:%d.%m.%Y}"
    (folder / "export.csv").write_text(
        "Kundenname;Rechnungsnummer;Bezeichnung;Menge;Einzelpreis;Währung;Fälligkeitsdatum\r\n"
        f"Soylent GmbH;R-1;Prüfung;1,5;1.234,56;EUR;{due}\r\n"
        f"Soylent GmbH;R-1;Übergabe;2;80,00;EUR;{due}\r\n\r\n",
        encoding=encoding,
    )
    assert raised(file="export.csv", options=Options()).sentence == (
        "1 draft raised over 2,011.84 EUR."
    )
    [record] = org.query("SELECT Due_Date__c FROM Stripe_Invoice__c")
    assert record["Due_Date__c"] == DUE.isoformat()


def test_files_elsewhere_are_not_read(
    org: Org, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a path that leads out, nor by a link, nor where nothing is allowed."""
    (folder.parent / "secret.csv").write_text("customer\nGlobex\n")
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    for place in (
        "../secret.csv",
        "link.csv",
        str(folder.parent / "secret.csv"),
        "none.csv",
        ".",
        "x" * 999,
        "a\0b",
    ):
        assert "There is no file" in refused(file=place)
    monkeypatch.delenv("INVOICING_TABLES__FOLDERS")
    settings.cache_clear()
    assert "no folder is allowed" in refused(file="link.csv")


class Killed(Exception):
    """The run is begun again."""


@pytest.fixture
def saved_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file that gets other prices when its run has half written its drafts, and dies."""
    file = folder / "many.csv"
    rows = "".join(f"Globex,Work {number},10\n" for number in range(150))
    file.write_text(f"customer,text,price\n{rows}")
    written = Salesforce.write_graphs
    calls = 0

    def write(self: Salesforce, graphs: Any) -> Any:
        nonlocal calls
        answer = written(self, graphs)
        calls += 1
        if calls == 1:
            file.write_text(file.read_text().replace(",10\n", ",99\n"))
            raise Killed
        return answer

    monkeypatch.setattr(Salesforce, "write_graphs", write)
    return file.name


def begun_again(file: str) -> str:
    """What a run that is begun once more says at its end."""
    again: Callable[..., State[Any]] = bulk_raise.with_options(retries=1)
    return str(again(file=file, options=NET_30, return_state=True).message)


def test_a_file_that_is_saved_while_its_run_is_begun_again(org: Org, saved_again: str) -> None:
    """What was read first counts: a row is raised once, at the price that it had."""
    assert begun_again(saved_again) == "150 drafts raised over 1,500.00 USD."
    assert len(drafts(org)) == 150


def test_a_changed_file_on_another_worker(
    org: Org, saved_again: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read first is lost with the worker; the change is noticed, and nothing doubled."""
    reading = read_table.with_options(cache_policy=NO_CACHE)
    monkeypatch.setattr(import_module("flows.bulk_raise"), "read_table", reading)
    assert "was changed since this run began" in begun_again(saved_again)
    assert {amounts[0] for _, _, amounts in drafts(org)} == {10}


def test_a_whole_export_costs_few_calls(org: Org, salesforce_sandbox: Sandbox, vat: None) -> None:
    """Rates are asked for once for all rows."""
    head, row = xero(total="120.00", amount="20.00").splitlines()
    rows = [row.replace("INV-0001", f"INV-{number:04}") for number in range(100)]
    salesforce_sandbox.admin("DELETE", "requests")
    assert raised("\n".join([head, *rows])).raised == 100
    assert salesforce_sandbox.admin("GET", "requests")["count"] < 20


@pytest.mark.parametrize("name", ["invoices.csv", "invoices.xlsx"])
def test_the_template_as_it_is_given_away(
    org: Org, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Whoever fills it in begins with something that can be raised."""
    monkeypatch.setenv("INVOICING_TABLES__FOLDERS", str(ROOT / "docs" / "templates"))
    settings.cache_clear()
    assert raised(file=name, options=Options()).raised == 2
    assert drafts(org) == [
        ("Acme Corporation", "USD", [450, 199.9]),
        ("Globex", "USD", [100]),
    ]
    assert read_template("invoices.csv") == read_template("invoices.xlsx")


def read_template(name: str) -> list[str]:
    """The titles of a template."""
    raw = (ROOT / "docs" / "templates" / name).read_bytes()
    return list(read_file(raw, TableLayout()).titles)
