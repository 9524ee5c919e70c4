"""What version of an agent is installed. Asked once for each build of its program."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from engine.config import BASE_ENVIRONMENT
from engine.runner import spawn

logger = logging.getLogger(__name__)

ANSWER_SECONDS = 30.0  #: the slowest agent takes four on an idle machine
_VERSION = re.compile(rb"\d+\.\d+[\w.+-]*")


class Versions:
    """Remembers answers for as long as the program is the same file."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], str | None] = {}

    async def of(self, command: Sequence[str] | None) -> str | None:
        """The first version in what a command prints; None where there is none, or it cannot be asked."""
        if not command or (key := _build(command)) is None:
            return None
        if key not in self._known:
            self._known[key] = await _ask(command)
        return self._known[key]


def _build(command: Sequence[str]) -> tuple[str, ...] | None:
    found = shutil.which(command[0])
    if found is None:
        return None
    try:
        stat = Path(found).stat()
    except OSError:
        return None
    return (*command, str(Path(found).resolve()), str(stat.st_mtime_ns), str(stat.st_size))


async def _ask(command: Sequence[str]) -> str | None:
    env = {name: os.environ[name] for name in BASE_ENVIRONMENT if name in os.environ}
    try:
        done = await spawn.run(command, env, within=ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        logger.warning("%s does not tell its version: %s", command[0], error or "no answer")
        return None
    found = _VERSION.search(done.stdout)
    return found[0].decode() if found and done.code == 0 else None
