"""The breaker of a target: what keeps failing in one way is paused, tried by one, and let on step by step. Pure.

Five failures of one class in a row within an hour pause the target, and so does one class that makes half of five or
more ends within a minute. After the pause one attempt goes first; each success then doubles how many may run at once,
until nothing is limited. A failure on the way pauses it again, for twice as long.

A limit is no failure of the target: it closes a window of the account, which has a ramp of its own (`windows`).
"""

from __future__ import annotations

import random

from msgspec.structs import replace

from engine.model import Breaker, Failure

STRIKES = 5  #: failures of one class in a row, within `WINDOW_MS`, that pause a target
WINDOW_MS = 3_600_000
SHARE = 0.5  #: of at least `STRIKES` ends within `SHARE_MS`, failures of one class that pause it too
SHARE_MS = 60_000
REMEMBERED = 64  #: ends of the last minute, at most
PAUSE_MS = 30_000  #: the first pause
LONGEST_PAUSE_MS = 900_000
EXTRA = 0.2  #: of a pause, by chance on top of it
LONGEST_MS = round(LONGEST_PAUSE_MS * (1 + EXTRA)) + 60_000  #: no pause ends later from now on, if the clock is right
OPEN_AGAIN = 16  #: a ramp that has come so far limits nothing any more

#: What tells of the target and not of the job.
COUNTED = frozenset(
    {Failure.OVERLOADED, Failure.AUTH, Failure.BILLING, Failure.SPAWN_FAILED, Failure.STALLED, Failure.CRASHED}
)


def after_end(breaker: Breaker, failure: Failure | None, now: int, jitter: float | None = None) -> Breaker:
    """The breaker after an attempt of the target has ended. `failure`: None where it went well."""
    return after_success(breaker, now) if failure is None else after_failure(breaker, failure, now, jitter)


def after_failure(breaker: Breaker, failure: Failure, now: int, jitter: float | None = None) -> Breaker:
    """The breaker after an attempt of the target failed. `jitter`: 0 to 1, a part of the pause that comes on top."""
    if failure not in COUNTED:
        return breaker
    struck = _seen(_struck(breaker, failure, now), failure, now)
    ramping = breaker.opened > 0 and breaker.allowed is not None and is_past(breaker, now)
    if not is_past(breaker, now):
        return breaker  # one that had begun before the pause
    if not ramping and len(struck.strikes) < STRIKES and not _fails_often(struck, failure):
        return struck
    pause = min(PAUSE_MS << breaker.opened, LONGEST_PAUSE_MS)
    extra = round(pause * EXTRA * (random.random() if jitter is None else jitter))
    return replace(struck, until=now + pause + extra, opened=breaker.opened + 1, allowed=1)


def _struck(breaker: Breaker, failure: Failure, now: int) -> Breaker:
    """With one more failure of a class, and without those that are too old to count."""
    known = {**breaker.others, **({breaker.failure: breaker.strikes} if breaker.failure is not None else {})}
    recent = {kind: tuple(at for at in strikes if abs(now - at) < WINDOW_MS) for kind, strikes in known.items()}
    strikes = (*recent.pop(failure, ()), now)[-STRIKES:]
    return replace(breaker, failure=failure, strikes=strikes, others={k: at for k, at in recent.items() if at})


def after_success(breaker: Breaker, now: int) -> Breaker:
    """The breaker after an attempt of the target went well."""
    if not is_past(breaker, now):
        return breaker
    after = replace(_seen(breaker, None, now), strikes=(), others={})
    allowed = None if breaker.allowed is None else breaker.allowed * 2
    if allowed is not None and allowed < OPEN_AGAIN:
        return replace(after, allowed=allowed)
    # Nothing is limited. What failed within the last minute still tells how often it does.
    failed = any(how is not None for _, how in after.recent) and breaker.allowed is None
    return Breaker(breaker.target, failure=breaker.failure, recent=after.recent) if failed else Breaker(breaker.target)


def _seen(breaker: Breaker, how: Failure | None, now: int) -> Breaker:
    """With one more end, and without those that are too old to count."""
    recent = [one for one in breaker.recent if abs(now - one[0]) < SHARE_MS]
    return replace(breaker, recent=(*recent, (now, how))[-REMEMBERED:])


def _fails_often(breaker: Breaker, failure: Failure) -> bool:
    count = sum(how is failure for _, how in breaker.recent)
    return len(breaker.recent) >= STRIKES and count >= SHARE * len(breaker.recent)


def is_past(breaker: Breaker, now: int) -> bool:
    """Whether nothing is paused any more, or nothing was. What ends too late was told by a clock that was set back."""
    return breaker.until is None or not 0 < breaker.until - now <= LONGEST_MS


def limit(breaker: Breaker, now: int) -> int | None:
    """How many attempts of the target may run at once; None where the breaker does not limit them."""
    return 0 if not is_past(breaker, now) else breaker.allowed
