"""Which class each new job is of, what follows from that, and what the operator says of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import add

import msgspec
from msgspec import structs

from engine import events as log
from engine.clock import now_ms
from engine.config.triage import Clarify, placement
from engine.dispatch import triage as rules
from engine.dispatch.classing import routed
from engine.dispatch.routebook import Matched, Routebook, Traits, first
from engine.dispatch.triage import Count, Facts, Habit, Learnt
from engine.interval import typical
from engine.model import (
    Corrected,
    Correction,
    JobSpec,
    Judgement,
    RuleLine,
    Target,
    Triage,
    TriageAnswer,
    TriageRequest,
)
from engine.opinion import NO_ALLOWANCE, Allowance, Opinions
from engine.orders import directories
from engine.store import Store, Transaction, board, corrections, moves, scores
from engine.store import triage as store
from engine.store.board import Taken
from engine.store.corrections import Said
from engine.store.reader import DAY_MS
from engine.store.rows import JobRow
from engine.store.submit import Accepted, Sorted, Submission
from engine.store.triage import Word
from engine.submission import Sorter, unsorted

HABIT_DAYS = 90  #: of which it is known what kinds of jobs take
HABIT_SECONDS = 60.0  #: for which that is kept: it changes slowly, and each look counts what has ended since

_WHO = "SELECT body FROM events WHERE job = ? AND json_extract(body, '$.kind') = 'triaged' ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class Known:
    """What the rules go by beside the job itself."""

    learnt: dict[str, Learnt] = field(default_factory=dict)
    """By project; '' is work without one."""
    habits: Mapping[tuple[str | None, str], Habit] = field(default_factory=dict)
    """By project and kind; under no project, by kind alone."""

    def judge(self, spec: JobSpec, project: str | None) -> Judgement:
        tags = frozenset(tag.lower() for tag in spec.tags)
        learnt = self.learnt.get(project or "", rules.NOTHING_LEARNT)
        habit = self._habit(project, spec.kind) if spec.kind is not None else None
        return rules.judge(Facts(spec.prompt, spec.kind, tags, spec.priority, project, habit), learnt)

    def _habit(self, project: str | None, kind: str) -> Habit | None:
        """What a kind has taken in a project; where that is not enough to go by, in all of them."""
        own = self.habits.get((project or "", kind))
        return own if own is not None and own.count >= rules.HABIT_MIN else self.habits.get((None, kind))


class Triaging:
    """One for an engine. What was learnt of corrections is kept until the next one."""

    def __init__(self, store: Store, book: Routebook, opinions: Opinions, wake: Callable[[], None]) -> None:
        self._store = store
        self._opinions = opinions
        self._book = book
        self._settings = book.settings
        self._wake = wake
        self._classed = frozenset(name for name, agent in book.agents.items() if agent.provider)
        """Agents whose jobs are told in words: a command line says nothing to these rules."""
        self._learnt: dict[str, Learnt] | None = None
        self._habits: Mapping[tuple[str | None, str], Habit] = {}
        self._habits_until = float("-inf")

    def forget(self) -> None:
        """A correction was made, or taken back: look at all of it again."""
        self._learnt = None
        self._habits_until = float("-inf")

    async def sorter(self) -> Sorter:
        """What says of a new job which class it is of, by all that is known now."""
        return unsorted if not self._settings.triage.rules else self._by(await self._known())

    def _by(self, known: Known) -> Sorter:
        def sort(spec: JobSpec, project: str | None, agent: str) -> Sorted:
            if spec.triage is not None or agent not in self._classed:
                return unsorted(spec, project, agent)
            found = known.judge(spec, project)
            why = "; ".join(one.why for one in found.fired if one.triage is found.triage)
            return Sorted(found.triage, why, found.sure)

        return sort

    async def _known(self) -> Known:
        if self._learnt is None:
            self._learnt = {name: _learnt(said) for name, said in (await self._store.look(corrections.said)).items()}
        if time.monotonic() > self._habits_until:
            await self._store.write(scores.fold)
            since = now_ms() - HABIT_DAYS * DAY_MS
            self._habits = _habits(await self._store.look(lambda tx: board.habits(tx, since)))
            self._habits_until = time.monotonic() + HABIT_SECONDS
        return Known(self._learnt, self._habits)

    async def placed(self, submission: Submission, now: int) -> Submission:
        """The same submission, with what the settings make of each job's class."""
        allowance = await self._opinions.allowance(now)
        jobs = []
        for job in submission.jobs:
            placed = self._placed(job, now, allowance)
            if placed.unsure_until is not None:
                allowance = replace(allowance, left=allowance.left - 1)
            jobs.append(placed)
        follow_up = submission.follow_up
        if follow_up is not None:
            follow_up = self._placed(follow_up, now, NO_ALLOWANCE)  # it is far from starting
        return replace(submission, jobs=jobs, follow_up=follow_up)

    def _placed(self, job: Accepted, now: int, allowance: Allowance) -> Accepted:
        of = job.sorted
        if of.triage is None:
            free = job.not_before is None and job.deadline is None
            if of.sure or not free or not allowance.left or self._opinions.barred(job.project):
                return job
            # A model is asked about it, and it waits for that, as it waits for nothing else.
            return replace(job, unsure_until=allowance.until, not_before=allowance.until)
        timed = job.spec.not_before is not None
        follows = placement(self._settings.triage, of.triage, job.spec.priority, now, timed=timed)
        if follows.priority is not None:
            job = replace(job, spec=structs.replace(job.spec, priority=follows.priority))
        if follows.not_before is not None:
            job = replace(job, not_before=follows.not_before)
        if follows.ask and not of.said:
            job = replace(job, question=f"it does not say enough to be begun: {of.why}")
        return job

    # ---- what the operator asks, and says

    async def think(self, request: TriageRequest) -> TriageAnswer:
        """What a job would be that nobody has submitted. Raises `UsageError` where no target could do it."""
        settings = self._settings
        agent = request.agent or settings.default_agent
        project = directories(settings).get(request.project or "", request.project)
        spec = JobSpec(prompt=request.prompt, kind=request.kind, tags=request.tags)
        known = await self._known()
        triage = self._by(known)(spec, project, agent).triage if settings.triage.rules else None
        matched, target = Matched(None, ("it names its target itself",)), Target(agent, settings.agent(agent).model)
        if request.agent is None:
            matched = self._book.match(replace(Traits.of(spec, project), triage=triage))
            target = first(self._book, matched.route, spec, project) if matched.route is not None else target
        return TriageAnswer(
            job=None,
            triage=triage,
            by="rules",
            judgement=known.judge(spec, project),
            target=str(target),
            route=matched.route.name if matched.route is not None else None,
            routed=matched.why[-1],
            follows=self._follows(triage),
        )

    async def of(self, row: JobRow) -> TriageAnswer:
        """What a job is, and what the rules say of it now."""
        spec = await self._store.read.spec(row)
        who, routed = await self._store.look(lambda tx: (_who(tx, row), moves.why_routed(tx, row)))
        return TriageAnswer(
            job=row.id,
            triage=row.triage,
            by=who or ("submitter" if spec.triage else "rules"),
            judgement=(await self._known()).judge(spec, row.project),
            target=str(row.target),
            route=row.route,
            routed=routed,
            follows=self._follows(row.triage),
        )

    def _follows(self, triage: str | None) -> list[str]:
        settings = self._settings.triage
        found = []
        if triage is not None and (level := settings.priorities.get(triage)) is not None:
            found.append(f"priority {level}, where none was given")
        if triage == Triage.DEFER and settings.off_peak is not None:
            found.append(f"waits for {settings.off_peak}")
        if triage == Triage.CLARIFY and settings.clarify is Clarify.ASK:
            found.append("is held, and a card asks you")
        return found

    async def correct(self, row: JobRow, correction: Correction, by: str) -> Corrected:
        """The operator's word on a class. It stands, counts in the project from now on, and may move the job."""
        found = (await self._known()).judge(await self._store.read.spec(row), row.project)
        word = Word(correction.triage, by, *rules.outcome_for(found, correction.triage))

        def reroute(now: JobRow, spec: JobSpec) -> log.Routed | None:
            return routed(self._book, now, spec, by)

        done = await self._store.write(lambda tx: store.correct(tx, row.id, word, reroute, dry_run=correction.dry_run))
        self.forget()
        self._wake()  # it may have been held because of its class
        return done

    async def rules(self, project: str | None) -> list[RuleLine]:
        """All rules, as corrections have left them in a project."""
        known = await self._known()
        place = directories(self._settings).get(project or "", project)
        return rules.lines(known.learnt.get(place or "", rules.NOTHING_LEARNT))


def _who(tx: Transaction, row: JobRow) -> str:
    """Who gave a job its class after it was submitted."""
    found = tx.connection.execute(_WHO, (row.id,)).fetchone()
    return msgspec.json.decode(found[0], type=log.Triaged).by if found else ""


def _habits(found: Sequence[Taken]) -> dict[tuple[str | None, str], Habit]:
    sums: dict[tuple[str | None, str], tuple[list[int], list[int]]] = {}
    for one in found:
        for place in (one.project, None):
            took, cost = sums.setdefault((place, one.kind), ([0, 0, 0], [0, 0, 0]))
            took[:] = map(add, took, one.took)
            cost[:] = map(add, cost, one.cost)
    return {
        key: Habit(took[0], median.value, None if (price := typical(*cost)) is None else price.value)
        for key, (took, cost) in sums.items()
        if (median := typical(*took)) is not None
    }


def _learnt(said: Said) -> Learnt:
    return Learnt({name: Count(agreed, against) for name, (agreed, against) in said.rules.items()}, said.kinds)
