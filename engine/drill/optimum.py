"""How good a day can be at best: a bound that no schedule beats, not even one that knows everything beforehand.

Of each account by itself (what they share, the slots in all, is left out, which only makes the bound lower): by any
moment, no more calls can have been asked than its slots, its open times and its quotas allow, nor more than have come.
So no more jobs can be done by then than the smallest of those that have been there for long enough and fit into so
many calls. The sum over the jobs of the time at which the first, the second, ... can be done at the earliest is a lower
bound of the sum of their ends, and less the times at which they came, of their waiting and running.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable
from itertools import accumulate

from engine.drill.provider import Provider
from engine.rehearsal.day import Errand, Plan

STEP_MS = 10_000  #: the bound is looked at so often, and takes the end of each step: that makes it lower, never higher


def pooled(accounts: Iterable[str], moves: Iterable[tuple[str, str]]) -> list[set[str]]:
    """The accounts in sets, such that no job has moved from one set to another."""
    pools = [{name} for name in accounts]
    for one, other in moves:
        joined = [pool for pool in pools if one in pool or other in pool]
        pools = [pool for pool in pools if pool not in joined] + [set().union(*joined)]
    return pools


def least_flow(plan: Plan, numbers: Collection[int], pools: Iterable[Collection[str]]) -> int:
    """The least sum over these jobs of the time from coming to done, in milliseconds.

    `pools`: sets of accounts, each of which may do any job of its set. Larger sets make the bound lower.
    """
    chosen = set(numbers)
    errands = [errand for errand in plan.errands if errand.number in chosen]
    return sum(
        _least(plan, [errand for errand in errands if errand.account in pool], [_Rope(plan, name) for name in pool])
        for pool in pools
    )


class _Rope:
    """How many calls an account can take on from one step to the next."""

    def __init__(self, plan: Plan, account: str) -> None:
        self._plan, self._account, self._provider = plan, account, Provider(plan)
        self._window = self._provider.window(account, plan.day.zero)
        self._used = 0.0
        self._was_open = False

    def take(self, now: int, wanted: float) -> float:
        """So many of the calls that are wanted can be asked in the step that begins now."""
        plan, account, later = self._plan, self._account, now + STEP_MS
        one, provider = plan.accounts[account], self._provider
        if (current := provider.window(account, now)) != self._window:
            self._window, self._used, self._was_open = current, 0.0, False
        shut = provider.shut(account, now, later)
        # Where it opens, every slot may ask at once.
        room = 0.0 if shut else one.slots * STEP_MS / plan.day.call_ms + (0 if self._was_open else one.slots)
        self._was_open = not shut
        if provider.window(account, later - 1) != self._window:
            return min(room, wanted)  # of a step with two windows in it, nothing is charged
        taken = max(0.0, min(room, one.quota.calls - self._used, wanted))
        self._used += taken
        return taken


def _least(plan: Plan, errands: list[Errand], ropes: list[_Rope]) -> int:
    """`errands` in the order in which they come. Several ropes are each drawn as if all there is were theirs: what one
    leaves of its quota, by serving only what the others do not, would be more for later.
    """
    call = plan.day.call_ms
    spare = sum(one.slots for one in plan.accounts.values())
    matures = sorted((errand.comes + errand.calls * call, errand.calls) for errand in errands)
    now, asked, there, come, done, ends, grown = plan.day.zero, 0.0, 0, 0, 0, 0, 0
    sizes: list[int] = []
    totals: list[int] = []
    while done < len(errands):
        later = now + STEP_MS
        while come < len(errands) and errands[come].comes <= later:
            there += errands[come].calls
            come += 1
        if len(ropes) == 1:
            asked += ropes[0].take(now, there - asked)
        else:
            asked += sum(rope.take(now, float("inf")) for rope in ropes)
        while grown < len(matures) and matures[grown][0] <= later:
            insort(sizes, matures[grown][1])
            grown += 1
            totals = list(accumulate(sizes))
        fit = bisect_right(totals, asked + spare)
        if fit > done:
            # By the end of this step, and no earlier than its beginning.
            ends += (fit - done) * now
            done = fit
        now = later
    return ends - sum(errand.comes for errand in errands)
