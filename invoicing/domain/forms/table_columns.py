"""What the columns of a table mean: by their titles, by whose export it is, by choice."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from invoicing.domain.forms.table_layout import TableLayout
from invoicing.domain.forms.table_text import Sheet, plain_title
from invoicing.domain.forms.table_values import MARKS, read_number, split_currency, split_title
from invoicing.domain.model.money import CURRENCIES
from invoicing.domain.model.wording import first_of
from invoicing.errors import Rejected

IGNORED = "ignore"
MONEY = "money"
"""Carries money, and nobody said what it means: whatever it holds refuses its row."""
STATE = "state"
"""Says what became of an invoice: what is void, paid or no invoice refuses its row."""

AMOUNTS = frozenset(
    [
        *("unit_price", "discount_amount", "tax_amount", "line_total"),
        *(
            "line_total_with_tax",
            "invoice_discount_amount",
            "invoice_subtotal",
            "invoice_tax",
            "invoice_total",
        ),
        "amount_due",
    ]
)

ALIASES: Mapping[str, Sequence[str]] = {
    "invoice": (
        *("invoice key", "invoice number", "invoice no", "invoice #", "key"),
        *("Rechnungsnummer", "Rechnungsnr", "numéro de facture", "número de factura"),
    ),
    "account": (
        *("account name", "account id", "customer", "customer name", "contact name"),
        *("Kunde", "Kundenname", "client", "client name", "nom du client", "cliente", "klant"),
    ),
    "description": ("memo", "invoice description", "subject"),
    "due_date": (
        *("due", "due on", "due by", "date due", "Fälligkeit", "Fälligkeitsdatum", "fällig am"),
        *("date d'échéance", "échéance", "fecha de vencimiento", "vencimiento", "vervaldatum"),
    ),
    "payment_terms": ("terms", "net days"),
    "currency": ("currency code", "currency iso code", "Währung", "devise", "moneda", "valuta"),
    "po_number": ("po", "purchase order", "purchase order number"),
    "footer": (),
    "send_on": ("sending date", "send date"),
    "product": ("product name", "product code", "product id", "sku", "item name", "item code"),
    "text": (
        *("line text", "line description", "free text", "item description"),
        *("Bezeichnung", "désignation", "concepto", "omschrijving"),
    ),
    "quantity": (
        *("qty", "units", "item quantity"),
        *("Menge", "Anzahl", "quantité", "cantidad", "aantal"),
    ),
    "unit_price": (
        *("price", "rate", "unit amount", "sales price", "item price", "item rate"),
        *("Einzelpreis", "Stückpreis", "prix unitaire", "precio unitario", "stukprijs"),
    ),
    "discount_percent": ("discount %", "percent off"),
    "discount_amount": ("amount off",),
    "tax_rate": ("tax code", "tax type", "tax name"),
    "tax_amount": ("item tax amount",),
    "line_total": ("line amount", "item amount", "item total"),
    "line_total_with_tax": (),
    "invoice_discount_percent": (),
    "invoice_discount_amount": (),
    "invoice_subtotal": (),
    "invoice_tax": ("tax total", "total tax"),
    "invoice_total": ("invoice amount",),
    "amount_due": ("balance", "balance due"),
}
"""Other names of the columns, whatever their case, blanks and signs; in other languages those that
can mean one thing only."""

_AMOUNT = ("unit_price", "line_total", "invoice_total")
QUESTIONS: Mapping[str, Sequence[str]] = {
    "net": ("payment_terms", "unit_price", "line_total", "invoice_subtotal"),
    "gross": _AMOUNT,
    "amount": _AMOUNT,
    "sum": _AMOUNT,
    "value": _AMOUNT,
    "total price": _AMOUNT,
    "total amount": ("line_total", "invoice_total"),
    "total": ("line_total", "invoice_total"),
    "subtotal": ("line_total", "invoice_subtotal"),
    "discount": ("discount_percent", "discount_amount", "invoice_discount_percent"),
    "tax": ("tax_rate", "tax_amount"),
    "vat": ("tax_rate", "tax_amount"),
    "gst": ("tax_rate", "tax_amount"),
    "date": ("due_date", "send_on", IGNORED),
    "name": ("account", "product", "text"),
    "item": ("product", "text"),
    "reference": ("po_number", "description", "invoice"),
    "number": ("invoice", "po_number"),
    "notes": ("description", "footer", "text"),
}
"""Titles that can mean several things, and what: a person has to say which."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a program calls its columns.

    Attributes:
        program: Whose export or template it is.
        needs: Titles by which it is recognised.
        columns: What its titles mean, written as the program writes them.
        ignored: What it has besides, without meaning for a draft.
        states: What says whether a row is of an invoice that is to be paid.
    """

    program: str
    needs: Sequence[str]
    columns: Mapping[str, str]
    ignored: Sequence[str] = ()
    states: Sequence[str] = ()

    @property
    def meanings(self) -> dict[str, str]:
        """What its titles mean, by titles that are plain: columns, `STATE` or `IGNORED`."""
        known = {
            **dict.fromkeys(self.ignored, IGNORED),
            **dict.fromkeys(self.states, STATE),
            **self.columns,
        }
        return {plain_title(title): name for title, name in known.items()}


_SALESFORCE = {
    "Account Name": "account",
    "Product Name": "product",
    "Quantity": "quantity",
    "Sales Price": "unit_price",
    "Sales Price Currency": "currency",
    "Total Price Currency": "currency",
    "Discount": "discount_percent",
    "Total Price": "line_total",
    "Line Description": "text",
    "Amount": "invoice_subtotal",
    "Amount Currency": "currency",
}
_SALESFORCE_IGNORED = (
    *(
        "Product Code",
        "List Price",
        "List Price Currency",
        "Stage",
        "Close Date",
        "Probability (%)",
    ),
    *("Opportunity Owner", "Owner Role", "Account Owner", "Fiscal Period", "Age", "Created Date"),
    *("Type", "Lead Source", "Next Step", "Date", "Month", "Active Product", "Product Family"),
    *("Account ID", "Product ID", "Product Description", "Last Modified Date"),
)

EXPORTS = (
    # https://quickbooks.intuit.com: import invoices in batches
    Export(
        "QuickBooks",
        ("InvoiceNo", "Customer", "ItemAmount"),
        {
            "InvoiceNo": "invoice",
            "Customer": "account",
            "DueDate": "due_date",
            "Memo": "description",
            "Item(Product/Service)": "product",
            "Item": "product",
            "ItemDescription": "text",
            "ItemQuantity": "quantity",
            "ItemRate": "unit_price",
            "ItemAmount": "line_total",
            "ItemTaxCode": "tax_rate",
            "ItemTaxAmount": "tax_amount",
            "Currency": "currency",
        },
        (
            *("InvoiceDate", "Terms", "Location", "Class", "ServiceDate", "ShippingDate"),
            *("ShipVia", "TrackingNo", "BillingAddress", "ShippingAddress", "Email", "EmailTo"),
        ),
    ),
    # Its report Sales by Customer Detail, as published tests of importers have it; the customer
    # stands in each row where it is not grouped. Its balance runs on from row to row.
    Export(
        "QuickBooks",
        ("Num", "Sales Price", "Amount"),
        {
            "Num": "invoice",
            "Customer": "account",
            "Customer full name": "account",
            "Product/Service": "product",
            "Product/Service full name": "product",
            "Memo/Description": "text",
            "Description": "text",
            "Qty": "quantity",
            "Quantity": "quantity",
            "Sales Price": "unit_price",
            "Amount": "line_total",
        },
        ("Date", "Transaction Date", "Create Date", "Balance"),
        ("Transaction Type",),
    ),
    # https://central.xero.com: import invoices using a CSV file. Its discount is in percent. What
    # it exports has totals, and credit notes among the invoices: a published test of a reader,
    # xero-invoices-bills-parser.
    Export(
        "Xero",
        ("ContactName", "InvoiceNumber", "UnitAmount"),
        {
            "ContactName": "account",
            "InvoiceNumber": "invoice",
            "Reference": "description",
            "DueDate": "due_date",
            "Total": "invoice_total",
            "TaxTotal": "invoice_tax",
            "InvoiceAmountDue": "amount_due",
            "InventoryItemCode": "product",
            "Description": "text",
            "Quantity": "quantity",
            "UnitAmount": "unit_price",
            "Discount": "discount_percent",
            "LineAmount": "line_total",
            "TaxType": "tax_rate",
            "TaxAmount": "tax_amount",
            "Currency": "currency",
        },
        (
            *("EmailAddress", "POAddressLine1", "POAddressLine2", "POAddressLine3"),
            *("POAddressLine4", "POCity", "PORegion", "POPostalCode", "POCountry"),
            *("SAAddressLine1", "SAAddressLine2", "SAAddressLine3", "SAAddressLine4", "SACity"),
            *("SARegion", "SAPostalCode", "SACountry", "InvoiceDate", "PlannedDate"),
            *("AccountCode", "TrackingName1", "TrackingOption1", "TrackingName2"),
            *("TrackingOption2", "BrandingTheme", "Sent"),
        ),
        ("Type", "Status"),
    ),
    # Invoice Details, as published tests of importers have it
    Export(
        "FreshBooks",
        ("Client Name", "Invoice #", "Line Subtotal"),
        {
            "Client Name": "account",
            "Invoice #": "invoice",
            "Date Due": "due_date",
            "Item Name": "product",
            "Item Description": "text",
            "Rate": "unit_price",
            "Quantity": "quantity",
            "Discount Percentage": "discount_percent",
            "Line Subtotal": "line_total",
            "Line Total": "line_total_with_tax",
            "Tax 1 Type": "tax_rate",
            "Tax 1 Amount": "tax_amount",
            "Currency": "currency",
        },
        ("Date Issued", "Date Paid"),
        ("Invoice Status",),
    ),
    # https://github.com/invoiceninja/invoiceninja: tests/Feature/Import/zoho_invoices.csv; the
    # export of India has more.
    Export(
        "Zoho",
        ("Invoice Number", "Customer Name", "Item Price"),
        {
            "Invoice Number": "invoice",
            "Customer Name": "account",
            "Due Date": "due_date",
            "PurchaseOrder": "po_number",
            "Currency Code": "currency",
            "Subject": "description",
            "Item Name": "product",
            "Item Desc": "text",
            "Quantity": "quantity",
            "Item Price": "unit_price",
            "Discount": "discount_percent",
            "Discount Amount": "discount_amount",
            "Item Total": "line_total",
            "Entity Discount Percent": "invoice_discount_percent",
            "Entity Discount Amount": "invoice_discount_amount",
            "Item Tax": "tax_rate",
            "Item Tax Amount": "tax_amount",
            "SubTotal": "invoice_subtotal",
            "Total": "invoice_total",
            "Balance": "amount_due",
        },
        (
            *("Invoice Date", "Invoice ID", "Estimate Number", "Company Name", "Issued Date"),
            "Company Registration Number",
            *("Customer ID", "Branch ID", "Branch Name", "Expected Payment Date", "Account"),
            *("Template Name", "Exchange Rate", "Discount Type", "Is Discount Before Tax", "SKU"),
            *("Usage unit", "Expense Reference ID", "Project ID", "Project Name", "Item Type"),
            *("Adjustment Description", "Sales person", "Payment Terms", "Payment Terms Label"),
            *("Last Payment Date", "Notes", "Terms & Conditions", "Item Tax %", "Item Tax Type"),
            *("LateFee Name", "LateFee Type", "LateFee Frequency", "Recurrence Name", "PayPal"),
            *("Authorize.Net", "Google Checkout", "Payflow Pro", "Stripe", "2Checkout"),
            *("Braintree", "Forte", "WorldPay", "Payments Pro", "Square", "WePay", "Razorpay"),
            *("GoCardless", "Partial Payments", "Billing Address", "Billing City"),
            *("Billing State", "Billing Country", "Billing Code", "Billing Fax", "Billing Phone"),
            *("Shipping Address", "Shipping City", "Shipping State", "Shipping Country"),
            *("Shipping Code", "Shipping Fax", "Shipping Phone Number", "HSN/SAC"),
            *("WriteOff Date", "WriteOff Exchange Rate", "Product ID", "Account Code"),
            *("Invoice Type", "Place of Supply", "Place of Supply(With State Code)"),
            *("GST Treatment", "GST Identification Number (GSTIN)", "Supply Type", "Tax ID"),
            *("Item Tax Exemption Reason", "Shipping Bill#", "Shipping Bill Date", "PortCode"),
            *("Reference Invoice#", "Reference Invoice Date", "Reason for issuing Debit Note"),
            *("GST Registration Number(Reference Invoice)", "E-Commerce Operator Name"),
            "E-Commerce Operator GSTIN",
        ),
        ("Invoice Status",),
    ),
    # The invoices that Stripe's dashboard exports, one a row: its subtotal is one line.
    Export(
        "Stripe",
        ("Number", "Customer Name", "Amount Due", "Subtotal"),
        {
            "Number": "invoice",
            "Customer Name": "account",
            "Description": "text",
            "Due Date (UTC)": "due_date",
            "Currency": "currency",
            "Subtotal": "unit_price",
            "Total Discount Amount": "invoice_discount_amount",
            "Tax": "invoice_tax",
            "Total": "invoice_total",
            "Amount Due": "amount_due",
        },
        (
            *("id", "Customer", "Customer Email", "Subscription", "Paid", "Closed"),
            *("Billing", "Charge", "Forgiven", "Date (UTC)", "Paid At (UTC)", "Tax Percent"),
            *("Finalized At (UTC)", "Voided At (UTC)", "Marked Uncollectible At (UTC)"),
            *("Period Start (UTC)", "Period End (UTC)", "Minimum Line Item Period Start (UTC)"),
            *("Maximum Line Item Period End (UTC)", "Applied Coupons", "Created (UTC)"),
        ),
        ("Status",),
    ),
    # Reports of Opportunities with Products: https://help.salesforce.com, standard report types
    Export(
        "Salesforce",
        ("Account Name", "Product Name", "Sales Price", "Opportunity ID"),
        _SALESFORCE | {"Opportunity ID": "invoice", "Opportunity Name": "description"},
        _SALESFORCE_IGNORED,
    ),
    Export(
        "Salesforce",
        ("Account Name", "Product Name", "Sales Price", "Opportunity Name"),
        _SALESFORCE | {"Opportunity Name": "invoice"},
        _SALESFORCE_IGNORED,
    ),
)

COLUMNS: Mapping[str, str] = {
    plain_title(title): name for name, others in ALIASES.items() for title in (name, *others)
}
_ASKED = {plain_title(title): names for title, names in QUESTIONS.items()}

MAX_SHOWN = 10
"""Questions that the error itself asks."""

LIKENESS = 0.75
SHORTEST_WORD = 5
"""How like a known title is to be, and how long one inside of another, for a good guess."""

GROUPED = 3
"""More known titles are a row of titles, though the customer's is not among them."""

