"""The client: the one way in which the console, the command line and tests reach an engine."""

from __future__ import annotations

import os
from array import array
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import msgspec

from engine.agents.events import LogLine
from engine.decision import Answered, Card, Reply, Rule
from engine.errors import HeadwayError, NoEngineError
from engine.events import Event
from engine.home import SOCKET
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
    LimitReading,
    Order,
    Progress,
    Status,
    Undone,
    Verb,
    Wanted,
)
from engine.server.wire import Frames, Shutdown, UndoRequest, WireError, from_wire
from engine.sessions import AttachRequest, DetachRequest, Session, Takeover
from engine.upkeep.wire import Prune, PruneResult

T = TypeVar("T")

ANSWER_SECONDS = 120.0  #: for one call; the largest submission on a slow disk takes a few
PAGE = 500  #: rows of one request


class Client:
    """Use as `async with Client(home) as client:`.

    Every call raises a `HeadwayError`: what the engine answered, or `NoEngineError` where none serves this home.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._http: httpx.AsyncClient | None = None
        self._fd = -1

    async def __aenter__(self) -> Self:
        try:
            # By an open directory, because the address of a UNIX socket is at most 107 bytes long.
            self._fd = os.open(self._home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise _no_engine(self._home) from None
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        transport = httpx.AsyncHTTPTransport(uds=f"/proc/self/fd/{self._fd}/{SOCKET}", limits=limits)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://headway", timeout=ANSWER_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()
        os.close(self._fd)

    async def status(self) -> Status:
        return await self._get("/v1/status", Status)

    async def order(self, filter: str = "") -> array[int]:
        """Ids of all jobs that match, in the console's order: running, queued by priority, ended newest first."""
        ids: array[int] = array("q")
        ids.frombytes(await self._bytes("GET", "/v1/order", params={"filter": filter}))
        return ids

    async def rows(self, ids: Sequence[int]) -> list[Job]:
        """The named jobs in the order asked; ids that do not exist are left out."""
        found: list[Job] = []
        for start in range(0, len(ids), PAGE):
            page = ",".join(map(str, ids[start : start + PAGE]))
            found += await self._get("/v1/jobs", list[Job], {"ids": page})
        return found

    async def jobs(self, filter: str = "", limit: int = 50) -> list[Job]:
        """The first jobs that match, in the console's order."""
        return await self._get("/v1/jobs", list[Job], {"filter": filter, "limit": limit})

    async def job(self, job: int) -> JobDetail:
        return await self._get(f"/v1/jobs/{job}", JobDetail)

    async def submit(self, specs: Sequence[JobSpec]) -> list[int]:
        """Submit jobs, all or none. Their ids."""
        return (await self.send(Wanted(list(specs)))).ids

    async def send(self, wanted: Wanted) -> Answer:
        """Submit jobs with all that can be said of a submission: a dry run, a token, a batch and what follows it."""
        return await self._post("/v1/jobs", wanted, Answer)

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
        return await self._post("/v1/actions", order, ActionResult)

    async def undo(self, action: int | None = None, *, dry_run: bool = False) -> Undone:
        """Take back the newest action that was not, or the one with that number."""
        return await self._post("/v1/undo", UndoRequest(action, dry_run), Undone)

    async def actions(self, limit: int = 20) -> list[ActionLine]:
        """What the operator did, newest first."""
        return await self._get("/v1/actions", list[ActionLine], {"limit": limit})

    async def attach(self, job: int, request: AttachRequest) -> Takeover:
        """Take a job's session for the terminal of a process; what runs of the job is parked first."""
        return await self._post(f"/v1/jobs/{job}/attach", request, Takeover)

    async def detach(self, job: int, marker: str) -> Job:
        """Give it back: the job goes on in it."""
        return await self._post(f"/v1/jobs/{job}/detach", DetachRequest(marker), Job)

    async def inbox(self, limit: int | None = None) -> list[Card]:
        """What waits for the operator, the oldest first; with a limit the newest cards, answered ones too."""
        return await self._get("/v1/decisions", list[Card], {} if limit is None else {"limit": limit})

    async def card(self, number: int) -> Card:
        return await self._get(f"/v1/decisions/{number}", Card)

    async def reply(self, card: int, reply: Reply) -> Answered:
        """Answer a card. Refused where somebody, or its time, was quicker."""
        return await self._post(f"/v1/decisions/{card}", reply, Answered)

    async def rules(self) -> list[Rule]:
        """The standing answers: those that were made of answers, then those of headway.yaml."""
        return await self._get("/v1/rules", list[Rule])

    async def drop_rule(self, number: int) -> Rule:
        """Take a standing answer back."""
        return msgspec.json.decode(await self._bytes("DELETE", f"/v1/rules/{number}"), type=Rule)

    async def explain(self, job: int) -> Explanation:
        """Why a job stands where it stands, and what is to be expected of it."""
        return await self._get(f"/v1/jobs/{job}/explain", Explanation)

    async def estimates(self, ids: Sequence[int]) -> list[Estimate]:
        """When unfinished jobs are expected to start and finish; those that have ended are left out."""
        found: list[Estimate] = []
        for start in range(0, len(ids), PAGE):
            page = ",".join(map(str, ids[start : start + PAGE]))
            found += await self._get("/v1/estimates", list[Estimate], {"ids": page})
        return found

    async def batches(self, limit: int = 20) -> list[Batch]:
        return await self._get("/v1/batches", list[Batch], {"limit": limit})

    async def caps(self) -> list[Cap]:
        return await self._get("/v1/caps", list[Cap])

    async def breakers(self) -> list[Breaker]:
        return await self._get("/v1/breakers", list[Breaker])

    async def events(self, *, after: int | None = None, limit: int = 50, job: int | None = None) -> list[Event]:
        """A piece of the log, oldest first: after a sequence number, or the newest."""
        params: dict[str, Any] = {"after": after, "limit": limit, "job": job}
        return await self._get("/v1/events", list[Event], {k: v for k, v in params.items() if v is not None})

    async def follow(self, after: int | None = None) -> AsyncGenerator[Event | Progress, None]:
        """The log from after a sequence number on (None: from now), then live, with `Progress` in between."""
        params = {"follow": 1, "progress": 1} | ({} if after is None else {"after": after})
        async with aclosing(self._frames("/v1/events", params)) as frames:
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
        async with aclosing(self._frames(f"/v1/jobs/{job}/log", given)) as frames:
            async for _, data in frames:
                yield msgspec.json.decode(data, type=LogLine)

    async def output(self, job: int, *, attempt: int | None = None) -> AsyncGenerator[bytes, None]:
        """What an attempt's agent printed, byte for byte."""
        params = {} if attempt is None else {"attempt": attempt}
        async with aclosing(self._stream(f"/v1/jobs/{job}/output", params)) as pieces:
            async for data in pieces:
                yield data

    async def answer(self, job: int, *, attempt: int | None = None) -> bytes:
        """The whole of an attempt's last word, UTF-8; empty where it said nothing."""
        params = {} if attempt is None else {"attempt": attempt}
        return await self._bytes("GET", f"/v1/jobs/{job}/answer", params=params)

    async def patch(self, job: int, *, attempt: int | None = None) -> bytes:
        """What an attempt changed, as git wrote it; empty where nothing did, or outside git."""
        params = {} if attempt is None else {"attempt": attempt}
        return await self._bytes("GET", f"/v1/jobs/{job}/diff", params=params)

    async def diff(self, job: int, *, attempt: int | None = None) -> str:
        """The same as text to read."""
        return (await self.patch(job, attempt=attempt)).decode(errors="replace")

    async def agents(self, name: str | None = None, *, check: bool = False) -> list[AgentStatus]:
        """What each agent is on the engine's machine; `check` also runs the programs that print keys."""
        params = {**({"name": name} if name is not None else {}), "check": "1" if check else "0"}
        return await self._get("/v1/agents", list[AgentStatus], params=params)

    async def limits(self) -> list[LimitReading]:
        return await self._get("/v1/limits", list[LimitReading])

    async def sessions(self, job: int | None = None, limit: int = 50) -> list[Session]:
        """The conversations of a job, oldest first; or, without one, those used last."""
        params = {"limit": limit} | ({} if job is None else {"job": job})
        return await self._get("/v1/sessions", list[Session], params)

    async def prune(self, wanted: Prune) -> PruneResult:
        """Remove ended jobs. `more` in the answer says that the engine has not come to the end of it yet."""
        return await self._post("/v1/prune", wanted, PruneResult)

    async def shutdown(self, *, drain: bool = False) -> None:
        """Ask the engine to stop. With `drain` it starts nothing more and waits for what runs."""
        await self._bytes("POST", "/v1/shutdown", content=msgspec.json.encode(Shutdown(drain)))

    async def _get(self, path: str, kind: type[T], params: dict[str, Any] | None = None) -> T:
        return msgspec.json.decode(await self._bytes("GET", path, params=params), type=kind)

    async def _post(self, path: str, body: msgspec.Struct, kind: type[T]) -> T:
        return msgspec.json.decode(await self._bytes("POST", path, content=msgspec.json.encode(body)), type=kind)

    async def _bytes(self, method: str, path: str, **options: Any) -> bytes:
        assert self._http is not None, "use the client as a context manager"
        try:
            answer = await self._http.request(method, path, **options)
        except httpx.TransportError as error:
            raise self._lost(error) from None
        if answer.is_error:
            raise _error(answer.content)
        return answer.content

    async def _frames(self, path: str, params: dict[str, Any]) -> AsyncGenerator[tuple[str, bytes], None]:
        frames = Frames()
        async with aclosing(self._stream(path, params)) as pieces:
            async for data in pieces:
                for found in frames.feed(data):
                    yield found

    async def _stream(self, path: str, params: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        assert self._http is not None, "use the client as a context manager"
        try:
            async with self._http.stream("GET", path, params=params, timeout=None) as answer:
                if answer.is_error:
                    raise _error(await answer.aread())
                async for data in answer.aiter_raw():
                    yield data
        except httpx.TransportError as error:
            raise self._lost(error) from None

    def _lost(self, error: httpx.TransportError) -> HeadwayError:
        if isinstance(error, httpx.ConnectError):
            return _no_engine(self._home)
        if isinstance(error, httpx.TimeoutException):
            return HeadwayError(
                f"the engine did not answer within {ANSWER_SECONDS:.0f} s; `headway doctor` looks into it"
            )
        return NoEngineError(f"the engine of {self._home} went away in the middle of an answer")


def _no_engine(home: Path) -> NoEngineError:
    return NoEngineError(f"no engine serves {home}; start one with `headway serve`, or open the console with `headway`")


def _error(content: bytes) -> HeadwayError:
    try:
        return from_wire(msgspec.json.decode(content, type=WireError))
    except msgspec.MsgspecError:
        return HeadwayError(f"the engine failed: {content[:200].decode(errors='replace')}; its log says more")
