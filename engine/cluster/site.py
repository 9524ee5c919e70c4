"""What works on a node: it begins attempts with the runner's own parts, reads them out, and brings their work back.

It decides nothing. What it was told is in its home, so that one which is started anew finds the attempts that the one
before it had begun: their shims live on. Knows nothing of what carries the words.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from engine import __version__, accounts
from engine.agents.registry import agents as all_agents
from engine.cluster import holding, moving, parcel, wire
from engine.cluster.depot import Depot
from engine.cluster.fencing import Fence
from engine.cluster.holding import Held, Kept
from engine.cluster.wire import (
    Ask,
    Begun,
    Drop,
    Has,
    Have,
    Heard,
    Hello,
    Meeting,
    News,
    Order,
    Result,
    Survey,
    Surveyed,
    Told,
    Touch,
    UnmetError,
    Which,
)
from engine.config import Settings
from engine.errors import HeadwayError, RefusedError
from engine.redact import Secrets
from engine.runner import kit, own_refs, procfs, voice
from engine.runner.cells import Cells
from engine.runner.cgroup import Cgroups
from engine.runner.launch import Launcher
from engine.runner.meter import Meter
from engine.runner.resources import NOTHING
from engine.runner.run_dir import TIDIED, run_dir
from engine.runner.workspace import Workspaces

logger = logging.getLogger(__name__)

T = TypeVar("T")

TICK_SECONDS = 0.03  #: between looks at the files of what runs: a stat of each
EPOCH = "epoch"
#: What the engine has of its own, or has been given already.
_NOT_SENT = frozenset(
    {"stdout", "stderr", "exit", "claim", "holder", "input", "index", "diff.patch"}
    | {"facts.json", "kit.json", "held.json", "node.json", "cut.json"}
)
_NO_RESULT = _NOT_SENT | {"prompt", "context.json", TIDIED, own_refs.FOLDER}
NEWS_BYTES = 8 << 20  #: of output in one answer: the others are asked for next
FILES_BYTES = 64 << 20  #: a larger file of a run directory stays on the node


class Site:
    """One for a node and a home. Its methods are asked by `answer`, from one event loop."""

    def __init__(self, home: Path) -> None:
        self._home = home.expanduser().resolve()
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._cgroups = Cgroups.detect(self._home)
        self._workspaces = Workspaces(self._home)
        self._depot = Depot(self._home, self._workspaces.locks)
        self._secrets = Secrets()
        self._secrets.learn_from(os.environ)
        self._agents = all_agents()
        self._fence = Fence(self._read_epoch())
        self._settings: Settings | None = None
        self._launcher: Launcher | None = None
        self._meter = Meter(Settings(), self._agents)
        self._measuring: asyncio.Task[None] | None = None
        self._held: dict[int, Held] = {}
        self._beginning: dict[int, asyncio.Lock] = {}
        self._meeting = asyncio.Lock()
        self._news = asyncio.Event()
        self._asked = 0
        """How often news were asked for: who asks again gives up on the answer before."""
        self._verbs: Mapping[str, Callable[[bytes], Awaitable[msgspec.Struct]]] = {
            "meet": self._meet,
            "has": self._has,
            "begin": self._begin,
            "news": self._tell_news,
            "stop": self._stop,
            "tell": self._tell,
            "hang_up": self._hang_up,
            "finish": self._finish,
            "drop": self._drop,
            "survey": self._survey,
        }

    async def answer(self, verb: str, data: bytes) -> bytes:
        """Do what an engine asks for. What goes wrong is part of the answer."""
        try:
            return wire.done(await self._verbs[verb](data))
        except HeadwayError as error:
            return wire.failed(error)
        except OSError as error:
            return wire.failed(RefusedError(f"the node was short of something: {error.strerror or error}"))
        except Exception as error:
            logger.exception("%s", verb)
            return wire.failed(HeadwayError(f"the node failed: {type(error).__name__}: {error}"))

    # ---- whom it listens to

    async def _meet(self, data: bytes) -> Hello:
        try:
            meeting = wire.taken(data)
        except Exception as error:  # noqa: BLE001 - whatever reading another version's values comes to
            raise RefusedError(f"the node has headway {__version__}, and the engine another one ({error})") from None
        assert isinstance(meeting, Meeting), "an engine introduces itself with that"
        if meeting.version != __version__:
            raise RefusedError(f"the node has headway {__version__}, and the engine {meeting.version}")
        async with self._meeting:
            self._hear(meeting.epoch, met=False)
            self._write_epoch(meeting.epoch)
            if self._measuring is None:
                self._measuring = asyncio.create_task(self._meter.run(), name="meter")
                for one in await asyncio.to_thread(holding.find, self._home, self._cgroups):
                    self._secrets.learn_from(self._environment_of(one))
                    self._take(one, adopted=True)
            # Not before it is known what is held here: what is asked for again would be begun again.
            self._settings = meeting.settings
            cells = Cells(self._home, meeting.settings)
            self._launcher = Launcher(
                meeting.settings, self._agents, self._workspaces, self._cgroups, secrets=self._secrets, cells=cells
            )
            for one in [one for attempt, one in self._held.items() if attempt not in meeting.kept]:
                await self._give_up(one)
            await asyncio.to_thread(self._depot.sweep, {one.kept.job for one in self._held.values()})
            machine = psutil.virtual_memory()
            return Hello(__version__, procfs.boot_id(), sorted(self._held), int(machine.total), int(machine.available))

    @staticmethod
    def _environment_of(one: Held) -> dict[str, str]:
        _, who = one.run.claim()
        return procfs.environment(who.pid) if who is not None and procfs.is_alive(who) else {}

    def _hear(self, epoch: int, *, met: bool = True) -> None:
        self._fence = self._fence.hear(epoch)
        if met and self._launcher is None:
            raise UnmetError("the node was started anew")

    def _write_epoch(self, epoch: int) -> None:
        """Whole or not at all: without it, an engine that was replaced would be heard again."""
        fresh = self._home / f"{EPOCH}.tmp"
        fresh.write_text(str(epoch))
        fresh.rename(self._home / EPOCH)

    def _read_epoch(self) -> int:
        try:
            return int((self._home / EPOCH).read_text())
        except (OSError, ValueError):
            return 0

    # ---- the life of an attempt

    async def _has(self, data: bytes) -> Has:
        asked = msgspec.msgpack.decode(data, type=Which)
        self._hear(asked.epoch)
        return Has(await self._depot.has(asked.project))

    async def _begin(self, data: bytes) -> Begun:
        order = wire.taken(data)
        assert isinstance(order, Order), "an attempt begins with that"
        self._hear(order.epoch)
        attempt = order.claim.attempt.id
        async with self._beginning.setdefault(attempt, asyncio.Lock()):
            try:
                known = self._held.get(attempt)  # the answer was lost on its way, and is asked for again
                if known is None or not known.started:
                    await self._start(order)
                return await self._begun(self._held[attempt])
            finally:
                self._beginning.pop(attempt, None)

    async def _start(self, order: Order) -> None:
        assert self._launcher is not None and self._settings is not None, "who begins has met"
        claim, launcher, plan = order.claim, self._launcher, order.plan
        tried = claim.attempt
        for other in [one for one in self._held.values() if one.kept.job == tried.job]:
            # The engine has settled it, and the word of that is on its way: both would work in one directory.
            await self._end(other, self._settings.grace)
        run = run_dir(self._home, tried.job, tried.number)
        run.make()
        repository = self._depot.repository(str(plan.placed.repository)) if order.parcel.git else None
        placed = moving.placed_at(plan.placed, order.home, self._home, repository)
        await self._depot.lay(placed, run, tried.job, order.parcel)
        plan = moving.plan_at(plan, placed, order.home, self._home)
        sent = order.parcel
        known = [sent.head, sent.tip] if sent.git else []
        kept = Kept(tried.id, tried.job, tried.number, tried.marker, tried.agent, sent.git, sent.ref, known)
        holding.keep(run, kept)
        self._meter.expect(tried.id, tried.agent)
        try:
            whole = launcher.start(claim, run, await launcher.equip(claim, run, plan))
        except BaseException:
            self._meter.release(tried.id)
            (run.path / holding.NAME).unlink(missing_ok=True)
            raise
        one = holding.held(run, kept, self._cgroups, whole)
        one.ground.measure(self._meter, tried.id, NOTHING)
        self._take(one, adopted=False)

    async def _begun(self, one: Held) -> Begun:
        """What the engine is told of an attempt that runs here."""
        run, equipped = one.run, kit.read_kit(one.run)
        names = [found.name for found in run.path.iterdir() if found.is_file() and found.name not in _NOT_SENT]
        files, _ = await asyncio.to_thread(parcel.archive, run.path, names)
        return Begun(one.pid, run.pipe.is_fifo(), equipped.given if equipped is not None else None, files)

    def _take(self, one: Held, *, adopted: bool) -> None:
        """Look after an attempt from now on."""
        attempt = one.kept.attempt
        if adopted:
            self._meter.expect(attempt, one.kept.agent)
            one.ground.measure(self._meter, attempt, NOTHING)
        if one.ground.runs():
            one.waiting = asyncio.create_task(one.ground.ended(), name=f"ended-{attempt}")
            one.waiting.add_done_callback(lambda _: self._news.set())
        self._held[attempt] = one
        self._news.set()

    async def _tell_news(self, data: bytes) -> News:
        asked = msgspec.msgpack.decode(data, type=Ask)
        self._hear(asked.epoch)
        unknown = [have.attempt for have in asked.have if have.attempt not in self._held]
        until = time.monotonic() + asked.wait
        self._asked = mine = self._asked + 1
        self._news.set()
        while True:
            self._news.clear()
            heard = self._look(asked.have) if mine == self._asked else []
            left = until - time.monotonic()
            if heard or unknown or left <= 0 or mine != self._asked:
                return News(heard, unknown, int(psutil.virtual_memory().available))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, TICK_SECONDS if asked.have else left)):
                    await self._news.wait()

    def _look(self, wanted: Sequence[Have]) -> list[Heard]:
        """What is new of attempts; of a few of them at a time, where they print more than a line takes at once."""
        heard, size = [], 0
        for have in random.sample(wanted, len(wanted)):
            one = self._held.get(have.attempt)
            found = one.look(have, self._secrets, self._meter.now(have.attempt)) if one is not None else None
            if found is not None:
                heard.append(found)
                size += len(found.stdout) + len(found.stderr)
            if size >= NEWS_BYTES:
                break
        return heard

    def _of(self, data: bytes) -> tuple[Touch, Held]:
        touch = msgspec.msgpack.decode(data, type=Touch)
        self._hear(touch.epoch)
        one = self._held.get(touch.attempt)
        if one is None:
            raise RefusedError(f"the node does not hold attempt {touch.attempt}")
        return touch, one

    async def _stop(self, data: bytes) -> Told:
        touch, one = self._of(data)
        await one.ground.stop(touch.grace)
        return Told()

    async def _tell(self, data: bytes) -> Told:
        touch, one = self._of(data)
        if touch.once and touch.once in one.heard:
            return Told()
        told = await voice.tell(one.run, touch.line)
        if told and touch.once:
            one.heard.add(touch.once)
        return Told(told)

    async def _hang_up(self, data: bytes) -> Told:
        _, one = self._of(data)
        await one.ground.hang_up()
        return Told()

    async def _finish(self, data: bytes) -> Result:
        """End what is left of it, and give what it did. Can be asked for again until it is dropped."""
        touch, one = self._of(data)
        used = await one.ground.clear(touch.grace)
        root = one.placed.root
        if one.kept.git and root is not None:
            await own_refs.take_back(root, one.placed.branch, one.run, ended=True)
            packed = await parcel.pack(root, one.run, one.kept.ref, one.kept.known)
        else:
            packed = await parcel.pack_files(one.placed.directory)
        found = [one_ for one_ in one.run.path.iterdir() if one_.name not in _NO_RESULT and not one_.is_fifo()]
        names = [path.name for path in found if path.is_dir() or path.stat().st_size <= FILES_BYTES]
        files, _ = await asyncio.to_thread(parcel.archive, one.run.path, names)
        return Result(packed, files, used)

    async def _drop(self, data: bytes) -> Told:
        drop = msgspec.msgpack.decode(data, type=Drop)
        self._hear(drop.epoch)
        one = self._held.get(drop.attempt)
        if one is not None:
            self._forget(one)
            if one.placed.repository is not None:
                await parcel.forget(one.placed.repository, one.kept.ref)
            if drop.whole:
                await self._depot.remove(one.placed, one.run)
        return Told()

    async def _give_up(self, one: Held) -> None:
        """An attempt that is somebody else's by now. What it did here counts for nothing."""
        logger.warning("attempt %d is not this node's any more", one.kept.attempt)
        await self._end(one, 0)
        await self._depot.remove(one.placed, one.run)

    async def _end(self, one: Held, grace: float) -> None:
        """Let nothing of it be at work, and hold it no more."""
        if not one.over:
            await one.ground.stop(grace)
        await one.ground.clear(grace)
        if one.waiting is not None:
            await asyncio.wait({one.waiting})
        self._forget(one)

    def _forget(self, one: Held) -> None:
        self._held.pop(one.kept.attempt, None)
        self._meter.release(one.kept.attempt)
        (one.run.path / holding.NAME).unlink(missing_ok=True)

    async def _survey(self, data: bytes) -> Surveyed:
        asked = msgspec.msgpack.decode(data, type=Survey)
        self._hear(asked.epoch)
        assert self._settings is not None, "who is heard has met"
        found = await accounts.survey(self._settings, self._agents, os.environ, name=None, check=asked.check)
        return Surveyed(__version__, found)
