"""Which attempts go to a node, and how they begin there or are found again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.clock import now_ms
from engine.cluster import parcel, wire
from engine.cluster.away import Away
from engine.cluster.fleet import AGAIN_SECONDS, Fleet
from engine.cluster.stream import Stream
from engine.cluster.wire import Begun, Has, Order, Parcel, UnmetError, Which
from engine.cluster.words import NoRoomError, UnreachableError
from engine.dispatch.nodes import HELD, Wish
from engine.runner import kit
from engine.runner.ground import NoGroundError
from engine.runner.launch import Launcher, Plan, planned_facts
from engine.runner.run_dir import Facts, RunDir, read_regular
from engine.runner.workspace import Placed
from engine.store import Store, claims, placing
from engine.store.claims import Claim
from engine.units import span

logger = logging.getLogger(__name__)

WHERE = "node.json"  #: in the engine's run directory of an attempt on a node
WHERE_BYTES = 1 << 12
WITHOUT_TOOLS = "it runs on {node}, where it has none of Headway's tools"


class Where(Struct, frozen=True):
    """What an engine that adopts it has to know."""

    node: str
    talks: bool


class Elsewhere:
    """One for an engine."""

    def __init__(
        self, home: Path, store: Store, fleet: Fleet, launcher: Launcher, written: Callable[[int], None]
    ) -> None:
        """`written`: called with an attempt whose output has grown."""
        self._home = home
        self._store = store
        self._fleet = fleet
        self._launcher = launcher
        self._written = written

    def takes(self, claim: Claim, plan: Plan) -> bool:
        """Whether a claimed attempt goes to a node."""
        if self._fleet.wishes.wish(claim.attempt.target) is None or not self._travels(claim, plan.placed):
            return False
        # A conversation is kept on the machine that it was held on.
        return plan.brief.talk.begun.resumes is None or self._before(claim) is not None

    def _travels(self, claim: Claim, placed: Placed) -> bool:
        """Its workspace is the job's own, and what it calls can be called from there."""
        account = self._launcher.settings.accounts.get(claim.attempt.account or "")
        if claim.desk is not None or claim.job.within is not None or (account is not None and account.tap):
            return False
        root = placed.root or placed.directory
        own = any(root.is_relative_to(self._home / folder) for folder in ("worktrees", "work"))
        return own and (placed.root is None) == (placed.repository is None)

    def _before(self, claim: Claim) -> str | None:
        return claim.previous.node if claim.previous is not None else None

    def expect(self, claim: Claim) -> None:
        """An attempt was claimed that will want a node, unless it turns out that it stays."""
        wish = self._fleet.wishes.wish(claim.attempt.target)
        if wish is not None and claim.attempt.node is None:
            self._fleet.expect(claim.attempt.id, wish)

    def forget(self, claim: Claim) -> None:
        """It stays here, or it is over."""
        self._fleet.unexpect(claim.attempt.id)

    async def begin(self, claim: Claim, run: RunDir, plan: Plan) -> tuple[Facts, int, Away]:
        """Start an attempt on a node: what was noted of it, its pid there, and what it is followed on.

        Raises `NoGroundError` where no node takes it now, and what the node says where it cannot start it.
        """
        wish = self._fleet.wishes.wish(claim.attempt.target)
        assert wish is not None, "who begins has looked"
        stream = await self._placed(claim, run, wish, plan)
        await self._store.write(lambda tx: placing.place(tx, claim.attempt.id, stream.node))
        noted = self._facts(claim, plan, stream.node)
        run.note(noted)
        try:
            begun = await self._begun(claim, run, plan, stream)
        except Exception as error:
            stream.lose(str(error))
            self._fleet.let_go(stream.attempt, whole=False)
            raise
        if begun is None:
            return noted, 0, self._away(claim, stream, plan.placed, talks=False)
        try:
            await asyncio.to_thread(self._note, claim, run, stream, begun)
        except OSError as error:  # it runs: what cannot be written down of that is no reason to begin it again
            logger.error("job %d: what it was given cannot be written down: %s", claim.job.id, error)
        self._fleet.begun(stream)
        return noted, begun.pid, self._away(claim, stream, plan.placed, talks=begun.talks)

    def _away(self, claim: Claim, stream: Stream, placed: Placed, *, talks: bool, adopted: bool = False) -> Away:
        workspaces, ref = self._launcher.workspaces, _ref(claim)
        return Away(self._fleet, stream, placed, workspaces, ref, talks=talks, adopted=adopted)

    @staticmethod
    def _note(claim: Claim, run: RunDir, stream: Stream, begun: Begun) -> None:
        (run.path / WHERE).write_bytes(msgspec.json.encode(Where(stream.node, begun.talks)))
        if begun.given is not None:
            kit.note_kit(run, kit.Kit(begun.given, marker=claim.attempt.marker))
        parcel.extract(begun.files, run.path, keep=True)

    def _facts(self, claim: Claim, plan: Plan, node: str) -> Facts:
        """As of any attempt, with the paths of this machine: what comes home is put there."""
        noted = planned_facts(plan.placed, plan.brief)
        agent = self._launcher.agent(claim.attempt.agent)
        without = WITHOUT_TOOLS.format(node=node) if agent.takes_tools else ""
        return replace(noted, note="; ".join(filter(None, (noted.note, without))) or None)

    async def _placed(self, claim: Claim, run: RunDir, wish: Wish, plan: Plan) -> Stream:
        closed = await self._closed()
        goes_on = plan.brief.talk.begun.resumes is not None
        try:
            node = await self._fleet.place(claim.attempt.id, wish, self._before(claim) if goes_on else None, closed)
        except (NoRoomError, UnreachableError) as error:
            raise NoGroundError(error.message) from None
        stream = Stream(claim.attempt.id, claim.job.id, node, run, wish, lambda: self._written(claim.attempt.id))
        self._fleet.follow(stream)
        return stream

    async def _closed(self) -> Mapping[str, str]:
        held = await self._store.look(claims.holds)
        return {scope.removeprefix(HELD): by for scope, by in held.items() if scope.startswith(HELD)}

    async def _begun(self, claim: Claim, run: RunDir, plan: Plan, stream: Stream) -> Begun | None:
        """Asked for until it is answered: a node begins an attempt once. None where its node is lost meanwhile."""
        until = now_ms() + self._fleet.lost_after_ms
        while True:
            try:
                packed = await self._pack(claim, run, plan, stream.node)
                order = Order(self._fleet.epoch, claim, plan, str(self._home), packed)
                return wire.read(await self._fleet.link.call(stream.node, "begin", wire.sent(order)), Begun)
            except (UnreachableError, UnmetError) as error:
                if now_ms() >= until:
                    # It may have been begun all the same: what becomes of the job is decided as of any that is lost.
                    stream.lose(f"{stream.node} has not answered for {span(self._fleet.lost_after_ms)}: {error}")
                    return None
                await asyncio.sleep(AGAIN_SECONDS)

    async def _pack(self, claim: Claim, run: RunDir, plan: Plan, node: str) -> Parcel:
        root, repository = plan.placed.root, plan.placed.repository
        if root is None or repository is None:
            return await parcel.pack_files(plan.placed.directory)
        known = await self._fleet.ask(node, "has", Which(self._fleet.epoch, str(repository)), Has)
        return await parcel.pack(root, run, _ref(claim), known.commits)

    def adopt(self, claim: Claim, run: RunDir, placed: Placed) -> Away:
        """An attempt of an engine before this one. Whether its node still has it shows once that is met."""
        node, wish = claim.attempt.node, self._fleet.wishes.wish(claim.attempt.target)
        assert node is not None, "who adopts has looked"
        stream = Stream(
            claim.attempt.id, claim.job.id, node, run, wish or Wish({}), lambda: self._written(claim.attempt.id)
        )
        self._fleet.follow(stream)
        self._fleet.begun(stream)
        return self._away(claim, stream, placed, talks=_where(run).talks, adopted=True)


def _ref(claim: Claim) -> str:
    """What an attempt's commits are called on their way there and back."""
    return f"refs/headway/travel/{claim.attempt.marker}"


def _where(run: RunDir) -> Where:
    try:
        return msgspec.json.decode(read_regular(run.path / WHERE, WHERE_BYTES) or b"", type=Where)
    except (UnicodeDecodeError, msgspec.MsgspecError):
        return Where("", talks=False)
