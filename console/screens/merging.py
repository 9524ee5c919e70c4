"""The way of finished work to its branch, for every screen that has jobs."""

from __future__ import annotations

from collections.abc import Sequence

from console.format import clean_line, job_name, plural
from console.merging import foreseen_line
from console.roles import Role
from console.screens.choosing import Choosing
from engine.model import MergeForeseen, MergeQueued, MergeWanted


class Merging(Choosing):
    """A screen whose jobs can be merged. It says what that would do, and asks: what is merged does not come back."""

    def action_merge(self) -> None:
        self.work(self._merge(self.targets()))

    async def _merge(self, jobs: list[int]) -> None:
        if not jobs:
            self.say("no job here to merge")
            return
        plan = await self.attempt(self._queued(MergeWanted(jobs=jobs, dry_run=True)))
        if plan is None:
            return
        if not any(not one.why or one.conflicts for one in plan.foreseen):
            self.say(foreseen_line(plan.foreseen[0]) if plan.foreseen else "nothing to merge", Role.WAIT)
            return
        if not await self.ask.confirm(_question(plan.foreseen)):
            self.say("nothing was queued")
            return
        done = await self.attempt(self._queued(MergeWanted(jobs=jobs)))
        if done is not None and done.merges:
            what = job_name(jobs[0]) if len(jobs) == 1 else plural(len(jobs), "job")
            branches = ", ".join(dict.fromkeys(clean_line(one.target) for one in done.merges))
            self.say(f"queued {what} for {branches}; :merges shows how they stand", Role.TEXT, undo=True)

    async def _queued(self, wanted: MergeWanted) -> MergeQueued:
        self.desk.require_engine()
        return await self.desk.client.queue_merges(wanted)


def _question(foreseen: Sequence[MergeForeseen]) -> str:
    """A conflict is a card, and its writer may mend it: it may be queued all the same."""
    clash = [one for one in foreseen if one.conflicts]
    if len(foreseen) > 1:
        fit = sum(not one.why for one in foreseen)
        met = f", {len(clash)} in conflict" if clash else ""
        return f"merge {len(foreseen)} jobs: {fit} would fit{met}; queue them?"
    if clash:
        files = ", ".join(clean_line(one.file) for one in clash[0].conflicts)
        where = f"{clean_line(clash[0].target)} at {files}"
        return f"{job_name(clash[0].job)} is in conflict with {where}: queue it all the same?"
    return f"{foreseen_line(foreseen[0])}: queue it?"
