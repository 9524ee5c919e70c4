"""The machines of the cluster."""

from __future__ import annotations

from engine.model import ActionResult
from engine.model.node import Draining, Join, Nodes
from engine.server.link import Link


class NodeCalls(Link):
    """What can be asked of the cluster."""

    async def nodes(self, *, agents: bool = False, check: bool = False) -> Nodes:
        """Every node; with `agents` what each has of the agents, with `check` also whether their keys are there."""
        return await self.get("/v1/nodes", Nodes, {"agents": int(agents), "check": int(check)})

    async def drain_node(self, wanted: Draining) -> ActionResult:
        """Begin nothing more on a node, or let it take attempts again."""
        return await self.post("/v1/nodes/drain", wanted, ActionResult)

    async def join_command(self, wanted: Join) -> str:
        """What a machine runs to join."""
        return await self.post("/v1/nodes/join", wanted, str)
