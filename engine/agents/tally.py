"""What one attempt used, message by message, held against the totals that its agent tells. Pure.

Each message counts once, however often and in whatever order its lines are read. A total closes the messages before
it: what it has beyond them (the end of an answer, calls that are not shown) is an entry of its own, so that the sum of
the entries is the agent's own total to the token.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from engine.model import Grade, Usage
from engine.money import TOKENS, Entry, less, total

#: What a token of each kind costs about in units of fresh input: only for spreading a reported sum over its messages.
_WEIGHTS = {"input_tokens": 20, "output_tokens": 100, "cache_read_tokens": 2, "cache_write_tokens": 25}


MESSAGES_KEPT = 20_000  #: that are told apart; a session of a day has some thousands


@dataclass(slots=True, eq=False)
class _Period:
    """From one total to the next."""

    messages: dict[str, Entry] = field(default_factory=dict)
    totals: dict[str, Usage] | None = None


class Tally:
    """The entries of one attempt."""

    def __init__(self) -> None:
        self._periods = [_Period()]
        self._where: dict[str, _Period] = {}
        self._fresh: dict[str, Entry] = {}
        self._changed: dict[int, None] = {}
        """Periods with a total that have changed, by their numbers."""

    @property
    def seen(self) -> bool:
        """A message was told."""
        return bool(self._where)

    def message(self, name: str, usage: Usage, *, final: bool = True, at: int | None = None) -> None:
        """A message, or more of one that was told before: the last word on it counts."""
        if name not in self._where and len(self._where) >= MESSAGES_KEPT:
            self._fold(usage)
            return
        period = self._where.setdefault(name, self._periods[-1])
        before = period.messages.get(name)
        if before is not None and before.final and not final:
            return
        at = before.at if before is not None and before.at is not None else at
        entry = Entry(message=name, usage=usage, final=final, at=at)
        if entry == before:
            return
        period.messages[name] = entry
        if period.totals is None:
            self._fresh[name] = entry
        else:
            self._changed[self._periods.index(period)] = None

    def _fold(self, usage: Usage) -> None:
        """One of more messages than are told apart: their sum is one entry of their model."""
        name = f"/more/{usage.model}"
        messages = self._periods[-1].messages
        parts = [usage, *(one.usage for one in [messages.get(name)] if one is not None)]
        messages[name] = Entry(message=name, usage=total(parts, usage.model), final=True)

    def total(self, totals: Iterable[Usage], *, again: bool = False) -> None:
        """What the agent says that the messages since its last total come to, by model.

        `again`: it is a newer word on the same messages, and later ones belong to it too. A total that says nothing
        leaves the messages as they are.
        """
        told = {one.model: one for one in totals}
        if not told:
            return
        self._periods[-1].totals = told
        self._changed[len(self._periods) - 1] = None
        if not again:
            self._periods.append(_Period())

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them, in the order in which they were first told."""
        return tuple(entry for n, period in enumerate(self._periods) for entry in _settled(n, period))

    def fresh(self) -> list[Entry]:
        """Those that were told, or that have changed, since this was last asked: an hour's messages are many."""
        found = self._fresh
        for number in self._changed:
            found.update((one.message, one) for one in _settled(number, self._periods[number]))
        self._fresh, self._changed = {}, {}
        return list(found.values())

    @property
    def usage(self) -> tuple[Usage, ...]:
        """Their sums by model, as far as the agent has said what they cost."""
        return summed(self.entries)


def summed(entries: Sequence[Entry]) -> tuple[Usage, ...]:
    """Sums by model. An entry that only corrects a model's tokens to nothing leaves no trace."""
    models = dict.fromkeys(entry.usage.model for entry in entries if not entry.of_session)
    sums = [
        total((entry.usage for entry in entries if entry.usage.model == model and not entry.of_session), model)
        for model in models
    ]
    return tuple(one for one in sums if one.cost_micros or any(getattr(one, name) for name in TOKENS))


def _settled(number: int, period: _Period) -> Iterable[Entry]:
    if period.totals is None:
        return period.messages.values()
    models = dict.fromkeys([*(one.usage.model for one in period.messages.values()), *period.totals])
    found: list[Entry] = []
    for model in models:
        parts = [one for one in period.messages.values() if one.usage.model == model]
        told = period.totals.get(model, Usage(model=model, cost_micros=0, grade=Grade.REPORTED))
        rest = less(told, total((one.usage for one in parts), model))
        found += _spread([*parts, Entry(message=f"/rest/{number}/{model}", usage=rest)], told)
    return found


def _spread(entries: list[Entry], told: Usage) -> list[Entry]:
    """The entries of one model under its total: final, and with its money, if it has any, spread over them.

    The last of them takes what is left, so that the sum is exact.
    """
    if told.cost_micros is None:
        return [
            replace(one, usage=replace(one.usage, cost_micros=None, grade=told.grade), final=True) for one in entries
        ]
    weights = [max(0, sum(getattr(one.usage, name) * weight for name, weight in _WEIGHTS.items())) for one in entries]
    whole, left, found = sum(weights) or 1, told.cost_micros, []
    for one, weight in zip(entries[:-1], weights, strict=False):
        share = told.cost_micros * weight // whole
        left -= share
        found.append(replace(one, usage=replace(one.usage, cost_micros=share, grade=told.grade), final=True))
    last = entries[-1]
    return [*found, replace(last, usage=replace(last.usage, cost_micros=left, grade=told.grade), final=True)]
