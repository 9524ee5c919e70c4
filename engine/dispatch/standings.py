"""How targets stand at a moment: windows, breakers, holds, cost and record. Read once for a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from engine.dispatch import breaker, windows
from engine.dispatch.routebook import Route, Routebook, Station
from engine.dispatch.snapshot import Configured
from engine.model import Breaker, Failure, Target
from engine.model.route import CAUSES, Expected, RouteCause, Standing, WindowState
from engine.store import claims, moves, sessions
from engine.store import windows as kept
from engine.store.moves import Experience
from engine.store.writer import Transaction
from engine.window import Standing as Belief
from engine.window import Window


def scopes_of(target: Target) -> tuple[str, ...]:
    """What an attempt on a target counts in, but for what its job adds."""
    return f"agent:{target.agent}", f"account:{target.paid_by}", f"target:{target}"


@dataclass(slots=True)
class Facts:
    """What is known of all targets at a moment; read once for a transaction."""

    tx: Transaction
    book: Routebook
    breakers: Mapping[str, Breaker]
    holds: Mapping[str, str]
    windows: Mapping[str, Sequence[Window]]
    caps: Mapping[str, int]
    known: Mapping[str, Experience] | None = None
    spans: dict[tuple[str, str | None], int | None] = field(default_factory=dict)

    @classmethod
    def read(cls, tx: Transaction, book: Routebook) -> Facts:
        caps = {**Configured.of(book.settings).caps, **claims.caps(tx)}
        return cls(tx, book, claims.breakers(tx), claims.holds(tx), kept.all_of(tx), caps)

    def experience(self, target: Target) -> Experience:
        return self.seen().get(str(target), Experience())

    def seen(self) -> Mapping[str, Experience]:
        """The targets that were used of late, the last one first."""
        if self.known is None:
            self.known = moves.experience(self.tx)
        return self.known

    def holding(self, station: Station) -> int | None:
        """Tokens that a target's window holds, as far as that is known."""
        if station.context is not None:
            return station.context
        key = (station.target.agent, station.target.model)
        if key not in self.spans:
            self.spans[key] = sessions.window_of(self.tx, *key)
        return self.spans[key]

    def expected(self, station: Station, kind: str | None) -> Expected | None:
        if station.cost is not None:
            return Expected(station.cost)
        return self.experience(station.target).expected(kind)

    def closed(self, target: Target) -> tuple[str, int | None, RouteCause | None]:
        """Why nothing may start on a target now, until when, and which cause that is; empty where something may.

        The operator's hold or cap is no cause: what he stops is to wait. One on everything tells no targets apart.
        """
        now = self.tx.now
        for scope in scopes_of(target):
            if scope in self.holds:
                return f"{scope} is held by {self.holds[scope]}", None, None
            if self.caps.get(scope) == 0:
                return f"the cap of {scope} is 0", None, None
        shut = [one for one in self._windows(target) if windows.is_closed(one, now)]
        if shut:
            last = max(shut, key=lambda one: one.until or 0)  # of several the latest end counts
            text = f"the {last.title} window of {target.paid_by} is closed until {_utc(last.until or 0)}"
            return text, last.until, RouteCause.LIMIT
        one = self.breakers.get(str(target))
        if one is not None and breaker.limit(one, now) == 0:
            cause = CAUSES.get(one.failure or Failure.UNKNOWN, RouteCause.OVERLOAD)
            return f"{target} is paused until {_utc(one.until or 0)}", one.until, cause
        return "", None, None

    def _windows(self, target: Target) -> list[Window]:
        return [one for one in self.windows.get(target.paid_by, ()) if windows.applies(one, target.model)]

    def window(self, target: Target) -> tuple[WindowState, float | None]:
        """How the windows of a target stand, and how full the fullest is."""
        now, found = self.tx.now, self._windows(target)
        shares = [share for one in found if (share := windows.used(one, now)) is not None]
        stand = {windows.standing(one, now) for one in found}
        worst = next((one for one in (Belief.CLOSED, Belief.WARNING, Belief.OPEN) if one in stand), Belief.UNKNOWN)
        return WindowState(worst), max(shares, default=None)

    def breaker(self, target: Target) -> str:
        one = self.breakers.get(str(target))
        allowed = breaker.limit(one, self.tx.now) if one is not None else None
        if one is None or allowed is None:
            return ""
        if allowed == 0:
            return f"paused after {str(one.failure).replace('_', ' ')}"
        return "one attempt goes first" if allowed == 1 else f"at most {allowed} at once"

    def standing(self, station: Station, route: Route | None = None, sort: str | None = None) -> Standing:
        """How a target stands for jobs of a kind."""
        target = station.target
        closed, until, _ = self.closed(target)
        window, used = self.window(target)
        home = self.expected(route.stations[0], sort) if route is not None else None
        here = self.expected(station, sort)
        return Standing(
            target=str(target),
            window=window,
            used=used,
            closed=closed,
            until=until,
            breaker=self.breaker(target),
            expected=here,
            added=max(0, here.micros - home.micros) if here is not None and home is not None else None,
            record=self.experience(target).record(sort),
        )


def _utc(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
