"""Readings of a rate-limit window in, what to believe of it out. Pure.

Readings come in any order, twice, late, and with clocks that are wrong. So a window keeps the newest that said that it
serves and the newest that said that it does not, and everything follows from these two. An end that was told is
believed as far as the window is long; one that is missing, over or absurd is found out by probing, each time later.
Probing costs nothing of its own: after the end one waiting job goes first (the canary), and with each sign that the
provider serves again twice as many may.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from engine.window import UNNAMED, Reading, Standing, Window

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

#: By the beginning of a window's name, how long it spans; the longest name that fits counts. A day with a change to
#: winter time has 25 hours.
LENGTHS = {"five_hour": 5 * HOUR, "seven_day": 7 * DAY, "overage": 31 * DAY}
_PERIODS = {"_per_day": 25 * HOUR, "_per_hour": HOUR, "_per_minute": MINUTE}
#: Windows of model calls. They are told together with each answer, and end within minutes: one that is said to end
#: later is believed for this long, and for twice as long each time that a probe finds it closed.
API = frozenset({"requests", "tokens", "input_tokens", "output_tokens"})
API_TRUST, API_TRUST_MOST = 15 * MINUTE, 25 * HOUR
#: The same for one of which neither name nor length is known: as long as the longest of the short ones.
TRUST, TRUST_MOST = 6 * HOUR, 7 * DAY
LONGEST = 31 * DAY  #: no window is longer, whatever anybody says

PAUSE = MINUTE  #: before the first probe, where no end is known; each further one waits twice as long
SHORTEST_PAUSE, LONGEST_PAUSE = 5 * SECOND, 30 * MINUTE
JITTER = 30 * SECOND  #: the most that is waited on top, so that not all clients of a provider come at its reset

#: An answer that was on its way when the window closed may still say that it is open. A later one is believed.
LATE = MINUTE
SKEW = MINUTE  #: a reading from further ahead is from before the clock was set back; an end so long ago is just over
STEP = 10 * SECOND  #: between two steps of the ramp that readings bring
OPEN_AGAIN = 16  #: a ramp that has come so far limits nothing any more

NEVER_CLOSES = frozenset({"overage"})  #: what comes on top of another window, and closes nothing by itself


def length_of(name: str, told: int | None = None) -> int | None:
    """How long a window spans in milliseconds, where that is known: by its name, else as told."""
    for end, length in _PERIODS.items():
        if name.endswith(end):
            return length
    fits = [start for start in LENGTHS if name.startswith(start)]
    if fits:
        return LENGTHS[max(fits, key=len)]
    return told if told is not None and 0 < told <= LONGEST else None


def margin(length: int) -> int:
    """By how much a told end may lie behind the window's own length: its clock is not ours."""
    return max(MINUTE, min(length // 50, HOUR))


def trust(name: str, length: int | None, closures: int = 0) -> int:
    """For how long an end that was told is waited for at most, in milliseconds."""
    if length is not None:
        return length + margin(length)
    first, most = (API_TRUST, API_TRUST_MOST) if name in API else (TRUST, TRUST_MOST)
    return min(first << min(closures, 20), most)


def pause(name: str, length: int | None, closures: int) -> int:
    """How long before a window of which no end is known is probed."""
    known = length if length is not None else (MINUTE if name in API else None)
    first = PAUSE if known is None else min(PAUSE, max(SHORTEST_PAUSE, known // 12))
    most = LONGEST_PAUSE if known is None else max(MINUTE, min(known // 10, 2 * HOUR))
    return min(first << min(closures, 20), most)


def sane(reading: Reading, now: int, length: int | None = None) -> Reading:
    """A reading without what cannot be: seen later than now, a share that is none, an end in the past or years away.

    `length`: of the window, where it is known already.
    """
    at = min(reading.at, now) if reading.at > 0 else now
    used = reading.used
    used = None if used is None or math.isnan(used) else min(1.0, max(0.0, used))
    length = length if length is not None else length_of(reading.window, reading.length)
    resets_at = _end(reading, at, length)
    return replace(reading, at=at, used=used, resets_at=resets_at, resets_in=None, length=length)


def _end(reading: Reading, at: int, length: int | None) -> int | None:
    """The told end in our time; None where it says nothing. Of a window without a length it may be far away."""
    end = reading.resets_at
    if reading.resets_in is not None and reading.resets_in >= 0:
        end = at + reading.resets_in
    elif end is not None and 0 < end < 100_000_000_000:
        end *= 1_000  # seconds, where milliseconds were meant: as such it would be in 1973
    if end is None or end < at - SKEW:
        return None
    end = max(end, at)  # one that is just over is what it says: it was read a moment late
    if length is not None and end > at + length + margin(length):
        return None
    return end if end <= at + LONGEST else None


def observe(window: Window | None, account: str, reading: Reading, now: int, jitter: float) -> Window:
    """The window after a reading. `jitter`: 0 to 1, how much of the extra wait is taken."""
    seen = sane(reading, now, window.length if window is not None else None)
    before = window or Window(account=account, name=seen.window, model=seen.model)
    before = _set_back(before, now)
    if before.length is None and seen.length is not None and not is_closed(before, now):
        before = replace(before, length=seen.length)
    if seen.standing is Standing.CLOSED and seen.window not in NEVER_CLOSES:
        return _closed(before, seen, jitter)
    return _serving(before, seen)


def _set_back(window: Window, now: int) -> Window:
    """The window without readings from the future: the clock was set back since, and what they say of time is wrong."""
    if window.serving is not None and window.serving.at > now + SKEW:
        window = replace(window, serving=None)
    if window.closed is not None and window.closed.at > now + SKEW:
        window = replace(window, closed=None, until=now, allowed=1, stepped_at=None)
    return window


def _closed(window: Window, seen: Reading, jitter: float) -> Window:
    if window.closed is not None and _rank(seen) <= _rank(window.closed):
        return window
    met = window.met
    if window.model and seen.asked is not None and seen.asked not in met:
        met = (*met, seen.asked)
    waits = window.until is not None and seen.at < window.until and not _reopened(window)
    if waits and window.closed is not None and _same_end(window.closed, seen):
        kept = replace(seen, resets_at=seen.resets_at or window.closed.resets_at)
        return replace(window, closed=kept, met=met)
    if not waits and _reopened(late := replace(window, closed=seen, met=met)):
        return late  # it comes late: somebody has been served since
    probed = not waits and window.allowed is not None and window.stepped_at is None
    since = window.since if (probed or waits) and _goes_on(window, seen) else seen.at
    closures = window.closures + 1 if probed else window.closures
    after = replace(window, closed=seen, met=met, since=since, closures=closures, allowed=1, stepped_at=None)
    return replace(after, until=seen.at + _wait(after, seen, jitter))


def _goes_on(window: Window, seen: Reading) -> bool:
    """Whether a refusal may be of the period that was seen closed first: that lasts no longer than its window."""
    if window.since is None or seen.at < window.since:
        return False
    return seen.at < window.since + trust(window.name, window.length)


def _same_end(known: Reading, seen: Reading) -> bool:
    """Whether another refusal tells nothing new of the end: by two seconds a provider's own answers differ."""
    if seen.resets_at is None or known.resets_at is None:
        return seen.resets_at is None
    return abs(seen.resets_at - known.resets_at) <= 2 * SECOND


def _wait(window: Window, seen: Reading, jitter: float) -> int:
    """How long from the refusal on, in milliseconds."""
    shortest = pause(window.name, window.length, max(0, window.closures - 1)) if window.closures else 0
    if seen.resets_at is None:
        wait = pause(window.name, window.length, window.closures)
    else:
        wait = max(seen.resets_at - seen.at, shortest)
    most = trust(window.name, window.length, window.closures)
    if window.length is not None and window.since is not None:
        most -= seen.at - window.since  # one period lasts no longer, however often it is probed
    wait = min(wait, most)
    return max(SECOND, wait + round(min(max(jitter, 0.0), 1.0) * min(JITTER, wait // 20)))


def _serving(window: Window, seen: Reading) -> Window:
    if window.serving is not None and _rank(seen) <= _rank(window.serving):
        return window
    after = replace(window, serving=seen)
    if after.allowed is None or after.until is None:
        return after
    if seen.at < after.until and _reopened(after) and not _reopened(window):
        return replace(after, until=seen.at)  # earlier than was told: a canary finds out
    if seen.at >= after.until and (after.stepped_at is None or seen.at >= after.stepped_at + STEP):
        return stepped(after, seen.at)
    return after


def _rank(reading: Reading) -> tuple[float, ...]:
    """Which of two readings counts: the newer one; of one moment, the worse one."""
    order = list(Standing).index(reading.standing)
    return reading.at, order, reading.used or 0.0, reading.resets_at or 0


def _reopened(window: Window) -> bool:
    """Whether the window serves although it was closed: somebody was served well after that, or in a later period."""
    serving, closed = window.serving, window.closed
    if serving is None or closed is None:
        return closed is None
    if serving.at >= closed.at + LATE:
        return True
    later = serving.resets_at is not None and closed.resets_at is not None
    long = (window.length or 0) >= HOUR
    return later and long and serving.at > closed.at and (serving.resets_at or 0) > (closed.resets_at or 0) + 2 * MINUTE


def stepped(window: Window, at: int) -> Window:
    """The window one step further on its ramp: somebody was served after its end."""
    if window.allowed is None:
        return window
    allowed = window.allowed * 2
    if allowed >= OPEN_AGAIN:
        return replace(window, closures=0, allowed=None, stepped_at=None)
    return replace(window, closures=0, allowed=allowed, stepped_at=at)


def succeeded(window: Window, began: int, now: int) -> Window:
    """The window after an attempt that it applies to went well."""
    if window.allowed is None or window.until is None or began < window.until or is_closed(window, now):
        return window
    return stepped(window, now)


def is_closed(window: Window, now: int) -> bool:
    """Whether nothing may start that the window applies to."""
    if window.until is None or window.closed is None or window.closed.at > now + SKEW:
        return False
    return now < window.until and not _reopened(window)


def limit(window: Window, now: int) -> int | None:
    """How many attempts begun since its end may run at once; None where the window does not limit them."""
    return 0 if is_closed(window, now) else window.allowed


def newest(window: Window) -> Reading | None:
    """The reading that says most of the present."""
    both = [one for one in (window.serving, window.closed) if one is not None]
    return max(both, key=_rank, default=None)


def present(window: Window, now: int) -> Reading | None:
    """The newest reading that said that it serves, where its period is not over."""
    seen = window.serving
    if seen is None or seen.at > now + SKEW or (window.closed is not None and seen.at < window.closed.at):
        return None
    over = seen.resets_at if seen.resets_at is not None else seen.at + trust(window.name, window.length)
    return seen if now < over else None


def standing(window: Window, now: int) -> Standing:
    """How the window stands at a moment."""
    if is_closed(window, now):
        return Standing.CLOSED
    seen = present(window, now)
    return seen.standing if seen is not None else Standing.UNKNOWN


def used(window: Window, now: int) -> float | None:
    """The share of the window that is used, where that is known of this period."""
    if is_closed(window, now):
        return window.closed.used if window.closed is not None else None
    seen = present(window, now)
    return seen.used if seen is not None else None


def applies(window: Window, model: str | None) -> bool:
    """Whether a target with that model meets the window. A family's name stands for all of its models."""
    if not window.model or (model or "") in window.met:
        return True
    if not model:
        return False
    limited, asked = window.model.lower(), model.lower()
    return limited in asked or asked in limited


def says_nothing_new(before: Window | None, after: Window) -> bool:
    """Whether a window is as before for everything that is decided and nearly everything that is shown."""
    if before is None:
        return False
    return _told(before) == _told(after)


def _told(window: Window) -> tuple[object, ...]:
    """What is logged when it changes. A share counts by its percent, an end by the hundredth of its length; of windows
    that end within minutes the share counts by its tenth, and their end not at all: each answer tells another one.
    """
    facts: list[object] = [window.met, window.until, window.closures, window.allowed, window.stepped_at]
    short = (window.length or 0) < HOUR
    for seen in (window.serving, window.closed):
        if seen is None:
            facts.append(None)
            continue
        share = None if seen.used is None else math.floor(seen.used * (10 if short else 100))
        end = None if short or seen.resets_at is None else seen.resets_at // ((window.length or HOUR) // 100)
        facts.append((seen.standing, share, end))
    return tuple(facts)


def refused(at: int, source: str, resets_at: int | None, model: str | None) -> Reading:
    """An attempt that met a limit whose window nobody named. It is taken for one of the model that was asked for."""
    return Reading(
        window=UNNAMED,
        standing=Standing.CLOSED,
        at=at,
        source=source,
        resets_at=resets_at,
        model=model or "",
        asked=model or "",
    )


def met_since(windows: Iterable[Window], model: str | None, since: int) -> int | None:
    """The last end of the windows that were seen closed since a moment and apply to a model, over or not."""
    ends = [one.until for one in windows if one.closed is not None and one.closed.at >= since and applies(one, model)]
    return max((at for at in ends if at is not None), default=None)


def closed_until(windows: Iterable[Window], model: str | None, now: int) -> int | None:
    """The last end of the windows that keep a model from being asked; None where none does."""
    ends = [one.until for one in windows if one.until is not None and is_closed(one, now) and applies(one, model)]
    return max(ends, default=None)


def awaited(windows: Sequence[Window], model: str | None, since: int, now: int) -> int | None:
    """The end that an attempt waits for which has met a limit; None where nobody knows which one it was.

    `since`: when it began. It may have ended only after the limit that it met.
    """
    until = closed_until(windows, model, now)
    return until if until is not None else met_since(windows, model, since)
