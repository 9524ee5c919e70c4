"""What every call of the API reads of a request and makes of an answer."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from engine.config import Settings
from engine.config.server import LARGEST
from engine.documents import nearest
from engine.errors import (
    ForbiddenError,
    HeadwayError,
    NotFoundError,
    TooLargeError,
    TooManyError,
    UnknownCallerError,
    UsageError,
)
from engine.foreign import NOT_JSON
from engine.model.access import Role
from engine.plain import plain_line
from engine.server.caller import Caller, Door
from engine.server.wire import to_wire

T = TypeVar("T")
W = TypeVar("W", bound=StrEnum)

BODY_LIMIT = LARGEST  #: bytes of a request; the longest submission that is sensible is far below it
LIST_LIMIT = 10_000  #: entries of one answer, whatever is asked for


#: Who calls an application that no door stands before: whoever made it holds the engine itself.
_WITHIN = Caller("engine", Role.OWNER, Door.UNIX)


def caller_of(request: Request) -> Caller:
    """Who calls, as the door has found out."""
    found = request.scope.get("state", {}).get("caller", _WITHIN)
    assert isinstance(found, Caller)
    return found


def actor(request: Request) -> str:
    """Who acts, as the log names them."""
    return caller_of(request).actor


def require(request: Request, role: Role) -> None:
    """Raise `ForbiddenError` where who calls may not do what needs that role."""
    caller = caller_of(request)
    if caller.role.may(role):
        return
    if role is Role.OWNER:
        raise ForbiddenError("that is done on the engine's own machine: use ssh (headway attach ssh://HOST)")
    raise ForbiddenError(f"the token {caller.who} is of {caller.role.one}; that needs {role.one}")


def project_of(request: Request, settings: Settings) -> str | None:
    """The project that a query names, for files that lie in it.

    A directory that is no project of headway.yaml is for those who may submit, and so look anywhere: raises
    `ForbiddenError` for others.
    """
    project = request.query_params.get("project")
    if project is not None and not caller_of(request).role.may(Role.OPERATOR):
        known = settings.projects
        if project not in known and project not in [one.directory for one in known.values()]:
            raise ForbiddenError("a viewer looks into projects of headway.yaml alone: name one of them")
    return project


def as_json(value: object, status: int = 200) -> Response:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def refusal(error: HeadwayError) -> Response:
    """An error as an answer."""
    answer = as_json(to_wire(error), error.status)
    if isinstance(error, TooManyError):
        answer.headers["Retry-After"] = str(math.ceil(error.retry_after))
    if isinstance(error, UnknownCallerError):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


def stream(frames: AsyncIterator[bytes]) -> Response:
    """Server-sent events."""
    return StreamingResponse(frames, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


async def read_body(request: Request, kind: type[T]) -> T:
    """The request's body as that type, raising `UsageError` with the path of what is wrong in it."""
    parts, size = [], 0
    if length_of(request) > BODY_LIMIT:
        raise TooLargeError(f"the request is larger than {BODY_LIMIT >> 20} MiB")
    try:
        async for part in request.stream():
            size += len(part)
            if size > BODY_LIMIT:
                raise TooLargeError(f"the request is larger than {BODY_LIMIT >> 20} MiB")
            parts.append(part)
    except ClientDisconnect:
        raise UsageError("the request broke off") from None
    try:
        body = msgspec.json.decode(b"".join(parts) or b"{}", type=kind)
    except NOT_JSON as error:
        raise UsageError(f"request body: {plain_line(str(error))}") from None
    request.scope["said"] = body
    return body


def length_of(request: Request) -> int:
    """How long a request says that it is; 0 where it does not."""
    text = request.headers.get("content-length", "")
    return int(text) if is_number(text) else 0


def said_of(request: Request) -> object:
    """What the body of a request was read as; None where it was not."""
    return request.scope.get("said")


def job_of(request: Request) -> int:
    """The job that the path names."""
    return named(request, "job")


def named(request: Request, what: str) -> int:
    """A number of the path, raising `NotFoundError` where it is none."""
    text = request.path_params[what]
    if not is_number(text):
        raise NotFoundError(f"there is no {what} {text[:40]}")
    return int(text)


def read_number(request: Request, name: str, default: int | None) -> int | None:
    """A number of the query, raising `UsageError` where it is none."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not is_number(text):
        raise UsageError(f"{name}={text} is not a number")
    return int(text)


def read_word(request: Request, name: str, words: type[W], default: W) -> W:
    """A word of the query, raising `UsageError` with the nearest one where there is none such."""
    text = request.query_params.get(name) or default.value
    try:
        return words(text)
    except ValueError:
        raise UsageError(f"{name}={text[:40]}: {nearest(text, list(words))}") from None


def is_number(text: str) -> bool:
    """Digits that fit into SQLite's integers."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def ids_of(text: str) -> list[int]:
    """Numbers with commas between them."""
    words = text.split(",")
    if not all(map(is_number, words)):
        raise UsageError("ids must be numbers with commas between them")
    return [int(word) for word in words]
