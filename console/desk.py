"""What every part of the console shares: the way to the engine, ink, keys, and the newest word of the engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from console.beat import Link
from console.client import EngineClient
from console.format import age
from console.keys import Keymap
from console.theme import Ink, ThemeFile, load_themes
from engine.errors import NoEngineError
from engine.model import Progress, Status


def wall_clock() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The other machine, where the engine is one elsewhere."""

    host: str
    home: str
    """As `--home` takes it."""
    argv: Callable[[str], list[str]] | None
    """How a command line for the shell there is run, on this terminal; None where none can be."""


@dataclass
class Desk:
    """One console's shared state. Written by the app and its feed, read by everything."""

    client: EngineClient
    ink: Ink
    host: str
    link: Link = Link.LOCAL
    ascii: bool = False
    keys: Keymap = field(default_factory=Keymap)
    clock: Callable[[], int] = wall_clock
    elsewhere: Elsewhere | None = None
    theme_places: tuple[Path, ...] = ()
    """Where the operator's own themes are."""
    themes: dict[str, ThemeFile] = field(default_factory=load_themes)
    status: Status | None = None
    offline_since: int | None = None
    why_offline: str = ""
    seq: int = 0
    """The newest event that was heard of."""
    progress: dict[int, Progress] = field(default_factory=dict)
    """The newest progress of each running job."""

    def offline_text(self, now: int) -> str:
        """`offline 14s, retrying`, or nothing while the engine answers."""
        if self.offline_since is None:
            return ""
        return f"offline {age(now - self.offline_since)}, retrying"

    def require_engine(self) -> None:
        """Raises `NoEngineError` while the engine does not answer, before anything is sent to it."""
        if self.offline_since is not None:
            raise NoEngineError(
                f"the engine does not answer ({self.offline_text(self.clock())}); nothing was done. "
                "`headway serve` starts one"
            )