KINDS, DATES = ("status", "type"), ("date", "datum")
"""Ends of titles about something else than the titles that they are like."""

KNOWN_TITLES = {*COLUMNS, *_ASKED}.union(*(export.meanings for export in EXPORTS))
"""Titles, plain, by which a table is recognised as one."""

MONEY_TITLES = (
    r"tax(es|able)?|vat|gst|mwst|ust|tva|iva|btw|moms|currency|discounts?|rebates?|rabatt|remise|"
    r"descuento|korting|\w*(steuer|währung|rabatt)\w*|devise|divisa|moneda"
)
"""Words of a title that mean money even beside cells without a digit."""

MONEY_WORD = re.compile(
    rf"\b({MONEY_TITLES}|(sub)?totals?|amounts?|prices?|fees?|charges?|freight|adjustments?|rounding|"
    r"round off|nett?o?|gross|brutto|balance|paid|deposits?|credits?|surcharges?|tips?|sums?|"
    r"montant|prix|importe|precio|bedrag|\w*(betrag|preis|summe))\b"
)

MAY_BE_MONEY = re.compile(
    r"[税額価料]|金额|合計|合计|小計|小计|値引|割引|세|금액|합계|"
    r"shipping|postage|levy|dut(y|ies)|withh|retention|cost(?! ?cent)|expense|paid|payment|premium|"
    r"kosten(?!stelle|träger)|fracht|porto|gebühr|zuschlag|aufschlag|nachlass|skonto|[bg]ezahlt|"
    r"zahlung|pfand|frais|acompte|escompte|gastos|env[ií]o|flete|frete|spese|sconto|impost|impuesto|"
    r"desconto|toeslag|betaald|rabat|podat|kwota|koszt|cena|daň|částka|\badó|áfa|összeg|skatt|avgift|"
    r"belopp|beløp|\bvero|kdv|vergi|tutar|ндс|налог|сумм|цена|стоим|оплат"
)
"""In a title: what may be about money, in other languages or in a wider sense."""

