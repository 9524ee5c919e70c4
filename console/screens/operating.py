"""The verbs on jobs, for every screen that has jobs: each says what it did in one line, and the grave ones ask."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from msgspec.structs import replace
from textual.app import SuspendNotSupported

from console.actions import Scope
from console.ahead import explained_line, preview_line
from console.format import job_name, plural
from console.messages import JobsChanged
from console.roles import Role
from console.said import question, result_line, skipped_text
from console.screens.merging import Merging
from console.status import mark_of
from console.tabs import Tab
from engine.errors import HeadwayError
from engine.model import ActionResult, Job, Order, State, Verb

#: More jobs than this are cancelled only after their number was typed.
_MANY = 20

#: Seconds that a look ahead may keep a verb that can be taken back, and one that asks.
_PATIENCE, _ASKING_PATIENCE = 0.4, 2.0

#: Jobs that are read to tell how they stand, before a question or a toggle.
_READ = 128


class Operating(Merging):
    """A screen whose keys act on jobs."""

    def targets_done(self) -> None:
        """A verb was carried out on the targets."""

    def show_job(self, job: int, tab: Tab) -> None:
        """Open a job at one of its tabs."""
        raise NotImplementedError

    def live_scopes(self) -> frozenset[Scope]:
        return super().live_scopes() | {Scope.JOBS}

    def action_hold(self) -> None:
        self.work(self._toggle_hold(self.targets()))

    def action_retry(self) -> None:
        self.work(self._retry(self.targets()))

    def action_cancel(self) -> None:
        self.work(self._cancel(self.targets()))

    def action_raise(self) -> None:
        self.work(self._shift(self.targets(), -1))

    def action_lower(self) -> None:
        self.work(self._shift(self.targets(), +1))

    def action_snooze(self, until: str = "") -> None:
        if until:
            self._order(Order(verb=Verb.SNOOZE, until=None if until == "now" else until))
        else:
            self.choose_span()

    def action_reroute(self, target: str = "") -> None:
        if target == "next":
            self._order(Order(verb=Verb.REROUTE, to_next=True))
        elif target:
            self._order(Order(verb=Verb.REROUTE, to=target))
        else:
            self.choose_target()

    def action_move(self, place: str = "") -> None:
        if place:
            self._order(Order(verb=Verb.MOVE, place=place))
        else:
            self.say("move where? :move first, last, before:12 or after:12")

    def action_explain(self) -> None:
        self.work(self._explain(self.open_target()))

    def _order(self, order: Order) -> None:
        """Carry out a verb that takes a word, on the targets."""
        if jobs := self.targets():
            self.work(self.carry_out(replace(order, jobs=jobs)))
        else:
            self.say(f"no job here to {order.verb.value}")

    async def carry_out(self, order: Order, foreseen: str | None = None) -> None:
        if foreseen is None:
            foreseen = await self._foreseen(order)
        result = await self.attempt(self._carried_out(order))
        if result is not None:
            self._tell(result, foreseen)

    async def _foreseen(self, order: Order, patience: float | None = None) -> str:
        """What an order would change, in a few words; nothing where that takes longer than the order may wait."""
        try:
            async with asyncio.timeout(_PATIENCE if patience is None else patience):
                result = await self.desk.client.carry_out(replace(order, dry_run=True, preview=True))
        except (TimeoutError, HeadwayError):
            return ""
        return preview_line(result.preview, self.desk.clock())

    async def _carried_out(self, order: Order) -> ActionResult:
        self.desk.require_engine()
        return await self.desk.client.carry_out(order)

    async def _shift(self, jobs: list[int], by: int) -> None:
        """Raise or lower priorities by one, each from where it stands."""
        rows = await self.attempt(self._rows(jobs))
        if not rows:
            if rows is not None:
                self.say("no job here to move")
            return
        levels: dict[int, list[int]] = {}
        for job in rows:
            levels.setdefault(min(9, max(0, job.priority + by)), []).append(job.id)
        for priority, ids in levels.items():
            await self.carry_out(Order(verb=Verb.PRIORITY, jobs=ids, priority=priority))

    async def _explain(self, job: int | None) -> None:
        if job is None:
            self.say("no job here to explain")
            return
        found = await self.attempt(self.desk.client.explain(job))
        if found is not None:
            self.say(explained_line(found, self.desk.clock()))

    def action_copy(self) -> None:
        jobs = self.targets()
        if not jobs:
            self.say("no job here to copy")
            return
        self.app.copy_to_clipboard(" ".join(job_name(job) for job in jobs))
        self.say(f"copied {job_name(jobs[0]) if len(jobs) == 1 else plural(len(jobs), 'id')}")

    def action_edit(self) -> None:
        self.work(self._edit(self.targets()))

    def action_attach(self) -> None:
        job = self.open_target()
        status = self.desk.status
        if job is None or status is None:
            self.say("no job here to attach to")
        elif (elsewhere := self.desk.elsewhere) is not None and elsewhere.argv is None:
            self.say(f"a session is worked in on {elsewhere.host}: attach by ssh:// for that")
        else:
            self._lend_terminal(elsewhere.home if elsewhere else status.home, job)

    def _lend_terminal(self, home: str, job: int) -> None:
        """Lend the terminal to the agent's own screen. The command does all of it, as it does without a console."""
        command = [sys.executable, "-m", "console.cli", "--home", home, "attach", "--pause", str(job)]
        interrupt = signal.getsignal(signal.SIGINT)
        try:
            with self.app.suspend():
                signal.signal(signal.SIGINT, lambda *_: None)  # it is meant for the screen
                try:
                    code = subprocess.run(command, check=False).returncode
                finally:
                    signal.signal(signal.SIGINT, interrupt)
        except SuspendNotSupported:
            self.say("this terminal cannot be lent to an agent")
        except OSError as error:
            self.say(f"attach: {error}", Role.FAILED)
        else:
            self.say(f"left the session of {job_name(job)}" if code == 0 else f"attach ended with {code}")
        self.post_message(JobsChanged(frozenset([job]), True, 0))

    def action_show_log(self) -> None:
        self._open_at(Tab.LOG)

    def action_show_diff(self) -> None:
        self._open_at(Tab.DIFF)

    def action_show_gate(self) -> None:
        self._open_at(Tab.GATE)

    def action_show_attempts(self) -> None:
        self._open_at(Tab.ATTEMPTS)

    def action_show_timeline(self) -> None:
        self._open_at(Tab.TIMELINE)

    def action_show_events(self) -> None:
        self._open_at(Tab.EVENTS)

    def action_show_cost(self) -> None:
        self._open_at(Tab.COST)

    def action_show_spec(self) -> None:
        self._open_at(Tab.SPEC)

    def open_target(self) -> int | None:
        """The one job that opening means: never the marks."""
        jobs = self.targets()
        return jobs[0] if jobs else None

    def _open_at(self, tab: Tab) -> None:
        job = self.open_target()
        if job is None:
            self.say("no job here to open")
        else:
            self.show_job(job, tab)

    async def _call(self, verb: Verb, jobs: list[int], *, dry_run: bool = False) -> ActionResult | None:
        if not jobs:
            self.say(f"no job here to {verb.value}")
            return None
        return await self.attempt(self._sent(verb, jobs, dry_run))

    async def _sent(self, verb: Verb, jobs: list[int], dry_run: bool) -> ActionResult:
        self.desk.require_engine()
        return await self.desk.client.act(verb, jobs, dry_run=dry_run)

    async def _act(self, verb: Verb, jobs: list[int], foreseen: str | None = None) -> None:
        if foreseen is None and jobs and self.desk.offline_since is None:
            foreseen = await self._foreseen(Order(verb=verb, jobs=jobs))
        result = await self._call(verb, jobs)
        if result is not None:
            self._tell(result, foreseen or "")

    def _tell(self, result: ActionResult, foreseen: str = "") -> None:
        did = bool(result.done or result.stopping)
        line = result_line(result)
        back = did and result.verb is not Verb.CANCEL
        self.say(f"{line}: {foreseen}" if did and foreseen else line, Role.TEXT if did else Role.WAIT, undo=back)
        self.post_message(JobsChanged(frozenset([*result.done, *result.stopping]), True, 0))
        if did:
            self.targets_done()

    async def _toggle_hold(self, jobs: list[int]) -> None:
        """Hold; where all of them are held already, release. Beyond `_READ` jobs a dry run tells which it is."""
        if jobs and len(jobs) <= _READ:
            rows = await self.attempt(self.desk.client.rows(jobs))
            if rows is None:
                return
            held = bool(rows) and all(job.held_by for job in rows)
        else:
            plan = await self._call(Verb.HOLD, jobs, dry_run=True)
            if plan is None:
                return
            held = not plan.done and not plan.stopping
        await self._act(Verb.RELEASE if held else Verb.HOLD, jobs)

    async def _cancel(self, jobs: list[int]) -> None:
        plan = await self._call(Verb.CANCEL, jobs, dry_run=True)
        if plan is None:
            return
        meant = [*plan.done, *plan.stopping]
        if not meant:
            self.say(skipped_text(plan) or "nothing to cancel", Role.WAIT)
            return
        rows = await self.attempt(self.desk.client.rows(meant)) if len(meant) <= _READ else []
        if rows is None:
            return
        now = self.desk.clock()
        asked = question(Verb.CANCEL, plan, [mark_of(job, now) for job in rows])
        if foreseen := await self._foreseen(Order(verb=Verb.CANCEL, jobs=meant), _ASKING_PATIENCE):
            asked = f"{asked} {foreseen}."
        if len(meant) > _MANY:
            sure = await self.ask.typed(f"{asked} type {len(meant)}, then enter:", str(len(meant)))
        else:
            sure = await self.ask.confirm(asked)
        if sure:
            await self._act(Verb.CANCEL, meant, "")
        else:
            self.say("nothing was cancelled")

    async def _rows(self, jobs: list[int]) -> list[Job]:
        self.desk.require_engine()
        return await self.desk.client.rows(jobs) if jobs else []

    async def _retry(self, jobs: list[int]) -> None:
        """Put back what failed at once; ask before paying again for what succeeded."""
        rows = await self.attempt(self._rows(jobs[:_READ]))
        if rows is None:
            return
        done = sum(job.state is State.SUCCEEDED for job in rows)
        if done:
            what = (
                f"{job_name(jobs[0])}, which succeeded"
                if len(jobs) == 1
                else f"{plural(len(jobs), 'job')}, {done} of which succeeded"
            )
            if not await self.ask.confirm(f"retry {what}?"):
                self.say("nothing was retried")
                return
        await self._act(Verb.RETRY, jobs)

    async def _edit(self, jobs: list[int]) -> None:
        if len(jobs) != 1:
            self.say("open one workspace at a time" if jobs else "no job here to open")
            return
        detail = await self.attempt(self.desk.client.job(jobs[0]))
        if detail is None:
            return
        places = [attempt.workspace for attempt in detail.attempts if attempt.workspace]
        editor = os.environ.get("VISUAL") or os.environ.get("EDITOR")
        if not places:
            self.say(f"{job_name(jobs[0])} has no workspace yet")
        elif (elsewhere := self.desk.elsewhere) is not None:
            if elsewhere.argv is None:
                self.say(f"the workspace is on {elsewhere.host}: attach by ssh:// to open it")
                return
            there = f"cd {shlex.quote(places[-1])} && exec ${{VISUAL:-${{EDITOR:-vi}}}} ."
            self._run_editor(elsewhere.argv(f"sh -lc {shlex.quote(there)}"), None)
        elif not Path(places[-1]).is_dir():
            self.say(f"the workspace {places[-1]} is not there any more", Role.WAIT)
        elif not editor:
            self.say(f"set $EDITOR to open {places[-1]}")
        else:
            try:
                self._run_editor([*shlex.split(editor), places[-1]], places[-1])
            except ValueError as error:
                self.say(f"$EDITOR {editor}: {error}", Role.FAILED)

    def _run_editor(self, command: list[str], place: str | None) -> None:
        """Lend the terminal to an editor, in a directory of this machine or, without one, elsewhere."""
        try:
            with self.app.suspend():
                code = subprocess.run(command, cwd=place, check=False).returncode
        except SuspendNotSupported:
            self.say("this terminal cannot be lent to an editor")
        except OSError as error:
            self.say(f"{command[0]}: {error.strerror}", Role.FAILED)
        else:
            self.say("back from the editor" if code == 0 else f"{command[0]} ended with {code}")
