"""What the console's lists ask of an engine, family by family, as a protocol: see `console.client`."""

from __future__ import annotations

from typing import Protocol

from engine.model import Breaker
from engine.model.forecast import Forecast
from engine.window import WindowState


class Doors(Protocol):
    """The engine's calls as the client has them, `engine.server.calls`."""

    async def limits(self) -> list[WindowState]: ...

    async def try_now(self, account: str) -> list[WindowState]: ...

    async def breakers(self) -> list[Breaker]: ...

    async def forecast(self) -> Forecast: ...
