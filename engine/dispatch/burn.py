"""How fast the windows of an account are used up, and when they will be at this rate. Pure.

The rate is what was used since a time within the last hour, over the whole of that time: an account that rests burns
slower. Two readings of one period of the window are enough, and one alone tells nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.model.forecast import Burn

HOUR_MS = 3_600_000
SPAN_MS = HOUR_MS  #: the rate is taken over so long at most
LEAST_MS = 60_000  #: and over so long at the least: two answers of one moment are no rate
FOREVER_MS = 365 * 24 * HOUR_MS  #: what is not used up within a year at this rate is as good as not used
SAME_MS = 120_000  #: resets that are told within so much of each other are of one period


@dataclass(frozen=True, slots=True)
class Reading:
    """A share that was told of a window. Times are milliseconds UTC."""

    account: str
    window: str
    at: int
    used: float
    resets_at: int | None = None


def burns(readings: Iterable[Reading], now: int) -> list[Burn]:
    """One for each window of which there is a reading, by account and window. `readings`: in any order."""
    found: dict[tuple[str, str], list[Reading]] = {}
    for one in readings:
        if one.at <= now:
            found.setdefault((one.account, one.window), []).append(one)
    return [_burn(sorted(found[key], key=lambda one: one.at), now) for key in sorted(found)]


def _burn(readings: Sequence[Reading], now: int) -> Burn:
    last = readings[-1]
    known = {"account": last.account, "window": last.window, "seen_at": last.at, "resets_at": last.resets_at}
    if last.resets_at is not None and last.resets_at <= now:
        return Burn(used=0.0, why="a new period has begun, of which nothing was read yet", **known)  # type: ignore[arg-type]
    period = _period(readings)
    begun = next((one for one in period if one.at >= now - SPAN_MS), last)
    before = [one for one in period if one.at < now - SPAN_MS]
    if before:
        # What stood at the beginning of the last hour is what was read last before it.
        begun = Reading(last.account, last.window, now - SPAN_MS, before[-1].used, last.resets_at)
    if now - begun.at < LEAST_MS or len(period) < 2:
        return Burn(used=last.used, why="one reading alone is no rate", **known)  # type: ignore[arg-type]
    rate = max(0.0, last.used - begun.used) / (now - begun.at)
    wall, why = _wall(last, rate, now)
    return Burn(used=last.used, rate=rate * HOUR_MS, since=begun.at, wall=wall, why=why, **known)  # type: ignore[arg-type]


def _period(readings: Sequence[Reading]) -> list[Reading]:
    """The newest readings that are of one period: with one reset, and a share that does not fall."""
    found = [readings[-1]]
    for one in reversed(readings[:-1]):
        other = found[-1]
        moved = one.resets_at is not None and other.resets_at is not None
        if moved and abs((one.resets_at or 0) - (other.resets_at or 0)) > SAME_MS:
            break
        if one.used > other.used:
            break
        found.append(one)
    return found[::-1]


def _wall(last: Reading, rate: float, now: int) -> tuple[int | None, str]:
    if last.used >= 1:
        return now, "it is used up"
    if rate * FOREVER_MS < 1 - last.used:
        return None, "nothing of it was used in this time"
    wall = now + round((1 - last.used) / rate)
    if last.resets_at is not None and wall >= last.resets_at:
        return None, "it begins anew before that"
    return wall, ""
