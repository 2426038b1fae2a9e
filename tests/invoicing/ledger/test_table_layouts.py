"""Layouts of tables are remembered under a name, in both databases."""

from invoicing.ledger import table_layouts


def test_a_layout_under_its_name(ledger_url: str) -> None:
    """Whatever the name's case; the last one counts."""
    assert table_layouts.find("ours") is None
    table_layouts.remember("Ours", "first")
    table_layouts.remember("OURS", "second")
    table_layouts.remember("Weiß", "other")
    assert table_layouts.find("ours") == "second"
    assert table_layouts.find("Weiss") is None
    assert table_layouts.names() == ["Ours", "Weiß"]
