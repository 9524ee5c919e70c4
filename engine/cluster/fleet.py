"""The nodes of the cluster as the engine deals with them: met, asked for news, waited for, given up.

A node that is out of reach is waited for: its agents run on, and are adopted when it is back. Only after `lost_after`
is what ran there given up. While the cluster itself is out of reach nothing is: no node is to blame for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
from msgspec import Struct

from engine import __version__
from engine.clock import now_ms
from engine.cluster import wire
from engine.cluster.fencing import FencedError, sort
from engine.cluster.stream import Stream
from engine.cluster.wire import Ask, Drop, Heard, Hello, Meeting, News, Told, Touch, UnmetError
from engine.cluster.words import Link, Reserve, Seen, UnreachableError
from engine.config import Settings
from engine.dispatch.nodes import Nodes, Room, Wish, Wishes
from engine.errors import HeadwayError
from engine.units import milliseconds, span

logger = logging.getLogger(__name__)

T = TypeVar("T")

WAIT_SECONDS = 20.0  #: a node without news answers after so long
ANSWER_SECONDS = 100.0  #: and with any at most so much later: one that does not is out of reach, whatever Ray thinks
AGAIN_SECONDS = 0.5  #: before a node that could not be reached is tried again
PLACE_SECONDS = 10.0  #: for the cluster to find room that should be there


@dataclass(slots=True)
class Member:
    """One node, by its name. It may be gone."""

    name: str
    seen: Seen | None = None
    hello: Hello | None = None
    """What it said when it was met; None while it is not."""
    trouble: str = ""
    """Why it could not be met."""
    heard_at: int = 0
    """Milliseconds UTC; 0 is never."""
    memory: int = 0
    """Bytes, as the machine has."""
    free: int = 0
    """Bytes that it can give."""
    version: str = ""
    absent: float | None = None
    """Since when it is out of reach, by the monotonic clock; None while it is not."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    """There is something else to ask it for."""
    task: asyncio.Task[None] | None = None

    @property
    def open(self) -> bool:
        return self.hello is not None and self.seen is not None


class Fleet:
    """One for an engine. `rooms` may be asked from any thread."""

    def __init__(self, link: Link, settings: Settings, wishes: Wishes, epoch: int, changed: Callable[[], None]) -> None:
        """`changed`: called when attempts may start that could not before."""
        assert settings.cluster is not None, "there is one"
        self.link = link
        self.epoch = epoch
        self.wishes = wishes
        self._settings = settings
        self.lost_after_ms = milliseconds(settings.cluster.lost_after)
        self._lost_after = self.lost_after_ms / 1000
        self._changed = changed
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, Wish] = {}
        """Attempts that have no node yet."""
        self._woken = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._going: set[asyncio.Task[None]] = set()
        self.members: dict[str, Member] = {}

    # ---- who is here

    async def run(self) -> None:
        """Until cancelled."""
        self.link.watch(self._woken.set)
        try:
            async with asyncio.TaskGroup() as self._group:
                self._group.create_task(self.link.run(), name="cluster-link")
                await self._watch()
        finally:
            for task in self._going:
                task.cancel()

    async def _watch(self) -> None:
        assert self._group is not None, "it runs"
        freed = False
        while True:
            self._woken.clear()
            self._look()
            if self.link.connected and not freed:
                # What an engine or a driver before this one had reserved for what has ended, or was just reserving.
                # Nobody waits for it: who looks after the nodes has others to look after.
                kept = map(str, {*self._streams, *self._waiting})
                self._group.create_task(self.link.free(*kept, others=True), name="free-others")
            freed = self.link.connected
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience()):
                    await self._woken.wait()

    def _look(self) -> None:
        """Take note of who has come and who has gone."""
        assert self._group is not None, "it runs"
        for name, seen in self.link.nodes.items():
            member = self._member(name)
            if member.seen is None or member.seen.id != seen.id:
                self._end_task(member)
                member.hello, member.trouble = None, ""
                member.task = self._group.create_task(self._attend(member), name=f"node-{name}")
            member.seen = seen
        for member in self.members.values():
            if member.name not in self.link.nodes and member.seen is not None:
                self._end_task(member)
                member.seen = member.hello = None
                member.trouble = self.link.trouble
            self._judge(member)

    def _member(self, name: str) -> Member:
        return self.members.setdefault(name, Member(name))

    @staticmethod
    def _end_task(member: Member) -> None:
        if member.task is not None:
            member.task.cancel()
            member.task = None

    def _judge(self, member: Member) -> None:
        """Give up what ran on a node that is away for too long."""
        if member.open or not self.link.connected:
            member.absent = None
            return
        now = time.monotonic()
        if member.absent is None:
            member.absent = now
        if now - member.absent >= self._lost_after:
            for stream in self._there(member.name):
                stream.lose(f"the node {member.name} has been out of reach for {span(self._lost_after * 1000)}")

    def _patience(self) -> float | None:
        """Seconds until somebody has been away for too long."""
        away = [one.absent for one in self.members.values() if one.absent is not None and self._there(one.name)]
        return max(0.05, min(away) + self._lost_after - time.monotonic()) if away else None

    def jobs_on(self, node: str) -> list[int]:
        """The jobs whose attempts run on a node."""
        return sorted(one.job for one in self._on(node))

    def move(self, node: str) -> None:
        """End what runs on a node, so that it begins anew elsewhere."""
        for stream in self._on(node):
            stream.lose(f"the node {node} was drained, and its work moved")

    def _there(self, node: str) -> list[Stream]:
        """What would be lost with a node: also what has ended, and has not been brought home."""
        return [one for one in self._streams.values() if one.node == node and one.lost is None and not one.home]

    def _on(self, node: str) -> list[Stream]:
        return [one for one in self._streams.values() if one.node == node and not one.over.is_set()]

    # ---- talking to one

    async def _attend(self, member: Member) -> None:
        """Meet a node, and take its news, for as long as it is here."""
        while True:
            try:
                await self._meet(member)
                while True:
                    await self._hear(member)
            except UnmetError:
                member.hello = None
            except UnreachableError as error:
                self._out_of_reach(member, error.message)
                await asyncio.sleep(AGAIN_SECONDS)
            except HeadwayError as error:  # another version, or an engine that came after this one
                self._out_of_reach(member, error.message)
                logger.warning("node %s: %s", member.name, error)
                await asyncio.sleep(AGAIN_SECONDS * (60 if isinstance(error, FencedError) else 10))

    def _out_of_reach(self, member: Member, why: str) -> None:
        member.hello, member.trouble = None, why
        self._woken.set()

    async def _meet(self, member: Member) -> None:
        given: dict[int, str | None] = {one.attempt: one.node for one in self._streams.values()}
        own = frozenset(attempt for attempt, node in given.items() if node == member.name)
        meeting = Meeting(self.epoch, __version__, self._settings, own)
        hello = wire.read(await self._answered(member, "meet", wire.sent(meeting), ANSWER_SECONDS), Hello)
        for attempt in sort(hello.held, given, member.name).missing:
            stream = self._streams.get(attempt)
            if stream is not None and stream.begun:
                stream.lose(f"the node {member.name} has come back without it")
        member.hello, member.trouble, member.heard_at = hello, "", now_ms()
        member.memory, member.free, member.version = hello.memory, hello.free, hello.version
        member.absent = None
        self._woken.set()
        self._changed()

    async def _hear(self, member: Member) -> None:
        """One round of news."""
        wanted = [one for one in self._on(member.name) if one.begun]
        if not wanted:
            await self._idle(member)
            return
        ask = Ask(self.epoch, [one.have for one in wanted], WAIT_SECONDS)
        asking = asyncio.ensure_future(self._news(member, ask))
        woken = asyncio.ensure_future(member.asked.wait())
        try:
            await asyncio.wait({asking, woken}, return_when=asyncio.FIRST_COMPLETED)
            member.asked.clear()
            if not asking.done():
                return  # of one more attempt news is wanted: the node answers the old question to nobody
            news = asking.result()
        finally:
            asking.cancel()
            woken.cancel()
        member.heard_at, member.free = now_ms(), news.free
        for attempt in news.unknown:
            if (stream := self._streams.get(attempt)) is not None:
                stream.lose(f"the node {member.name} knows nothing of it")
        written = [self._took(heard) for heard in news.heard]
        if not all(written):
            await asyncio.sleep(AGAIN_SECONDS)

    def _took(self, heard: Heard) -> bool:
        """Write down what was heard of an attempt; False where that cannot be: the node is asked for it again."""
        stream = self._streams.get(heard.attempt)
        try:
            if stream is not None:
                stream.take(heard)
        except OSError as error:  # this machine's disk is full, as a rule
            logger.error("attempt %d: what it printed cannot be written down: %s", heard.attempt, error)
            return False
        return True

    async def _news(self, member: Member, ask: Ask) -> News:
        answer = await self._answered(member, "news", msgspec.msgpack.encode(ask), ask.wait + ANSWER_SECONDS)
        return wire.read(answer, News)

    async def _answered(self, member: Member, verb: str, data: bytes, within: float) -> bytes:
        """A node's answer. Raises `UnreachableError` also for one that hangs: Ray would wait for it for ever."""
        try:
            async with asyncio.timeout(within):
                return await self.link.call(member.name, verb, data)
        except TimeoutError:
            raise UnreachableError(f"the node {member.name} has not answered for {span(within * 1000)}") from None

    async def _idle(self, member: Member) -> None:
        """Nothing runs there: look from time to time whether it still answers."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS):
                await member.asked.wait()
        member.asked.clear()
        if not any(one.begun for one in self._on(member.name)):
            news = await self._news(member, Ask(self.epoch, [], 0.0))
            member.heard_at, member.free = now_ms(), news.free

    async def ask(self, node: str, verb: str, body: Struct, kind: type[T]) -> T:
        """One word to a node. Raises `UnreachableError`, or what the node says."""
        return wire.read(await self.link.call(node, verb, msgspec.msgpack.encode(body)), kind)

    async def insist(self, stream: Stream, verb: str, data: bytes, kind: type[T]) -> T | None:
        """The same about an attempt, again and again while its node is out of reach; None once it is lost."""
        gone = asyncio.ensure_future(stream.gone.wait())
        try:
            while True:
                calling = asyncio.ensure_future(self.link.call(stream.node, verb, data))
                try:
                    await asyncio.wait({calling, gone}, return_when=asyncio.FIRST_COMPLETED)
                    if not calling.done():
                        return None  # nobody knows whether it ever answers
                    return wire.read(calling.result(), kind)
                except (UnreachableError, UnmetError):
                    if stream.lost is not None:
                        return None
                    await asyncio.sleep(AGAIN_SECONDS)
                finally:
                    calling.cancel()
        finally:
            gone.cancel()

    # ---- attempts

    def expect(self, attempt: int, wish: Wish) -> None:
        """An attempt will want a node: room is kept for it from now on."""
        self._waiting[attempt] = wish

    async def place(self, attempt: int, wish: Wish, only: str | None, closed: Mapping[str, str]) -> str:
        """Room for an attempt, on `only` that node where one is named. Raises `NoRoomError` and `UnreachableError`."""
        open_ = [one.name for one in self.members.values() if one.open and one.name not in closed]
        among = [name for name in open_ if only in (None, name)]
        reserve = Reserve(0, "", dict(wish.resources), dict(wish.labels), among, PLACE_SECONDS)
        try:
            return await self.link.reserve(str(attempt), reserve)
        except UnreachableError:
            await self.link.free(str(attempt))  # it may have been reserved all the same
            raise

    def follow(self, stream: Stream) -> None:
        """Keep an attempt in mind from now on."""
        self._waiting.pop(stream.attempt, None)
        self._streams[stream.attempt] = stream
        self._member(stream.node)
        self._woken.set()

    def begun(self, stream: Stream) -> None:
        """Its node has it: ask for news."""
        stream.begun = True
        self._member(stream.node).asked.set()

    def unexpect(self, attempt: int) -> None:
        """It will want none."""
        if self._waiting.pop(attempt, None) is not None:
            self._changed()

    def let_go(self, attempt: int, *, whole: bool) -> None:
        """An attempt is over, and settled: its node forgets it. `whole`: so is its job."""
        self._waiting.pop(attempt, None)
        stream = self._streams.pop(attempt, None)
        task = asyncio.create_task(self._let_go(attempt, stream, whole=whole), name=f"gone-{attempt}")
        self._going.add(task)
        task.add_done_callback(self._going.discard)

    async def _let_go(self, attempt: int, stream: Stream | None, *, whole: bool) -> None:
        await self.link.free(str(attempt))
        self._changed()
        if stream is None:
            return
        with contextlib.suppress(HeadwayError):  # a node that does not hear it drops the attempt when it is met next
            if stream.lost is None:
                await self.ask(stream.node, "drop", Drop(self.epoch, attempt, stream.job, whole), Told)
            else:
                await self.ask(stream.node, "stop", Touch(self.epoch, attempt, self._settings.grace), Told)
                await self.ask(stream.node, "drop", Drop(self.epoch, attempt, stream.job, whole), Told)

    # ---- what the dispatcher sees

    def rooms(self) -> Nodes:
        """The nodes, less what runs on them and what waits for one of them."""
        nodes = Nodes(self.wishes, {})
        for member in list(self.members.values()):
            if member.seen is not None:
                closed = "" if member.hello is not None else "is being met"
                nodes.rooms[member.name] = Room(member.seen.offers, member.seen.labels, closed=closed)
        for stream in list(self._streams.values()):
            if (room := nodes.rooms.get(stream.node)) is not None:
                nodes.rooms[stream.node] = room.with_one(stream.wish)
        for wish in list(self._waiting.values()):
            name = next((name for name, room in nodes.rooms.items() if room.has(wish)), None)
            if name is not None:
                nodes.rooms[name] = nodes.rooms[name].with_one(wish)
        return nodes
