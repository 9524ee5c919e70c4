"""What a stand-in engine answers to the console's lists: values that a test lays there, and what was asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from engine.budgets import Amount, BudgetLine
from engine.errors import NotFoundError
from engine.events import Event
from engine.memory.answers import Change, CorePart, Forget, Forgotten, ItemDetail, MemoryStatus, Part, Recalled, Verb
from engine.memory.item import Item, Kind, Standing
from engine.memory.judgement import Terms
from engine.memory.store import Backend
from engine.model import (
    Breaker,
    Cap,
    GatePlan,
    JobGate,
    Merge,
    MergeForeseen,
    MergeQueued,
    MergeState,
    MergeWanted,
    Pipeline,
    PipelineActed,
    PipelineState,
    PipelineVerb,
    Race,
    RacePicked,
    Readiness,
    Scoreboard,
)
from engine.model.forecast import Forecast, Through
from engine.model.node import Nodes
from engine.model.route import RouteChoice, RouteQuery, RouteStatus
from engine.model.tax import Spent, Tax
from engine.money import By, Spend, SpendLine
from engine.schedule import Schedule, ScheduleAnswer, ScheduleDetail, ScheduleOrder, ScheduleVerb
from engine.skills.skill import Skill
from engine.skills.stats import SkillCount, SkillUse
from engine.window import WindowState
from tests.console.moment import MINUTE, NOW


def _ahead() -> Forecast:
    return Forecast(now=NOW, through=Through(jobs=9, finish=NOW + 200 * MINUTE, cost_micros=4_200_000, games=200))


@dataclass
class Books:
    """The values, by family."""

    windows: list[WindowState] = field(default_factory=list)
    breakers: list[Breaker] = field(default_factory=list)
    forecast: Forecast = field(default_factory=_ahead)
    lines: dict[By, list[SpendLine]] = field(default_factory=dict)
    budgets: list[BudgetLine] = field(default_factory=list)
    tax: Tax = field(default_factory=lambda: Tax(since=NOW, project=None, all=Spent(), useful=Spent(), tax=Spent()))
    schedules: list[Schedule] = field(default_factory=list)
    details: dict[str, ScheduleDetail] = field(default_factory=dict)
    items: list[Item] = field(default_factory=list)
    core: dict[str, str] = field(default_factory=dict)
    skills: list[Skill] = field(default_factory=list)
    counts: list[SkillCount] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    uses: dict[str, list[SkillUse]] = field(default_factory=dict)
    routes: list[RouteStatus] = field(default_factory=list)
    choice: RouteChoice = field(default_factory=lambda: RouteChoice(route=None, target="claude"))
    races: list[Race] = field(default_factory=list)
    board: Scoreboard = field(default_factory=Scoreboard)
    caps: list[Cap] = field(default_factory=list)
    gates: dict[int, JobGate] = field(default_factory=dict)
    merges: list[Merge] = field(default_factory=list)
    nodes: Nodes = field(default_factory=lambda: Nodes(configured=False))
    pipelines: list[Pipeline] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    """What was done, in its order."""


class FakeMemory:
    """The calls of `console.doors.MemoryDoors`."""

    def __init__(self, engine: Answering) -> None:
        self._engine = engine

    @property
    def _books(self) -> Books:
        self._engine._answer()
        return self._engine.books

    async def items(
        self,
        scopes: Sequence[str] = (),
        kinds: Sequence[Kind] = (),
        standings: Sequence[Standing] = (),
        limit: int = 50,
        after: int | None = None,
    ) -> list[Item]:
        return self._books.items[:limit]

    async def item(self, number: int) -> ItemDetail:
        found = next((one for one in self._books.items if one.id == number), None)
        if found is None:
            raise NotFoundError(f"nothing is remembered as {number}")
        return ItemDetail(item=found, uses=["J4806 attempt 1", "J4833 attempt 1"] if found.use_count else [])

    async def search(self, question: str, scopes: Sequence[str] = (), limit: int = 20) -> Recalled:
        found = [one for one in self._books.items if question in one.text]
        terms = Terms(
            score=0.61, relevance=0.83, text=0.9, vector=0.7, neighbours=0.0, recency=0.95, importance=0.5, trust=0.8,
            modulation=0.74, standing=1.0,
        )  # fmt: skip
        parts = [Part(item=one, tokens=12, reason="its words fit", terms=terms) for one in found]
        return Recalled(question=question, scopes=["global"], parts=parts, without="no vectors")

    async def change(self, wanted: Change) -> list[Item]:
        self._books.asked.append((wanted.verb, wanted.ids, wanted.importance, wanted.text))
        changed = []
        for place, one in enumerate(self._books.items):
            if one.id in wanted.ids:
                standing = {Verb.ACCEPT: Standing.ACTIVE, Verb.RETRACT: Standing.RETRACTED}.get(
                    wanted.verb, one.standing
                )
                importance = one.importance if wanted.importance is None else wanted.importance
                self._books.items[place] = replace(
                    one, standing=standing, importance=importance, text=wanted.text or one.text
                )
                changed.append(self._books.items[place])
        return changed

    async def forget(self, wanted: Forget) -> Forgotten:
        if not wanted.dry_run:
            self._books.asked.append(("forget", wanted.ids))
            self._books.items[:] = [one for one in self._books.items if one.id not in wanted.ids]
        return Forgotten(ids=wanted.ids, told=["J4806 attempt 1"])

    async def core(self, scope: str) -> CorePart:
        text = self._books.core.get(scope, "")
        return CorePart(scope=scope, path=f"/home/core/{scope}.md", text=text, tokens=len(text) // 4, lines=1)

    async def set_core(self, scope: str, text: str) -> CorePart:
        self._books.core[scope] = text
        return await self.core(scope)

    async def status(self) -> MemoryStatus:
        count = len(self._books.items)
        return MemoryStatus(backend=Backend.SQLITE, items=count, embedded=count, model="wordllama", bytes=3 << 20)


class Answering:
    """The calls of `console.doors.Doors`."""

    books: Books

    def _answer(self) -> None:
        raise NotImplementedError

    @property
    def windows(self) -> list[WindowState]:
        return self.books.windows

    @windows.setter
    def windows(self, windows: list[WindowState]) -> None:
        self.books.windows = windows

    @property
    def memory(self) -> FakeMemory:
        return FakeMemory(self)

    async def limits(self) -> list[WindowState]:
        self._answer()
        return self.books.windows

    async def try_now(self, account: str) -> list[WindowState]:
        self._answer()
        self.books.asked.append(("try", account))
        return [one for one in self.books.windows if one.account == account]

    async def breakers(self) -> list[Breaker]:
        self._answer()
        return self.books.breakers

    async def caps(self) -> list[Cap]:
        self._answer()
        return self.books.caps

    async def forecast(self) -> Forecast:
        self._answer()
        return self.books.forecast

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]:
        self._answer()
        if after is None:
            return self.books.events[-limit:]
        return [one for one in self.books.events if one.seq > after][:limit]

    async def spend(self, by: By = By.DAY, since: str | None = None) -> Spend:
        self._answer()
        self.books.asked.append(("spend", by, since))
        lines = self.books.lines.get(by, [])
        known = [one.cost_micros for one in lines if one.cost_micros is not None]
        total = SpendLine(name="", cost_micros=sum(known) if known else None)
        return Spend(by=by, since=NOW, until=NOW, lines=lines, total=total)

    async def budgets(self) -> list[BudgetLine]:
        self._answer()
        return self.books.budgets

    async def allow(self, scope: str, amount: str | None) -> BudgetLine:
        self._answer()
        self.books.asked.append(("allow", scope, amount))
        found = next(one for one in self.books.budgets if one.scope == scope)
        more = Amount.parse(amount) if amount is not None else None
        return replace(found, cap=found.cap.plus(more) if found.cap is not None else None)

    async def tax(self, since: str | None = None, project: str | None = None) -> Tax:
        self._answer()
        return self.books.tax

    async def schedules(self, upcoming: int = 1) -> list[Schedule]:
        self._answer()
        return self.books.schedules

    async def schedule(self, name: str, upcoming: int = 5) -> ScheduleDetail:
        self._answer()
        return self.books.details[name]

    async def order_schedule(self, name: str, order: ScheduleOrder) -> ScheduleAnswer:
        self._answer()
        self.books.asked.append((order.verb, name, order.spec))
        found = next((one for one in self.books.schedules if one.name == name), None)
        job = 4841 if order.verb is ScheduleVerb.RUN else None
        return ScheduleAnswer(verb=order.verb, name=name, schedule=found, job=job)

    async def skills(self, project: str | None = None) -> list[Skill]:
        self._answer()
        self.books.asked.append(("skills", project))
        return self.books.skills

    async def skill_counts(self) -> list[SkillCount]:
        self._answer()
        return self.books.counts

    async def skill_text(self, name: str, project: str | None = None) -> str:
        self._answer()
        return self.books.texts[name]

    async def skill_uses(self, name: str, limit: int = 50) -> list[SkillUse]:
        self._answer()
        return self.books.uses.get(name, [])

    async def routes(self) -> list[RouteStatus]:
        self._answer()
        return self.books.routes

    async def explain_route(self, query: RouteQuery) -> RouteChoice:
        self._answer()
        self.books.asked.append(("route for", query.prompt))
        return self.books.choice

    async def scoreboard(
        self, kind: str | None = None, project: str | None = None, since: str | None = None, by: str | None = None
    ) -> Scoreboard:
        self._answer()
        return self.books.board

    async def races(self, limit: int = 20) -> list[Race]:
        self._answer()
        return [replace(race, entries=[]) for race in self.books.races]

    async def race(self, number: int) -> Race:
        self._answer()
        return next(race for race in self.books.races if race.id == number)

    async def pick(self, number: int, job: int, *, dry_run: bool = False) -> RacePicked:
        self._answer()
        self.books.asked.append(("pick", number, job))
        return RacePicked(race=number, job=job, was=None, branch=f"headway/J{job}")

    async def gate(self, job: int) -> JobGate:
        self._answer()
        none = GatePlan(job=job, gate=None, why="neither it, nor its project, nor its kind names one")
        return self.books.gates.get(job, JobGate(plan=none))

    async def nodes(self) -> Nodes:
        self._answer()
        return self.books.nodes

    async def merges(self, limit: int = 20) -> list[Merge]:
        self._answer()
        return self.books.merges

    async def queue_merges(self, wanted: MergeWanted) -> MergeQueued:
        self._answer()
        if wanted.dry_run:
            return MergeQueued(foreseen=[MergeForeseen(job=job, target="main", files=2) for job in wanted.jobs])
        self.books.asked.append(("merge", wanted.jobs))
        new = [
            Merge(
                id=90 + job, at=NOW, by="operator", job=job, title="", project="/src/core-engine", repository="/.git",
                target="main", state=MergeState.QUEUED,
            )
            for job in wanted.jobs
        ]  # fmt: skip
        self.books.merges += new
        return MergeQueued(merges=new)

    async def drop_merge(self, number: int, *, dry_run: bool = False) -> Merge:
        self._answer()
        self.books.asked.append(("drop", number))
        place = next(place for place, one in enumerate(self.books.merges) if one.id == number)
        self.books.merges[place] = replace(self.books.merges[place], state=MergeState.DROPPED, ended_at=NOW)
        return self.books.merges[place]

    async def pipelines(self, limit: int = 20) -> list[Pipeline]:
        self._answer()
        return [replace(one, steps=[]) for one in self.books.pipelines]

    async def pipeline(self, number: int) -> Pipeline:
        self._answer()
        return next(one for one in self.books.pipelines if one.id == number)

    async def act_on_pipeline(self, number: int, verb: PipelineVerb, *, dry_run: bool = False) -> PipelineActed:
        self._answer()
        place = next(place for place, one in enumerate(self.books.pipelines) if one.id == number)
        now = self.books.pipelines[place]
        states = {PipelineVerb.CANCEL: PipelineState.CANCELLED, PipelineVerb.RETRY: PipelineState.RUNNING}
        held = {PipelineVerb.HOLD: "operator", PipelineVerb.RELEASE: None}
        then = replace(now, state=states.get(verb, now.state), held_by=held.get(verb, now.held_by))
        if not dry_run:
            self.books.asked.append((verb, number))
            self.books.pipelines[place] = then
        stopping = [4832] if verb is PipelineVerb.CANCEL else []
        return PipelineActed(pipeline=then, verb=verb, jobs=[4836], stopping=stopping, dry_run=dry_run)

    async def ready(self) -> Readiness:
        self._answer()
        return Readiness(True)

    async def metrics(self) -> str:
        self._answer()
        return "# HELP headway_database_bytes Size.\nheadway_database_bytes 7340032.0\nheadway_subscribers 1.0\n"
