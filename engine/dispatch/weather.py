"""What the windows of an account keep from starting, in the words that the operator reads. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from engine.dispatch import pacing, windows
from engine.dispatch.pacing import Mode, Wait
from engine.dispatch.world import World
from engine.model import Cause, Reason
from engine.store.lanes import Lane
from engine.window import Window


def of_lane(lane: Lane, world: World) -> Iterator[Reason]:
    """Why jobs of a lane wait for a window, or are kept from one."""
    found = world.windows_of(lane)
    for window in found:
        limit = windows.limit(window, world.now)
        if limit == 0:
            yield _closed(window, world)
        elif limit is not None and world.probes.get(window.key, 0) >= limit:
            yield _probed(window, limit)
    paced = world.paced(lane)
    if paced is not None:
        running = world.running.get(f"account:{lane.paid_by}", 0)
        kept = pacing.wait(paced, found, lane.model, world.now, running)
        if kept is not None:
            yield _paced(kept, paced)


def _closed(window: Window, world: World) -> Reason:
    seen = window.closed
    assert seen is not None and window.until is not None, "a closed window was seen closed, and ends"
    told = "" if seen.resets_at is not None else ", which tells no end"
    age = span(max(0, world.now - seen.at))
    text = f"{window.account}: {window.title} is used up ({seen.source}, {age} ago{told})"
    ends = "then one attempt goes first"
    if window.closures:
        ends += f"; {window.closures} found it closed so far"
    return Reason(Cause.LIMIT, text, ends, window.until, f"account:{window.account}")


def _probed(window: Window, limit: int) -> Reason:
    going = "one attempt goes" if limit == 1 else f"{limit} attempts go"
    text = f"{window.account}: {window.title} should serve again, and {going} first"
    return Reason(Cause.LIMIT, text, "more may start once it is answered", scope=f"account:{window.account}")


def _paced(kept: Wait, how: pacing.Pacing) -> Reason:
    window, share = kept.window, f"{kept.used:.0%}"
    text = f"{window.account}: {share} of {window.title} is used"
    if how.mode is Mode.RESERVE:
        text += f", and {how.reserve:.0%} is kept for work more urgent than priority {how.background}"
    else:
        text += f" where {kept.line:.0%} of its time is over (even pacing)"
    other = f"`headway priority {how.background - 1}` ends it" if how.background else "`pacing: off` ends it"
    if kept.until is None:
        return Reason(Cause.PACING, text, f"one at a time starts so near to that; {other}", scope=_scope(window))
    return Reason(Cause.PACING, text, other, kept.until, _scope(window))


def _scope(window: Window) -> str:
    return f"account:{window.account}"


def span(milliseconds: int) -> str:
    """`40s`, `12m`, `3h 5m`, `2d 4h`."""
    seconds = milliseconds // 1_000
    if seconds < 60:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 60:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes}m" if minutes else f"{hours}h"
    return f"{hours // 24}d {hours % 24}h" if hours % 24 else f"{hours // 24}d"
