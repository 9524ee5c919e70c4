"""The breaker of a target: what keeps failing in one way is paused, tried by one, and let on step by step. Pure.

Five failures of one class within an hour pause the target. After the pause one attempt goes first; each success then
doubles how many may run at once, until nothing is limited. A failure on the way pauses it again, for twice as long.

A limit pauses nothing: its end is known to the job that met it, or found out by trying. But from then on one attempt
goes first as well, so that neither those that wait in line nor those that come back at its end all run into it.
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from engine.model import Breaker, Failure

STRIKES = 5  #: failures of one class within `WINDOW_MS` that pause a target
WINDOW_MS = 3_600_000
PAUSE_MS = 60_000  #: the first pause
LONGEST_PAUSE_MS = 900_000
OPEN_AGAIN = 16  #: a ramp that has come so far limits nothing any more

#: What tells of the target and not of the job.
COUNTED = frozenset(
    {Failure.OVERLOADED, Failure.AUTH, Failure.BILLING, Failure.SPAWN_FAILED, Failure.STALLED, Failure.CRASHED}
)
HEEDED = COUNTED | {Failure.RATE_LIMITED}  #: all after which a breaker can be another than before


def after_failure(breaker: Breaker, failure: Failure, now: int, jitter: float | None = None) -> Breaker:
    """The breaker after an attempt of the target failed. `jitter`: 0 to 1, a part of the pause that comes on top."""
    if failure is Failure.RATE_LIMITED:
        return replace(_struck(breaker, failure, now), allowed=1) if is_past(breaker, now) else breaker
    if failure not in COUNTED:
        return breaker
    struck = _struck(breaker, failure, now)
    ramping = breaker.opened > 0 and breaker.allowed is not None and is_past(breaker, now)
    if breaker.until is not None and now < breaker.until:
        return breaker  # one that had begun before the pause
    if not ramping and len(struck.strikes) < STRIKES:
        return struck
    pause = min(PAUSE_MS << breaker.opened, LONGEST_PAUSE_MS)
    extra = round(pause * 0.2 * (random.random() if jitter is None else jitter))
    return replace(struck, until=now + pause + extra, opened=breaker.opened + 1, allowed=1)


def _struck(breaker: Breaker, failure: Failure, now: int) -> Breaker:
    """With one more failure of a class, and without those that are too old to count."""
    known = {**breaker.others, **({breaker.failure: breaker.strikes} if breaker.failure is not None else {})}
    recent = {kind: tuple(at for at in strikes if at > now - WINDOW_MS) for kind, strikes in known.items()}
    strikes = (*recent.pop(failure, ()), now)[-STRIKES:]
    return replace(breaker, failure=failure, strikes=strikes, others={k: at for k, at in recent.items() if at})


def after_success(breaker: Breaker, now: int) -> Breaker:
    """The breaker after an attempt of the target went well."""
    if breaker.allowed is None or not is_past(breaker, now):
        return breaker
    allowed = breaker.allowed * 2
    if allowed >= OPEN_AGAIN:
        return Breaker(breaker.target)
    return replace(breaker, allowed=allowed, strikes=(), others={})


def is_past(breaker: Breaker, now: int) -> bool:
    """Whether nothing is paused any more, or nothing was."""
    return breaker.until is None or now >= breaker.until


def limit(breaker: Breaker, now: int) -> int | None:
    """How many attempts of the target may run at once; None where the breaker does not limit them."""
    return 0 if not is_past(breaker, now) else breaker.allowed
