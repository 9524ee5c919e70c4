"""Between an agent that asks and the operator who answers: one task for each attempt that can be answered.

What is asked is read from the agent's own output, and what was answered from the store. So an engine that starts where
another one died finds both: a request that its output shows unanswered has its card, and an answer of which nothing
tells that the agent heard it is written again.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from engine.agents.asking import Request, Told
from engine.agents.base import Agent, Errand
from engine.clock import now_ms
from engine.decision import ARGUMENTS_LIMIT, Card, Choice, Rule
from engine.errors import RefusedError
from engine.permission import Policy, subject_of_path
from engine.redact import Secrets
from engine.runner.ground import Ground
from engine.runner.proposed import proposed
from engine.runner.run_dir import RunDir, read_regular
from engine.runner.watch import Watch
from engine.store import Transaction, cards, decisions, jobs
from engine.store.cards import Asking
from engine.store.claims import Claim

T = TypeVar("T")

TEXT_LIMIT = 500  #: characters of a summary and of a reason on a card
SUBJECT_LIMIT = 100_000  #: characters that rules are held against; what is longer is decided by nobody but the operator
SAID_BYTES = 1 << 16
FILE_BYTES = 64 << 20  #: of a file that an errand is made of: a prompt may have 4 MiB, and JSON adds to it
#: In a request that an earlier engine saw first: its secrets are covered by now, and nobody can give them back.
COVERED = b"[key]*"
AGAIN = "Headway was started anew and does not keep the secret in this request: ask once more, with it"
LOOK_SECONDS = 30.0  #: at least so often the wall clock is looked at, while a card waits for a time


class Persist(Protocol):
    """Runs an operation of the store, and waits while it cannot be written."""

    def __call__(self, operation: Callable[[Transaction], T]) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class _Stand:
    due: int | None
    unsent: list[tuple[str, Card]]
    known: dict[str, int | None]


@dataclass(frozen=True, slots=True)
class Rulebook:
    """What the settings say of requests."""

    policy: Policy
    rules: Sequence[Rule]


class Attendant:
    """Attends one attempt. `poke` it when the operator has answered something."""

    def __init__(
        self,
        claim: Claim,
        run: RunDir,
        ground: Ground,
        agent: Agent,
        watch: Watch,
        workspace: str,
        book: Rulebook,
        persist: Persist,
        secrets: Secrets,
    ) -> None:
        self._claim = claim
        self._attempt = claim.attempt.id
        self._run = run
        self._ground = ground
        self._agent = agent
        self._watch = watch
        self._workspace = workspace
        self._book = book
        self._persist = persist
        self._secrets = secrets
        self._asked: set[str] | None = None
        """The requests that have a card and are not over; None before it was read what an earlier engine put up."""
        self._said: set[str] | None = None
        self._hung_up = False

    def poke(self) -> None:
        self._watch.news.set()

    async def run(self, ready: Callable[[], bool]) -> None:
        """Until cancelled. Nothing is done before `ready`: what an earlier engine saw has been read again by then."""
        with contextlib.suppress(RefusedError):  # the attempt has been settled
            while True:
                self._watch.news.clear()
                due = await self._look() if ready() else None
                wait = None if due is None else min(LOOK_SECONDS, max(0.0, (due - now_ms()) / 1000))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._watch.news.wait()

    async def _look(self) -> int | None:
        """Put up what is new, take the defaults of what is late, and pass answers on. Returns when to look again."""
        for errand in self._watch.parser.errands:
            await self._run_errand(errand)
        if self._asked is None:
            self._asked = await self._persist(lambda tx: cards.pending(tx, self._attempt))
        asking = dict(self._watch.parser.asking)
        for request in asking.values():
            if request.id not in self._asked:
                await self._ask(request)
                self._asked.add(request.id)
        if gone := self._asked - asking.keys():
            await self._persist(lambda tx: self._withdraw(tx, gone))
            self._asked -= gone
        due = None
        waits = False
        if self._asked:
            stand = await self._persist(self._stand)
            due = stand.due
            waits = any(stand.known.get(name, 0) is None for name in asking)
            for name, card in stand.unsent:
                await self._tell(asking.get(name), card)
        self._watch.wait(open=waits)
        if self._watch.parser.said_done and not self._hung_up:
            self._hung_up = True
            await self._ground.hang_up()
        return due

    async def _run_errand(self, errand: Errand) -> None:
        """Say what the protocol wants, and note in the run directory that it was said: a later engine reads it."""
        noted = self._run.path / "said"
        if self._said is None:
            self._said = set((read_regular(noted, SAID_BYTES) or b"").decode(errors="replace").splitlines())
        if errand.name in self._said:
            return
        content = read_regular(self._run.path / errand.file, FILE_BYTES) if errand.file is not None else b""
        if await self._ground.tell(self._agent.errand(errand, content or b"")):
            self._said.add(errand.name)
            with noted.open("a") as file:
                file.write(f"{errand.name}\n")

    async def _ask(self, request: Request) -> None:
        self._watch.wait(open=True)
        file = await asyncio.to_thread(self._keep, request)
        diff = await asyncio.to_thread(proposed, request.change, self._workspace) if request.change else ""
        out_of = self._secrets.out_of  # a card is kept for ever; the agent itself gets its arguments back as they were
        asking = Asking(
            request=request.id,
            kind=request.kind,
            tool=out_of(request.tool)[:TEXT_LIMIT],
            subject=out_of(self._subject(request)),
            shell=request.shell,
            summary=out_of(request.summary)[:TEXT_LIMIT],
            arguments=out_of(request.arguments.decode(errors="replace"))[:ARGUMENTS_LIMIT],
            diff=out_of(diff),
            why=out_of(request.why)[:TEXT_LIMIT],
            options=tuple(map(out_of, request.options)),
            file=file,
        )
        book = self._book
        await self._persist(lambda tx: decisions.ask(tx, self._attempt, asking, book.rules, book.policy))

    def _subject(self, request: Request) -> str:
        """What rules are held against: for a path, where it leads, seen from the workspace."""
        if len(request.subject) > SUBJECT_LIMIT:
            return ""
        return subject_of_path(request.subject, self._workspace) if request.path else request.subject

    def _keep(self, request: Request) -> str:
        """Write the arguments whole into the run directory. A card shows their beginning."""
        folder = self._run.path / "asked"
        folder.mkdir(exist_ok=True)
        name = "".join(c for c in request.id if c.isalnum() or c in "-_.")[:80] or "request"
        (folder / f"{name}.json").write_bytes(self._secrets.out_of_bytes(request.arguments))
        return f"asked/{name}.json"

    def _withdraw(self, tx: Transaction, gone: set[str]) -> None:
        row, _ = jobs.fenced(tx, self._attempt)
        cards.withdraw(tx, row, self._attempt, list(gone))
        for name, card in cards.unsent(tx, self._attempt):
            if name in gone:
                cards.sent(tx, card.id)

    def _stand(self, tx: Transaction) -> _Stand:
        """How the requests stand, once the defaults of those whose time is over were taken."""
        decisions.expire(tx, self._attempt)
        cards.telling(tx, self._attempt)
        due = cards.next_due(tx, self._attempt)
        return _Stand(due, cards.unsent(tx, self._attempt), cards.known(tx, self._attempt))

    async def _tell(self, request: Request | None, card: Card) -> None:
        """Pass an answer on. It is noted as passed on only afterwards: an agent takes no harm from hearing it twice."""
        told = _told(card)
        if request is not None and told.allow and COVERED in request.arguments:
            told = Told(False, AGAIN)
        if request is not None and not await self._ground.tell(self._agent.answer(request, told)):
            return
        await self._persist(lambda tx: cards.sent(tx, card.id))


def _told(card: Card) -> Told:
    return Told(card.choice is not Choice.DENY, card.reason or "")
