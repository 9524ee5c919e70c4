"""The Agent Client Protocol, version 1: the fields of its JSON-RPC lines that are used, and the lines that we send.

Schema: https://agentclientprotocol.com/protocol/schema. Every field may be missing, and what a line holds beyond them
is left alone.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

VERSION = 1
INITIALIZE, SESSION, PROMPT = 0, 1, 2  #: the ids of our requests; the agent counts its own from anywhere

_NOTHING = Raw(b"null")


class Failed(Struct):
    code: int | None = None
    message: str | None = None


class Line(Struct):
    """A request, a notification or a response."""

    id: Raw | UnsetType = UNSET
    method: str | None = None
    params: Raw = _NOTHING
    result: Raw | UnsetType = UNSET
    error: Failed | None = None


class Info(Struct):
    name: str | None = None
    version: str | None = None


class Initialized(Struct, rename="camel"):
    agent_info: Info | None = None


class Models(Struct, rename="camel"):
    current_model_id: str | None = None


class Session(Struct, rename="camel"):
    """The result of `session/new`; that of `session/load` names no session."""

    session_id: str | None = None
    models: Models | None = None


class Spoken(Struct):
    type: str | None = None
    text: str | None = None


class Part(Struct, rename="camel"):
    """What a tool call shows: text in `content`, or the change of a file."""

    type: str | None = None
    content: Raw = _NOTHING
    path: str | None = None
    old_text: str | None = None
    new_text: str | None = None


class Location(Struct):
    path: str | None = None


class ToolUse(Struct, rename="camel"):
    """`toolCall` of a request for permission, and the updates `tool_call` and `tool_call_update`."""

    session_update: str | None = None
    tool_call_id: str | None = None
    title: str | None = None
    kind: str | None = None
    status: str | None = None
    content: Raw = _NOTHING
    """A list of `Part`; of a chunk of a message, one `Spoken`."""
    locations: list[Location] | None = None
    raw_input: Raw = _NOTHING


class Update(Struct, rename="camel"):
    session_id: str | None = None
    update: ToolUse | None = None


class Option(Struct, rename="camel"):
    option_id: str = ""
    kind: str | None = None


class PermissionAsked(Struct, rename="camel"):
    tool_call: ToolUse | None = None
    options: list[Option] = msgspec.field(default_factory=list)


class TokenCount(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None


class ModelCount(Struct):
    model: str | None = None
    token_count: TokenCount | None = None


class Quota(Struct):
    model_usage: list[ModelCount] | None = None


class Meta(Struct):
    quota: Quota | None = None


class Answered(Struct, rename="camel"):
    """The result of `session/prompt`. Gemini tells its tokens in `_meta`."""

    stop_reason: str | None = None
    meta: Meta | None = msgspec.field(default=None, name="_meta")


class Command(Struct):
    """What an agent gave a shell, where it says so."""

    command: str | None = None


class Task(Struct):
    """What Headway keeps in the run directory until the session is there."""

    prompt: str
    session: str | None = None


def request(number: int, method: str, params: object) -> bytes:
    return _line({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def response(name: str, result: object) -> bytes:
    """The answer to the agent's own request, whose id is `name` as JSON."""
    return _line({"jsonrpc": "2.0", "id": Raw(name.encode()), "result": result})


def refusal(name: str) -> bytes:
    error = {"code": -32601, "message": "this client has no such method"}
    return _line({"jsonrpc": "2.0", "id": Raw(name.encode()), "error": error})


def _line(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
