"""The weather of the accounts: how their rate-limit windows stand, and the operator's word against a belief."""

from __future__ import annotations

from collections.abc import Callable

from engine.errors import NotFoundError
from engine.store import Store, windows
from engine.window import WindowState


class Weather:
    """What the engine knows of windows. `wake` tells the dispatcher to look again."""

    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    async def windows(self) -> list[WindowState]:
        """The windows of all accounts, as they are believed to stand."""
        return await self._store.look(windows.states)

    async def try_now(self, account: str) -> list[WindowState]:
        """Wait no longer for the closed windows of an account: one job goes first, and finds out.

        Returns the account's windows as they stand then. Raises `NotFoundError` where none of it is closed.
        """
        if not await self._store.write(lambda tx: windows.end_now(tx, account)):
            raise NotFoundError(f"no window of {account} is closed; `headway limits` lists them")
        self._wake()
        return [one for one in await self.windows() if one.account == account]
