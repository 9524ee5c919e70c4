"""What providers do to a simulated fleet, and what the engine hears of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.dispatch.order import Lineup
from engine.simulation.control import Control
from engine.simulation.moments import Moments
from engine.simulation.parts import Account, Attempt
from engine.simulation.shifts import Shifts
from engine.simulation.supply import Answer, Meter
from engine.window import Reading, Standing

SOURCE = "the simulation"
MOST_TOLD = 0.99  #: of a window that still serves: it is closed by what comes after


@dataclass(slots=True)
class Weather:
    """Of all accounts. `ask_again` lets an attempt put its next call to its provider at a moment."""

    moments: Moments
    control: Control
    lineup: Lineup
    shifts: Shifts
    ask_again: Callable[[Attempt, int], None]

    @property
    def now(self) -> int:
        return self.control.world.now

    def begin(self, account: Account) -> None:
        """Put what is known beforehand of an account into the heap."""
        for one in account.supply.meters:
            self.moments.at(one.ends, self._rolls, (account, one))
        for outage in account.supply.outages:
            self.moments.at(outage.start, self._looks, account)
            self.moments.at(outage.stop, self._looks, account)

    def plan(self, account: Account) -> None:
        """See to it that an account is looked at when the next percent of a window is used."""
        now = self.now
        at = account.supply.next_percent(now)
        if at is not None and (account.look_at <= now or at < account.look_at):
            account.look_at = at
            self.moments.at(at, self._looks, account)

    def _looks(self, account: Account) -> None:
        now, supply = self.now, account.supply
        supply.advance(now)
        if supply.answer(now) is not Answer.SERVED:
            self._interrupt(account)
        elif supply.working:
            self.hear(account)
        self.plan(account)

    def _interrupt(self, account: Account) -> None:
        """It serves no more: what works there learns so by its next call."""
        now = self.now
        for attempt in account.running:
            if attempt.since is not None:
                asks = attempt.since + -(-(now - attempt.since) // account.supply.call_ms) * account.supply.call_ms
                if asks < attempt.ends:
                    self.ask_again(attempt, asks)

    def _rolls(self, what: tuple[Account, Meter]) -> None:
        """A window gives way to the next one."""
        account, one = what
        account.supply.advance(self.now)
        self.moments.at(one.ends, self._rolls, what)
        self.plan(account)
        # What was known of it is of a time that is over: it keeps nothing from starting any more.
        self._reopens(account)

    def hear(self, account: Account) -> None:
        """The answer to a call tells of the windows."""
        news = False
        for one in account.supply.meters:
            if one.told:
                reading = Reading(
                    window=one.name,
                    standing=Standing.CLOSED if one.closed else Standing.OPEN,
                    at=self.now,
                    source=SOURCE,
                    used=1.0 if one.closed else min(MOST_TOLD, one.share),
                    resets_at=one.ends,
                    length=one.every,
                    asked=account.target.model or "",
                )
                news = self.control.observe(account, reading) or news
        if news:
            self.expect(account)
            self.moments.wake()

    def expect(self, account: Account) -> None:
        """Wake the dispatcher when a window or a breaker lets more start."""
        now = self.now
        times = self.control.times(account)
        at = min((one for one in times if one > now), default=None)
        self.shifts.touch(account)
        if at is not None and (account.opens_at <= now or at < account.opens_at):
            account.opens_at = at
            self.moments.at(at, self._opens, account)

    def _opens(self, account: Account) -> None:
        self._reopens(account)
        self.expect(account)

    def _reopens(self, account: Account) -> None:
        self.lineup.reopen(f"account:{account.target.paid_by}")
        self.lineup.reopen(f"target:{account.target}")
        self.moments.wake()
