"""A file that a person names: opened once, read within bounds, and text."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.documents.door import SIZE_LIMIT
from engine.documents.mistakes import DocumentError, Mistake
from engine.errors import UsageError


def text_of(path: Path, most: int = SIZE_LIMIT) -> str:
    """The text of a file of at most so many bytes; a pipe or a device is read as far as that.

    Raises `UsageError` where it cannot be read or is larger, `DocumentError` with the line for what is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError:  # a NUL in its name
        raise UsageError(f"{path} cannot be read: no file has such a name") from None
    return _text(data, str(path), most)


def read_input(most: int = SIZE_LIMIT) -> str:
    """Standard input, likewise."""
    return _text(sys.stdin.buffer.read(most + 1), "standard input", most)


def _text(data: bytes, name: str, most: int) -> str:
    if len(data) > most:
        raise UsageError(f"{name} cannot be read: it is larger than {most >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(name, [Mistake(line, f"byte 0x{data[error.start]:02x} is no UTF-8 text")]) from None
