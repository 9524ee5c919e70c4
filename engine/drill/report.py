"""What a day came to under one policy, as the figures that are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec import Struct

from engine.drill import ours
from engine.drill.book import Book, Entry
from engine.drill.loop import Loop, Way
from engine.drill.optimum import least_flow, pooled
from engine.drill.provider import Verdict
from engine.rehearsal.day import Plan

POLICIES = {
    "headway": "the engine: waits for resets, goes on in the same session, sends one ahead",
    "retry": "each job by itself, with exponential backoff: 1 s, doubled up to 100 s, ten attempts",
    "fallback": "on a limit at once to the next account, without a word; with backoff once all have refused",
    "oracle": "knows the weather, in the engine's order: it asks only when it will be served. Nobody can have that",
}


class Report(Struct, frozen=True, kw_only=True):
    """The figures of one day under one policy. Times are milliseconds, money is micro-dollars."""

    policy: str
    jobs: int
    done: int
    failed: int
    """Given up."""
    lost: int
    """Neither done nor given up when the day was over."""
    attempts: int
    burnt: int
    """Attempts that a limit or an outage used up, out of those that a job has."""
    calls: int
    """Calls of a model that were answered."""
    again: int
    """Of those, calls that had been answered for the same job before, in a conversation that was left."""
    unaware: int
    """Calls into a closed window by attempts that could not know: they ran, or they were the first to find out."""
    canaries: int
    """Calls into a window known to be closed, alone and once the told time was past."""
    strays: int
    """All other calls into a window known to be closed."""
    refused: int
    """Calls into a burst or an outage."""
    wrong_model: int
    """Jobs that were done by another model than the one that was asked for."""
    moved: int
    """Jobs that were done on another account."""
    silent: int
    """Of those, jobs of which no move is on record."""
    cost_micros: int
    """What the providers ask for all of it."""
    flow: int
    """Sum over the jobs that were done of the time from coming to done."""
    least_flow: int
    """What that sum is at the least, whatever schedule: see `engine.drill.optimum`."""
    beyond: int
    """By how much later they were done, all added up, than by one who knows the weather and keeps to the same order."""
    ends: int
    """From the beginning of the day to the end of the last job."""

    @property
    def added(self) -> int:
        """The sum of waiting that a schedule which knows everything might not have had."""
        return self.flow - self.least_flow

    @property
    def broken(self) -> list[str]:
        """Which of the engine's promises were not kept, in words."""
        found = [
            (self.lost, f"{self.lost} jobs were lost"),
            (self.failed, f"{self.failed} jobs were given up"),
            (self.burnt, f"{self.burnt} attempts were used up by limits"),
            (self.strays, f"{self.strays} calls went into windows that were known to be closed"),
            (self.wrong_model, f"{self.wrong_model} jobs were done by another model than was asked for"),
            (self.silent, f"{self.silent} jobs were done on another account without a word"),
        ]
        return [words for count, words in found if count]


async def play(plan: Plan, policies: Iterable[str], home: Path) -> list[Report]:
    """Play a day under policies of `POLICIES`, in an empty directory."""
    oracle = Loop(plan, home / Way.ORACLE, Way.ORACLE).play()
    found = []
    for policy in policies:
        if policy == "headway":
            folder = home / policy
            folder.mkdir(parents=True, exist_ok=True)
            played = await ours.play(plan, folder)
            found.append(report(plan, policy, played.book, played.burnt, oracle, played.told))
        elif policy == Way.ORACLE:
            found.append(report(plan, policy, oracle, 0, oracle))
        else:
            book = Loop(plan, home / policy, Way(policy)).play()
            burnt = sum(one.verdict is not None for one in book.tries)  # they count whatever fails
            found.append(report(plan, policy, book, burnt, oracle))
    return found


def report(
    plan: Plan, policy: str, book: Book, burnt: int, oracle: Book, told: Collection[int] = frozenset()
) -> Report:
    """The figures of a book. `oracle`: the same day as one had it who knew the weather; `told`: jobs whose moves are on
    record.
    """
    comes = {errand.number: errand for errand in plan.errands}
    entries = Counter(one.entry for one in book.tries)
    last = {one.errand.number: one for one in book.tries if one.done}
    models = {name: one.model for name, one in plan.accounts.items()}
    calls = sum(one.calls for one in book.tries)
    moved = [one for one in last.values() if one.account != one.errand.account]
    pools = pooled(plan.accounts, [(one.account, one.errand.account) for one in moved])
    return Report(
        policy=policy,
        jobs=plan.count,
        done=len(book.ends),
        failed=len(book.failed),
        lost=plan.count - len(book.ends) - len(book.failed),
        attempts=len(book.tries),
        burnt=burnt,
        calls=calls,
        again=calls - len({(one.errand.number, at) for one in book.tries for at in one.positions}),
        unaware=entries[Entry.UNAWARE],
        canaries=entries[Entry.CANARY],
        strays=entries[Entry.STRAY],
        refused=sum(one.refused for one in book.tries if one.verdict in (Verdict.BURST, Verdict.OUTAGE)),
        wrong_model=sum(models[one.account] != models[one.errand.account] for one in last.values()),
        moved=len(moved),
        silent=sum(one.errand.number not in told for one in moved),
        cost_micros=sum(one.cost_micros for one in book.tries),
        flow=sum(at - comes[number].comes for number, at in book.ends.items()),
        least_flow=least_flow(plan, book.ends, pools),
        beyond=sum(at - oracle.ends[number] for number, at in book.ends.items() if number in oracle.ends),
        ends=max(book.ends.values(), default=plan.day.zero) - plan.day.zero,
    )