_CODES = "|".join(sorted(CURRENCIES))
SIGN_BESIDE = re.compile(
    rf"^-?(?:[A-Z]{{0,3}}[$€£¥₩₽₺₫₪฿₴₱₹]|{_CODES}|S?Fr|kr|Rs|Rp|RM|R)\.? ?(?=[-\d])|"
    rf" ?(?:[%$€£¥₩₽₺₫₪฿₴₱₹円元원]|{_CODES}|S?Fr|kr|zł|Kč|Ft|lei|лв|грн|руб)\.?$"  # noqa: RUF001
)
"""What stands beside an amount: a sign, a code or a short name of its currency; percent."""

ZERO = re.compile(r"-?0*([.,]0*)?|-", re.ASCII)

NO_MONEY = frozenset(["id", "no", "number", "date", "name", "type", "status", "address", "code"])
"""A title's last words with which it is about no amount: Tax ID, Credit Number."""


def columns_of(sheet: Sheet, layout: TableLayout) -> list[str]:
    """The meaning of each column, with `IGNORED`, `MONEY` and `STATE`.

    What was chosen comes first, then what the recognised export means, then the title itself.

    Raises:
        Rejected: with every column that nobody understands, and how to say what it means.
    """
    export = export_of(sheet.titles)
    known = {**COLUMNS, **(export.meanings if export else {})}
    meanings = [
        _meaning(title, sheet.column(index), known, layout)
        for index, title in enumerate(sheet.titles)
    ]
    names = [name for name, _ in meanings]
    wrong = [question for _, question in meanings if question]
    if "account" not in names and (row := _titles_elsewhere(sheet)):
        raise Rejected(f"The titles seem to be in row {row}: delete the rows above it.")
    wrong += _twice(sheet, names)
    if not wrong and "account" not in names:
        wrong.append(
            "The column 'account' is missing: write each row's customer under this title, also "
            "where a report says it once above its rows."
        )
    if wrong:
        titles = set(map(plain_title, sheet.titles))
        wrong += [
            f"The layout names a column {one.title!r}, which the table does not have."
            for one in layout.columns
            if plain_title(one.title) not in titles
        ]
        advice = (
            "Say under Columns what a title means, or that it is ignored; Ignore other columns "
            f"ignores all that hold no amounts. The columns are: {', '.join(ALIASES)}."
        )
        raise Rejected([*wrong, advice], f"{first_of(wrong, MAX_SHOWN)} {advice}")
    return names


