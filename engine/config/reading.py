"""The settings file: where it is looked for, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from engine.config.complaints import complaints
from engine.config.settings import Settings
from engine.documents import Complaint, DocumentError, Mistake, examine
from engine.errors import UsageError

FILE = "headway.yaml"


def find_settings(home: Path, config_home: Path) -> Path | None:
    """The settings file: in the home, else in `$XDG_CONFIG_HOME/headway/`."""
    for candidate in (home / FILE, config_home / "headway" / FILE):
        if candidate.is_file():
            return candidate
    return None


def load_settings(
    path: Path | None, agents: Collection[str], further: Callable[[Settings], Iterable[Complaint]] = lambda _: ()
) -> Settings:
    """Read the settings, raising `DocumentError` with all that is wrong: file, line, key and the nearest valid word.

    `agents` are the names of the agents that exist; `further` are complaints of those who know more than this room.
    """
    if path is None:
        return Settings()
    reading = examine(read_text(path), str(path), Settings)
    if reading.value is not None:
        reading.complain(complaints(reading.value, sorted(agents)))
        reading.complain(further(reading.value))
    return reading.checked()


def read_text(path: Path) -> str:
    """A file that people write. Raises `UsageError` where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DocumentError(str(path), [Mistake(line, f"byte 0x{data[error.start]:02x} is no UTF-8 text")]) from None
