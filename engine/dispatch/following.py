"""What follows an attempt that did not succeed: the table of failures and the job's route, put together. Pure.

The settlement writes what this says, and the simulation plays it.
"""

from __future__ import annotations

from dataclasses import replace

from engine.dispatch import retry
from engine.dispatch.retry import Action, Case, Next
from engine.dispatch.routing import Ask, Move, Stay, Stop, Verdict

#: A job that comes back from a limit once more lets others try first: by so much for each time, up to so many times. It
#: may be what it asks for that is too much, and then it would keep all others of its account from being served.
BEHIND_MS, MOST_BEHIND = 1_000, 10


def follow(case: Case, verdict: Verdict | None, now: int, jitter: float, *, told: bool = False) -> Next:
    """What becomes of the job. `verdict`: what its route does; None where that says nothing.

    `told`: where the route moves it, an agent takes over that is told what was done so far.
    """
    match verdict:
        case Stop(why):
            return Next(Action.STOP, why=why)
        case Move():
            return retry.leave(case, told=told)
        case Ask():
            asked = replace(case, stays=True, tries=0, waits=0)  # the operator's word goes before the count
            decided = retry.decide(asked, now, jitter)
            return retry.leave(asked, told=True) if decided.action is Action.STOP else decided
        case Stay(why=why, plain=plain, at=at):
            decided = retry.decide(replace(case, stays=not plain), now, jitter)
            return _staying(decided, at, why if plain else "")
    return retry.decide(case, now, jitter)


def _staying(decided: Next, at: int | None, why: str) -> Next:
    """The table's answer, but not later than the route says, and with the reason why nothing else could be done."""
    if at is not None and decided.at is not None:
        decided = replace(decided, at=min(decided.at, at))
    return replace(decided, why="; ".join(filter(None, (decided.why, why))))


def is_booked(decided: Next, verdict: Verdict | None, *, limited: bool) -> bool:
    """Whether the job comes back only as the retry budget of its account lets it.

    What goes elsewhere does not crowd it, and what waits for a window (`limited`) comes back by that one's ramp.
    """
    return decided.action not in (Action.STOP, Action.ASK) and not limited and not isinstance(verdict, Move)


def behind(until: int, waits: int) -> int:
    """When a job comes back for which a window opens at `until`. `waits`: how often it has waited in a row."""
    return until + min(waits, MOST_BEHIND) * BEHIND_MS
