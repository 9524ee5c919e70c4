"""What happened on a recorded day, attempt by attempt, and how it is judged. No clock, no I/O."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum

from engine.drill.provider import Answer, Closure, Provider, Verdict
from engine.drill.stage import Performance
from engine.rehearsal.day import Errand

#: Where no end is told, whoever asks sooner than this after it was found out, or last asked, is hammering, not probing.
PROBE_GAP_MS = 60_000


class Entry(StrEnum):
    """What an attempt knew that met a closed window."""

    UNAWARE = "unaware"
    """Nobody had been refused when it began: it ran when the window closed, or it is how that was found out."""
    CANARY = "canary"
    """The window was known to be closed; it went alone, and not before the time that the provider had told: unless that
    was more than the window's length away, and so could not be."""
    STRAY = "stray"
    """The window was known to be closed, and it went all the same."""


@dataclass(slots=True)
class Tried:
    """One attempt. Times are milliseconds UTC."""

    errand: Errand
    account: str
    begun: int
    alone: bool
    """No other attempt of its account ran when it began."""
    behind: int = 0
    """Calls of the job that its conversation had behind it."""
    calls: int = 0
    """Calls of the model that were answered."""
    refused: int = 0
    """Calls that were refused: more than one, where the agent tries again by itself."""
    ended: int | None = None
    verdict: Verdict | None = None
    """Of the call that ended it; None for one that was served to its end, or crashed."""
    entry: Entry | None = None
    cost_micros: int = 0
    tokens: int = 0
    done: bool = False

    @property
    def positions(self) -> range:
        """Which calls of the job it made."""
        return range(self.behind, self.behind + self.calls)


@dataclass(frozen=True, slots=True)
class _Refusal:
    """What was told of a closed window. Times are milliseconds UTC."""

    at: int
    told: int | None
    """When it opens again, by the provider's word, if that can be."""
    entry: Entry


@dataclass(slots=True)
class Book:
    """Keeps what every attempt met, and judges who could have known."""

    tries: list[Tried] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    """When each job was done, by its number."""
    failed: dict[int, int] = field(default_factory=dict)
    """When each job was given up."""
    _flying: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _refusals: dict[Closure, list[_Refusal]] = field(default_factory=lambda: defaultdict(list))

    def begin(self, errand: Errand, account: str, now: int) -> Tried:
        tried = Tried(errand, account, now, alone=not self._flying[account])
        self._flying[account] += 1
        self.tries.append(tried)
        return tried

    def end(self, tried: Tried, now: int) -> None:
        tried.ended = now
        self._flying[tried.account] -= 1

    def refuse(self, tried: Tried, answer: Answer, times: int, now: int) -> None:
        tried.verdict = answer.verdict
        tried.refused += times
        if answer.closure is not None:
            tried.entry = self._entry(tried, answer.closure)
            self._refusals[answer.closure].append(_Refusal(now, answer.credible, tried.entry))

    def _entry(self, tried: Tried, closure: Closure) -> Entry:
        known = [one for one in self._refusals[closure] if one.at < tried.begun]
        if not known:
            return Entry.UNAWARE
        told = max((one.told for one in known if one.told is not None), default=None)
        asked = [known[0].at, *(one.at for one in known if one.entry is not Entry.UNAWARE)]
        earliest = told if told is not None else asked[-1] + PROBE_GAP_MS
        return Entry.CANARY if tried.alone and tried.begun >= earliest else Entry.STRAY


class Trial:
    """An attempt in its course: it makes a call, waits for the answer, and makes the next."""

    def __init__(
        self, book: Book, provider: Provider, play: Performance, tried: Tried, *, first: bool, knows: bool = False
    ) -> None:
        """`knows`: it is stopped before a call that would be refused."""
        self._knows = knows
        self.play = play
        self.tried = tried
        self._book = book
        self._provider = provider
        self._first = first
        self._answer: Answer | None = None

    def step(self, now: int) -> int | None:
        """Go on at a moment. Returns when to go on again; None once the attempt has ended."""
        errand, play = self.tried.errand, self.play
        if self._answer is not None:
            self.tried.calls += 1
            play.served(self._answer, last=self._at >= errand.calls)
        elif play.code is None:
            play.begin()
            self.tried.behind = play.behind
        if play.code is None and self._first and errand.crashes_at == self._at:
            play.crash()
        if play.code is None and self._knows and not self._provider.serves(self.tried.account, now):
            play.stop()
        elif play.code is None:
            self._answer = self._provider.call(self.tried.account, now)
            if self._answer.verdict is Verdict.SERVED:
                return now + self._provider.plan.day.call_ms
            self._book.refuse(self.tried, self._answer, play.calls_to_refuse(self._answer), now)
            play.refused(self._answer)
        self.tried.cost_micros, self.tried.tokens = play.cost_micros, play.tokens
        self.tried.done = play.code == 0 and self._at >= errand.calls
        self._book.end(self.tried, now)
        return None

    @property
    def _at(self) -> int:
        """Which call of the job comes next."""
        return self.tried.behind + self.tried.calls
