"""`headway web`: the same console in a browser on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from console.cli import context as ctx

if TYPE_CHECKING:
    import socket

    from console.gatekeeper import Gatekeeper

#: Nothing of the page may come from elsewhere, nor be shown inside another one.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws:; frame-ancestors 'none'; base-uri 'none'"
)


def add_to(app: typer.Typer) -> None:
    app.command()(web)


def web(
    context: typer.Context,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port on loopback; 0 is a free one.")] = 8377,
) -> None:
    """Show the console in a browser: on loopback only, and only to who has the token of the address that is printed.

    From another machine: ssh -L 8377:127.0.0.1:8377 HOST headway web. Needs the extra: pip install 'headway[web]'.
    """
    import secrets
    import shlex
    import sys
    from pathlib import Path

    from console.cli.output import note
    from console.gatekeeper import Gatekeeper
    from console.launch import ensure_engine
    from engine.errors import UsageError

    try:
        import textual_serve.server  # noqa: F401
    except ImportError:
        raise UsageError("the console in a browser needs the extra: pip install 'headway[web]'") from None
    where, keys = ctx.of(context).where, ctx.of(context).keys
    if isinstance(where, Path):
        ensure_engine(where)
    command = shlex.join([sys.executable, "-m", "console.cli", "--home", str(where), *keys.options, "--link", "local"])
    listener = _listen(port)
    keeper = Gatekeeper(secrets.token_urlsafe(24), listener.getsockname()[1])
    print(f"http://127.0.0.1:{keeper.port}/?token={keeper.token}", flush=True)
    note("who has this address has the console; ctrl+c ends it")
    _serve(command, keeper, listener)


def _listen(port: int) -> socket.socket:
    import socket

    from engine.errors import RefusedError

    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise RefusedError(f"port {port} of 127.0.0.1: {error.strerror}; --port names another") from None


def _serve(command: str, keeper: Gatekeeper, listener: socket.socket) -> None:
    """textual-serve has no authentication of its own: a gatekeeper stands before all of its routes."""
    from collections.abc import Awaitable, Callable

    from aiohttp import web as http
    from textual_serve.server import Server

    from console.gatekeeper import COOKIE, Verdict

    @http.middleware
    async def guarded(
        request: http.Request, handler: Callable[[http.Request], Awaitable[http.StreamResponse]]
    ) -> http.StreamResponse:
        is_socket = request.headers.get("Upgrade", "").lower() == "websocket"
        match keeper.judge(request.headers, request.query.get("token"), socket=is_socket):
            case Verdict.WRONG_PLACE:
                return http.Response(status=403, text="not from here\n")
            case Verdict.STRANGER:
                return http.Response(status=403, text="open the address that `headway web` printed\n")
            case Verdict.SIGNED_IN:
                moved = http.Response(status=303, headers={"Location": "/"})
                moved.set_cookie(COOKIE, keeper.token, httponly=True, samesite="Strict", path="/")
                return moved
        return await handler(request)

    async def mark(_: http.Request, response: http.StreamResponse) -> None:
        response.headers.update(
            {
                "Content-Security-Policy": _POLICY,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            }
        )

    class Guarded(Server):
        def initialize_logging(self) -> None:
            """Quiet: the address with the token is not to be in a log."""

        async def on_startup(self, app: http.Application) -> None:
            """Its banner says an address without the token."""

        async def _make_app(self) -> http.Application:
            app = await super()._make_app()
            app.middlewares.append(guarded)
            app.on_response_prepare.append(mark)
            return app

    server = Guarded(command, "127.0.0.1", keeper.port, title="headway")
    http.run_app(server._make_app(), sock=listener, print=None, access_log=None)
