"""What comes of one attempt from its node, as the engine keeps it: the same files as of any other."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.cluster.wire import Have, Heard
from engine.dispatch.nodes import Wish
from engine.runner.run_dir import RunDir


@dataclass(slots=True)
class Stream:
    """One attempt that was given to a node. The output in its run directory is as long as what was taken of it."""

    attempt: int
    job: int
    node: str
    run: RunDir
    wish: Wish
    written: Callable[[], None] = lambda: None
    """Called when its output has grown."""
    measured: Callable[[Heard], None] = lambda heard: None
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Nothing will come any more: it has ended, or it is lost."""
    lost: str | None = None
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    """It is lost."""
    begun: bool = False
    """The node has it: news of it can be asked for."""
    home: bool = False
    """What it did has come: whatever becomes of the node now, it is not lost."""

    @property
    def have(self) -> Have:
        return Have(self.attempt, _size(self.run.stdout), _size(self.run.stderr))

    def take(self, heard: Heard) -> None:
        """Write down what is new. What does not follow what is there is passed over: it is asked for again."""
        if self.over.is_set() or heard.at != self.have:
            return
        for path, data in ((self.run.stdout, heard.stdout), (self.run.stderr, heard.stderr)):
            if data:
                _append(path, data)
        if heard.held is not None:
            self.measured(heard)
        if heard.stdout:
            self.written()
        if not heard.ended:
            return
        if heard.rebooted:
            self.lose(f"the node {self.node} went down while it ran")
            return
        if heard.code is not None:
            (self.run.path / "exit").write_text(f"{heard.code}\n")
        self.over.set()

    def lose(self, why: str) -> None:
        """Nothing more of it will count."""
        if self.lost is None:
            self.lost = why
        self.gone.set()
        self.over.set()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _append(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(fd, left) :]
    finally:
        os.close(fd)
