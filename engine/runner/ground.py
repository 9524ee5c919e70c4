"""Where the processes of one attempt are, and what can be done to them from here."""

from __future__ import annotations

import asyncio
from typing import Protocol

from engine.errors import RefusedError
from engine.model import Resources
from engine.runner import enforcing, kit, limits, procfs, spawn, tree, voice
from engine.runner.cgroup import Cgroups
from engine.runner.cut import Cut
from engine.runner.launch import Plan
from engine.runner.limits import Past
from engine.runner.meter import Meter
from engine.runner.run_dir import KEPT, Facts, RunDir
from engine.runner.tree import Tree
from engine.runner.workspace import Placed
from engine.store.claims import Claim


class NoGroundError(RefusedError):
    """No machine takes the attempt now. It is tried again."""


class Ground(Protocol):
    """What an attempt is followed on, from the moment at which its shim was started."""

    @property
    def adopted(self) -> bool:
        """An engine before this one had it started."""

    @property
    def lost(self) -> str | None:
        """Why nothing more will be heard of it; None while it can be reached."""

    @property
    def talks(self) -> bool:
        """It was started so that it can be answered."""

    def runs(self) -> bool:
        """Whether there is an end to wait for."""

    def past(self, started_at: int | None) -> Past:
        """What it did before this engine followed it."""

    def measure(self, meter: Meter, attempt: int, may: Resources) -> None:
        """Have what it takes measured, against what it may take."""

    def verdict(self, may: Resources, peak: int | None) -> Cut | None:
        """What was done to it for its limits by others than the engine; asked before it is cleared away.

        `peak`, bytes: the most memory that was measured.
        """

    async def ended(self) -> int | None:
        """Return once the shim has ended and all that was printed can be read: its exit code, where it was our child.

        Also once it is `lost`.
        """

    async def stop(self, grace: float) -> None:
        """End all of it: asked first, killed after so many seconds. Returns when nothing is left."""

    async def tell(self, line: bytes) -> bool:
        """Write a line to its standard input. False where nobody listens any more."""

    async def hang_up(self) -> None:
        """End its standard input."""

    async def settled(self, *, over: bool) -> None:
        """Its end is written. `over`: so is that of its job."""

    async def clear(self, grace: float) -> int | None:
        """End what outlived the shim, and take away what it was given: its processor time in ms, where that is known.

        What it left in its workspace is in the engine's own afterwards.
        """


class Elsewhere(Protocol):
    """Further machines."""

    def expect(self, claim: Claim) -> None:
        """An attempt was claimed. It may be for one of them."""

    def forget(self, claim: Claim) -> None:
        """It is not, or it is over."""

    def takes(self, claim: Claim, plan: Plan) -> bool:
        """Whether a claimed attempt goes to one of them."""

    async def begin(self, claim: Claim, run: RunDir, plan: Plan) -> tuple[Facts, int, Ground]:
        """Start it there: what was noted of it, its pid, and what it is followed on.

        Raises `NoGroundError` where none takes it now, and other `HeadwayError`s where it cannot be started.
        """

    def adopt(self, claim: Claim, run: RunDir, placed: Placed) -> Ground:
        """One that an engine before this one started there."""


class Here:
    """On the engine's own machine."""

    lost = None

    def __init__(self, whole: Tree, run: RunDir, cgroups: Cgroups, *, subreaper: bool) -> None:
        self._whole = whole
        self._run = run
        self._cgroups = cgroups
        self._subreaper = subreaper

    @property
    def adopted(self) -> bool:
        return self._whole.adopted

    @property
    def talks(self) -> bool:
        return self._run.pipe.is_fifo()

    def runs(self) -> bool:
        root = self._whole.root
        return root is not None and (procfs.is_alive(root) or spawn.is_ours(root.pid))

    def past(self, started_at: int | None) -> Past:
        return limits.past(self._whole.root, started_at, self._run) if self._whole.root is not None else Past()

    def measure(self, meter: Meter, attempt: int, may: Resources) -> None:
        meter.begin(attempt, self._whole, may)

    def verdict(self, may: Resources, peak: int | None) -> Cut | None:
        return enforcing.verdict(self._whole.group, may, peak, self._run.path / KEPT)

    async def ended(self) -> int | None:
        assert self._whole.root is not None, "who waits has looked"
        return await spawn.ended(self._whole.root.pid)

    async def stop(self, grace: float) -> None:
        await tree.stop(self._whole, grace)

    async def tell(self, line: bytes) -> bool:
        return await voice.tell(self._run, line)

    async def hang_up(self) -> None:
        voice.hang_up(self._run, self._whole.marker)

    async def clear(self, grace: float) -> int | None:
        whole = self._whole
        if await asyncio.to_thread(whole.strays, self._subreaper):
            await tree.stop(whole, grace)
        used = spawn.cpu_ms(whole.root.pid) if whole.root is not None else None
        self._cgroups.remove(whole.group)
        voice.close(self._run)
        await kit.take_away(self._run)
        return used

    async def settled(self, *, over: bool) -> None:
        pass
