"""The client: the one way in which the console, the command line and tests reach an engine."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from engine.agents.events import LogLine
from engine.events import Event
from engine.model import (
    ALL,
    ActionLine,
    ActionResult,
    AgentStatus,
    Answer,
    Batch,
    Breaker,
    Cap,
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
    Wanted,
)
from engine.model.listing import Wait
from engine.server.calls.access import AccessCalls
from engine.server.calls.cards import CardCalls
from engine.server.calls.context import ContextCalls
from engine.server.calls.forecast import ForecastCalls
from engine.server.calls.gates import GateCalls
from engine.server.calls.health import HealthCalls
from engine.server.calls.limits import LimitCalls
from engine.server.calls.memory import MemoryCalls
from engine.server.calls.merges import MergeCalls
from engine.server.calls.nodes import NodeCalls
from engine.server.calls.notify import NotifyCalls
from engine.server.calls.pipelines import PipelineCalls
from engine.server.calls.races import RaceCalls
from engine.server.calls.routes import RouteCalls
from engine.server.calls.schedules import ScheduleCalls
from engine.server.calls.scores import ScoreCalls
from engine.server.calls.skills import SkillCalls
from engine.server.calls.spend import SpendCalls
from engine.server.calls.staff import StaffCalls
from engine.server.calls.tap import TapCalls
from engine.server.calls.tax import TaxCalls
from engine.server.calls.trend import TrendCalls
from engine.server.calls.triage import TriageCalls
from engine.server.link import PAGE, Link
from engine.server.wire import Shutdown, UndoRequest
from engine.sessions import AttachRequest, DetachRequest, Session, Takeover
from engine.upkeep.wire import Prune, PruneResult


class Client(
    AccessCalls,
    CardCalls,
    ContextCalls,
    RaceCalls,
    MergeCalls,
    NodeCalls,
    PipelineCalls,
    RouteCalls,
    ForecastCalls,
    GateCalls,
    HealthCalls,
    ScheduleCalls,
    SkillCalls,
    SpendCalls,
    StaffCalls,
    TapCalls,
    TaxCalls,
    LimitCalls,
    TrendCalls,
    MemoryCalls,
    NotifyCalls,
    ScoreCalls,
    TriageCalls,
    Link,
):
    """Use as `async with Client(home) as client:`.

    Every call raises a `HeadwayError`: what the engine answered, or `NoEngineError` where none serves this home.
    """

    async def status(self) -> Status:
        return await self.get("/v1/status", Status)

    async def order(self, filter: str = "", sort: str = "") -> array[int]:
        """Ids of all jobs that match, in the console's order: running, queued by priority, ended newest first; or
        sorted, as `cost`, or `-cost` the other way round (`engine.model.listing.SortKey`).
        """
        ids: array[int] = array("q")
        ids.frombytes(await self.call("GET", "/v1/order", params={"filter": filter, "sort": sort}))
        return ids

    async def rows(self, ids: Sequence[int]) -> list[Job]:
        """The named jobs in the order asked; ids that do not exist are left out."""
        found: list[Job] = []
        for start in range(0, len(ids), PAGE):
            page = ",".join(map(str, ids[start : start + PAGE]))
            found += await self.get("/v1/jobs", list[Job], {"ids": page})
        return found

    async def jobs(self, filter: str = "", limit: int = 50, sort: str = "") -> list[Job]:
        """The first jobs that match, in the console's order or sorted."""
        return await self.get("/v1/jobs", list[Job], {"filter": filter, "limit": limit, "sort": sort})

    async def job(self, job: int) -> JobDetail:
        return await self.get(f"/v1/jobs/{job}", JobDetail)

    async def submit(self, specs: Sequence[JobSpec]) -> list[int]:
        """Submit jobs, all or none. Their ids."""
        return (await self.send(Wanted(list(specs)))).ids

    async def send(self, wanted: Wanted) -> Answer:
        """Submit jobs with all that can be said of a submission: a dry run, a token, a batch and what follows it."""
        return await self.post("/v1/jobs", wanted, Answer)

    async def act(
        self,
        verb: Verb,
        jobs: Sequence[int] = (),
        *,
        everything: bool = False,
        dry_run: bool = False,
        fresh: bool = False,
    ) -> ActionResult:
        """Do something to jobs, or with `everything` to all that is and comes (hold and release only)."""
        scope = ALL if everything else None
        return await self.carry_out(
            Order(verb=verb, jobs=list(jobs), scope=scope, fresh=fresh, dry_run=dry_run, preview=False)
        )

    async def carry_out(self, order: Order) -> ActionResult:
        """Carry out one of the operator's verbs, on jobs, a filter or a scope."""
        return await self.post("/v1/actions", order, ActionResult)

    async def undo(self, action: int | None = None, *, dry_run: bool = False) -> Undone:
        """Take back the newest action that was not, or the one with that number."""
        return await self.post("/v1/undo", UndoRequest(action, dry_run), Undone)

    async def actions(self, limit: int = 20) -> list[ActionLine]:
        """What the operator did, newest first."""
        return await self.get("/v1/actions", list[ActionLine], {"limit": limit})

    async def attach(self, job: int, request: AttachRequest) -> Takeover:
        """Take a job's session for the terminal of a process; what runs of the job is parked first."""
        return await self.post(f"/v1/jobs/{job}/attach", request, Takeover)

    async def detach(self, job: int, marker: str) -> Job:
        """Give it back: the job goes on in it."""
        return await self.post(f"/v1/jobs/{job}/detach", DetachRequest(marker), Job)

    async def explain(self, job: int) -> Explanation:
        """Why a job stands where it stands, and what is to be expected of it."""
        return await self.get(f"/v1/jobs/{job}/explain", Explanation)

    async def estimates(self, ids: Sequence[int]) -> list[Estimate]:
        """When unfinished jobs are expected to start and finish; those that have ended are left out."""
        found: list[Estimate] = []
        for start in range(0, len(ids), PAGE):
            page = ",".join(map(str, ids[start : start + PAGE]))
            found += await self.get("/v1/estimates", list[Estimate], {"ids": page})
        return found

    async def waits(self, ids: Sequence[int]) -> list[Wait]:
        """Why rows of a list do not start; those that may, that run or that have ended are left out."""
        found: list[Wait] = []
        for start in range(0, len(ids), PAGE):
            page = ",".join(map(str, ids[start : start + PAGE]))
            found += await self.get("/v1/waits", list[Wait], {"ids": page})
        return found

    async def batches(self, limit: int = 20) -> list[Batch]:
        return await self.get("/v1/batches", list[Batch], {"limit": limit})

    async def caps(self) -> list[Cap]:
        return await self.get("/v1/caps", list[Cap])

    async def breakers(self) -> list[Breaker]:
        return await self.get("/v1/breakers", list[Breaker])

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]:
        """A piece of the log, oldest first: after a sequence number, or the newest."""
        params: dict[str, Any] = {"after": after, "limit": limit, "job": job}
        return await self.get("/v1/events", list[Event], {k: v for k, v in params.items() if v is not None})

    async def follow(self, after: int | None = None) -> AsyncGenerator[Event | Progress, None]:
        """The log from after a sequence number on (None: from now), then live, with `Progress` in between."""
        params = {"follow": 1, "progress": 1} | ({} if after is None else {"after": after})
        async with aclosing(self.frames("/v1/events", params)) as frames:
            async for name, data in frames:
                if name == "progress":
                    yield msgspec.json.decode(data, type=Progress)
                else:
                    yield msgspec.json.decode(data, type=Event)

    async def log(
        self,
        job: int,
        *,
        attempt: int | None = None,
        after: int | None = None,
        tail: int | None = None,
        follow: bool = False,
    ) -> AsyncGenerator[LogLine, None]:
        """The typed output of one attempt: a job's newest, or the one with that number.

        `after` is a byte offset (`LogLine.next`), `tail` a number of lines from the end.
        """
        params = {"attempt": attempt, "after": after, "tail": tail, "follow": 1 if follow else None}
        given = {key: value for key, value in params.items() if value is not None}
        async with aclosing(self.frames(f"/v1/jobs/{job}/log", given)) as frames:
            async for _, data in frames:
                yield msgspec.json.decode(data, type=LogLine)

    async def output(self, job: int, *, attempt: int | None = None) -> AsyncGenerator[bytes, None]:
        """What an attempt's agent printed, byte for byte."""
        params = {} if attempt is None else {"attempt": attempt}
        async with aclosing(self.pieces(f"/v1/jobs/{job}/output", params)) as pieces:
            async for data in pieces:
                yield data

    async def answer(self, job: int, *, attempt: int | None = None) -> bytes:
        """The whole of an attempt's last word, UTF-8; empty where it said nothing."""
        params = {} if attempt is None else {"attempt": attempt}
        return await self.call("GET", f"/v1/jobs/{job}/answer", params=params)

    async def patch(self, job: int, *, attempt: int | None = None) -> bytes:
        """What an attempt changed, as git wrote it; empty where nothing did, or outside git."""
        params = {} if attempt is None else {"attempt": attempt}
        return await self.call("GET", f"/v1/jobs/{job}/diff", params=params)

    async def diff(self, job: int, *, attempt: int | None = None) -> str:
        """The same as text to read."""
        return (await self.patch(job, attempt=attempt)).decode(errors="replace")

    async def agents(self, name: str | None = None, *, check: bool = False) -> list[AgentStatus]:
        """What each agent is on the engine's machine; `check` also runs the programs that print keys."""
        params = {**({"name": name} if name is not None else {}), "check": "1" if check else "0"}
        return await self.get("/v1/agents", list[AgentStatus], params=params)

    async def sessions(self, job: int | None = None, limit: int = 50) -> list[Session]:
        """The conversations of a job, oldest first; or, without one, those used last."""
        params = {"limit": limit} | ({} if job is None else {"job": job})
        return await self.get("/v1/sessions", list[Session], params)

    async def prune(self, wanted: Prune) -> PruneResult:
        """Remove ended jobs. `more` in the answer says that the engine has not come to the end of it yet."""
        return await self.post("/v1/prune", wanted, PruneResult)

    async def shutdown(self, *, drain: bool = False) -> None:
        """Ask the engine to stop. With `drain` it starts nothing more and waits for what runs."""
        await self.call("POST", "/v1/shutdown", content=msgspec.json.encode(Shutdown(drain)))

    async def reload(self) -> None:
        """Have the engine take its settings as they are now, by starting anew; agents run on, and are adopted."""
        await self.call("POST", "/v1/reload")
