"""The way of finished work to its branch, for every screen that has jobs."""

from __future__ import annotations

from console.format import clean_line, job_name, plural
from console.merging import foreseen_line
from console.roles import Role
from console.screens.choosing import Choosing
from engine.model import MergeQueued, MergeWanted


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
        able = [one.job for one in plan.foreseen if not one.why]
        if len(jobs) == 1 and plan.foreseen:
            asked = foreseen_line(plan.foreseen[0])
        else:
            asked = f"merge {plural(len(jobs), 'job')}, of which {len(able)} would fit"
        if not await self.ask.confirm(f"{asked}: queue {'it' if len(jobs) == 1 else 'them'}?"):
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
