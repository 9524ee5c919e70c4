"""What a stand-in engine answers to the console's lists: values that a test lays there, and what was asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from engine.model import Breaker
from engine.model.forecast import Forecast, Through
from engine.window import WindowState
from tests.console.moment import NOW


@dataclass
class Books:
    """The values, by family."""

    windows: list[WindowState] = field(default_factory=list)
    breakers: list[Breaker] = field(default_factory=list)
    forecast: Forecast = field(default_factory=lambda: Forecast(now=NOW, through=Through(jobs=0)))
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    """What was done, in its order."""


class Answering:
    """The calls of `console.doors.Doors`."""

    books: Books

    def _answer(self) -> None:
        raise NotImplementedError

    async def limits(self) -> list[WindowState]:
        self._answer()
        return self.books.windows

    async def try_now(self, account: str) -> list[WindowState]:
        self._answer()
        self.books.asked.append(("try", account))
        return [one for one in self.books.windows if one.account == account]

    async def breakers(self) -> list[Breaker]:
        self._answer()
        return self.books.breakers

    async def forecast(self) -> Forecast:
        self._answer()
        return self.books.forecast
