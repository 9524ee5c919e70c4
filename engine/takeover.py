"""Takeovers: the operator works in a job's session at a terminal of his own, and the job waits for him.

The engine lends nothing but the session: the command at the terminal starts the agent's own screen itself. The job is
held from before the attempt is parked until nothing of that screen is alive, however it ends; a new engine takes the
watch over from the database.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from engine.agents.base import Agent, Assignment, Launch
from engine.clock import now_ms
from engine.errors import HeadwayError, NotFoundError, RefusedError, UsageError
from engine.hub import Hub
from engine.model import Job, Permission, State
from engine.runner import procfs, spawn, tree
from engine.runner.launch import Launcher
from engine.runner.procfs import Identity
from engine.runner.run_dir import run_dir
from engine.runner.runner import Runner
from engine.runner.tree import Tree
from engine.sessions import AttachRequest, Takeover
from engine.store import Store, attachments
from engine.store.attachments import Attachment
from engine.store.claims import newest_launched
from engine.store.rows import AttemptRow, read_job, read_spec
from engine.store.writer import Transaction

logger = logging.getLogger(__name__)

EVENTS_ONLY = 1 << 62  #: a version that no progress is newer than
LOOK_SECONDS = 600.0  #: between two looks at what a terminal left alive behind it


class Takeovers:
    """Gives sessions to terminals and takes them back. `freed` is called when a job may go on."""

    def __init__(
        self,
        store: Store,
        hub: Hub,
        runner: Runner,
        launcher: Launcher,
        group: asyncio.TaskGroup,
        freed: Callable[[], None],
    ) -> None:
        self._store = store
        self._hub = hub
        self._runner = runner
        self._launcher = launcher
        self._group = group
        self._freed = freed
        self._watches: dict[str, asyncio.Task[None]] = {}

    async def watch_all(self) -> None:
        """Watch the terminals that an earlier engine lent sessions to."""
        for one in await self._store.look(attachments.all_of):
            self._begin_watch(one)

    @property
    def open(self) -> bool:
        """The operator works in some session."""
        return bool(self._watches)

    def let_go(self) -> None:
        for task in self._watches.values():
            task.cancel()

    async def begin(self, job: int, request: AttachRequest, by: str) -> Takeover:
        """Park what runs of a job, and give its session to a terminal.

        Raises `RefusedError` where there is no session that can be taken over; then the job stands as before.
        """
        who = procfs.identity(request.pid)
        if who is None:
            raise UsageError(f"there is no process {request.pid} on this machine")
        tried, permission = await self._newest(job)
        self._screen(tried, permission)
        wanted = Attachment(job, tried.agent, None, request.marker, by, now_ms(), who.pid, who.started, who.boot)
        row = await self._store.write(lambda tx: attachments.begin(tx, wanted))
        self._begin_watch(wanted)
        try:
            if row.state is State.RUNNING:
                self._runner.stop(job)
                await self._until_parked(job)
            return await self._enter(wanted)
        except HeadwayError:
            await self._give_back(wanted)
            raise

    async def end(self, job: int, marker: str, grace: float) -> Job:
        """The screen has ended: end what it left alive, and let the job go on in its session."""
        found = await self._store.look(lambda tx: attachments.of(tx, job))
        if found is not None and found.marker == marker:
            await tree.stop(_tree(found), grace)
            await self._give_back(found)
        row = await self._store.look(lambda tx: read_job(tx.connection, job))
        if row is None:
            raise NotFoundError(f"there is no job {job}")
        return row.as_job()

    async def _newest(self, job: int) -> tuple[AttemptRow, Permission]:
        """The attempt whose session a terminal would get, and who decides on its tools."""

        def look(tx: Transaction) -> tuple[AttemptRow, Permission] | None:
            row = read_job(tx.connection, job)
            if row is None:
                raise NotFoundError(f"there is no job {job}; `headway jobs` lists them")
            tried = newest_launched(tx, row)
            if tried is None:
                return None
            agent, spec = self._launcher.agent(tried.agent), read_spec(tx.connection, row)
            return tried, self._launcher.permission(spec, row.project, agent)

        found = await self._store.look(look)
        if found is None:
            raise RefusedError(f"J{job} has no session yet: no attempt of it has started")
        return found

    async def _until_parked(self, job: int) -> None:
        while True:
            seq = self._hub.seq
            row = await self._store.look(lambda tx: read_job(tx.connection, job))
            if row is None or row.state is not State.RUNNING:
                return
            if self._hub.closing.is_set():
                raise RefusedError("the engine is stopping")
            await self._hub.changed(seq, EVENTS_ONLY)

    async def _enter(self, wanted: Attachment) -> Takeover:
        """Hand the session out, as it is now: the attempt may have told another name meanwhile."""
        tried, permission = await self._newest(wanted.job)
        launch = self._screen(tried, permission)
        session = tried.session or ""
        await self._store.write(lambda tx: attachments.enter(tx, wanted.job, wanted.marker, tried.agent, session))
        return Takeover(
            job=wanted.job,
            agent=tried.agent,
            account=tried.account,
            session=session,
            directory=tried.workspace or "",
            marker=wanted.marker,
            argv=list(launch.argv),
            env=dict(launch.env),
        )

    def _screen(self, tried: AttemptRow, permission: Permission) -> Launch:
        """The agent's own screen on a session. Raises `RefusedError` where it has none."""
        agent: Agent = self._launcher.agent(tried.agent)
        read_only = f"`headway attach --read-only {tried.job}` follows it"
        if type(agent).interactive is Agent.interactive:
            raise RefusedError(f"{agent.name} has no screen that goes on in a session; {read_only}")
        if tried.session is None:
            raise RefusedError(f"{agent.name} has not told the name of its session yet; {read_only}")
        directory = Path(tried.workspace or "")
        if not directory.is_dir():
            raise RefusedError(f"the directory of the session of J{tried.job}, {directory}, is not there any more")
        assignment = Assignment(
            prompt="",
            model=tried.model,
            workspace=directory,
            run_dir=run_dir(self._launcher.workspaces.home, tried.job, tried.number).path,
            settings=self._launcher.settings.agent(agent.name),
            session=tried.session,
            resumes=tried.session,
            permission=permission,
        )
        launch = agent.interactive(assignment)
        if launch is None:
            raise RefusedError(f"{agent.name} has no screen that goes on in this session; {read_only}")
        return launch

    def _begin_watch(self, one: Attachment) -> None:
        task = self._group.create_task(self._watch(one), name=f"attached-{one.job}")
        self._watches[one.marker] = task
        task.add_done_callback(lambda _: self._watches.pop(one.marker, None))

    async def _watch(self, one: Attachment) -> None:
        """Until the terminal has gone. If it has told so, nothing is left to do; else the job is held, with a word."""
        if procfs.is_alive(Identity(one.pid, one.started, one.boot)):
            await spawn.ended(one.pid)
        while left := await asyncio.to_thread(_tree(one).members):
            # The screen may have outlived the command that started it, with the operator still before it.
            await spawn.all_ended(sorted(left), LOOK_SECONDS)
        try:
            await self._store.write(lambda tx: attachments.lose(tx, one.job, one.marker))
        except HeadwayError as error:
            logger.error("job %d: %s", one.job, error)

    async def _give_back(self, one: Attachment) -> None:
        await self._store.write(lambda tx: attachments.end(tx, one.job, one.marker))
        if (watch := self._watches.get(one.marker)) is not None:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        self._freed()


def _tree(one: Attachment) -> Tree:
    return Tree(None, one.marker, None, adopted=True)
