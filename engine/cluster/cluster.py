"""The cluster as the operator sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from engine.cluster import connecting
from engine.cluster.fleet import Fleet, Member
from engine.cluster.wire import Survey, Surveyed
from engine.config import Settings
from engine.dispatch.nodes import HELD
from engine.dispatch.nodes import Nodes as Rooms
from engine.errors import HeadwayError, RefusedError
from engine.model.node import Node, Nodes, NodeState
from engine.store import Store, claims

#: Resources that Ray counts of every machine, and that no target of ours asks for.
_NOT_OURS = frozenset({"object_store_memory", "memory", "CPU"})
SURVEY_SECONDS = 60.0  #: for the agents of one node to say their version
NONE = "headway.yaml names no cluster: docs/cluster.md says how one is made"


class Cluster:
    """One for an engine, also where it has none."""

    def __init__(self, home: Path, settings: Settings, store: Store, fleet: Fleet | None) -> None:
        self._home = home
        self._settings = settings
        self._store = store
        self._fleet = fleet

    async def nodes(self, *, check: bool = False, agents: bool = False) -> Nodes:
        """All nodes that this engine has seen. `agents`: with what each has of them; `check`: asking those as well."""
        fleet, said = self._fleet, self._settings.cluster
        if fleet is None or said is None:
            return Nodes(configured=False, trouble=NONE)
        holds = await self._store.look(claims.holds)
        rooms = fleet.rooms()
        found = [self._node(one, rooms, holds) for _, one in sorted(fleet.members.items())]
        if agents:
            found = list(await asyncio.gather(*(self._with_agents(one, check=check) for one in found)))
        return Nodes(
            configured=True,
            connected=fleet.link.connected,
            trouble=fleet.link.trouble,
            address=connecting.address_of(said),
            nodes=found,
        )

    def _node(self, member: Member, rooms: Rooms, holds: Mapping[str, str]) -> Node:
        assert self._fleet is not None, "who asks has looked"
        held, room = holds.get(f"{HELD}{member.name}"), rooms.rooms.get(member.name)
        state = NodeState.READY
        if member.seen is None:
            state = NodeState.AWAY
        elif member.hello is None:
            state = NodeState.AWAY if member.heard_at else NodeState.MEETING
        elif held is not None:
            state = NodeState.DRAINED
        offers = room.offers if room is not None else {}
        return Node(
            name=member.name,
            state=state,
            trouble=member.trouble or (member.seen.trouble if member.seen is not None else ""),
            address=member.seen.address if member.seen is not None else "",
            held_by=held,
            running=self._fleet.jobs_on(member.name),
            offers={name: count for name, count in sorted(offers.items()) if name not in _NOT_OURS},
            taken=dict(room.taken) if room is not None else {},
            labels=dict(room.labels) if room is not None else {},
            memory=member.memory,
            memory_free=member.free,
            version=member.version,
            last_seen=member.heard_at,
        )

    async def _with_agents(self, node: Node, *, check: bool) -> Node:
        assert self._fleet is not None, "who asks has looked"
        if node.state not in (NodeState.READY, NodeState.DRAINED):
            return node
        try:
            async with asyncio.timeout(SURVEY_SECONDS):
                told = await self._fleet.ask(node.name, "survey", Survey(self._fleet.epoch, check), Surveyed)
        except (HeadwayError, TimeoutError) as error:
            return replace(node, trouble=str(error) or "its agents did not answer")
        return replace(node, agents=told.agents)

    def known(self, node: str) -> str:
        """A node that can be drained. Raises `RefusedError`."""
        if self._fleet is None:
            raise RefusedError(NONE)
        if node not in self._fleet.members:
            names = ", ".join(sorted(self._fleet.members)) or "none"
            raise RefusedError(f"there is no node {node!r}; there are: {names}")
        return node

    def move(self, node: str) -> None:
        """Have what runs on a node begin anew elsewhere, by the rules of what may have had effects."""
        if self._fleet is not None:
            self._fleet.move(node)

    def join_command(self, name: str, resources: Mapping[str, float], labels: Mapping[str, str]) -> str:
        """What a machine runs to join."""
        if self._settings.cluster is None:
            raise RefusedError(NONE)
        return connecting.join_command(self._home, self._settings.cluster, name, resources, labels)