def export_of(titles: Sequence[str]) -> Export | None:
    """Whose export a table is, if it is a known one."""
    there = set(map(plain_title, titles))
    return next((one for one in EXPORTS if there.issuperset(map(plain_title, one.needs))), None)


def _meaning(
    title: str,
    cells: Sequence[str],
    known: Mapping[str, str],
    layout: TableLayout,
) -> tuple[str, str]:
    """A column's meaning, and what has to be asked about it; empty where nothing has.

    Args:
        title: The column's.
        cells: Those of it that are not empty.
        known: What titles mean, by titles that are plain.
        layout: What was chosen.
    """
    plain = plain_title(title)
    if choice := layout.choice(title):
        ignored = choice.means == IGNORED
        return (MONEY if ignored and _carries_money(title, cells) else choice.means), ""
    if plain in known:
        return known[plain], ""
    if not cells:
        return IGNORED, ""
    bare = plain_title(split_title(title)[0])
    if COLUMNS.get(bare) in AMOUNTS:
        return COLUMNS[bare], ""
    called = f"The column {title!r}" if title else f"The column without a title ({cells[0][:40]!r})"
    if asked := _ASKED.get(bare) or _ASKED.get(plain):
        return "", f"{called} can mean {' or '.join(asked)}."
    if _carries_money(title, cells):
        return MONEY, ""
    if layout.ignore_others:
        amount = _amount_in(title, cells)
        if not amount:
            return IGNORED, ""
        return "", f"{called} holds what may be an amount, {amount!r}; it is ignored by name only."
    if not title:
        return "", f"{called} is not understood."
    guess = _guess(plain, cells)
    return "", f"There is no column {title!r}{f'; did you mean {guess!r}?' if guess else '.'}"


