"""What a player remembers of a conversation between runs: where it was held, and what it weighs."""
# pathlib would cost half the start:
# ruff: noqa: PTH103, PTH105, PTH118

from __future__ import annotations

import fcntl
import os

from engine.rehearsal.players.files import read_file, write_file
from engine.rehearsal.players.wire import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from engine.rehearsal.players.wire import Json


class Memory:
    """The conversations of one agent, a file each. Without a place to keep them every one is lost at once."""

    def __init__(self, sessions: str | None, agent: str) -> None:
        self.folder = os.path.join(sessions, agent) if sessions else None
        self.lock = -1

    def recall(self, session: str) -> Json | None:
        text = read_file(os.path.join(self.folder, f"{session}.json")) if self.folder else None
        return None if text is None else loads(text)

    def keep(self, session: str, facts: Json) -> None:
        """The newest facts replace the older ones at once: a kill leaves one of them whole."""
        if self.folder:
            path = os.path.join(self.folder, f"{session}.json")
            write_file(f"{path}.new", dumps(facts).decode())
            os.replace(f"{path}.new", path)

    def held_elsewhere(self, session: str) -> bool:
        """Whether another run is in this conversation; if not, none may come in until this one has ended."""
        if self.folder is None:
            return False
        os.makedirs(self.folder, exist_ok=True)
        path = os.path.join(self.folder, f"{session}.lock")
        self.lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
