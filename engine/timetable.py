"""When a schedule fires, and what becomes of the times that passed: values in, values out.

Cron lines are read by cronsim, which does at a change of the clock what Debian's cron does: a time that the change
skips comes right after it, and one that it repeats comes once; lines with a `*` for hour or minute go on by the real
time.
"""

from __future__ import annotations

import difflib
import hashlib
import os
import re
import zoneinfo
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, takewhile
from pathlib import Path

from cronsim import CronSim, CronSimError

from engine.schedule import Missed, ScheduleSpec
from engine.units import milliseconds

#: A time that an engine comes to so late was missed; less is the engine being busy, or started anew.
LATE_MS = 60_000
#: Set back by more than this, the clock was wrong before: what is noted of times to come is not believed any more.
SET_BACK_MS = 86_400_000
LINE_LIMIT = 400  #: characters of a cron line; each minute of an hour, one by one, takes 168
ZONE_LIMIT = 100  #: characters of a time zone's name: three times the longest
COUNTED = 1_000  #: missed times that are counted one by one
FIRST_LOOK_MS = 3_600_000  #: how far back the newest times are looked for at first
LOOKED_AT = 4_000  #: times of one look

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_NAMES = {
    3: ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    4: ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}


class CronError(ValueError):
    """A cron line that says nothing, in words that mend it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What has become of the times that are over.

    `fires` are submitted now, each with whether it is late; `missed` are not, the newest of them `last_missed`.
    """

    fires: tuple[tuple[int, bool], ...] = ()
    missed: int = 0
    counted: bool = True
    """Else there are more than `missed`."""
    first_missed: int | None = None
    last_missed: int | None = None
    why: str = ""
    decided: int | None = None
    """The newest time that is decided with this; None where there is none."""
    next: int | None = None
    """When to look again: the next time, jitter included."""


def five_fields(cron: str) -> str:
    """A cron line as its five fields, checked. Raises `CronError`."""
    line = " ".join(cron.split())
    if len(line) > LINE_LIMIT:
        raise CronError(f"{line[:40] + '…'!r} is longer than {LINE_LIMIT} characters")
    if line.startswith("@"):
        if line.lower() in NICKNAMES:
            return NICKNAMES[line.lower()]
        near = difflib.get_close_matches(line.lower(), NICKNAMES, 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(NICKNAMES)}"
        raise CronError(f"there is no {line!r}; {hint}")
    parts = line.split(" ")
    if len(parts) != 5:
        raise CronError(f"{line!r} has {len(parts)} fields, not 5: minute hour day month weekday, as 30 2 * * MON-FRI")
    for place, part in enumerate(parts):
        _check(place, part)
    try:
        CronSim(line, datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("UTC")))
    except CronSimError as error:
        said = str(error).removeprefix("Bad ")
        raise CronError(f"{line!r} never comes, by its {said}") from None
    return line


def in_words(cron: str) -> str:
    """What a valid cron line says."""
    return CronSim(five_fields(cron), datetime(2026, 1, 1)).explain()


def zone_of(name: str | None, env: Mapping[str, str] = os.environ, link: Path = Path("/etc/localtime")) -> str:
    """The name of a time zone; without one, of this machine's, as far as it has a name. Raises `CronError`."""
    if name is None:
        name = env.get("TZ", "").removeprefix(":") or _linked(link)
        return name if name and _exists(name) else "UTC"
    if len(name) > ZONE_LIMIT:
        raise CronError(f"{name[:40] + '…'!r} is longer than any time zone's name")
    if not _exists(name):
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), 1, 0.6)
        hint = f"did you mean {near[0]!r}?" if near else "write one of the IANA database, such as Europe/Berlin"
        raise CronError(f"there is no time zone {name!r}; {hint}")
    return name


def times(cron: str, zone: str, after: int) -> Iterator[int]:
    """The times of a cron line after a moment, milliseconds UTC, without end."""
    found = CronSim(five_fields(cron), datetime.fromtimestamp(after / 1000, zoneinfo.ZoneInfo(zone)))
    past = after
    for moment in found:
        at = round(moment.timestamp() * 1000)
        if at > past:  # in an hour that is repeated, one that begins in its second half is given its first half again
            past = at
            yield at


def shifted(name: str, jitter: int, at: int) -> int:
    """When the job of a time is submitted: by the same jitter whoever asks, and however often."""
    if not jitter:
        return at
    number = int.from_bytes(hashlib.sha256(f"{name} {at}".encode()).digest()[:8])
    return at + number % (jitter + 1)


def upcoming(name: str, spec: ScheduleSpec, zone: str, after: int, now: int, count: int) -> list[int]:
    """The next moments at which it submits a job."""
    jitter = milliseconds(spec.jitter)
    moments = (shifted(name, jitter, at) for at in islice(times(spec.cron, zone, after), LOOKED_AT))
    return list(islice((moment for moment in moments if moment > now), count))


