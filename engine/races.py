"""Races: one prompt on several targets, until checks, a judge or the operator say which did it best.

How far a race is stands in the database alone. Whatever ends this engine, the next one goes on from there: checks whose
end was not written run again, with what was left of them ended first, and a judge is asked once, by a token.
"""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from msgspec import structs

from engine import orders
from engine.clock import now_ms
from engine.dispatch.routebook import Routebook
from engine.entry import title_of
from engine.errors import HeadwayError, NotFoundError, StorageError, UsageError
from engine.gate import judging
from engine.gate.checks import Check, run_checks
from engine.gate.judging import Candidate, Step
from engine.gate.places import place_of
from engine.hub import Hub
from engine.last_words import last_words
from engine.model import (
    MOST_TARGETS,
    UNFINISHED,
    CheckResult,
    JobSpec,
    Order,
    Race,
    RaceEntry,
    RacePicked,
    RaceState,
    RaceWanted,
    State,
    Target,
    Verb,
    Wanted,
    Workspace,
)
from engine.paths import expanded
from engine.redact import Secrets
from engine.runner.cells import Cells
from engine.runner.environment import environment
from engine.runner.git import GitError, git
from engine.runner.run_dir import run_dir
from engine.store import Store, races, racing, submit
from engine.store.racing import Checked, Outcome, Plan
from engine.submission import accepted
from engine.units import milliseconds
from engine.upkeep.kept import opened

logger = logging.getLogger(__name__)

BREATH_SECONDS = 0.25  #: between two looks at races, however much happens meanwhile
NO_PROGRESS = 1 << 62  #: a version of progress that none is newer than: wait for events alone
AGAIN_SECONDS = 30.0  #: after a race could not be brought on, such as on a full disk
JUDGE_KIND = "judge"  #: the kind of a judge's job, by which what judging costs can be told
SHELL = "shell"  #: the agent whose environment checks get: they are commands too
OUTPUT_CHARS = 4_000  #: of what a check printed, in the database: its end; the run directory has more
READ_BYTES = judging.PATCH_CHARS * 4 + 4  #: of a change: as many as so many characters can take


