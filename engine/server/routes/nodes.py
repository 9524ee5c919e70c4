"""The machines of the cluster."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.model import Order, Verb
from engine.model.node import Draining, Join
from engine.server.http import actor, as_json, read_body, read_number


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the cluster."""
    api = _Nodes(engine)
    return [
        Route("/v1/nodes", api.nodes),
        Route("/v1/nodes/drain", api.drain, methods=["POST"]),
        Route("/v1/nodes/join", api.join, methods=["POST"]),
    ]


class _Nodes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def nodes(self, request: Request) -> Response:
        """Every node; with `agents=1` what each has of the agents, with `check=1` also whether their keys are there."""
        agents, check = bool(read_number(request, "agents", 0)), bool(read_number(request, "check", 0))
        return as_json(await self._engine.cluster.nodes(agents=agents, check=check))

    async def drain(self, request: Request) -> Response:
        """Begin nothing more on a node, or let it take attempts again: a hold on its scope, which `undo` takes back."""
        said = await read_body(request, Draining)
        self._engine.cluster.known(said.node)
        verb = Verb.RELEASE if said.back else Verb.HOLD
        done = await self._engine.act(Order(verb=verb, scope=f"node:{said.node}", dry_run=said.dry_run), actor(request))
        if said.move and not said.back and not said.dry_run:
            self._engine.cluster.move(said.node)
        return as_json(done)

    async def join(self, request: Request) -> Response:
        said = await read_body(request, Join)
        return Response(
            msgspec.json.encode(self._engine.cluster.join_command(said.name, said.resources, said.labels)),
            media_type="application/json",
        )
