"""What the console asks of an engine, as a protocol: the real client and the tests' stand-in both satisfy it."""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Protocol

from console.doors import Doors

if TYPE_CHECKING:
    from engine.agents.events import LogLine
    from engine.briefing import Briefing
    from engine.decision import Answered, Card, Foreseen, Reply, SnoozeCards, Snoozed
    from engine.events import Event
    from engine.model import (
        ActionResult,
        AgentStatus,
        Estimate,
        Explanation,
        Job,
        JobDetail,
        JobSpec,
        Order,
        Progress,
        Status,
        Undone,
        Verb,
    )
    from engine.model.listing import Wait
    from engine.model.route import RouteChoice
    from engine.model.trend import Trend


class EngineClient(Doors, Protocol):
    """The way to an engine. Every call raises a `HeadwayError` on failure, `NoEngineError` where nothing answers."""

    async def status(self) -> Status: ...

    async def order(self, filter: str = "", sort: str = "") -> array[int]:
        """Ids of all jobs that match, as `array('q')`: running, then ready by priority, then ended, newest first; or
        sorted, as `cost`, or `-cost` the other way round.
        """

    async def rows(self, ids: Sequence[int]) -> list[Job]:
        """The named jobs, in the order asked; ids that do not exist are left out."""

    async def jobs(self, filter: str = "", limit: int = 50) -> list[Job]: ...

    async def job(self, job: int) -> JobDetail: ...

    async def submit(self, specs: Sequence[JobSpec]) -> list[int]: ...

    async def act(
        self,
        verb: Verb,
        jobs: Sequence[int] = (),
        *,
        everything: bool = False,
        dry_run: bool = False,
        fresh: bool = False,
    ) -> ActionResult: ...

    async def carry_out(self, order: Order) -> ActionResult: ...

    async def undo(self, action: int | None = None, *, dry_run: bool = False) -> Undone: ...

    async def inbox(self, limit: int | None = None) -> list[Card]:
        """What waits for the operator, the oldest first."""

    async def reply(self, card: int, reply: Reply) -> Answered: ...

    async def outlooks(self, card: int) -> list[Foreseen]:
        """What would follow from each answer that a card may have."""

    async def snooze_cards(self, wanted: SnoozeCards) -> Snoozed: ...

    async def agents(self, name: str | None = None, *, check: bool = False) -> list[AgentStatus]: ...

    async def explain(self, job: int) -> Explanation: ...

    async def waits(self, ids: Sequence[int]) -> list[Wait]:
        """Why rows of a list do not start; those that may, that run or that have ended are left out."""

    async def estimates(self, ids: Sequence[int]) -> list[Estimate]: ...

    async def route_of(self, job: int) -> RouteChoice: ...

    def follow(self, after: int | None = None) -> AsyncIterator[Event | Progress]:
        """The engine's log from after that sequence number on (None: from now), with `Progress` in between."""

    def log(
        self,
        job: int,
        *,
        attempt: int | None = None,
        after: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncIterator[LogLine]:
        """The typed output of one attempt (a job's newest by default; `attempt` is its number)."""

    async def diff(self, job: int, *, attempt: int | None = None) -> str: ...

    async def context(self, job: int, *, attempt: int | None = None, ahead: bool = False) -> Briefing: ...

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]: ...

    async def trend(self, hours: int = 1, steps: int = 12) -> Trend: ...

    async def shutdown(self, *, drain: bool = False) -> None: ...
