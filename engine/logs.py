"""The engine's own log: what a line looks like, which attempt it is about, and how the file is kept small."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from engine.plain import plain

FILE_BYTES = 10 << 20  #: of a log file before the next one is begun
FILES_KEPT = 5  #: older ones beside it

_WHEN = "%Y-%m-%dT%H:%M:%S"


class Form(StrEnum):
    """How a line is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class About:
    """The attempt that a task looks after."""

    job: int
    attempt: int
    """Its number in the job."""


#: Set where a task begins that looks after one attempt: each line that it logs then says so.
about: ContextVar[About | None] = ContextVar("about", default=None)


class Json(logging.Formatter):
    """One object a line: `at` (RFC 3339, UTC), `level`, `room`, `message`, and `job`, `attempt`, `trace` if any."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "room": record.name,
            "message": plain(record.getMessage()),
        }
        if (who := about.get()) is not None:
            line |= {"job": who.job, "attempt": who.attempt}
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            line["trace"] = plain(record.exc_text)
        return msgspec.json.encode(line).decode()


class Text(logging.Formatter):
    """A line for people; `J12.2` before the message is attempt 2 of job 12."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(about)s%(message)s", _WHEN)

    def format(self, record: logging.LogRecord) -> str:
        who = about.get()
        record.about = f"J{who.job}.{who.attempt} " if who is not None else ""
        return plain(super().format(record)).replace("\n", "\n    ")  # what is quoted can begin no line of the log


def set_up(form: Form, file: Path | None = None) -> None:
    """Log to standard error, or to a file that is begun anew when it is full.

    Raises `OSError` where the file cannot be written.
    """
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if file is not None:
        file.touch(mode=0o600, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            file, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", errors="backslashreplace"
        )
    handler.setFormatter(Json() if form is Form.JSON else Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def make_room(file: Path) -> None:
    """Put a full log aside before somebody opens it to append to it."""
    try:
        if file.stat().st_size < FILE_BYTES:
            return
        for number in range(FILES_KEPT, 0, -1):
            older = file.with_name(f"{file.name}.{number - 1}") if number > 1 else file
            if older.exists():
                older.replace(file.with_name(f"{file.name}.{number}"))
    except OSError:
        return  # a log that cannot be put aside still takes lines
