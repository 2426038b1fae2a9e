"""What a person says of a table: which column means what, and how it is written."""

from typing import Literal

from pydantic import Field

from invoicing.domain.forms.parameters import FieldGroup
from invoicing.domain.forms.table_text import Encoding, Separator, plain_title
from invoicing.domain.forms.table_values import DateOrder, DecimalMark

Means = Literal[
    "ignore",
    "invoice",
    "account",
    "description",
    "due_date",
    "payment_terms",
    "currency",
    "po_number",
    "footer",
    "send_on",
    "product",
    "text",
    "quantity",
    "unit_price",
    "discount_percent",
    "discount_amount",
    "tax_rate",
    "tax_amount",
    "line_total",
    "line_total_with_tax",
    "invoice_discount_percent",
    "invoice_discount_amount",
    "invoice_subtotal",
    "invoice_tax",
    "invoice_total",
    "amount_due",
]


class ColumnChoice(FieldGroup):
    """What one column of a table means."""

    title: str = Field(
        title="Title", description="As the table has it.", examples=["Reference"], min_length=1
    )
    means: Means = Field(
        title="Means", description="Our column, or ignore. A column of money is never ignored."
    )
    decimal_mark: DecimalMark = Field(
        "", title="Decimal mark", description="Of this column, where it is not that of all."
    )
    date_order: DateOrder = Field(
        "", title="Order of dates", description="Of this column, where it is not that of all."
    )


class TableLayout(FieldGroup, title="How the table is read"):
    """How a table is to be read; what stays empty is found out from the table itself."""

    name: str = Field(
        "",
        title="Name",
        description="With choices below: remembers them under this name. Alone: uses what was "
        "remembered.",
        examples=["Our ERP"],
        max_length=100,
    )
    columns: list[ColumnChoice] = Field(
        [], title="Columns", description="What titles mean that are not understood, or wrongly."
    )
    ignore_others: bool = Field(
        False,
        title="Ignore other columns",
        description="Columns that are not understood are ignored, unless they hold amounts.",
    )
    decimal_mark: DecimalMark = Field(
        "", title="Decimal mark", description="How decimals are written: 1234.50 or 1234,50."
    )
    date_order: DateOrder = Field(
        "",
        title="Order of dates",
        description="Whether 08/12/2026 is in December or in August, and 26/12/08 in 2026.",
    )
    separator: Separator = Field(
        "", title="Separator", description="What parts the columns of a CSV."
    )
    encoding: Encoding = Field("", title="Encoding", description="How letters of a file are kept.")
    sheet: str = Field("", title="Sheet", description="The sheet of a workbook that has several.")

    def choice(self, title: str) -> ColumnChoice | None:
        """What is said of a column."""
        plain = plain_title(title)
        return next((one for one in self.columns if plain_title(one.title) == plain), None)

    @property
    def chooses(self) -> bool:
        """Whether it says anything but a name."""
        return self.model_copy(update={"name": ""}) != TableLayout()

    def over(self, remembered: "TableLayout") -> "TableLayout":
        """These choices, and for what they leave open the remembered ones."""
        rest = [one for one in remembered.columns if not self.choice(one.title)]
        given = {name: value for name, value in self if value}
        return remembered.model_copy(update=given | {"columns": self.columns + rest})
