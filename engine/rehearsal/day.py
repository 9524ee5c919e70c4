"""A recorded day: accounts with their limits, the jobs that come, and the weather. Read from YAML; no clock."""

from __future__ import annotations

import random
from dataclasses import dataclass
from dataclasses import replace as replaced
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import replace

from engine.documents import parse, text_of
from engine.errors import UsageError
from engine.rehearsal.scenario import FILE_BYTES, Format, Price
from engine.units import milliseconds

DAYS = Path(__file__).parent / "days"

Span = str | int  #: as `engine.units.milliseconds` reads it
Count = Annotated[int, Meta(ge=1, le=100_000)]
Share = Annotated[float, Meta(ge=0, le=1)]


class Quota(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A window that closes when so many calls of the model were answered in it, and opens at its end."""

    calls: Count
    every: Span
    """How long a window is; they follow on each other."""
    first: Span = "0s"
    """Where the first ends, from the beginning of the day; it began `every` before that."""
    told: bool = True
    """The provider says when it opens again."""


class FalseReset(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A window of which the provider first says that it opens at another time than it will."""

    account: str
    window: Annotated[int, Meta(ge=0)]
    """Which one, counted from the first of the day."""
    by: Annotated[str, Meta(pattern=r"^[+-]\d")]
    """So much later (+) or earlier (-) than the truth. Once the told time is past, the truth is told."""

    @property
    def shift(self) -> int:
        return milliseconds(self.by[1:]) * (1 if self.by[0] == "+" else -1)


class Trouble(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A time in which every call of some accounts is refused, whatever their windows say."""

    accounts: list[str]
    begins: Span
    lasts: Span


class Account(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One login at a provider."""

    format: Format
    """Whose CLI its agents speak as."""
    model: str
    slots: Count
    quota: Quota
    price: Price = field(default_factory=Price)
    share: Annotated[float, Meta(gt=0)] = 1.0
    """Of the jobs."""


class Choice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Accounts between which some of their jobs may choose: where one's window is closed, they go on at another."""

    accounts: Annotated[list[str], Meta(min_length=2)]
    share: Share
    """Of the jobs of these accounts."""
    patience: Span = "20m"
    """A limit that ends within this time is waited for."""


class Kind(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One sort of work."""

    share: Annotated[float, Meta(gt=0)]
    calls: tuple[Count, Count]
    """Between so few and so many calls of the model."""
    priority: Annotated[int, Meta(ge=0, le=9)] = 5


class Arrival(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Jobs that come together, or one after the other over a time."""

    at: Span
    share: Annotated[float, Meta(gt=0)]
    over: Span = "0s"


class Day(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole scenario. Times are spans from its beginning."""

    about: str
    begins: datetime
    jobs: Count
    seed: int
    slots: Count
    """Attempts at once over all accounts."""
    call: Span
    """How long one call of a model takes."""
    tokens: Count
    """Of the answer to one call."""
    lost: Span
    """What has not ended so long after the beginning is lost."""
    accounts: dict[str, Account]
    kinds: dict[str, Kind]
    arrivals: list[Arrival]
    routes: dict[str, Choice] = field(default_factory=dict)
    false_resets: list[FalseReset] = field(default_factory=list)
    bursts: list[Trouble] = field(default_factory=list)
    """429 without a word of when it ends."""
    outages: list[Trouble] = field(default_factory=list)
    """529."""
    crashes: Share = 0.0
    """Of the jobs, in their first attempt: failures that are none of the weather's."""

    @property
    def zero(self) -> int:
        """Its beginning, milliseconds UTC."""
        return round(self.begins.timestamp() * 1000)

    @property
    def call_ms(self) -> int:
        return milliseconds(self.call)


@dataclass(frozen=True, slots=True)
class Errand:
    """One job of a day. `comes`, milliseconds UTC."""

    number: int
    account: str
    kind: str
    priority: int
    calls: int
    comes: int
    crashes_at: int | None = None
    """The call of its first attempt at which the agent dies."""
    route: str | None = None
    """The route that lets it go to another account; None where it has to wait for its own."""


@dataclass(frozen=True)
class Plan:
    """A day with its jobs drawn: the same for the same seed."""

    day: Day
    seed: int
    count: int

    @classmethod
    def of(cls, day: Day, seed: int | None = None, jobs: int | None = None) -> Plan:
        return cls(day, day.seed if seed is None else seed, jobs or day.jobs)

    @cached_property
    def accounts(self) -> dict[str, Account]:
        """A day with fewer jobs has smaller windows, so that it is as hard."""
        part = self.count / self.day.jobs
        return {
            name: replace(one, quota=replace(one.quota, calls=max(1, round(one.quota.calls * part))))
            for name, one in self.day.accounts.items()
        }

    @cached_property
    def errands(self) -> list[Errand]:
        """In the order in which they come."""
        day, dice = self.day, random.Random(self.seed)
        names, kinds = list(day.accounts), list(day.kinds)
        drawn = []
        for arrival in dice.choices(day.arrivals, [one.share for one in day.arrivals], k=self.count):
            account = dice.choices(names, [one.share for one in day.accounts.values()])[0]
            kind = dice.choices(kinds, [one.share for one in day.kinds.values()])[0]
            calls = dice.randint(*day.kinds[kind].calls)
            comes = day.zero + milliseconds(arrival.at) + round(dice.random() * milliseconds(arrival.over))
            crash = dice.randrange(calls) if dice.random() < day.crashes else None
            chance = dice.random()
            route = next((n for n, one in day.routes.items() if account in one.accounts and chance < one.share), None)
            drawn.append(Errand(0, account, kind, day.kinds[kind].priority, calls, comes, crash, route))
        return [replaced(one, number=n) for n, one in enumerate(sorted(drawn, key=lambda one: one.comes), 1)]


def names() -> list[str]:
    """The days that come with Headway."""
    return sorted(path.stem for path in DAYS.glob("*.yaml"))


def read(name: str) -> Day:
    """A day by its name, or by the path of a YAML file. Raises `UsageError`, naming the file and the place in it."""
    path = Path(name) if "/" in name or name.endswith((".yaml", ".yml")) else DAYS / f"{name}.yaml"
    try:
        text = text_of(path, FILE_BYTES)
    except UsageError:
        raise UsageError(f"there is no day {name!r}: there are {', '.join(names())}, or give a YAML file") from None
    day = parse(text, str(path), Day)
    for complaint in _complaints(day):
        raise UsageError(f"{path}: {complaint}")
    return day


def _complaints(day: Day) -> list[str]:
    found = []
    named = [name for one in day.routes.values() for name in one.accounts]
    named += [*(one.account for one in day.false_resets), *(n for t in (*day.bursts, *day.outages) for n in t.accounts)]
    found += [f"there is no account {name!r}" for name in named if name not in day.accounts]
    found += [f"{kind}: calls go from few to many" for kind, one in day.kinds.items() if one.calls[0] > one.calls[1]]
    if day.begins.tzinfo is None:
        found.append("begins: say in which time zone, such as 2026-11-02T06:00:00Z")
    spans = [day.call, day.lost, *(t for a in day.arrivals for t in (a.at, a.over))]
    spans += [span for t in (*day.bursts, *day.outages) for span in (t.begins, t.lasts)]
    spans += [span for one in day.accounts.values() for span in (one.quota.every, one.quota.first)]
    spans += [one.patience for one in day.routes.values()]
    for span in [*spans, *(one.by[1:] for one in day.false_resets)]:
        try:
            milliseconds(span)
        except ValueError as error:
            found.append(str(error))
    return found
