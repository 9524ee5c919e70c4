"""Before every call that comes over the network: whose it is, whether it is too much, and until when it may last."""

from __future__ import annotations

import asyncio
from time import monotonic

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.audit import Audit
from engine.clock import now_ms
from engine.config import ServerSettings
from engine.errors import HeadwayError, TooLargeError, TooManyError, UnknownCallerError
from engine.events import Audited
from engine.model.access import Role, Token
from engine.server.auditing import call_of, entry
from engine.server.caller import Caller, Door
from engine.server.deadlines import TURN_AWAY
from engine.server.http import length_of, refusal
from engine.server.peers import Peers
from engine.tokens import Tokens
from engine.units import size, span

PROBE = "/healthz"  #: answered without a token: that something answers
_PROBING = Caller("?", Role.VIEWER, Door.TCP)
BODIES_AT_ONCE = 2  #: largest bodies, of everybody together, that are being read


class Guard:
    """An application, with a door before it."""

    def __init__(self, app: ASGIApp, tokens: Tokens, audit: Audit, settings: ServerSettings, peers: Peers) -> None:
        self._app = app
        self._tokens = tokens
        self._audit = audit
        self._peers = peers
        self._body = size(settings.body)
        self._reading = 0
        """Bytes of bodies that are in memory."""
        self._open: dict[int, set[asyncio.Event]] = {}
        """What ends the streams of a token."""
        tokens.heed(self._shut)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if request.method in ("GET", "HEAD") and request.url.path == PROBE:
            await self._app(_with_caller(scope, _PROBING), receive, _last(request, send))
            return
        address = scope["client"][0] if scope.get("client") else "?"
        shown = _bearer(request)
        token = self._tokens.of(shown) if shown else None
        if token is None:
            await self._unknown(request, address, send, shown=bool(shown))
            return
        caller = Caller(token.name, token.role, Door.TCP, address)
        try:
            await self._known(request, caller, token, receive, send)
        except (TooManyError, TooLargeError) as error:
            await self._audit.refused(entry(caller, call_of(request), error.status, error.message))
            await _answer(error, scope, send)

    async def _unknown(self, request: Request, address: str, send: Send, *, shown: bool) -> None:
        """Refuse who shows no token that opens the door. Who tries again and again leaves no more lines for a while.

        A right token is served whatever came from its address before: it cannot be guessed, so nobody is locked out.
        """
        send = _last(request, send)
        if wait := self._peers.put_off(address, monotonic()):
            await _answer(TooManyError(f"too many wrong tokens: wait {span(wait * 1000)}", wait), request.scope, send)
            return
        why = "the token opens nothing: it is wrong, was revoked or has expired" if shown else "no token was shown"
        error = UnknownCallerError(f"{why}; `headway token add` makes one on the engine's machine")
        await self._audit.refused(Audited("?", "", Door.TCP, address, call_of(request), error.status, why))
        await _answer(error, request.scope, send)

    async def _known(self, request: Request, caller: Caller, token: Token, receive: Receive, send: Send) -> None:
        if wait := self._peers.asks(token.id, monotonic()):
            raise TooManyError(f"too many requests of the token {token.name}: wait {span(wait * 1000)}", wait)
        if length_of(request) > self._body:
            raise TooLargeError(f"the request is larger than {self._body >> 10} KiB, the most that is taken")
        if not self._peers.begins(token.id):
            raise TooManyError(f"too many requests of the token {token.name} are under way: end one first")
        reading = _Reading(self, receive, self._body)
        try:
            await self._tokens.used(token)
            scope = _with_caller(request.scope, caller)
            if request.method in ("GET", "HEAD"):
                await self._watched(token, scope, receive, send)
            else:
                await self._app(scope, reading.receive, send)
        finally:
            reading.end()
            self._peers.ends(token.id)

    async def _watched(self, token: Token, scope: Scope, receive: Receive, send: Send) -> None:
        """Read, and follow, for as long as the token opens the door. A verb is not cut: it is short, and done whole."""
        answer = _Answer(send)
        shut = asyncio.Event()
        self._open.setdefault(token.id, set()).add(shut)
        tasks = asyncio.ensure_future(self._app(scope, receive, answer.send)), asyncio.ensure_future(shut.wait())
        left = None if token.expires_at is None else max(0, token.expires_at - now_ms()) / 1000
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=left)
            if tasks[0].done():
                tasks[0].result()
                return
        finally:
            self._open[token.id].discard(shut)
            if not self._open[token.id]:
                del self._open[token.id]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        await answer.cut(scope)

    def _shut(self, token: Token) -> None:
        for shut in self._open.get(token.id, ()):
            shut.set()

    def reads(self, count: int) -> None:
        """So many bytes more, or fewer, of bodies are in memory. Raises `TooManyError`."""
        if count > 0 and self._reading + count > BODIES_AT_ONCE * self._body:
            raise TooManyError("too many large requests come at once: send it again later")
        self._reading += count


class _Reading:
    """The body of one request, as it comes."""

    def __init__(self, guard: Guard, receive: Receive, most: int) -> None:
        self._guard = guard
        self._receive = receive
        self._most = most
        self._read = 0

    async def receive(self) -> Message:
        message = await self._receive()
        count = len(message.get("body", b""))
        if self._read + count > self._most:
            raise TooLargeError(f"the request is larger than {self._most >> 10} KiB, the most that is taken")
        self._guard.reads(count)
        self._read += count
        return message

    def end(self) -> None:
        self._guard.reads(-self._read)


class _Answer:
    """How far an answer has come."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._begun = False
        self._ended = False

    async def send(self, message: Message) -> None:
        self._begun = True
        self._ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)

    async def cut(self, scope: Scope) -> None:
        """The token opens nothing any more: end what was begun, as it stands."""
        if not self._begun:
            await _answer(UnknownCallerError("the token opens nothing any more"), scope, self._send)
        elif not self._ended:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _last(request: Request, send: Send) -> Send:
    """To answer, and read no more on that connection: who shows no token pays for each request with a new one."""
    turn_away = request.scope.get("state", {}).get(TURN_AWAY)
    if turn_away is None or not turn_away():
        return send  # cut off at once, whoever still sends would not hear why

    async def last(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), (b"connection", b"close")]}
        await send(message)

    return last


def _with_caller(scope: Scope, caller: Caller) -> Scope:
    scope["state"] = {**scope.get("state", {}), "caller": caller}
    return scope


def _bearer(request: Request) -> str:
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if kind.lower() == "bearer" else ""


async def _answer(error: HeadwayError, scope: Scope, send: Send) -> None:
    async def nothing() -> Message:
        return {"type": "http.disconnect"}

    await refusal(error)(scope, nothing, send)
