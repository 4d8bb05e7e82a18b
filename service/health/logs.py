"""Lines of the service's log: one an event, with the request or job that it is about.

Log lines leave the hospital's control more easily than its database: they are shipped, indexed
and mailed. So a traceback says which error it was and where, but not what the error says: a
table that does not fit, or a row that a database refuses, is quoted there with its values.
"""

import logging
import sqlite3
from traceback import StackSummary, walk_tb
from types import TracebackType
from typing import Any, Final, Literal

from pythonjsonlogger.json import JsonFormatter

from service.protocol.context import current

#: What is always worth reading; of other packages only warnings are.
OURS: Final = ("evaluation", "training", "service", "uvicorn.error")

#: Characters that would begin another line, or move the cursor of whoever reads it.
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(10, 32), 127)}

Raised = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)


def configure(form: Literal["text", "json"]) -> None:
    """Write all logs of this process to standard error, in one form.

    Args:
        form: ``text`` for people, or ``json`` for one object a line.
    """
    handler = logging.StreamHandler()
    handler.addFilter(_in_context)
    handler.setFormatter(_Json() if form == "json" else _Text())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    # The job store writes lines of its own unless it finds that somebody else does.
    jobs = logging.getLogger("dbos")
    jobs.handlers, jobs.propagate = [logging.NullHandler()], True


def _in_context(record: logging.LogRecord) -> bool:
    context = current()
    record.request_id = context.request_id or None
    record.trace_id = context.trace_id or None
    record.job = context.job or None
    return True


def said_of(error: BaseException) -> str:
    """Which error it is, and what it says if that cannot be about a patient.

    >>> said_of(KeyError("Jane Doe")), said_of(OSError(28, "No space left", "/a/Jane Doe"))
    ('KeyError', 'OSError: No space left')
    """
    name = type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    if isinstance(error, sqlite3.OperationalError):
        return f"{name}: {error}"
    return name


def _traceback(raised: Raised) -> str:
    """Where an error came from, and those that led to it; without what they say."""
    lines: list[str] = []
    error, seen = raised[1], set[int]()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        stack = StackSummary.extract(walk_tb(error.__traceback__), lookup_lines=False)
        frames = [f"  {each.filename}:{each.lineno} in {each.name}" for each in stack]
        lines = [*lines, *(["after"] if lines else []), said_of(error), *frames]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n".join(lines)


class _Text(logging.Formatter):
    """Lines for people. Only tracebacks go over several."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        names = {"request": "request_id", "trace": "trace_id", "job": "job"}
        about = [
            f" {n}={value}" for n, a in names.items() if (value := getattr(record, a, None))
        ]
        return super().formatMessage(record).strip().translate(_CONTROL) + "".join(about)

    def formatException(self, ei: Any) -> str:
        return _traceback(ei)


class _Json(JsonFormatter):
    """An object a line."""

    def __init__(self) -> None:
        fields = ["levelname", "name", "message", "request_id", "trace_id", "job"]
        renamed = {"levelname": "level", "name": "logger", "exc_info": "error"}
        super().__init__(fields, rename_fields=renamed, timestamp="time")

    def formatException(self, ei: Any) -> str:
        return _traceback(ei)
