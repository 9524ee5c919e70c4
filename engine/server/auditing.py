"""A call as the audit tells it: who, from where, what, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.audit import Audit, summary
from engine.errors import ForbiddenError
from engine.events import Audited, Event
from engine.foreign import NOT_JSON
from engine.model.access import Role
from engine.server.caller import Caller, Door
from engine.server.http import caller_of, require, said_of

_ANSWER_BYTES = 64 << 10  #: of an answer that are looked at
_JOBS = 10  #: whose numbers are written out
_BLANK = Audited("", "", "", "", "(an admin may read it)", 0)


class Asking:
    """Before a call: whether its caller may. After one that does something: a line of the audit, before the answer."""

    def __init__(self, app: ASGIApp, role: Role, audit: Audit) -> None:
        self._app = app
        self._role = role
        self._audit = audit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            require(request, self._role)
        except ForbiddenError as error:
            await self._audit.refused(entry(caller_of(request), call_of(request), error.status, error.message))
            raise
        if request.method in ("GET", "HEAD") or not self._role.may(Role.OPERATOR):
            await self._app(scope, receive, send)
            return
        answer = _Answer(request, send, self._audit)
        try:
            await self._app(scope, receive, answer.send)
        except Exception as error:
            await answer.note(500, f"a defect of Headway: {type(error).__name__}")
            raise


class _Answer:
    """Keeps the answer of a verb back until it is written down; by the socket, until that is on its way."""

    def __init__(self, request: Request, send: Send, audit: Audit) -> None:
        self._request = request
        self._send = send
        self._audit = audit
        self._start: Message | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        if self._start is not None:
            await self.note(self._start["status"], _said(message.get("body", b"")))
            await self._send(self._start)
            self._start = None
        await self._send(message)

    async def note(self, status: int, said: str) -> None:
        asked = said_of(self._request)
        if getattr(asked, "dry_run", False) and status < 400:
            return
        what = f"{call_of(self._request)} {summary(asked)}".rstrip()
        told = entry(caller_of(self._request), what, status, said)
        if status == ForbiddenError.status:
            await self._audit.refused(told)
        elif told.door == Door.TCP:
            await self._audit.note(told)
        else:
            # To wait for a second commit takes as long as the verb did, and here its own event says enough meanwhile.
            self._audit.soon(told)


def entry(caller: Caller, what: str, status: int, said: str) -> Audited:
    """One line."""
    return Audited(caller.who, caller.role, caller.door, caller.address, what, status, said, caller.job)


def seen_by(caller: Caller, found: Sequence[Event]) -> Sequence[Event]:
    """Events as a caller may see them: lines of the audit are for those who may read it, and blank for others."""
    if caller.role.may(Role.ADMIN):
        return found
    return [msgspec.structs.replace(one, body=_BLANK) if isinstance(one.body, Audited) else one for one in found]


def call_of(request: Request) -> str:
    """`POST /v1/actions`."""
    return f"{request.method} {request.url.path}"


class _Outcome(Struct, frozen=True):
    """What an answer says of itself, where it does."""

    message: str = ""
    action: int | None = None
    ids: list[int] = []


def _said(body: bytes) -> str:
    if len(body) > _ANSWER_BYTES:
        return ""
    try:
        found = msgspec.json.decode(body, type=_Outcome)
    except NOT_JSON:
        return ""
    if found.message:
        return found.message
    if found.ids:
        more = f" and {len(found.ids) - _JOBS} more" if len(found.ids) > _JOBS else ""
        return " ".join(f"J{job}" for job in found.ids[:_JOBS]) + more
    return f"action {found.action}" if found.action is not None else ""
