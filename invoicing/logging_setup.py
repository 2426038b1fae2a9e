"""Lines of a log: one for each record, whatever the names and texts in it hold."""

import logging
import re
import sys

_BREAKING = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""What begins a new line, or moves the cursor of a terminal."""


def on_one_line(record: logging.LogRecord) -> bool:
    """Write line ends and control characters of a record's message as escapes: a filter of logs."""
    record.msg, record.args = escaped(record.getMessage()), None
    return True


def escaped(text: str) -> str:
    """A text in which nothing ends the line."""
    return _BREAKING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def to_standard_error() -> None:
    """Log warnings and errors, each on a line of its own with its time."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(on_one_line)
    format_ = "%(asctime)s %(name)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=format_, handlers=[handler])
