"""Many threads read answers of a kind that none has read before."""

import subprocess
import sys

from tests.conftest import ROOT

MANY = """
import sys
import threading
from typing import TypedDict

from invoicing.typed_answers import convert

sys.setswitchinterval(1e-6)
for kind in range(400):
    names = [f"field_{n}" for n in range(15)]
    Line = TypedDict("Line", {name: int for name in names})
    Invoice = TypedDict("Invoice", {"line": Line, **{name: Line for name in names}})
    line = dict.fromkeys(names, 1)
    answer = {"line": line, **dict.fromkeys(names, line)}
    begin = threading.Barrier(4)

    def read():
        begin.wait()
        assert convert(answer, Invoice) == answer

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
"""


def test_no_thread_sees_a_shape_half_done() -> None:
    """It would end the run's process. What is tried four hundred times goes wrong within a few."""
    tried = [sys.executable, "-c", MANY]
    subprocess.run(tried, cwd=ROOT, check=True)