class Races:
    """One for an engine. `act` carries out an operator's verb, `wake` tells the dispatcher of new jobs."""

    def __init__(
        self,
        home: Path,
        store: Store,
        hub: Hub,
        book: Routebook,
        secrets: Secrets,
        act: Callable[[Order, str], Awaitable[object]],
        wake: Callable[[], None],
    ) -> None:
        self._home = home
        self._store = store
        self._hub = hub
        self._book = book
        self._settings = book.settings
        self._cells = Cells(home, book.settings)
        self._agents = book.agents
        self._secrets = secrets
        self._act = act
        self._wake = wake
        self._begun = asyncio.Event()
        self.busy = False
        """Checks run."""

    # ---- what the operator asks

    async def begin(self, wanted: RaceWanted, by: str) -> Race:
        """Give one prompt to several targets. Raises `UsageError`."""
        if not 2 <= len(wanted.on) <= MOST_TARGETS:
            raise UsageError(f"a race is between 2 and {MOST_TARGETS} targets")
        names = self._agents.keys()
        targets = [orders.target(text, self._settings, names) for text in wanted.on]
        judge = None if wanted.judge is None else orders.target(wanted.judge, self._settings, names)
        if wanted.first is not None and wanted.first > len(targets):
            raise UsageError(f"first: there are only {len(targets)} targets")
        submission = accepted(await self._wanted(wanted, targets), self._settings, names, now_ms(), self._book)
        base, project = submission.jobs[0].spec.base, submission.jobs[0].project
        if judge is not None and (why := self._book.privacy.barred(judge, project)):
            raise UsageError(f"judge: {why}")
        plan = Plan(
            checks=wanted.checks,
            check_ms=_span("check_timeout", wanted.check_timeout),
            judge=None if judge is None else str(judge),
            first=wanted.first,
        )
        begin = races.Begin(
            submission, submission.jobs[0].title, project, base, plan, by,
            lambda number: judging.lots(len(targets), number), wanted.dry_run,
        )  # fmt: skip
        race = await self._store.write(lambda tx: races.begin(tx, begin))
        if not wanted.dry_run:
            self._begun.set()
            self._wake()
        return race

    async def race(self, number: int) -> Race:
        """Raises `NotFoundError`."""
        found = await self._store.look(lambda tx: racing.race(tx, number))
        if found is None:
            raise NotFoundError(f"there is no race {number}; `headway race list` shows them")
        return found

    async def newest(self, limit: int) -> list[Race]:
        return await self._store.look(lambda tx: racing.races(tx, limit))

    async def pick(self, number: int, job: int, by: str, *, dry_run: bool) -> RacePicked:
        """The operator's choice. Raises as `engine.store.races.pick` does."""
        return await self._store.write(lambda tx: races.pick(tx, number, job, by, dry_run=dry_run))

    async def _wanted(self, wanted: RaceWanted, targets: list[Target]) -> Wanted:
        spec = JobSpec(
            prompt=wanted.prompt,
            title=wanted.title,
            project=wanted.project,
            kind=wanted.kind,
            tags=wanted.tags,
            timeout=wanted.timeout,
            workspace=Workspace.WORKTREE,
        )
        if wanted.priority is not None:
            spec = structs.replace(spec, priority=wanted.priority)
        if wanted.project is not None:
            spec = structs.replace(spec, base=await self._base(wanted.project, wanted.base))
        elif wanted.base is not None:
            raise UsageError("base: only a project has commits to begin at")
        specs = [structs.replace(spec, agent=one.agent, model=one.model, account=one.account) for one in targets]
        return Wanted(specs, batch=f"race: {title_of(spec)}")

    async def _base(self, project: str, asked: str | None) -> str:
        """The commit that all begin at, by its whole name: HEAD may move before the last of them starts."""
        directory = orders.directories(self._settings).get(project, project)
        where = expanded(directory)
        try:
            return await git(where, "rev-parse", "--verify", "--end-of-options", f"{asked or 'HEAD'}^{{commit}}")
        except GitError:
            what = f"no commit {asked!r}" if asked else "no git repository with a commit"
            raise UsageError(f"project: {directory} has {what}: in one directory the targets would meet") from None

    # ---- bringing them on

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            seq = self._hub.seq
            self._begun.clear()
            try:
                open_ = await self._store.look(racing.unfinished)
            except StorageError as error:
                logger.error("races: %s; looking again in %.0f s", error, AGAIN_SECONDS)
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            for number in open_:
                await self._bring_on(number)
            if open_:
                await asyncio.sleep(BREATH_SECONDS)
                await self._hub.changed(seq, NO_PROGRESS)
                if self._hub.closing.is_set():
                    return
            else:
                await self._begun.wait()

    async def _bring_on(self, number: int) -> None:
        """As far as it goes by now. The edge of a race: what goes wrong in one is logged, and tried again."""
        try:
            while await self._step(await self.race(number)):
                pass
        except HeadwayError as error:
            logger.error("race %d: %s; trying again in %.0f s", number, error, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)
        except Exception:
            logger.exception("race %d: a defect; trying again in %.0f s", number, AGAIN_SECONDS)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _step(self, race: Race) -> bool:
        """One step of a race; False where it has to wait, or is over."""
        match race.state:
            case RaceState.RUNNING:
                return await self._when_ended(race)
            case RaceState.CHECKING:
                return await self._check(race)
            case RaceState.JUDGING:
                return await self._judge(race)
            case _:
                return False

    async def _when_ended(self, race: Race) -> bool:
        left = [one.job for one in race.entries if one.state in UNFINISHED]
        well = sum(one.state is State.SUCCEEDED for one in race.entries)
        if left and (race.first is None or well < race.first):
            return False
        if left:
            await self._act(Order(verb=Verb.CANCEL, jobs=left), f"race {race.id}")
        return await self._move(race, Step(RaceState.CHECKING, f"{well} of {len(race.entries)} have ended well"))

    async def _check(self, race: Race) -> bool:
        able = {one.job for one in judging.able(race.entries)}
        for entry in race.entries:
            if entry.fit is not None:
                continue
            if entry.job not in able:
                checked = Checked(fit=False, note=judging.why_not(entry))
            elif not race.checks:
                checked = Checked(fit=True)
            else:
                checked = _said(await self._run_checks(race, entry))
            await self._note(race.id, entry.job, checked)
        race = await self.race(race.id)
        return await self._move(race, judging.decide(race.entries, checked=bool(race.checks), judge=race.judge))

    async def _note(self, race: int, job: int, checked: Checked) -> None:
        await self._store.write(lambda tx: racing.note_checks(tx, race, job, checked))

    async def _run_checks(self, race: Race, entry: RaceEntry) -> list[CheckResult]:
        # Of this home, this race and this job: so that the checks of no other are taken for them.
        marker = uuid.uuid5(uuid.NAMESPACE_URL, f"{self._home.as_uri()}/races/{race.id}/{entry.job}").hex
        given = environment(os.environ, (), {}, self._settings.agent(SHELL), entry.job, marker)
        folder = run_dir(self._home, entry.job, entry.attempt).path
        rows = await self._store.read.rows([entry.job])
        project, directory = rows[0].project if rows else None, Path(entry.workspace or "/nonexistent")
        agent = Target.parse(entry.target).agent
        place = await place_of(self._cells, agent, project, directory, given, marker, folder)
        checks = [Check(command, race.check_ms / 1000) for command in race.checks]
        self.busy = True
        try:
            results = await run_checks(checks, place)
        finally:
            self.busy = False
        return [structs.replace(one, output=self._secrets.out_of(one.output)[-OUTPUT_CHARS:]) for one in results]

    async def _judge(self, race: Race) -> bool:
        if race.judge is None:
            return await self._move(race, Step(RaceState.OPEN, "nobody was to judge"))
        if race.judge_job is None:
            await self._ask_judge(race, Target.parse(race.judge))
            return False
        rows = await self._store.read.rows([race.judge_job])
        row = rows[0] if rows else None
        if row is None or (row.ended_at is not None and row.state is not State.SUCCEEDED):
            why = "its judge is gone" if row is None else f"its judge, J{row.id}, {row.state}"
            return await self._move(race, Step(RaceState.OPEN, why))
        if row.ended_at is None:
            return False
        return await self._take_verdict(race, row.id)

    async def _ask_judge(self, race: Race, target: Target) -> None:
        letters = judging.letters(race.entries)
        within = [one for one in race.entries if one.job in letters]
        answers = [await asyncio.to_thread(self._candidate, entry, letters[entry.job]) for entry in within]
        row, *_ = await self._store.read.rows([within[0].job])
        asked = judging.question((await self._store.read.spec(row)).prompt, answers)
        agent = self._agents[target.agent]
        spec = JobSpec(
            prompt=self._secrets.out_of(asked),
            title=f"judge race {race.id}: {race.title}",
            agent=target.agent,
            model=target.model,
            account=target.account,
            kind=JUDGE_KIND,
            priority=max(0, row.priority - 1),
            schema=judging.SCHEMA if agent.answers else None,
        )
        # By its token it is asked once, though this engine may be killed before it has noted whom it asked.
        wanted = Wanted([spec], token=f"race-{race.id}-{race.at}-judge")
        submission = replace(
            accepted(wanted, self._settings, self._agents.keys(), now_ms(), self._book), digest="judge"
        )
        admitted = await self._store.write(submit.Admission(submission))
        await self._store.write(lambda tx: racing.judged_by(tx, race.id, admitted.ids[0]))
        self._wake()

    def _candidate(self, entry: RaceEntry, letter: str) -> Candidate:
        with opened(run_dir(self._home, entry.job, entry.attempt).diff) as file:
            patch = "" if file is None else file.read(READ_BYTES).decode(errors="replace")
        checks = ", ".join(f"{one.command}: {one.word}" for one in entry.checks)
        return Candidate(letter, entry.result or "", patch, checks)

    async def _take_verdict(self, race: Race, job: int) -> bool:
        letters = judging.letters(race.entries)
        said = judging.verdict(await last_words(self._store, self._home, job), [*letters.values()])
        if said is None:
            why = f"what its judge, J{job}, said cannot be read as a verdict"
            return await self._move(race, Step(RaceState.OPEN, why))
        for entry, letter in letters.items():
            if text := said.of.get(letter):
                await self._store.write(partial(racing.note, number=race.id, job=entry, text=text))
        winner = next((entry for entry, letter in letters.items() if letter == said.winner), None)
        if winner is None:
            return await self._move(race, Step(RaceState.OPEN, f"its judge found none good: {said.why}"))
        return await self._move(race, Step(RaceState.DECIDED, said.why, winner, race.judge or ""))

    async def _move(self, race: Race, step: Step) -> bool:
        """True: there may be more to do at once. Whoever was quicker, such as the operator, has the last word."""
        decided = now_ms() if step.winner is not None else None
        to = Outcome(race.id, step.state, step.winner, decided, step.by or None, step.why)
        by = step.by or "headway"
        return await self._store.write(lambda tx: racing.move(tx, race, to, by))


def _said(results: list[CheckResult]) -> Checked:
    failed = next((one for one in results if not one.passed), None)
    return Checked(failed is None, failed is None, results, f"{failed.command}: {failed.word}" if failed else "")


def _span(name: str, value: str | int) -> int:
    try:
        found = milliseconds(value)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None
    if not found:
        raise UsageError(f"{name}: it is 0, so that nothing could run")
    return found
