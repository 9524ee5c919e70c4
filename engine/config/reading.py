"""The settings file: where it is looked for, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from engine.config.complaints import complaints
from engine.config.literal import literals
from engine.config.settings import Settings
from engine.documents import Complaint, examine, text_of
from engine.modes import refuse_foreign

FILE = "headway.yaml"
FILE_BYTES = 4 << 20  #: of it; one with a thousand projects has some 200,000


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
    Raises `RefusedError` for a file that others can write.
    """
    if path is None:
        return Settings()
    refuse_foreign(path)
    reading = examine(text_of(path, FILE_BYTES), str(path), Settings)
    reading.complain(literals(reading.tree))
    if reading.value is not None:
        reading.complain(complaints(reading.value, sorted(agents)))
        reading.complain(further(reading.value))
    return reading.checked()
