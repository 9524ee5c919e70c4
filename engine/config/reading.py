"""The settings file: where it is looked for, and how it is read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.config.complaints import complaints
from engine.config.settings import Settings
from engine.documents import line_of, parse
from engine.errors import UsageError

FILE = "headway.yaml"


def find_settings(home: Path, config_home: Path) -> Path | None:
    """The settings file: in the home, else in `$XDG_CONFIG_HOME/headway/`."""
    for candidate in (home / FILE, config_home / "headway" / FILE):
        if candidate.is_file():
            return candidate
    return None


def load_settings(path: Path | None, agents: Iterable[str]) -> Settings:
    """Read the settings, raising `UsageError` with file, line, key and the nearest valid word.

    `agents` are the names of the agents that exist.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    settings = parse(text, str(path), Settings)
    for keys, complaint in complaints(settings, sorted(agents)):
        raise UsageError(f"{path}, line {line_of(text, *keys)}: {'.'.join(keys)}: {complaint}")
    return settings
