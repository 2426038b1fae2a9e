"""What an org may have made of our package: other names, typed names, a standard object for it.

Each writes the metadata of such an org, and returns the field mapping that it needs, as TOML.
"""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.orgs.renamed_org import rename

Variant = Callable[[Path, Path], str]

INVOICE, ORDER = "Stripe_Invoice__c", "Order"
AUTO_NUMBER = re.compile(
    r"<displayFormat>[^<]*</displayFormat>(\s*<label>[^<]*</label>\s*)<type>AutoNumber</type>"
)


def _copied(package: Path, org: Path) -> None:
    shutil.copytree(package, org, dirs_exist_ok=True)


def text_names(package: Path, org: Path) -> str:
    """Invoices and lines have names that people type, or none: then their ids are their names."""
    _copied(package, org)
    for path in org.glob("objects/*/*.object-meta.xml"):
        text = path.read_text(encoding="utf-8")
        path.write_text(AUTO_NUMBER.sub(r"\g<1><type>Text</type>", text), encoding="utf-8")
    return ""


def orders(package: Path, org: Path) -> str:
    """Invoices are Orders, which have fields of their own that must be filled."""
    _copied(package, org)
    for folder in (*org.iterdir(),):
        if folder.name not in {"objects", "permissionsets"}:
            shutil.rmtree(folder)
    invoices = org / "objects" / INVOICE
    for path in (*invoices.glob("*.xml"), invoices / "fields/Account__c.field-meta.xml"):
        path.unlink()
    for folder in (*invoices.iterdir(),):
        if folder.name != "fields":
            shutil.rmtree(folder)
    shutil.move(invoices, org / "objects" / ORDER)
    for path in org.rglob("*.xml"):
        text = re.sub(rf"\b{INVOICE}\b", ORDER, path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")
    own = [path.name.partition(".")[0] for path in sorted((org / "objects/Order/fields").iterdir())]
    return "\n".join(
        [
            "[objects.Stripe_Invoice__c]",
            f'name = "{ORDER}"',
            "[objects.Stripe_Invoice__c.fields]",
            'Name = "OrderNumber"',
            'Account__c = "AccountId"',
            *(f'{name} = "{name}"' for name in own),
            "[objects.Stripe_Invoice__c.new]",
            'Status = "Draft"',
            "EffectiveDate = { today = true }",
            "[objects.Stripe_Invoice_Request__c]",
            'name = "Stripe_Invoice_Request__c"',
        ]
    )


renamed: Variant = rename
"""Everything that the package brings is there, each thing under another name."""
