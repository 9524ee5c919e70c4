"""Brings what an attempt uses into the ledger while it runs: one task an attempt, one write at a time.

What came while a write was on its way goes with the next. The entries are the same whenever the same lines are read, so
an engine that adopts the attempt and reads them anew adds nothing twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from engine.agents.base import Parser
from engine.errors import RefusedError
from engine.model import Failure, Target
from engine.money import Entry
from engine.runner.cut import Cut
from engine.spend.budgets import title
from engine.spend.prices import Prices

#: Between two looks at what a parser has counted: messages of a model are seconds apart.
LOOK_SECONDS = 0.25
#: A tool that is at work when a budget is used up gets so long to end: it costs no tokens meanwhile.
TOOL_SECONDS = 600.0
AT_ONCE = 8  #: entries that are priced in the event loop: to ask a thread takes as long


class Purse:
    """One attempt's. `write` brings entries into the ledger, and says which budgets are used up then."""

    def __init__(
        self,
        parser: Parser,
        target: Target,
        prices: Prices,
        write: Callable[[Sequence[Entry]], Awaitable[Sequence[str]]],
    ) -> None:
        self._parser = parser
        self._target = target
        self._prices = prices
        self._write = write
        self._counted = asyncio.Event()
        self._told: dict[str, Entry] = {}
        self._used_up: Sequence[str] = ()
        self._over = asyncio.Event()

    def look(self) -> None:
        """The agent may have told what something used."""
        self._counted.set()

    async def run(self) -> None:
        """Until cancelled, or until the attempt has been settled."""
        with contextlib.suppress(RefusedError):
            while True:
                await self._counted.wait()
                self._counted.clear()
                if fresh := await self._fresh():
                    self._used_up = await self._write(fresh)
                    if self._used_up:
                        self._over.set()
                await asyncio.sleep(LOOK_SECONDS)

    async def over(self, paused: asyncio.Event, still: Callable[[], Awaitable[Sequence[str]]]) -> Cut:
        """Return once a budget of it is used up and it pauses between its messages. `still`: which are so by then."""
        while True:
            await self._over.wait()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TOOL_SECONDS):
                    await paused.wait()
            if scopes := await still():
                verb = "is" if len(scopes) == 1 else "are"
                what = f"{' and '.join(map(title, scopes))} {verb} used up"
                return Cut(Failure.BUDGET_EXCEEDED, what, parks=True)
            self._over.clear()

    async def all(self) -> tuple[Entry, ...]:
        """Everything that was told, with its price."""
        return tuple(await self._with_prices(self._parser.spent))

    async def _fresh(self) -> Sequence[Entry]:
        """What was told since the last look, with its price."""
        new = [one for one in self._parser.freshly_spent() if self._told.get(one.message) != one]
        self._told.update((one.message, one) for one in new)
        return await self._with_prices(new)

    async def _with_prices(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        if not entries:
            return ()
        if len(entries) <= AT_ONCE and self._prices.at_hand(entries):
            return self._prices.priced(entries, self._target)
        return await asyncio.to_thread(self._prices.priced, entries, self._target)