def _guess(plain: str, cells: Sequence[str]) -> str:
    """What a column probably means, by titles that are like its own or by what it holds."""
    if plain.endswith(KINDS):
        return ""
    if plain.endswith(DATES) or plain.startswith(DATES):
        return "due_date" if "due" in plain else ""
    near = get_close_matches(plain, COLUMNS, n=1, cutoff=LIKENESS)
    inside = [word for word in COLUMNS if len(word) >= SHORTEST_WORD and word in plain]
    if near or inside:
        return COLUMNS[near[0] if near else max(inside, key=len)]
    return "currency" if all(cell.strip().upper() in CURRENCIES for cell in cells) else ""


def _carries_money(title: str, cells: Sequence[str]) -> bool:
    """Whether a column is about money, by its title or by signs of currencies in its cells."""
    parted = re.sub(r"(?<=[a-zäöü])(?=[A-Z])", " ", title)
    words = re.findall(r"[^\W_]+", f"{title} {parted}".casefold())
    if words and words[-1] not in NO_MONEY and not (len(words) > 1 and words[-1] == "description"):
        found = MONEY_WORD.search(" ".join(words))
        if found:
            return bool(re.fullmatch(MONEY_TITLES, found[0])) or any(
                map(re.compile(r"\d").search, cells)
            )
    return any(split_currency(cell.strip())[1] for cell in cells)