def plan(name: str, spec: ScheduleSpec, zone: str, last: int, now: int) -> Plan:
    """What becomes of the times after `last` that are over at `now`. Times are decided in their order."""
    jitter = milliseconds(spec.jitter)
    over, more = _over(name, spec, zone, jitter, last, now)
    newest = over[-1] if over else last
    following = next(times(spec.cron, zone, newest), None)
    looked = shifted(name, jitter, following) if following is not None else None
    if not over:
        return Plan(next=looked)
    fires, why = _chosen(name, spec, jitter, over, now)
    left = [at for at in over if at not in fires]
    return Plan(
        fires=tuple((at, now - shifted(name, jitter, at) > LATE_MS) for at in fires),
        missed=len(left),
        counted=not more,
        first_missed=left[0] if left else None,
        last_missed=left[-1] if left else None,
        why=why if left else "",
        decided=newest,
        next=looked,
    )


def _chosen(name: str, spec: ScheduleSpec, jitter: int, over: list[int], now: int) -> tuple[list[int], str]:
    """Which of the times that are over a job is submitted for, and why not for the others."""
    deadline = milliseconds(spec.deadline) if spec.deadline is not None else None
    late = [at for at in over if now - shifted(name, jitter, at) > LATE_MS]
    punctual = [at for at in over if now - shifted(name, jitter, at) <= LATE_MS]
    in_time = [at for at in late if deadline is None or now - at <= deadline]
    if not late:
        return punctual, ""
    said = f"later than its deadline of {spec.deadline}" if len(in_time) < len(late) else ""
    match spec.missed:
        case Missed.SKIP:
            return punctual, "no engine was there at its time, and missed is skip"
        case Missed.ONCE:
            # What comes at its time now stands for what was missed as well.
            newest = punctual or in_time[-1:]
            return newest, said or "no engine was there at its time; one job stands for all"
        case Missed.ALL:
            kept = in_time[-spec.most :]
            return sorted([*kept, *punctual]), said or f"more than the {spec.most} that are caught up with"


def _over(name: str, spec: ScheduleSpec, zone: str, jitter: int, last: int, now: int) -> tuple[list[int], bool]:
    """The times that are over, the oldest first: all, or the newest of very many and that there are more."""

    def between(after: int) -> list[int]:
        past = takewhile(lambda at: shifted(name, jitter, at) <= now, times(spec.cron, zone, after))
        return list(islice(past, LOOKED_AT + 1))

    found = between(last)
    if len(found) <= COUNTED:
        return found, False
    wanted = spec.most + 2 if spec.missed is Missed.ALL else 2
    span, newest = FIRST_LOOK_MS, list[int]()
    while len(newest) < wanted and now - span > last:
        newest = between(now - span)
        span *= 2
    # The first ones are kept for what is told of them.
    return sorted({*found[:COUNTED], *newest[-wanted:]}), True


def _check(place: int, part: str) -> None:
    """Name what is wrong in one field; what is left is cronsim's to say."""
    low, high = _RANGES[place]
    names = _NAMES.get(place, [])
    what = f"{_FIELDS[place]}: {part!r}"
    for term in part.upper().split(","):
        body, slash, step = term.partition("/")
        if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
            raise CronError(f"{what}: a step is a number from 1 on, as */15")
        if place == 2 and body in ("L", "LW"):
            continue
        if place == 4:
            body, hash_, nth = body.partition("#")
            if hash_ and nth not in ("1", "2", "3", "4", "5"):
                raise CronError(f"{what}: after # stands which of the month, 1 to 5")
            body = body.removesuffix("L") if re.fullmatch(r"\dL", body) else body
        if body == "*":
            continue
        ends = body.split("-")
        if len(ends) > 2:
            raise CronError(f"{what}: write a range as 1-5")
        values = [_number(end, low, high, names, what) for end in ends]
        if len(values) == 2 and values[0] > values[1]:
            last, first = (names[-1], names[0]) if names and not ends[0].isdigit() else (high, low)
            raise CronError(f"{what} ends before it begins: write {ends[0]}-{last},{first}-{ends[1]}")


def _number(word: str, low: int, high: int, names: list[str], what: str) -> int:
    if word in names:
        return names.index(word) + (low if low else 0)
    if not (word.isascii() and word.isdigit()):
        near = difflib.get_close_matches(word, names, 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else f"write numbers from {low} to {high}, * or */5"
        raise CronError(f"{what}: {word!r} is nothing here; {hint}")
    if not low <= int(word) <= high:
        raise CronError(f"{what}: {word} is not from {low} to {high}")
    return int(word)


def _exists(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _linked(link: Path) -> str:
    """What /etc/localtime leads to, without the folder of the database."""
    try:
        return str(link.resolve()).partition("zoneinfo/")[2]
    except OSError:
        return ""
