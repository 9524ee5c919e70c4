"""Notifications: how the channels stand, and a try of one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.engine import Engine
from engine.notice import TestNotify
from engine.server.http import as_json, read_body


def routes(engine: Engine) -> list[Route]:
    """What can be asked of the notifications."""

    async def status(request: Request) -> Response:
        return as_json(await engine.notify.status())

    async def test(request: Request) -> Response:
        wanted = await read_body(request, TestNotify)
        return as_json(await engine.notify.test(wanted.channel))

    return [Route("/v1/notify", status), Route("/v1/notify/test", test, methods=["POST"])]
