"""How figures and field names are said to people."""


def counted(number: int, what: str) -> str:
    """A number of things: ``1 line``, ``2 lines``, ``1,000 invoices``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def label(field: str) -> str:
    """A field's API name as people read it."""
    return field.removesuffix("__c").replace("_", " ").lower()
