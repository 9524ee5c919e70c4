"""An attempt on a node, as the runner follows it: the same verbs as of one that runs here."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from pathlib import Path
from typing import TypeVar

import msgspec

from engine.clock import now_ms
from engine.cluster import parcel
from engine.cluster.fleet import Fleet
from engine.cluster.stream import Stream
from engine.cluster.wire import Heard, Result, Told, Touch
from engine.errors import HeadwayError
from engine.model import Resources
from engine.runner.cut import Cut
from engine.runner.limits import Past
from engine.runner.meter import Meter, Sample
from engine.runner.run_dir import RunDir
from engine.runner.workspace import Placed, Workspaces

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Away:
    """One attempt. Its output grows in the engine's own run directory, and its work comes into the engine's own
    workspace once it has ended; so whatever comes after it finds both where they always are.
    """

    def __init__(
        self,
        fleet: Fleet,
        stream: Stream,
        placed: Placed,
        workspaces: Workspaces,
        ref: str,
        *,
        talks: bool,
        adopted: bool,
    ) -> None:
        """`ref`: what its commits are called on their way."""
        self._fleet = fleet
        self._workspaces = workspaces
        self._stream = stream
        self._placed = placed
        self._ref = ref
        self.talks = talks
        self.adopted = adopted

    @property
    def lost(self) -> str | None:
        return self._stream.lost

    @property
    def _run(self) -> RunDir:
        return self._stream.run

    def runs(self) -> bool:
        return not self._stream.over.is_set()

    def past(self, started_at: int | None) -> Past:
        ran = max(0.0, (now_ms() - started_at) / 1000) if started_at is not None else 0.0
        try:
            said = self._run.stdout.stat()
        except OSError:
            return Past(ran, ran)
        return Past(ran, min(max(0.0, time.time() - said.st_mtime), ran), said.st_size)

    def measure(self, meter: Meter, attempt: int, may: Resources) -> None:
        def see(heard: Heard) -> None:
            meter.told(attempt, Sample(heard.held or 0, heard.cpu_ms or 0, heard.processes or 0))

        meter.elsewhere(attempt, may)
        self._stream.measured = see

    def verdict(self, may: Resources, peak: int | None) -> Cut | None:
        """What the node tells of it is seen by the engine as it comes; nobody else holds it to its limits."""
        return None

    async def ended(self) -> int | None:
        await self._stream.over.wait()
        return None

    async def stop(self, grace: float) -> None:
        await self._insist("stop", grace, Told)

    async def tell(self, line: bytes) -> bool:
        """Said until it is known to be heard: nobody says an answer again that did not come to a waiting agent."""
        touch = Touch(self._fleet.epoch, self._stream.attempt, line=line, once=secrets.token_hex(8))
        try:
            told = await self._fleet.insist(self._stream, "tell", msgspec.msgpack.encode(touch), Told)
        except HeadwayError:
            return False
        return told is not None and told.heard

    async def hang_up(self) -> None:
        touch = Touch(self._fleet.epoch, self._stream.attempt)
        try:
            await self._fleet.insist(self._stream, "hang_up", msgspec.msgpack.encode(touch), Told)
        except HeadwayError as error:
            logger.warning("attempt %d: its input stays open: %s", self._stream.attempt, error)

    async def clear(self, grace: float) -> int | None:
        if self.lost is not None:
            return None
        result = await self._insist("finish", grace, Result)
        if result is None:
            return None
        self._stream.home = True
        try:
            await self._bring_home(result)
        except (HeadwayError, OSError) as error:
            self._stream.lose(f"what it did on {self._stream.node} could not be brought back: {error}")
        return result.cpu_ms

    async def settled(self, *, over: bool) -> None:
        self._fleet.let_go(self._stream.attempt, whole=over)

    async def _insist(self, verb: str, grace: float, kind: type[T]) -> T | None:
        touch = Touch(self._fleet.epoch, self._stream.attempt, grace)
        try:
            return await self._fleet.insist(self._stream, verb, msgspec.msgpack.encode(touch), kind)
        except HeadwayError as error:
            self._stream.lose(f"the node {self._stream.node} could not {verb} it: {error}")
            return None

    async def _bring_home(self, result: Result) -> None:
        """What it left in its run directory, and in its workspace."""
        await asyncio.to_thread(parcel.extract, result.files, self._run.path, keep=True)
        root, sent = self._placed.root, parcel.checked(result.parcel, self._ref)
        if not sent.git:
            await parcel.lay_files(self._placed.directory, sent)
        elif root is not None:
            # A fetch looks at all worktrees, and fails over one that is being made.
            async with self._workspaces.locks[self._placed.repository or root]:
                await parcel.receive(root, sent, self._run)
            await parcel.lay(root, sent)
            await parcel.forget(root, sent.ref)
            Path(self._placed.directory).mkdir(parents=True, exist_ok=True)
