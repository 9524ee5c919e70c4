"""What the engine makes of what it is told, in a simulation: its own decisions, and what it would write of them.

In the engine they are `engine.dispatch.settling` and `engine.store.windows`, which ask the same functions and write.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.config import Settings
from engine.dispatch import breaker, budget, retry, windows
from engine.dispatch.budget import Budget
from engine.dispatch.following import behind, follow, is_booked
from engine.dispatch.order import Lineup
from engine.dispatch.retry import Next
from engine.dispatch.routing import Verdict
from engine.dispatch.world import World
from engine.model import Breaker, Failure
from engine.simulation.parts import Account, Attempt
from engine.window import Reading, Window


@dataclass(slots=True)
class Control:
    """The beliefs of one engine. `logged` is called for each line of the log that they are worth."""

    world: World
    lineup: Lineup
    settings: Settings
    dice: random.Random
    logged: Callable[[], None]
    allowance: Budget = field(init=False)
    windows: dict[str, tuple[Window, ...]] = field(default_factory=dict)
    """By account, as the world has them."""
    breakers: dict[str, Breaker] = field(default_factory=dict)
    booked: defaultdict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    """By account: what was booked ahead of its retry budget, by the hour for which it was wanted."""

    def __post_init__(self) -> None:
        self.allowance = Budget.of(self.settings)
        self.world.windows, self.world.breakers = self.windows, self.breakers

    def observe(self, account: Account, reading: Reading) -> bool:
        """Take a reading of an account's window. Whether something new is known."""
        paid_by, now = account.target.paid_by, self.world.now
        found = self.windows.get(paid_by, ())
        before = next((one for one in found if (one.name, one.model) == (reading.window, reading.model)), None)
        after = windows.observe(before, paid_by, reading, now, self.dice.random())
        if after == before:
            return False
        others = (one for one in found if one is not before)
        self._keep(account, tuple(sorted((*others, after), key=lambda one: one.key)))
        if windows.says_nothing_new(before, after):
            return False
        self.logged()
        return True

    def _keep(self, account: Account, after: tuple[Window, ...]) -> None:
        paid_by, world = account.target.paid_by, self.world
        before = self.windows.get(paid_by, ())
        self.windows[paid_by] = after
        if [(one.until, one.allowed) for one in before] != [(one.until, one.allowed) for one in after]:
            for one in after:
                self._probe(account, one)
        self.lineup.reopen(f"account:{paid_by}")
        assert world.windows is self.windows, "the world looks at the same"

    def _probe(self, account: Account, window: Window) -> None:
        """How many of the attempts that run were begun since the end of a window on its ramp."""
        if window.allowed is None or window.until is None:
            self.world.probes.pop(window.key, None)
            return
        closed = windows.is_closed(window, self.world.now)
        since = [one for one in account.running if one.begun >= window.until]
        self.world.probes[window.key] = 0 if closed else len(since)

    def times(self, account: Account) -> list[int]:
        """When windows and the breaker of an account may let more start."""
        found = [one.until for one in self.windows.get(account.target.paid_by, ()) if one.until is not None]
        known = self.breakers.get(str(account.target))
        return [*found, known.until] if known is not None and known.until is not None else found

    def settle(
        self, attempt: Attempt, failure: Failure | None, turned: Callable[[Failure, int | None], Verdict | None]
    ) -> Next | None:
        """What follows the end of an attempt; None where it went well. `turned` says what its job's route does."""
        account, now = attempt.account, self.world.now
        row, target = attempt.job.row, account.target
        retry_at, limited = attempt.retry_at, False
        provider = account.agent.provider
        if provider and failure is None:
            self._serve(attempt)
        if provider and failure is Failure.RATE_LIMITED:
            retry_at = behind(self._until(attempt), row.waits)
            limited = True
        if provider:
            self._tell_breaker(account, failure)
        if failure is None:
            return None
        verdict = turned(failure, retry_at)
        case = retry.Case(
            failure=failure,
            tries=row.tries,
            waits=row.waits,
            max_attempts=self.settings.max_attempts,
            began=True,
            resumable=account.agent.resumable,
            restorable=True,
            repeatable=False,
            harmless=not account.agent.effects,
            retry_at=retry_at,
        )
        decided = follow(case, verdict, now, 0.0 if limited else self.dice.random(), told=True)
        if provider and is_booked(decided, verdict, limited=limited):
            at = self._book(target.paid_by, decided.at if decided.at is not None else now)
            return Next(decided.action, at, decided.counted, decided.fresh, decided.anew, decided.why)
        return decided

    def _serve(self, attempt: Attempt) -> None:
        """It went well: what is on its ramp lets more go."""
        found = self.windows.get(attempt.account.target.paid_by, ())
        after = tuple(windows.succeeded(one, attempt.begun, self.world.now) for one in found)
        if after != found:
            self._keep(attempt.account, after)
            self.logged()

    def _until(self, attempt: Attempt) -> int:
        """When the window opens that an attempt has met."""
        account, now = attempt.account, self.world.now
        paid_by, model = account.target.paid_by, account.target.model
        until = windows.awaited(self.windows.get(paid_by, ()), model, attempt.begun, now)
        if until is None:
            source = f"{account.target.agent}, an attempt that failed"
            self.observe(account, windows.refused(now, source, attempt.retry_at, model))
            until = windows.closed_until(self.windows[paid_by], model, now)
        assert until is not None, "it was refused just now"
        return until

    def _tell_breaker(self, account: Account, failure: Failure | None) -> None:
        name, now = str(account.target), self.world.now
        known = self.breakers.get(name)
        before = known or Breaker(name)
        after = breaker.after_end(before, failure, now, self.dice.random())
        if after == before:
            return
        if after == Breaker(name):
            self.breakers.pop(name, None)
        else:
            self.breakers[name] = after
        if (after.until, after.allowed) != (before.until, before.allowed):
            self.logged()
            self.lineup.reopen(f"target:{name}")

    def _book(self, paid_by: str, wanted: int) -> int | None:
        """When the account's retry budget lets a job come back."""
        booked, now = self.booked[paid_by], self.world.now
        for hour in [hour for hour, at in booked.items() if at <= now]:
            del booked[hour]
        hour = wanted // budget.HOUR_MS
        before = max((at for other, at in booked.items() if other <= hour), default=0)
        booked[hour], allowed = budget.take(self.allowance, before, wanted)
        return allowed if allowed > now else None