def _amount_in(title: str, cells: Sequence[str]) -> str:
    """A cell of a column of amounts, in whatever language it is called; empty where it is none.

    Amounts have decimals, thousands set apart or a sign beside them; under a title that may mean
    money, whole numbers are amounts too. Nothing but zeros is none.
    """
    first = ""
    for cell in cells:
        bare = SIGN_BESIDE.sub("", cell.strip())
        value = next(filter(None, (read_number(bare, mark) for mark in MARKS.values())), None)
        if value is None and not ZERO.fullmatch(bare):
            return ""
        shown = bare.lstrip("-").isdigit() and bare == cell.strip()
        if value and not first and (not shown or MAY_BE_MONEY.search(title.casefold())):
            first = cell
    return first


def _twice(sheet: Sheet, names: Sequence[str]) -> Iterator[str]:
    for name in sorted({*names} - {"", IGNORED, MONEY, STATE, "currency"}):
        titles = [title for title, meant in zip(sheet.titles, names, strict=True) if meant == name]
        if len(titles) > 1:
            yield f"The column {name!r} is there more than once: {', '.join(map(repr, titles))}."


def _titles_elsewhere(sheet: Sheet) -> int | None:
    """The row in which the titles seem to stand, if it is further down.

    A report that is grouped by customer has none among its titles, but many others.
    """
    for number, cells in sheet.rows[:30]:
        found = {COLUMNS.get(plain_title(cell)) for cell in cells} - {None}
        if len(found) > (1 if "account" in found else GROUPED):
            return number
    return None
