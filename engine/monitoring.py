"""How the engine is, for those who watch it: whether it is there, whether it takes work, and its figures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from engine.hub import Hub
from engine.model import Breaker, Cap, Readiness, Status
from engine.money import By
from engine.pulse import Pulse
from engine.spend.spending import Spending
from engine.store.store import FILE, Store
from engine.weather import Weather


class Monitoring:
    """One for an engine."""

    def __init__(
        self,
        home: Path,
        store: Store,
        hub: Hub,
        weather: Weather,
        spend: Spending,
        status: Callable[[], Awaitable[Status]],
        caps: Callable[[], Awaitable[Sequence[Cap]]],
        breakers: Callable[[], Awaitable[Sequence[Breaker]]],
        pulse: Pulse,
    ) -> None:
        self._home = home
        self._store = store
        self._hub = hub
        self._weather = weather
        self._spend = spend
        self._status = status
        self._caps = caps
        self._breakers = breakers
        self._pulse = pulse

    async def readiness(self) -> Readiness:
        """Not while it drains. Raises `StorageError` where the database cannot be written."""
        await self._store.write(lambda tx: tx.connection.execute("UPDATE counts SET n = n WHERE name = 'ready'"))
        status = await self._status()
        return Readiness(False, "it drains") if status.draining else Readiness(True)

    async def metrics(self) -> bytes:
        """All figures, in the text format of Prometheus."""
        from engine.metrics import Reading, exposition  # a library that nobody needs who does not ask

        file = self._home / FILE
        sizes = [path.stat().st_size for path in (file, file.with_name(f"{FILE}-wal")) if path.exists()]
        reading = Reading(
            status=await self._status(),
            tally=self._hub.tally,
            windows=await self._weather.windows(),
            breakers=await self._breakers(),
            caps=await self._caps(),
            spent=(await self._spend.report(By.TARGET, "today")).lines,
            database_bytes=sum(sizes),
            subscribers=self._hub.subscribers,
            pulse=self._pulse,
        )
        return exposition(reading)
