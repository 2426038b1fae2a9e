"""Retryable steps, in packages by the part of an invoice's life that they belong to.

Whatever kind of worker runs them: their results, reports and ledgers are readable by their owner
only, and each line of their logs is one line, whatever the names in it hold.
"""

import os
from logging import getLogger

from invoicing.logging_setup import on_one_line

os.umask(0o077)
for _name in ("prefect.flow_runs", "prefect.task_runs"):
    getLogger(_name).addFilter(on_one_line)
