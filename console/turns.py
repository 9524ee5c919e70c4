"""One key after the other: what a key asked of the engine is done, or has asked back, before the next one is looked at.

Over a slow line keys come in bursts. `x` and `y` in one packet mean "cancel" and "yes": without turns the `y` would be
dealt with while the engine is still being asked what a cancel would do, as the key that copies an id.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from textual.events import Key

#: Seconds that keys wait for what one of them began: an engine that does not answer must not lock the keyboard.
PATIENCE = 3.0


class Turns:
    """Keeps keys back while one is being dealt with. `deliver` takes the next; `asking`: a question needs the keys."""

    def __init__(self, deliver: Callable[[Key], object], asking: Callable[[], bool]) -> None:
        self._deliver = deliver
        self._asking = asking
        self._waiting: deque[Key] = deque()
        self._passing = False
        self._working = 0
        self._late: asyncio.TimerHandle | None = None

    def take(self, key: Key) -> bool:
        """Whether a key may be dealt with now, until `passed`. Else it waits here."""
        if self._busy or self._waiting:
            self._waiting.append(key)
            if self._late is None:
                self._late = asyncio.get_running_loop().call_later(PATIENCE, self._give_up)
            return False
        self._passing = True
        return True

    def passed(self) -> None:
        """Every widget has seen the key."""
        self._passing = False
        self.go_on()

    async def during(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something that belongs to a key. Count it with `begin` before it is scheduled."""
        try:
            await call()
        finally:
            self._working = max(0, self._working - 1)
            self.go_on()

    def begin(self) -> None:
        self._working += 1

    def go_on(self) -> None:
        """Look at the next key, if it is its turn."""
        if self._waiting and not self._busy:
            key = self._waiting.popleft()
            self._passing = True
            self._deliver(key)
        if not self._waiting and self._late is not None:
            self._late.cancel()
            self._late = None

    @property
    def _busy(self) -> bool:
        return self._passing or (self._working > 0 and not self._asking())

    def _give_up(self) -> None:
        self._late = None
        self._passing, self._working = False, 0
        while self._waiting:
            self._deliver(self._waiting.popleft())
