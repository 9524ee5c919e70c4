"""What the console's lists ask of an engine, family by family, as a protocol: see `console.client`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from engine.money import By

if TYPE_CHECKING:
    from engine.budgets import BudgetLine
    from engine.events import Event
    from engine.memory.answers import (
        Change,
        CorePart,
        Forget,
        Forgotten,
        ItemDetail,
        MemoryStatus,
        Recalled,
    )
    from engine.memory.item import Item, Kind, Standing
    from engine.model import (
        AgentStatus,
        Breaker,
        Cap,
        JobGate,
        Merge,
        MergeQueued,
        MergeWanted,
        Pipeline,
        PipelineActed,
        PipelineVerb,
        Race,
        RacePicked,
        Readiness,
        Scoreboard,
    )
    from engine.model.forecast import Forecast
    from engine.model.node import Nodes
    from engine.model.route import RouteChoice, RouteQuery, RouteStatus
    from engine.model.tax import Tax
    from engine.money import Spend
    from engine.schedule import Schedule, ScheduleAnswer, ScheduleDetail, ScheduleOrder
    from engine.skills.skill import Skill
    from engine.skills.stats import SkillCount, SkillUse
    from engine.window import WindowState


class MemoryDoors(Protocol):
    """Memory, `engine.server.calls.memory`."""

    async def items(
        self,
        scopes: Sequence[str] = (),
        kinds: Sequence[Kind] = (),
        standings: Sequence[Standing] = (),
        limit: int = 50,
        after: int | None = None,
    ) -> list[Item]: ...

    async def item(self, number: int) -> ItemDetail: ...

    async def search(self, question: str, scopes: Sequence[str] = (), limit: int = 20) -> Recalled: ...

    async def change(self, wanted: Change) -> list[Item]: ...

    async def forget(self, wanted: Forget) -> Forgotten: ...

    async def core(self, scope: str) -> CorePart: ...

    async def set_core(self, scope: str, text: str) -> CorePart: ...

    async def status(self) -> MemoryStatus: ...


class Doors(Protocol):
    """The engine's calls as the client has them, `engine.server.calls`."""

    async def limits(self) -> list[WindowState]: ...

    async def nodes(self) -> Nodes: ...

    async def try_now(self, account: str) -> list[WindowState]: ...

    async def breakers(self) -> list[Breaker]: ...

    async def forecast(self) -> Forecast: ...

    async def caps(self) -> list[Cap]: ...

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]: ...

    async def spend(self, by: By = By.DAY, since: str | None = None) -> Spend: ...

    async def budgets(self) -> list[BudgetLine]: ...

    async def allow(self, scope: str, amount: str | None) -> BudgetLine: ...

    async def tax(self, since: str | None = None, project: str | None = None) -> Tax: ...

    async def schedules(self, upcoming: int = 1) -> list[Schedule]: ...

    async def schedule(self, name: str, upcoming: int = 5) -> ScheduleDetail: ...

    async def order_schedule(self, name: str, order: ScheduleOrder) -> ScheduleAnswer: ...

    @property
    def memory(self) -> MemoryDoors: ...

    async def skills(self, project: str | None = None) -> list[Skill]: ...

    async def skill_counts(self) -> list[SkillCount]: ...

    async def skill_text(self, name: str, project: str | None = None) -> str: ...

    async def skill_uses(self, name: str, limit: int = 50) -> list[SkillUse]: ...

    async def routes(self) -> list[RouteStatus]: ...

    async def route_of(self, job: int) -> RouteChoice: ...

    async def explain_route(self, query: RouteQuery) -> RouteChoice: ...

    async def scoreboard(
        self, kind: str | None = None, project: str | None = None, since: str | None = None, by: str | None = None
    ) -> Scoreboard: ...

    async def races(self, limit: int = 20) -> list[Race]: ...

    async def race(self, number: int) -> Race: ...

    async def pick(self, number: int, job: int, *, dry_run: bool = False) -> RacePicked: ...

    async def gate(self, job: int) -> JobGate: ...

    async def merges(self, limit: int = 20) -> list[Merge]: ...

    async def queue_merges(self, wanted: MergeWanted) -> MergeQueued: ...

    async def drop_merge(self, number: int, *, dry_run: bool = False) -> Merge: ...

    async def pipelines(self, limit: int = 20) -> list[Pipeline]: ...

    async def pipeline(self, number: int) -> Pipeline: ...

    async def act_on_pipeline(self, number: int, verb: PipelineVerb, *, dry_run: bool = False) -> PipelineActed: ...

    async def agents(self, name: str | None = None, *, check: bool = False) -> list[AgentStatus]: ...

    async def ready(self) -> Readiness: ...

    async def metrics(self) -> str: ...
